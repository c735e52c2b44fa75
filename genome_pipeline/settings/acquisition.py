"""What it costs to win a customer: one number, or a file with a number for each cohort."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from genome_pipeline.calendar import FIRST_DAY, LAST_DAY, Period
from genome_pipeline.errors import ConfigError
from genome_pipeline.settings.section import Section, expanded

_COLUMNS = ("cohort", "cost")
_A_MONTH = "2024-01"


class AcquisitionSettings(Section):
    """The cost of winning one new customer, by which cohorts pay back."""

    cost_per_customer: float | None = Field(default=None, ge=0, description="Of every cohort, in the log's currency.")
    cost_file: Path | None = Field(
        default=None, description="CSV with columns cohort (2024-01, or a day in it) and cost of one customer."
    )

    @field_validator("cost_file")
    @classmethod
    def _of_this_user(cls, path: Path | None) -> Path | None:
        return None if path is None else expanded(path)

    @model_validator(mode="after")
    def _one_of_both(self) -> AcquisitionSettings:
        if self.cost_per_customer is not None and self.cost_file is not None:
            raise ValueError("cost_per_customer and cost_file are both set; keep the one that holds")
        return self

    def costs(self, period: Period) -> float | Mapping[date, float] | None:
        """The cost of one customer: of every cohort, or by first day of each; None where nothing is set.

        ``period`` is the calendar's: cohorts are weeks where it is a week, else months. Raises :class:`ConfigError` for
        a file that cannot be read.
        """
        return self.cost_per_customer if self.cost_file is None else _read(self.cost_file, period)


def _read(path: Path, period: Period) -> dict[date, float]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [*csv.reader(file)]
    except FileNotFoundError:
        raise ConfigError(
            f"acquisition.cost_file = {path} is not there: write it, with the columns cohort and cost, or take it out"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}): it must be a CSV file in UTF-8 that you may read"
        ) from None
    header = tuple(name.strip().lower() for name in rows[0]) if rows else ()
    if header != _COLUMNS:
        found = ",".join(header) or "nothing"
        raise ConfigError(f"{path} begins with {found}: its first line must be cohort,cost")
    step = Period.WEEK if period is Period.WEEK else Period.MONTH
    costs: dict[date, float] = {}
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        place = f"{path} line {number}"
        if len(row) != len(_COLUMNS):
            raise ConfigError(
                f"{place} must have two fields, a cohort and the cost of one customer, and has {len(row)}"
            )
        if step is Period.WEEK and len(row[0].strip()) == len(_A_MONTH):
            raise ConfigError(
                f"{place}: {row[0].strip()} is a month, and cohorts are weeks here: write a day of the week"
            )
        cohort = step.start_of(_day(row[0].strip(), place))
        if cohort in costs:
            raise ConfigError(f"{place} names the cohort of {cohort} again: keep one line of each {step}")
        costs[cohort] = _cost(row[1].strip(), place)
    return costs


def _day(text: str, place: str) -> date:
    try:
        day = date.fromisoformat(f"{text}-01" if len(text) == len(_A_MONTH) else text)
    except ValueError:
        raise ConfigError(f"{place}: {text!r} is no cohort; write it as 2024-01, or as a day, 2024-01-31") from None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ConfigError(f"{place}: {text} is not between {FIRST_DAY} and {LAST_DAY}; correct the year")
    return day


def _cost(text: str, place: str) -> float:
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]+)?", text):
        raise ConfigError(f"{place}: {text!r} is no cost; write a number from 0, with a point before decimals")
    return float(text)
