"""Nearest neighbours and shared traits."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import faiss
import numpy as np
import pandas as pd
import pandas.testing
import pytest
from threadpoolctl import threadpool_limits

from genome_pipeline.contracts.genes import GENES, SIMILARITY_GENES
from genome_pipeline.contracts.tables.taste import TASTE_SHARES
from genome_pipeline.models.genes import GeneScaler
from genome_pipeline.models.similarity.index import NOTHING_MATURED, SimilarityIndex
from genome_pipeline.models.similarity.matured import matured_neighbors
from genome_pipeline.models.snapshots import LabelledSnapshot
from genome_pipeline.settings import BlockWeights
from genome_pipeline_tests.support.populations import AS_OF, assert_keeps_contract, customers, shop


def _index(vectors: list[list[float]], neighbor_count: int = 10) -> SimilarityIndex:
    ids = np.array([f"c{number}" for number in range(len(vectors))])
    scaler = GeneScaler(("order_count", "average_order_value_amount"), (0.0, 0.0), (1.0, 1.0), (1.0, 1.0))
    return SimilarityIndex(ids, np.array(vectors, dtype=float), scaler, np.ones(2), neighbor_count, seed=0)


def _many(size: int, seed: int = 3) -> pd.DataFrame:
    """Customers in five groups, with as many genes of their own as are scaled; some are exactly alike."""
    features = shop(seed, size // 5)
    return pd.concat([features, features.head(40).assign(customer_id=lambda same: "z" + same["customer_id"])])


def _outcomes(features: pd.DataFrame, churned: Any, spend: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": features["customer_id"],
            "actual_orders": np.where(churned, 0.0, 2.0),
            "actual_spend": spend,
            "has_churned": churned,
        }
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


def test_different_traits_name_where_the_neighbour_is_furthest_most_telling_first() -> None:
    neighbors = _index([[1.0, -3.0], [1.6, -1.0], [1.2, -3.1]], neighbor_count=2).neighbors(AS_OF)
    traits = neighbors.set_index(["customer_id", "neighbor_customer_id"])["different_traits"]
    assert traits["c0", "c1"] == "higher average order value; higher orders"
    assert traits["c1", "c0"] == "lower average order value; lower orders"
    assert traits["c0", "c2"] == "close on every gene"


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


def test_cells_find_the_neighbours_of_a_full_comparison_ties_by_id() -> None:
    features = _many(1_500)
    exact, cells = SimilarityIndex.build(features), SimilarityIndex.build(features, exact_customers=100)
    assert exact.cells is None
    assert cells.cells is not None
    assert cells.recall >= 0.99
    expected, found = exact.neighbors(AS_OF), cells.neighbors(AS_OF)
    keys = ["customer_id", "neighbor_customer_id"]
    shared = expected.merge(found, on=keys)
    assert len(shared) >= 0.99 * len(expected)
    # What is as similar as can be is a customer's double, the one of the smaller id first.
    doubles = found[found["similarity"] == 1.0]
    assert len(doubles) >= 80
    first = found[(found["customer_id"] == "za000") & (found["neighbor_rank"] == 1)]
    assert first["neighbor_customer_id"].tolist() == ["a000"]


def test_many_who_are_exactly_alike_have_the_smallest_ids_as_neighbours() -> None:
    features = shop(4, 40)
    alike = pd.concat([features.head(1).assign(customer_id=f"q{number:03d}") for number in range(60)])
    index = SimilarityIndex.build(pd.concat([features, alike]), exact_customers=100)
    neighbors = index.neighbors(AS_OF)
    of_last = neighbors[neighbors["customer_id"] == "q050"]
    assert of_last["neighbor_customer_id"].tolist() == ["a000", *(f"q{number:03d}" for number in range(9))]


class _OtherProcessor:
    """Cells whose single precision is out by other last bits, so that near ties stand in another order."""

    def __init__(self, cells: Any, seed: int) -> None:
        self._cells, self._seed = cells, seed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cells, name)

    def search_preassigned(self, points: Any, count: int, *assigned: Any) -> tuple[Any, Any]:
        self._cells.nprobe = len(assigned[0][0])
        single, rows = self._cells.search_preassigned(points, self._cells.ntotal, *assigned)
        noise = np.random.default_rng(self._seed).uniform(-5e-7, 5e-7, single.shape)
        single = np.where(rows < 0, -np.inf, single + noise).astype(np.float32)
        order = np.argsort(-single, axis=1)[:, :count]
        return np.take_along_axis(single, order, 1), np.take_along_axis(rows, order, 1)


def test_near_ties_and_doubles_do_not_hang_on_the_last_bits_of_a_processor() -> None:
    features = shop(4, 60)
    alike = pd.concat([features.head(1).assign(customer_id=f"q{number:03d}") for number in range(60)])
    # A cent more each: a thousand times nearer than single precision can tell.
    near = pd.concat([features.head(1).assign(customer_id=f"r{number:03d}") for number in range(60)])
    near["spend_amount"] = near["spend_amount"].astype(float) + np.arange(60) / 1e4
    index = SimilarityIndex.build(pd.concat([features, alike, near]), exact_customers=100)
    expected = index.neighbors(AS_OF)
    for seed in (1, 2):
        found = replace(index, cells=_OtherProcessor(index.cells, seed)).neighbors(AS_OF)
        pandas.testing.assert_frame_equal(found, expected, check_exact=True)


def test_all_identical_customers_have_similarity_zero_and_the_smallest_ids() -> None:
    features = customers([f"c{number:03d}" for number in range(200)])
    for exact_customers in (1_000, 100):
        neighbors = SimilarityIndex.build(features, 3, exact_customers=exact_customers).neighbors(AS_OF)
        assert neighbors["similarity"].eq(0).all()
        assert neighbors["neighbor_customer_id"].tolist()[:6] == ["c001", "c002", "c003", "c000", "c002", "c003"]


def test_values_that_are_not_finite_count_as_missing() -> None:
    broken = shop()
    broken["average_order_value_amount"] = broken["average_order_value_amount"].mask(broken.index == 7, np.inf)
    missing = shop()
    missing["average_order_value_amount"] = missing["average_order_value_amount"].mask(missing.index == 7)
    assert SimilarityIndex.build(broken).to_bytes() == SimilarityIndex.build(missing).to_bytes()


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    features = _many(1_500)
    found = []
    for threads in (1, 3):
        faiss.omp_set_num_threads(threads)
        with threadpool_limits(threads):
            found.append(SimilarityIndex.build(features, exact_customers=100).neighbors(AS_OF))
    pandas.testing.assert_frame_equal(found[0], found[1], check_exact=True)


def test_an_index_with_cells_is_stored_with_what_it_was_built_from() -> None:
    index = SimilarityIndex.build(_many(1_500), 5, {"spend": 2.0}, seed=4, exact_customers=100)
    restored = SimilarityIndex.from_bytes(index.to_bytes())
    assert restored.to_bytes() == index.to_bytes()
    pandas.testing.assert_frame_equal(restored.neighbors(AS_OF), index.neighbors(AS_OF))
    told = json.loads(restored.summary(AS_OF)["parameters"].iloc[0])
    assert (told["neighbors"], told["seed"]) == (5, 4)
    assert dict(zip(told["genes"], told["weights"], strict=True))["spend_amount"] == 2.0


def test_a_block_without_weight_does_not_count() -> None:
    blocks = {GENES[name].block for name in SIMILARITY_GENES}
    assert blocks | {"taste"} == set(BlockWeights.model_fields)
    features = customers(["a", "b", "c", "d"], order_count=[1, 9, 9, 1], spend_amount=[10.0, 10.0, 900.0, 900.0])
    weights = dict.fromkeys(blocks, 0.0)
    for block, nearest in (("activity", "d"), ("spend", "b")):
        neighbors = SimilarityIndex.build(features, 1, weights | {block: 1.0}).neighbors(AS_OF)
        assert neighbors.loc[neighbors["customer_id"] == "a", "neighbor_customer_id"].tolist() == [nearest]


def _tasting(features: pd.DataFrame, *shares: Any) -> pd.DataFrame:
    """Customers with their shares of spend over categories beside."""
    return features.assign(**dict(zip(TASTE_SHARES, shares, strict=False)))


def test_taste_decides_who_is_near_where_all_else_is_alike_and_words_say_so() -> None:
    meat = np.array([0.9, 0.1, 0.9, 0.1, 0.5, 0.5, 0.5, 0.5])
    tasted = _tasting(customers(list("abcdefgh")), meat, 1 - meat)
    index = SimilarityIndex.build(tasted, 1, categories=["MEAT", "BREAD"])
    nearest = index.neighbors(AS_OF).set_index("customer_id")
    assert nearest["neighbor_customer_id"].head(4).to_dict() == {"a": "c", "b": "d", "c": "a", "d": "b"}
    assert nearest.loc["a", "shared_traits"] == "high share of spend on MEAT; low share of spend on BREAD"
    assert index.weights[-2:].tolist() == [0.5, 0.5]  # together as much as one gene
    assert SimilarityIndex.from_bytes(index.to_bytes()).labels == index.labels
    told = index.lookalikes(["a"], 1).iloc[0]
    assert (told["customer_id"], told["shared_traits"]) == ("c", nearest.loc["a", "shared_traits"])


def test_without_categories_or_a_taste_of_ones_own_taste_does_not_count() -> None:
    features = shop().head(20)
    plain = SimilarityIndex.build(features).neighbors(AS_OF)
    nothing = _tasting(features, *([np.nan] * len(TASTE_SHARES)))
    pandas.testing.assert_frame_equal(SimilarityIndex.build(nothing).neighbors(AS_OF), plain)
    some = _tasting(features, np.where(np.arange(20) == 3, np.nan, np.arange(20) / 20))
    index = SimilarityIndex.build(some, categories=["MEAT"])
    assert index.vectors[3, -1] == 0
    assert index.vectors[4, -1] != 0


def test_a_gene_without_weight_is_no_trait() -> None:
    features = customers(list("abcdefgh"), order_count=[90, 80] + [1] * 6, spend_amount=[900.0, 950.0] + [50.0] * 6)
    for weights, traits in (({}, "high orders; high total spend"), ({"activity": 0.0}, "high total spend")):
        neighbors = SimilarityIndex.build(features, 1, weights).neighbors(AS_OF)
        assert set(neighbors["shared_traits"].head(2).iloc[0].split("; ")) == set(traits.split("; "))


def test_taste_of_then_is_compared_by_the_category_whatever_its_rank_now() -> None:
    before, now = customers(["m1", "m2", "b1", "b2"]), customers(["meat", "bread"])
    before = _tasting(before, [1.0, 0.9, 0.0, 0.1], [0.0, 0.1, 1.0, 0.9])
    now = _tasting(now, [0.0, 1.0], [1.0, 0.0])
    matured = LabelledSnapshot(date(2024, 4, 1), 90, before, _outcomes(before, False, 1.0))
    pairs, _ = matured_neighbors(
        now, matured, AS_OF, 1, categories=["BREAD", "MEAT"], matured_categories=["MEAT", "BREAD"]
    )
    assert pairs.set_index("customer_id")["neighbor_customer_id"].str[0].to_dict() == {"meat": "m", "bread": "b"}


def test_what_became_of_those_who_were_so_before_is_told_and_averaged() -> None:
    before = shop(5)
    lapsed = before["customer_id"].str.startswith(("d", "e")).to_numpy()
    matured = LabelledSnapshot(date(2024, 4, 1), 90, before, _outcomes(before, lapsed, np.where(lapsed, 0.0, 80.0)))
    pairs, estimates = matured_neighbors(shop(6), matured, AS_OF)
    assert_keeps_contract("matured_neighbors", pairs)
    assert_keeps_contract("neighbor_estimates", estimates)
    assert not (pairs["customer_id"] == pairs["neighbor_customer_id"]).any()
    assert (pairs["neighbor_as_of"] == date(2024, 4, 1)).all()
    assert (pairs["has_churned"] == pairs["neighbor_customer_id"].str.startswith(("d", "e"))).all()
    by_group = estimates.groupby(estimates["customer_id"].str[0])[["neighbor_churn_probability"]].mean().round(1)
    assert by_group["neighbor_churn_probability"].to_dict() == {"a": 0.0, "b": 0.0, "c": 0.0, "d": 1.0, "e": 1.0}
    known = estimates.set_index("customer_id")
    assert list(known.loc["a000", ["neighbor_expected_orders", "neighbor_expected_spend"]]) == [2.0, 80.0]


@pytest.mark.parametrize("size", [None, 1])
def test_without_a_matured_snapshot_there_is_no_second_opinion_and_a_reason(size: int | None) -> None:
    before = shop().head(size or 0)
    matured = LabelledSnapshot(date(2024, 4, 1), 90, before, _outcomes(before, False, 1.0)) if size else None
    pairs, estimates = matured_neighbors(shop(), matured, AS_OF)
    assert_keeps_contract("matured_neighbors", pairs)
    assert_keeps_contract("neighbor_estimates", estimates)
    assert pairs.empty
    assert estimates["abstain_reason"].unique().tolist() == [NOTHING_MATURED]
    assert estimates["neighbor_churn_probability"].isna().all()


def test_lookalikes_are_the_nearest_to_the_group_and_not_in_it() -> None:
    index = SimilarityIndex.build(shop())
    found = index.lookalikes(["b000", "b001", "b002", "b002"], 20)
    assert found["customer_id"].str[0].tolist() == ["b"] * 20
    assert not found["customer_id"].isin(["b000", "b001", "b002"]).any()
    assert found["similarity"].is_monotonic_decreasing
    assert len(index.lookalikes(index.customer_ids.tolist()[:-1], 20)) == 1
    with pytest.raises(KeyError, match="nobody"):
        index.lookalikes(["b000", "nobody"], 5)


@pytest.mark.parametrize("exact_customers", [10_000, 0], ids=["all compared", "cells"])
def test_an_index_without_some_customers_finds_the_same_among_the_others(exact_customers: int) -> None:
    index = SimilarityIndex.build(_many(300), exact_customers=exact_customers)
    if index.cells is not None:
        index = replace(index, probes=index.cells.nlist)  # with fewer, more neighbours are asked of other cells
    gone = index.customer_ids[[0, 7, 150]].tolist()
    left = SimilarityIndex.from_bytes(index.without(gone).to_bytes())
    assert (index.cells is None) == (left.cells is None)
    assert set(left.customer_ids) == set(index.customer_ids) - set(gone)
    wide = replace(index, neighbor_count=30).neighbors(AS_OF)
    wide = wide[~wide["customer_id"].isin(gone) & ~wide["neighbor_customer_id"].isin(gone)]
    expected = wide.groupby("customer_id").head(10)[["customer_id", "neighbor_customer_id", "similarity"]]
    found = left.neighbors(AS_OF)[["customer_id", "neighbor_customer_id", "similarity"]]
    pandas.testing.assert_frame_equal(found.reset_index(drop=True), expected.reset_index(drop=True))
    assert index.without(["nobody"]) is index
