"""The totals of a forecast beside the largest window of the log: what passes, and what does not."""

from datetime import date

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.quality.totals import Seen, Total, judge_totals

CALENDAR = Calendar(Period.MONTH, date(2023, 1, 1))
AS_OF = date(2024, 1, 1)
STEADY = {date(2023, month, 1): Seen(100.0 + month, 1_000.0 + month) for month in range(1, 13)}


def test_what_the_log_has_seen_before_passes_and_ten_times_as_much_does_not() -> None:
    honest = judge_totals(Total(350, 300.0, 2_900.0), STEADY, AS_OF, CALENDAR, 92)
    assert {name: finding.observed for name, finding in honest.items()} == {
        "orders": "300 expected at 2024-01-01, for 350 customers over 92 days, 0.90 times the most that the log has"
        " seen in as many days, 334 from 2023-09-01",
        "spend": "2,900 expected at 2024-01-01, for 350 customers over 92 days, 0.93 times the most that the log has"
        " seen in as many days, 3,110 from 2023-02-01",
    }
    assert all(finding.is_passed for finding in honest.values())
    inflated = judge_totals(Total(350, 3_000.0, 29_000.0), STEADY, AS_OF, CALENDAR, 92)
    assert not any(finding.is_passed for finding in inflated.values())
    assert inflated["spend"].observed == (
        "29,000 expected at 2024-01-01, for 350 customers over 92 days, 9.32 times the most that the log has seen in as"
        " many days, 3,110 from 2023-02-01; at most 2 may be: look for mistyped amounts and dates"
    )


def test_amounts_with_a_heavy_tail_pass_by_their_mean_and_not_by_a_mean_that_diverges() -> None:
    # 300 customers, log-normal with deviation 3: nearly all of the spend is that of one purchase in a hundred.
    spent = dict(zip(STEADY, (210, 380, 95, 41_000, 180, 1_900, 260, 730, 150, 6_200, 240, 310), strict=True))
    seen = {start: Seen(100.0, float(amount)) for start, amount in spent.items()}
    assert judge_totals(Total(300, 250.0, 13_000.0), seen, AS_OF, CALENDAR, 92)["spend"].is_passed
    assert not judge_totals(Total(300, 250.0, 1_177 * 6_750.0), seen, AS_OF, CALENDAR, 92)["spend"].is_passed


def test_a_shop_that_doubles_within_each_horizon_passes() -> None:
    grown = {date(2023, month, 1): Seen(10.0 * 2**month, None) for month in range(1, 13)}
    # All who have come so far buy as often as ever.
    found = judge_totals(Total(40_960, 10.0 * 2**12 * 1.4, None), grown, AS_OF, CALENDAR, 31)
    assert [*found] == ["orders"], "a log without amounts has no spend to judge"
    assert found["orders"].is_passed


def test_periods_in_which_nothing_was_bought_count_and_horizons_need_not_be_whole_periods() -> None:
    seen = {date(2023, 1, 1): Seen(310.0, None), date(2023, 12, 1): Seen(31.0, None)}
    found = judge_totals(Total(50, 100.0, None), seen, AS_OF, CALENDAR, 20)
    assert found["orders"].observed.endswith(
        "0.50 times the most that the log has seen in as many days, 200 from 2023-01-01"
    )


def test_a_log_of_less_than_two_horizons_is_not_judged_and_says_so() -> None:
    young = {date(2023, 11, 1): Seen(5.0, 50.0), date(2023, 12, 1): Seen(5.0, 50.0)}
    found = judge_totals(Total(9, 500.0, 5_000.0), young, AS_OF, CALENDAR, 31)
    assert found["orders"].is_passed
    assert found["orders"].observed == (
        "500 expected at 2024-01-01, for 9 customers over 31 days: not judged, as the log has 61 days and 62 are needed"
    )


def test_what_was_only_brought_back_is_nothing_to_compare_with() -> None:
    returns = {start: Seen(0.0, -20.0) for start in STEADY}
    found = judge_totals(Total(9, 0.0, 5.0), returns, AS_OF, CALENDAR, 31)
    assert [finding.is_passed for finding in found.values()] == [True, True]
    assert found["spend"].observed.endswith("nothing to compare with")
