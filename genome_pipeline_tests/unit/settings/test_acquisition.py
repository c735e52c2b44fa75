"""What it costs to win a customer, as the config or a file says it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from genome_pipeline.calendar import Period
from genome_pipeline.errors import ConfigError
from genome_pipeline.settings.acquisition import AcquisitionSettings


def costs(tmp_path: Path, text: str, period: Period = Period.MONTH) -> object:
    path = tmp_path / "costs.csv"
    path.write_text(text, encoding="utf-8")
    return AcquisitionSettings(cost_file=path).costs(period)


def test_one_number_is_of_every_cohort_and_nothing_is_nothing() -> None:
    assert AcquisitionSettings(cost_per_customer=12.5).costs(Period.MONTH) == 12.5
    assert AcquisitionSettings().costs(Period.MONTH) is None


def test_a_file_gives_each_cohort_its_cost(tmp_path: Path) -> None:
    text = "\ufeffCohort, cost\n2024-01,12.50\n\n2024-02-29,0\n"
    assert costs(tmp_path, text) == {date(2024, 1, 1): 12.5, date(2024, 2, 1): 0.0}
    days = text.replace("2024-01,", "2024-01-03,")
    assert costs(tmp_path, days, Period.WEEK) == {date(2024, 1, 1): 12.5, date(2024, 2, 26): 0.0}


def test_a_month_is_no_week(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 2: 2024-01 is a month, and cohorts are weeks here: write a day"):
        costs(tmp_path, "cohort,cost\n2024-01,12.50\n", Period.WEEK)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "costs.csv begins with nothing: its first line must be cohort,cost"),
        ("month,cost\n", "costs.csv begins with month,cost: its first line must be cohort,cost"),
        (
            "cohort,cost\n2024-01\n",
            "costs.csv line 2 must have two fields, a cohort and the cost of one customer, and has 1",
        ),
        (
            "cohort,cost\n2024-01,3,50\n",
            "line 2 must have two fields, a cohort and the cost of one customer, and has 3",
        ),
        ("cohort,cost\n01/2024,3\n", "line 2: '01/2024' is no cohort; write it as 2024-01, or as a day, 2024-01-31"),
        ("cohort,cost\n1024-01,3\n", "line 2: 1024-01 is not between 1900-01-01 and 2200-01-01; correct the year"),
        ("cohort,cost\n2024-01,-3\n", "line 2: '-3' is no cost; write a number from 0, with a point before decimals"),
        ("cohort,cost\n2024-01,free\n", "line 2: 'free' is no cost"),
        ("cohort,cost\n2024-01,1_2.5\n", "line 2: '1_2.5' is no cost"),
        ("cohort,cost\n2024-01,１２\n", "line 2: '１２' is no cost"),  # noqa: RUF001, digits of another width
        ("cohort,cost\n2024-01,inf\n", "line 2: 'inf' is no cost"),
        (
            "cohort,cost\n2024-01,3\n2024-01-31,4\n",
            "line 3 names the cohort of 2024-01-01 again: keep one line of each",
        ),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        costs(tmp_path, text)
    assert told in str(error.value)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.csv is not there: write it"):
        AcquisitionSettings(cost_file=tmp_path / "gone.csv").costs(Period.MONTH)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00cohort")
    with pytest.raises(ConfigError, match="must be a CSV file in UTF-8"):
        AcquisitionSettings(cost_file=tmp_path / "binary.csv").costs(Period.MONTH)


def test_a_number_and_a_file_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="both set; keep the one that holds"):
        AcquisitionSettings(cost_per_customer=1, cost_file=Path("costs.csv"))
