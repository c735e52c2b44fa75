from datetime import UTC, date, datetime

import dagster as dg
import pytest

from genome_pipeline.automation import schedules
from genome_pipeline.calendar import Calendar, Period


@pytest.mark.parametrize(
    ("period", "now", "key"),
    [
        (Period.MONTH, datetime(2020, 3, 1, 5, tzinfo=UTC), "2020-02-01"),
        (Period.WEEK, datetime(2020, 3, 2, 5, tzinfo=UTC), "2020-02-24"),
        (Period.DAY, datetime(2020, 3, 2, 5, tzinfo=UTC), "2020-03-01"),
    ],
)
def test_the_schedule_asks_for_the_period_that_has_just_ended(period: Period, now: datetime, key: str) -> None:
    (schedule,) = schedules(Calendar(period, date(2020, 1, 6) if period is Period.WEEK else date(2020, 1, 1)))
    result = schedule(dg.build_schedule_context(scheduled_execution_time=now))
    assert isinstance(result, dg.RunRequest)
    assert result.partition_key == key


def test_the_schedule_of_a_finished_log_skips() -> None:
    (schedule,) = schedules(Calendar(Period.MONTH, date(2017, 1, 1), date(2018, 1, 1)))
    result = schedule(dg.build_schedule_context(scheduled_execution_time=datetime(2020, 3, 1, 5, tzinfo=UTC)))
    assert isinstance(result, dg.SkipReason)
