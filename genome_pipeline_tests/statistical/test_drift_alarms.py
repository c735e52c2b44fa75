"""Drift on logs whose truth is known: a steady shop raises no alarm, a changed month names just what changed.

Theory of the silence: a comparison raises a false alarm with probability at most 0.001 (`FALSE_ALARM_RATE`), so 20
of them raise 0.02 on average, and none at all with probability 0.98.
"""

from collections.abc import Callable
from datetime import date

import duckdb
import ibis
import numpy as np
import pandas as pd
import pytest

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.drift import FALSE_ALARM_RATE, gene_drift
from genome_pipeline.orchestration.assets.drift import comparable_genes
from genome_pipeline.transforms.activity import customer_activity
from genome_pipeline.transforms.features import customer_features

CALENDAR = Calendar(Period.MONTH, date(2023, 1, 1))
BEFORE, LAST, NOW = date(2023, 5, 1), date(2023, 6, 1), date(2023, 7, 1)
SHOPS, CUSTOMERS = 21, 250
WARNING_PSI = 0.25


def steady_log() -> pd.DataFrame:
    """Lines of 21 shops alike, each with 250 customers who buy at a rate of their own and never stop.

    Three in four joined in the first month, so that running totals and clocks rise together with the calendar.
    """
    generator = np.random.default_rng(7)
    size = SHOPS * CUSTOMERS
    days = (NOW - CALENDAR.start).days
    joined = np.where(generator.random(size) < 0.75, generator.integers(0, 31, size), generator.integers(0, days, size))
    gap = 1 / generator.gamma(30, 1 / 150, size)
    basket = 20 * generator.lognormal(0, 0.35, size)
    orders = generator.poisson((days - joined) / gap) + 1
    customer = np.repeat(np.arange(size), orders)
    day = (joined[customer] + generator.random(customer.size) * (days - joined[customer])).astype(int)
    # The first order is the day of joining.
    day[np.r_[0, np.cumsum(orders)[:-1]]] = joined
    ordered_at = pd.Timestamp(CALENDAR.start) + pd.to_timedelta(day, unit="D")
    return pd.DataFrame(
        {
            "period_start_date": ordered_at.to_numpy().astype("datetime64[M]").astype("datetime64[s]"),
            "source_file": "log.csv",
            "source_row": np.arange(customer.size),
            "customer_id": [f"{number:06d}" for number in customer],
            "order_id": np.arange(customer.size).astype(str),
            "ordered_at": ordered_at,
            "product_id": generator.integers(0, 50, customer.size).astype(str),
            "category": generator.integers(0, 5, customer.size).astype(str),
            "country": None,
            "quantity": generator.integers(1, 5, customer.size),
            "unit_price": None,
            "amount": (basket[customer] * generator.lognormal(0, 0.3, customer.size)).round(2),
            "is_return": generator.random(customer.size) < 0.02,
        }
    )


def genes_of_each_shop(lines: pd.DataFrame, as_of: date, before: date) -> list[pd.DataFrame]:
    """What is compared at ``as_of``, shop by shop; every customer has bought by then."""
    database = ibis.duckdb.from_connection(duckdb.connect())
    database.con.execute(TABLES["validated_transactions"].ddl())
    database.con.execute(TABLES["customer_features"].ddl())
    database.con.register("lines", lines)
    database.con.execute("INSERT INTO validated_transactions BY NAME SELECT * FROM lines")
    activity = database.create_table("activity", customer_activity(database.table("validated_transactions")))
    for day in (before, as_of):
        features = customer_features(activity, CALENDAR, day, horizon_days=28)
        database.con.execute(f"INSERT INTO customer_features BY NAME {ibis.to_sql(features, dialect='duckdb')}")
    customers = database.con.execute(
        "SELECT customer_id FROM customer_features WHERE as_of = ? ORDER BY 1", [as_of]
    ).fetchnumpy()["customer_id"]
    shop = customers.astype(int) // CUSTOMERS
    return [frame for _, frame in comparable_genes(database, as_of, before).groupby(shop)]


def drifted(now: pd.DataFrame, baseline: pd.DataFrame) -> set[str]:
    found = gene_drift(now, baseline, WARNING_PSI)
    return set(found.loc[found["has_drifted"].fillna(False), "gene"])


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    return steady_log()


@pytest.fixture(scope="module")
def last(lines: pd.DataFrame) -> list[pd.DataFrame]:
    return genes_of_each_shop(lines, LAST, BEFORE)


@pytest.fixture(scope="module")
def now(lines: pd.DataFrame) -> list[pd.DataFrame]:
    return genes_of_each_shop(lines, NOW, LAST)


def test_the_next_month_of_a_steady_shop_raises_no_alarm(now: list[pd.DataFrame], last: list[pd.DataFrame]) -> None:
    assert FALSE_ALARM_RATE == 0.001
    assert [drifted(one, before) for one, before in zip(now[:20], last, strict=False)] == [set()] * 20


def test_another_shop_of_the_same_kind_raises_no_alarm(now: list[pd.DataFrame]) -> None:
    assert [drifted(one, other) for one, other in zip(now[1:], now, strict=False)] == [set()] * 20


@pytest.mark.parametrize("size", [CUSTOMERS, 40])
def test_customers_drawn_again_raise_no_alarm(now: list[pd.DataFrame], size: int) -> None:
    again = [frame.sample(size, replace=True, random_state=seed) for seed, frame in enumerate(now[:20])]
    alarms = [gene_drift(drawn, frame, WARNING_PSI) for drawn, frame in zip(again, now, strict=False)]
    assert not any(found["has_drifted"].any() for found in alarms)
    # With few customers the index alone would cry wolf: it is the test that tells chance from change.
    assert any((found["psi"] > WARNING_PSI).any() for found in alarms) == (size == 40)


def dearer(lines: pd.DataFrame) -> pd.DataFrame:
    """Everything costs half as much again in the last month."""
    is_changed = lines["ordered_at"] >= pd.Timestamp(LAST)
    return lines.assign(amount=lines["amount"].where(~is_changed, lines["amount"] * 1.5).round(2))


def rarer(lines: pd.DataFrame) -> pd.DataFrame:
    """Every second order of the last month does not happen: gaps twice as long."""
    return lines[(lines["ordered_at"] < pd.Timestamp(LAST)) | (lines["source_row"] % 2 == 0)]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        # The spread of a customer's order values grows with it; its mean over a lifetime hardly moves.
        (dearer, {"spend_amount", "recent_spend_amount", "order_value_std_amount"}),
        (
            rarer,
            {
                "order_count",
                "purchase_day_count",
                "frequency_count",
                "spend_amount",
                "recent_purchase_day_count",
                "recent_spend_amount",
                "momentum_share",
                "overdue_ratio",
                "last_gap_days",
            },
        ),
    ],
)
def test_a_changed_month_names_what_changed(
    lines: pd.DataFrame,
    last: list[pd.DataFrame],
    change: Callable[[pd.DataFrame], pd.DataFrame],
    named: set[str],
) -> None:
    changed = genes_of_each_shop(change(lines), NOW, LAST)
    assert drifted(pd.concat(changed), pd.concat(last)) == named
