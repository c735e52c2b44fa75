"""When a cohort pays back, by the view ``cohort_payback``."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import duckdb
import pytest

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.contracts.views import VIEWS

JANUARY, AS_OF = date(2024, 1, 1), date(2024, 4, 1)
TOTALS = [(28, 100.0, 50.0, 200.0), (84, 300.0, 100.0, 600.0)]


def payback(
    *,
    cost: float | None = 50.0,
    spent: tuple[float | None, ...] = (100.0, 200.0, 300.0),
    totals: Any = TOTALS,
    reason: str | None = None,
) -> dict[str, Any]:
    """A cohort of ten at three snapshots, and what is expected of it at the last, over 28 and 84 days."""
    with duckdb.connect() as connection:
        for name in ("cohorts", "forecast_totals", "acquisition_costs"):
            connection.execute(TABLES[name].ddl(TABLES[name].published_name).replace(" NOT NULL", ""))
        for month, amount in zip((2, 3, 4), spent, strict=True):
            connection.execute(
                "INSERT INTO cohorts_history BY NAME SELECT ? AS as_of, ? AS cohort_start_date, 10 AS"
                " cohort_customer_count, ? AS cumulative_spend_amount",
                [date(2024, month, 1), JANUARY, amount],
            )
        for days, expected, lower, upper in totals:
            connection.execute(
                "INSERT INTO forecast_totals_history BY NAME SELECT ? AS as_of, 'cohort' AS group_kind, '2024-01-01' AS"
                " group_key, ? AS horizon_days, ? AS expected_spend_amount, ? AS expected_spend_amount_lower,"
                " ? AS expected_spend_amount_upper, ? AS abstain_reason",
                [AS_OF, days, expected, lower, upper, reason],
            )
        if cost is not None:
            connection.execute("INSERT INTO acquisition_costs VALUES (?, ?)", [JANUARY, cost])
        connection.execute(VIEWS["cohort_payback"].ddl("main"))
        found = connection.execute("SELECT * FROM cohort_payback WHERE as_of = ?", [AS_OF])
        names = [column[0] for column in found.description]
        (row,) = found.fetchall()
        return dict(zip(names, row, strict=True))


def dates(row: dict[str, Any]) -> list[date | None]:
    return [row[f"payback_date{end}"] for end in ("_lower", "", "_upper")]


def test_a_cohort_that_spent_enough_has_paid_back_at_the_first_such_snapshot() -> None:
    found = payback(cost=15.0)
    assert (found["is_paid_back"], found["payback_reason"]) == (True, None)
    assert dates(found) == [date(2024, 3, 1)] * 3
    assert (found["acquisition_cost_amount"], found["cumulative_spend_amount"]) == (150.0, 300)


def test_returns_do_not_take_back_that_it_has_paid_back() -> None:
    assert dates(payback(cost=20.0, spent=(100.0, 200.0, 190.0)))[1] == date(2024, 3, 1)


def test_between_horizons_spend_grows_evenly_and_distances_of_bounds_as_square_roots() -> None:
    """50 are missing: half of the first horizon's 100, and all of its lower bound.

    The upper bound passes it after f = 0.134 of 28 days, where 100 f + sqrt(f) 100 = 50.
    """
    found = payback(cost=35.0)
    assert (found["is_paid_back"], found["payback_reason"]) == (False, None)
    assert dates(found) == [date(2024, 4, 5), date(2024, 4, 15), date(2024, 4, 29)]
    # 200 are missing: by the total half way between the horizons; by the lower bound never.
    found = payback(cost=50.0)
    assert dates(found) == [date(2024, 4, 29), date(2024, 5, 27), None]
    assert found["payback_reason"] == "at the latest it is beyond the 84 days that spend is predicted for"


def test_what_does_not_pay_back_within_the_horizons_says_so() -> None:
    found = payback(cost=75.0)
    assert dates(found) == [date(2024, 5, 31), None, None]
    assert found["payback_reason"] == "not within the 84 days that spend is predicted for"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cost": None}, "no acquisition cost of this cohort is known: set or complete [acquisition] in genome.toml"),
        ({"spent": (None, None, None)}, "no amounts in the source: spend is not known"),
        ({"totals": [(28, None, None, None)], "reason": "only 12 customers"}, "only 12 customers"),
        ({"totals": []}, "no spend is predicted"),
    ],
)
def test_what_is_not_known_is_told_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    found = payback(**changes)
    assert dates(found) == [None] * 3
    assert found["payback_reason"] == reason
    assert found["is_paid_back"] is (False if "totals" in changes else None)


def test_bounds_over_the_first_horizon_alone_are_told_as_such() -> None:
    """A year ahead nothing has matured yet, so that nothing is known of the latest day."""
    found = payback(cost=36.0, totals=[(28, 50.0, 40.0, 100.0), (365, 300.0, None, None)], reason="not matured")
    assert dates(found)[2] is None
    assert found["payback_reason"] == "the total has bounds for 28 days only: not matured"
    found = payback(cost=75.0, totals=[(28, 100.0, 50.0, 200.0), (365, None, None, None)])
    assert found["payback_reason"] == "not within the 28 days that spend is predicted for"


def test_a_total_that_does_not_grow_pays_back_by_its_lower_bound() -> None:
    """90 are missing of 100, which no longer grow, while the square of the distance below falls from 50 to 5."""
    found = payback(cost=39.0, totals=[(28, 100.0, 50.0, 200.0), (84, 100.0, 95.0, 200.0)])
    # (90 - 100)^2 = 50^2 - f (50^2 - 5^2) at f = 0.9697 of 56 days
    assert dates(found)[2] == AS_OF + timedelta(days=28 + 55)


def test_a_total_without_bounds_gives_a_day_without_an_interval() -> None:
    reason = "3 customers: bounds of a total need 4"
    found = payback(cost=35.0, totals=[(28, 100.0, None, None)], reason=reason)
    assert dates(found) == [None, date(2024, 4, 15), None]
    assert found["payback_reason"] == reason
