"""Who is learned from where a snapshot has too many customers."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.transforms.sampling import stratified_sample
from genome_pipeline_tests.support.logs import engine

AS_OF = date(2020, 2, 1)


def customers(count: int = 9_973) -> pd.DataFrame:
    """Many who came once, few who come often, thirty of whom are the most frequent."""
    generator = np.random.default_rng(4)
    frequency = np.minimum(generator.geometric(0.4, count) - 1, 100)
    frequency[:30] = 500
    return pd.DataFrame(
        {
            "as_of": AS_OF,
            "customer_id": [f"c{number}" for number in range(count)],
            "frequency_count": frequency,
            "days_since_last_order": generator.integers(0, 700, count),
        }
    )


def sampled(frame: pd.DataFrame, rows: int = 1_000, seed: int = 0, database: Backend | None = None) -> pd.DataFrame:
    keys = drawn(frame, rows, seed, database or engine())
    return frame[frame["customer_id"].isin(keys["customer_id"])]


def drawn(frame: pd.DataFrame, rows: int, seed: int, database: Backend) -> pd.DataFrame:
    database.con.register("customer_features", frame)
    found: pd.DataFrame = stratified_sample(database.table("customer_features"), rows, seed).execute()
    return found


def strata(frame: pd.DataFrame) -> list[pd.Series]:
    recency = pd.cut(frame["days_since_last_order"], [-1, 29, 59, 89, 179, 364, 10_000], labels=False)
    frequency = pd.cut(frame["frequency_count"], [-1, 0, 1, 3, 7, 15, 31, 63, 127, 10_000], labels=False)
    return [frequency.rename("frequency"), recency.rename("recency")]


def test_each_stratum_has_its_share_to_within_a_customer() -> None:
    frame = customers()
    found = sampled(frame)
    assert len(found) == 1_000
    for by in (strata, lambda part: strata(part)[0]):
        sizes, drawn = frame.groupby(by(frame)).size(), found.groupby(by(found)).size()
        wanted = sizes * 1_000 / len(frame)
        assert (drawn.reindex(sizes.index, fill_value=0) - wanted).abs().max() < 1
    assert (found["frequency_count"] == 500).sum() in (3, 4)


def test_what_the_sample_says_of_totals_is_nearer_than_a_random_one_would_be() -> None:
    frame = customers()
    orders = frame["frequency_count"]
    errors = [sampled(frame, seed=seed)["frequency_count"].mean() / orders.mean() - 1 for seed in range(6)]
    at_random = orders.std() / orders.mean() / np.sqrt(1_000)
    assert np.sqrt(np.mean(np.square(errors))) < at_random / 3
    assert abs(np.mean(errors)) < at_random / 10


def test_the_sample_depends_on_the_seed_and_on_neither_order_nor_threads_nor_other_snapshots() -> None:
    frame = customers()
    expected = set(sampled(frame)["customer_id"])
    database = engine()
    database.con.execute("SET threads = 1")
    assert set(sampled(frame.sample(frac=1, random_state=3), database=database)["customer_id"]) == expected
    both = pd.concat([frame.assign(as_of=date(2020, 3, 1), frequency_count=1), frame])
    found = drawn(both, 1_000, 0, engine())
    assert set(found.loc[pd.to_datetime(found["as_of"]).dt.date == AS_OF, "customer_id"]) == expected
    assert set(sampled(frame, seed=1)["customer_id"]) != expected


def test_a_snapshot_no_larger_than_the_sample_is_taken_whole() -> None:
    assert len(sampled(customers(1_000))) == 1_000
