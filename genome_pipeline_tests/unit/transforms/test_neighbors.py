"""Neighbours found in parts of an index, for some customers at a time, are those of the whole."""

from __future__ import annotations

import pandas as pd
import pandas.testing
import pytest

from genome_pipeline.models.similarity.index import SimilarityIndex, shards
from genome_pipeline.transforms.neighbors import best_neighbors
from genome_pipeline_tests.support.logs import engine
from genome_pipeline_tests.support.populations import AS_OF, shop


def many() -> pd.DataFrame:
    """Customers in groups; some are exactly alike."""
    features = shop(3, 300)
    return pd.concat([features, features.head(40).assign(customer_id=lambda same: "z" + same["customer_id"])])


def merged(index: SimilarityIndex, features: pd.DataFrame, customers: int) -> pd.DataFrame:
    parts = [SimilarityIndex.from_bytes(part) for part in shards(index.to_bytes(), customers)]
    assert len(parts) == len(features) // customers
    assert all(customers <= len(part.customer_ids) < 2 * customers for part in parts)
    halves = features.iloc[::2], features.iloc[1::2]
    database = engine()
    database.con.register("found", pd.concat([part.neighbors_of(half) for part in parts for half in halves]))
    best = best_neighbors(database.table("found"), index.neighbor_count)
    rows: pd.DataFrame = best.order_by("customer_id", "neighbor_rank").execute()
    return rows


def in_words(neighbors: pd.DataFrame) -> pd.DataFrame:
    traits = ["shared_traits", "different_traits"]
    plain = neighbors.astype(dict.fromkeys(traits, "str")).astype({"customer_id": "str", "neighbor_customer_id": "str"})
    return plain.assign(as_of=AS_OF)


@pytest.mark.parametrize("customers", [400, 1_540])
def test_parts_find_what_the_whole_finds_where_all_are_compared(customers: int) -> None:
    features = many()
    index = SimilarityIndex.build(features)
    found = merged(index, features, customers)
    pandas.testing.assert_frame_equal(in_words(found), in_words(index.neighbors(AS_OF)), check_exact=True)


def test_parts_recall_no_less_than_the_whole_where_cells_propose_candidates() -> None:
    features = many()
    index = SimilarityIndex.build(features, exact_customers=100)
    keys = ["customer_id", "neighbor_customer_id"]
    truth = SimilarityIndex.build(features).neighbors(AS_OF)[keys]
    whole, parts = index.neighbors(AS_OF)[keys], merged(index, features, 400)[keys]
    assert len(parts) == len(truth)
    assert len(parts.merge(truth)) >= len(whole.merge(truth)) >= 0.99 * len(truth)


def test_a_part_holds_more_customers_than_neighbours_are_asked_for() -> None:
    with pytest.raises(ValueError, match="10 customers in a part are too few for 10 neighbours"):
        next(shards(SimilarityIndex.build(many()).to_bytes(), 10))
