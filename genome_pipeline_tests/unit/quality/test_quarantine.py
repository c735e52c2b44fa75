from datetime import date

import pytest

from genome_pipeline.calendar import Period
from genome_pipeline.quality.quarantine import Limits, Place, SetAside, judge_rise, judge_share

LIMITS = Limits(0.5, {})
MAY = date(2021, 5, 1)


def aside(rows: int, set_aside: int | None = None, **reasons: int) -> SetAside:
    places = {reason: Place(count, "may.csv", 7) for reason, count in reasons.items()}
    return SetAside(rows, max(reasons.values(), default=0) if set_aside is None else set_aside, reasons, places)


def test_a_loss_names_its_reason_file_and_row() -> None:
    finding = judge_share(aside(1000, missing_customer=600, zero_amount=20), LIMITS, "month from 2021-05-01")
    assert not finding.is_passed
    assert finding.observed == (
        "month from 2021-05-01: 60.0% of 1,000 rows set aside, 60.0% for missing_customer (600 of them in may.csv, the"
        " first in row 7); at most 50% may be for one reason: repair the source, or raise quality.max_quarantined_share"
        " (quality.max_quarantined_share_by_reason for this reason alone)"
    )


@pytest.mark.parametrize(
    ("found", "limits", "is_passed"),
    [
        (aside(1000), LIMITS, True),
        (aside(0), LIMITS, True),
        # Online Retail II in December 2010: many rows without a customer, and many that stand in both sheets.
        (aside(65_004, 38_700, missing_customer=23_300, exact_duplicate=23_000), LIMITS, True),
        (aside(9, unreadable_number=9), LIMITS, True),  # stray rows
        (aside(10, unreadable_number=10), LIMITS, False),
        (aside(1000, 800, missing_customer=400, other_currency=400), LIMITS, False),  # together
        (aside(1000, missing_customer=700), Limits(0.5, {"missing_customer": 0.8}), True),
        (aside(1000, other_currency=700), Limits(0.5, {"missing_customer": 0.8}), False),
        (aside(1000, missing_customer=300), Limits(0.5, {"missing_customer": 0.2}), False),
    ],
)
def test_the_limit_is_of_each_reason_and_of_all_together(found: SetAside, limits: Limits, is_passed: bool) -> None:
    assert judge_share(found, limits, "May").is_passed is is_passed


def test_a_share_above_the_log_s_own_is_reported() -> None:
    before = {date(2021, month, 1): aside(1000, missing_customer=200 + 10 * month) for month in (1, 2, 3, 4)}
    finding = judge_rise(before | {MAY: aside(1000, missing_customer=400, zero_amount=5)}, MAY, Period.MONTH)
    assert not finding.is_passed
    assert finding.observed == (
        "month from 2021-05-01: 40.0% of 1,000 rows set aside for missing_customer, 22.5% as median of the 4 months"
        " before (400 of them in may.csv, the first in row 7)"
    )


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({}, aside(1000, missing_customer=400)),
        ({date(2021, 4, 1): aside(0)}, aside(1000, missing_customer=400)),
        ({date(2021, 4, 1): aside(1000, missing_customer=400)}, aside(1000, missing_customer=440)),  # a twentieth
        ({date(2021, 4, 1): aside(20)}, aside(20, missing_customer=3)),  # chance
        ({date(2021, 4, 1): aside(1000, missing_customer=400)}, aside(1000)),  # repaired
    ],
)
def test_a_share_like_that_of_before_is_not(before: dict[date, SetAside], now: SetAside) -> None:
    assert judge_rise(before | {MAY: now}, MAY, Period.MONTH).is_passed
