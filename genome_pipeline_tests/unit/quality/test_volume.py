from datetime import date, timedelta

import pytest

from genome_pipeline.calendar import Period
from genome_pipeline.quality.volume import Volume, judge_missing, judge_silence, judge_volume

MAY = date(2021, 5, 1)


def volume(lines: float, revenue: float | None = None) -> Volume:
    return {"lines": lines, "revenue": revenue}


def test_a_period_is_compared_with_the_same_one_a_year_before() -> None:
    known = {date(2020, 5, 1): volume(1000, 5e3), date(2021, 4, 1): volume(100, 500.0), MAY: volume(900, 11e3)}
    found = judge_volume(known, MAY, Period.MONTH)
    assert not found.is_passed
    assert found.observed == "month from 2021-05-01: 11,000 revenue, 5,000 in the month from 2020-05-01"


def test_a_younger_log_is_compared_with_the_median_of_six_periods() -> None:
    months = [date(2020, 10, 1), date(2020, 11, 1), date(2020, 12, 1), *(date(2021, month, 1) for month in range(1, 5))]
    known = dict(zip(months, map(volume, (9e9, 100, 100, 200, 200, 300, 9e9)), strict=True)) | {MAY: volume(99)}
    found = judge_volume(known, MAY, Period.MONTH)
    assert not found.is_passed
    assert found.observed == "month from 2021-05-01: 99 lines, 200 as median of the 6 months before"
    assert judge_volume(known | {MAY: volume(100)}, MAY, Period.MONTH).is_passed


def test_a_day_is_compared_with_the_same_weekday() -> None:
    sunday, weeks_before = date(2021, 5, 2), [date(2021, 4, 25), date(2021, 4, 18)]
    known = {date(2021, 5, 1): volume(900), **dict.fromkeys(weeks_before, volume(40)), sunday: volume(50)}
    assert judge_volume(known, sunday, Period.DAY).is_passed


def test_a_period_without_a_line_is_told() -> None:
    found = judge_volume({date(2021, 4, 1): volume(500, 5.0), MAY: volume(0, 0)}, MAY, Period.MONTH)
    assert "0 lines, 500" in found.observed
    assert not found.is_passed


@pytest.mark.parametrize("before", [{}, {date(2021, 4, 1): volume(29)}, {date(2021, 4, 1): volume(0, 0)}])
def test_too_little_before_to_compare_with(before: dict[date, Volume]) -> None:
    found = judge_volume(before | {MAY: volume(500)}, MAY, Period.MONTH)
    assert (found.is_passed, found.observed) == (True, "month from 2021-05-01: too little before it to compare with")


@pytest.mark.parametrize(
    ("missing", "before", "is_passed"),
    [
        ((60, 1000), (0, 1000), False),
        ((0, 1000), (60, 1000), False),
        ((40, 1000), (0, 1000), True),  # within a twentieth
        ((2, 20), (0, 20), True),  # within chance
        ((0, 0), (60, 1000), True),
    ],
)
def test_a_jump_of_the_missing_share(missing: tuple[int, int], before: tuple[int, int], is_passed: bool) -> None:
    assert judge_missing("category", missing, before).is_passed == is_passed


def test_a_jump_in_words() -> None:
    assert judge_missing("category", (250, 1000), (10, 2000)).observed == (
        "category: missing in 25.0% of 1,000 lines, 0.5% in the period before"
    )


WEEKLY = [date(2021, 1, 4) + timedelta(weeks=week) for week in range(60)]  # to 2022-02-21
CLOSED = [day for day in WEEKLY if not date(2021, 3, 1) <= day < date(2021, 11, 1)]


def test_a_silence_as_long_as_the_horizon_is_told_of_where_it_ends() -> None:
    found = judge_silence(CLOSED, date(2021, 11, 1), date(2021, 12, 1), 90)
    assert not found.is_passed
    assert found.observed == (
        "nobody bought from 2021-02-23 to 2021-10-31, 251 days, and the horizon has 90: if rows are missing, add their"
        " files and run again; if the shop was closed, forecasts that rest on that time are wrong or withheld"
    )
    assert judge_silence(CLOSED, date(2021, 12, 1), date(2022, 1, 1), 90).is_passed, "it is told of once"


def test_a_silence_that_lasts_is_told_of_as_soon_as_it_is_as_long() -> None:
    assert judge_silence(CLOSED, date(2021, 4, 1), date(2021, 5, 1), 90).is_passed
    found = judge_silence(CLOSED, date(2021, 5, 1), date(2021, 6, 1), 90)
    assert found.observed.startswith("nobody bought from 2021-02-23 to 2021-05-31, 98 days, ")


def test_a_log_that_goes_on_is_not_silent() -> None:
    found = judge_silence(WEEKLY, date(2021, 11, 1), date(2021, 12, 1), 90)
    assert found.is_passed
    assert found.observed == "up to 2021-12-01 nobody bought for 6 days at most, and the horizon has 90"
    assert judge_silence([], MAY, date(2021, 6, 1), 90).is_passed
