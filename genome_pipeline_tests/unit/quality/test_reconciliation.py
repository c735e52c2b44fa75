from __future__ import annotations

from datetime import date
from decimal import Decimal

import pandas as pd
import pytest

from genome_pipeline.quality.reconciliation import Balance, Tally, balances, tallies, total

JANUARY, FEBRUARY = date(2020, 1, 1), date(2020, 2, 1)


def frame(*rows: tuple[object, object, object]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["period_start_date", "row_count", "cents"])


def by_period(raw: pd.DataFrame, validated: pd.DataFrame, quarantined: pd.DataFrame) -> list[Balance]:
    return balances(raw, validated, quarantined, "period_start_date")


def test_balances_every_period_the_undated_rows_and_the_total() -> None:
    raw = frame((FEBRUARY, 5, 1000), (JANUARY, 10, 2550), (None, 3, 70))
    validated = frame((JANUARY, 8, 2500), (FEBRUARY, 5, 1000))
    quarantined = frame((None, 3, 70), (JANUARY, 2, 50))
    found = by_period(raw, validated, quarantined)
    assert [(each.key, each.is_passed) for each in found] == [(JANUARY, True), (FEBRUARY, True), (None, True)]
    assert total(found).raw == Tally(18, 3620)
    assert total(found).is_passed
    assert found[0].observed == ("raw 10 rows and 2,550 cents = validated 8 and 2,500 + quarantined 2 and 50")


def test_says_by_how_much_they_differ() -> None:
    raw = frame((JANUARY, 10, 2550), (FEBRUARY, 5, 1000))
    validated = frame((JANUARY, 8, 2500), (FEBRUARY, 6, 1200))
    quarantined = frame((JANUARY, 2, 49))
    january, february = by_period(raw, validated, quarantined)
    whole = total([january, february])
    assert not (january.is_passed or february.is_passed or whole.is_passed)
    assert january.observed == "validated and quarantined have 1 cents fewer than the 2,550 of raw"
    assert february.observed == (
        "validated and quarantined have 1 rows more than the 5 and 200 cents more than the 1,000 of raw"
    )
    assert whole.observed.startswith("validated and quarantined have 1 rows more than the 15 and 199 cents more")


def test_differences_that_cancel_out_in_the_total_show_in_their_periods() -> None:
    raw = frame((JANUARY, 1, 100), (FEBRUARY, 1, 100))
    found = by_period(raw, frame((JANUARY, 2, 200)), frame())
    assert [each.is_passed for each in (*found, total(found))] == [False, False, True]


def test_a_period_only_one_side_has_is_balanced_too() -> None:
    (january,) = by_period(frame(), frame(), frame((JANUARY, 1, 5)))
    assert not january.is_passed


def test_nothing_reconciles_with_nothing() -> None:
    assert by_period(frame(), frame(), frame()) == []
    assert total([]).is_passed


def test_takes_the_types_that_databases_and_frames_give() -> None:
    raw = frame((pd.Timestamp(JANUARY), 3, Decimal(2**60 + 1)), (pd.NaT, 1, None))
    validated = frame((JANUARY, 1, 2**60), (JANUARY, 2, 1))
    quarantined = frame((None, 1, float("nan")))
    assert all(each.is_passed for each in by_period(raw, validated, quarantined))


def test_refuses_amounts_that_are_not_cents() -> None:
    with pytest.raises(ValueError, match=r"whole numbers, not 0\.5"):
        by_period(frame((JANUARY, 1, 0.5)), frame(), frame())


def test_tallies_by_several_columns() -> None:
    rows = pd.DataFrame({"period": [JANUARY, JANUARY], "reason": ["a", None], "row_count": [1, 2], "cents": [3, 4]})
    assert tallies(rows, "period", "reason") == {(JANUARY, "a"): Tally(1, 3), (JANUARY, None): Tally(2, 4)}
