from datetime import date, timedelta

import pytest

from genome_pipeline.calendar import Calendar, Period, observed_until


def test_a_month_ends_where_the_next_begins() -> None:
    calendar = Calendar(Period.MONTH, date(2017, 1, 1))
    assert calendar.as_of(date(2017, 12, 1)) == date(2018, 1, 1)
    assert calendar.period_start(date(2018, 1, 1)) == date(2017, 12, 1)


def test_weeks_start_on_monday() -> None:
    assert Period.WEEK.start_of(date(2026, 11, 22)) == date(2026, 11, 16)
    assert Period.WEEK.shift(date(2026, 11, 16), -1) == date(2026, 11, 9)


def test_a_date_inside_a_period_is_no_snapshot() -> None:
    calendar = Calendar(Period.MONTH, date(2017, 1, 1))
    with pytest.raises(
        ValueError, match="2018-01-15 is not the end of a month: the nearest are 2018-01-01 and 2018-02-01"
    ):
        calendar.period_start(date(2018, 1, 15))


def test_periods_hold_both_ends() -> None:
    calendar = Calendar(Period.MONTH, date(2017, 1, 1))
    assert list(calendar.periods(date(2017, 11, 30), date(2018, 1, 1))) == [
        date(2017, 11, 1),
        date(2017, 12, 1),
        date(2018, 1, 1),
    ]


@pytest.mark.parametrize(("days", "periods"), [(28, 1), (90, 3), (181, 6), (5, 1)])
def test_window_is_the_nearest_number_of_whole_months(days: int, periods: int) -> None:
    assert Calendar(Period.MONTH, date(2017, 1, 1)).window_periods(days) == periods


def test_a_log_that_reaches_the_snapshot_is_observed_until_it() -> None:
    days = [date(2017, 1, 29), date(2017, 1, 30), date(2017, 1, 31)]
    assert observed_until(date(2017, 2, 1), days) == date(2017, 2, 1)


def test_a_silence_as_long_as_one_before_is_a_quiet_spell() -> None:
    days = [date(2017, 1, 1), date(2017, 1, 10), date(2017, 1, 24)]
    assert observed_until(date(2017, 2, 1), days) == date(2017, 2, 1)


def test_a_longer_silence_means_that_the_log_ends_with_its_last_order() -> None:
    days = [date(2011, 12, 7), date(2011, 12, 8), date(2011, 12, 9)]
    assert observed_until(date(2012, 1, 1), days) == date(2011, 12, 10)


@pytest.mark.parametrize("strays", [[date(2019, 6, 1)], [date(2018, 1, 1), date(2018, 12, 31), date(2019, 6, 1)]])
def test_stray_orders_long_before_the_log_are_no_sign_of_a_quiet_spell(strays: list[date]) -> None:
    days = [date(2020, 6, 1) + timedelta(days=day) for day in range(40)]
    assert observed_until(date(2020, 8, 1), [*strays, *days]) == date(2020, 7, 11)


def test_a_quiet_spell_after_the_log_got_going_is_one() -> None:
    first, second = (date(2020, month, 1) for month in (6, 9))
    days = [start + timedelta(days=day) for start in (first, second) for day in range(30)]
    assert observed_until(date(2020, 11, 1), days) == date(2020, 11, 1)
