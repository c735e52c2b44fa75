"""Segments on logs whose truth is known: customers of four types, and the types come back."""

from collections.abc import Iterator
from datetime import date

import duckdb
import ibis
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.segments.model import fit_segments
from genome_pipeline.transforms.activity import customer_activity
from genome_pipeline.transforms.features import customer_features

CALENDAR = Calendar(Period.MONTH, date(2023, 1, 1))
AS_OF = date(2024, 1, 1)
CUSTOMERS = 100
"""Of each type."""

# First order between these days, mean days between orders, days until they stop, mean basket.
TYPES = (
    ((0, 40), 5, 365, 20),  # every few days, small baskets
    ((0, 60), 40, 365, 300),  # every other month, big baskets
    ((0, 60), 12, 110, 60),  # left in spring
    ((310, 350), 14, 365, 60),  # came in the last weeks
)


def features_of(seed: int) -> pd.DataFrame:
    """``customer_features`` of a log of the four types; the type is the first character of the customer's id."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, float, float]] = []
    for kind, (joined, gap, until, basket) in enumerate(TYPES):
        for number in range(CUSTOMERS):
            day = float(rng.uniform(*joined))
            own_gap, own_basket = gap * rng.lognormal(0, 0.25), basket * rng.lognormal(0, 0.25)
            stop = min(until * rng.uniform(0.85, 1.15), 365.0)
            while day < stop:
                rows.append((f"{kind}{number:04d}", day, own_basket * rng.lognormal(0, 0.3)))
                day += rng.exponential(own_gap) + 0.5
    customer, days, amounts = zip(*rows, strict=True)
    ordered_at = pd.Timestamp(CALENDAR.start) + pd.to_timedelta(np.array(days), unit="D")
    lines = pd.DataFrame(
        {
            "period_start_date": ordered_at.to_numpy().astype("datetime64[M]").astype("datetime64[s]"),
            "source_file": "log.csv",
            "source_row": np.arange(len(rows)),
            "customer_id": customer,
            "order_id": np.arange(len(rows)).astype(str),
            "ordered_at": ordered_at,
            "product_id": rng.integers(0, 50, len(rows)).astype(str),
            "category": rng.integers(0, 5, len(rows)).astype(str),
            "country": None,
            "quantity": 1,
            "unit_price": None,
            "amount": np.round(amounts, 2),
            "is_return": False,
        }
    )
    database = ibis.duckdb.from_connection(duckdb.connect())
    database.con.execute(TABLES["validated_transactions"].ddl())
    database.con.register("lines", lines)
    database.con.execute("INSERT INTO validated_transactions BY NAME SELECT * FROM lines")
    activity = database.create_table("activity", customer_activity(database.table("validated_transactions")))
    features = customer_features(activity, CALENDAR, AS_OF, horizon_days=28)
    frame: pd.DataFrame = database.con.execute(ibis.to_sql(features, dialect="duckdb")).df()
    return frame


def found(seeds: range) -> Iterator[tuple[int, float]]:
    """Number of segments, and adjusted Rand index of segments and types, for each seed."""
    for seed in seeds:
        features = features_of(seed)
        model = fit_segments(features, None, seed)
        assigned = model.assign(features)
        yield len(model.segment_ids), adjusted_rand_score(assigned["customer_id"].str[0], assigned["segment_id"])


def test_four_types_of_customers_are_found() -> None:
    ((count, agreement),) = found(range(1))
    assert (count, agreement >= 0.8) == (4, True)


@pytest.mark.slow
def test_four_types_of_customers_are_found_for_nine_of_ten_seeds() -> None:
    results = list(found(range(10)))
    assert sum(count == 4 for count, _ in results) >= 9
    assert sum(agreement >= 0.8 for _, agreement in results) >= 9
