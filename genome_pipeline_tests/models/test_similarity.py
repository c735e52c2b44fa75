"""Nearest neighbours and shared traits."""

from __future__ import annotations

import numpy as np
import pandas.testing
import pytest

from genome_pipeline.models.similarity import SimilarityIndex
from genome_pipeline_tests.models.populations import AS_OF, assert_keeps_contract, customers, shop


def _index(vectors: list[list[float]], neighbor_count: int = 10) -> SimilarityIndex:
    ids = np.array([f"c{number}" for number in range(len(vectors))])
    return SimilarityIndex(
        ids, np.array(vectors, dtype=float), ("order_count", "average_order_value_amount"), neighbor_count
    )


def test_neighbours_are_those_of_a_full_comparison() -> None:
    index = SimilarityIndex.build(shop())
    unit = index.vectors / np.linalg.norm(index.vectors, axis=1, keepdims=True)
    similarity = np.round(unit @ unit.T, 9)
    np.fill_diagonal(similarity, -2)
    expected = np.argsort(-similarity, axis=1, kind="stable")[:, :10]
    neighbors = index.neighbors(AS_OF)
    assert_keeps_contract("customer_neighbors", neighbors)
    assert neighbors["neighbor_customer_id"].tolist() == index.customer_ids[expected.ravel()].tolist()
    assert not (neighbors["customer_id"] == neighbors["neighbor_customer_id"]).any()
    np.testing.assert_allclose(neighbors["similarity"], np.take_along_axis(similarity, expected, 1).ravel(), atol=1e-9)


def test_ties_go_to_the_smaller_customer_id_and_neither_length_nor_opposites_count_as_alike() -> None:
    neighbors = _index([[1, 0], [2, 0], [3, 0], [-1, 0]]).neighbors(AS_OF)
    of_last = neighbors[neighbors["customer_id"] == "c3"]
    assert of_last["neighbor_customer_id"].tolist() == ["c0", "c1", "c2"]
    assert of_last["similarity"].tolist() == [-1, -1, -1]
    assert neighbors[neighbors["customer_id"] == "c2"]["neighbor_customer_id"].tolist() == ["c0", "c1", "c3"]


def test_a_customer_at_every_median_resembles_nobody_more_than_another() -> None:
    neighbors = _index([[0, 0], [1, 2], [3, 1]]).neighbors(AS_OF)
    assert neighbors[neighbors["customer_id"] == "c0"]["similarity"].tolist() == [0, 0]


def test_shared_traits_name_the_genes_where_both_stand_out_alike_most_telling_first() -> None:
    neighbors = _index([[1.0, -3.0], [1.5, -2.0], [-1.0, -0.5]], neighbor_count=2).neighbors(AS_OF)
    traits = neighbors.set_index(["customer_id", "neighbor_customer_id"])["shared_traits"]
    assert traits["c0", "c1"] == "low average order value; high orders"
    assert traits["c0", "c2"] == "typical on every gene"


@pytest.mark.parametrize(("size", "count"), [(0, 0), (1, 0), (2, 1), (4, 3), (30, 10)])
def test_there_are_never_more_neighbours_than_other_customers(size: int, count: int) -> None:
    features = shop().iloc[:size]
    index = SimilarityIndex.build(features)
    neighbors = index.neighbors(AS_OF)
    assert len(neighbors) == size * count
    assert_keeps_contract("customer_neighbors", neighbors)
    assert_keeps_contract("similarity_index", index.summary(AS_OF).assign(artifact_file="index.npz"))


def test_bytes_are_the_same_whatever_the_order_of_rows_and_give_the_same_neighbours() -> None:
    content = SimilarityIndex.build(shop()).to_bytes()
    assert SimilarityIndex.build(shop().sample(frac=1, random_state=2)).to_bytes() == content
    restored = SimilarityIndex.from_bytes(content)
    assert restored.to_bytes() == content
    pandas.testing.assert_frame_equal(restored.neighbors(AS_OF), SimilarityIndex.build(shop()).neighbors(AS_OF))


def test_genes_nobody_has_are_left_out() -> None:
    features = customers(["a", "b"], order_count=[1, 9], spend_amount=None, average_order_value_amount=None)
    assert SimilarityIndex.build(features).summary(AS_OF)["gene_count"].tolist() == [10]


def test_neighbour_count_must_be_positive() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        SimilarityIndex.build(shop(), neighbor_count=0)
