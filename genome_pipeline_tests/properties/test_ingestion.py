"""What holds for any log, however messy: nothing lost, the same tables again, in any order, by any way."""

from __future__ import annotations

import csv
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from genome_pipeline.contracts.rules import ABSURD
from genome_pipeline.settings import Settings
from genome_pipeline_tests.support.landing import ingest_and_validate, landing_settings, query

COLUMNS = {
    "customer_id": "customer",
    "order_id": "order",
    "ordered_at": "date",
    "product_id": "sku",
    "quantity": "units",
    "unit_price": "price",
}
JUDGED = ("validated_transactions", "quarantined_transactions")
Row = tuple[str, ...]
Log = dict[str, list[Row]]

# What each text is worth: None where it is no number.
UNITS = {"1": 1, "2": 2, " 3 ": 3, "-1": -1, "0": 0, "two": None, "": None}
PRICES = {"1.25": "1.25", "0.335": "0.335", "0": "0", "-2": "-2", "9999999999": "9999999999", "1,25": None, "": None}
GOOD_DATES = ["2020-01-05", "2020-01-31 23:59:59", "2020-02-01", "2020-02-29 12:30", "2020-07-01"]
DATES = [*GOOD_DATES, "2020-02-30", "2019-12-31", "9999-01-01", "soon", ""]
CUSTOMERS = ["7", "007", " 7 ", "O'Brien", 'x"y', "a\nb", "=1+1", "Zoë", "NULL", "nan", " ", ""]


def _rows(
    customers: list[str], orders: list[str], dates: list[str], units: list[str], prices: list[str]
) -> st.SearchStrategy[Row]:
    choices = (customers, orders, dates, ["p1", "p2", ""], units, prices)
    return st.tuples(*map(st.sampled_from, choices))


GOOD = _rows(CUSTOMERS[:8], ["A1", "A2"], GOOD_DATES, ["1", "2", "-1"], ["1.25", "0.335"])
ANY = _rows(CUSTOMERS, ["A1", "A2", "A3", ""], DATES, list(UNITS), list(PRICES))
# A file in which no date is readable is refused: here the first one is.
FILES = st.builds(lambda first, more: [first, *more], GOOD, st.lists(GOOD | ANY, min_size=5, max_size=40))
LOGS: st.SearchStrategy[Log] = st.dictionaries(st.sampled_from(["a.csv", "b.csv", "c.csv"]), FILES, min_size=1)

# Each example takes a second or two: too long to shrink one in the default suite.
QUICK = settings(max_examples=3, derandomize=True, phases=[Phase.generate])
THOROUGH = settings(max_examples=100)
thoroughness = pytest.mark.parametrize("profile", [QUICK, pytest.param(THOROUGH, marks=pytest.mark.slow)])


def holds(property_: Callable[..., None], profile: settings, *strategies: st.SearchStrategy[Any]) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    settings(profile, deadline=None, suppress_health_check=checks)(given(*strategies)(property_))()


@contextmanager
def taken_in(log: Log) -> Iterator[Settings]:
    """A fresh warehouse of the log."""
    with tempfile.TemporaryDirectory() as folder:
        where = landing_settings(Path(folder), columns=COLUMNS)
        bring(where, log)
        yield where


def bring(where: Settings, log: Log) -> None:
    """Write the log's files, and no others, and take them in."""
    landing = where.home / "in"
    landing.mkdir(exist_ok=True)
    for path in landing.iterdir():
        path.unlink()
    for name, rows in log.items():
        with (landing / name).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows([tuple(COLUMNS.values()), *rows])
    ingest_and_validate(where)


def contents(where: Settings, without: str = "ingested_at", tables: tuple[str, ...] = JUDGED) -> list[Counter[Any]]:
    """The rows of the tables, whatever their order."""
    found = [query(where, f"SELECT COLUMNS(c -> c NOT IN ({_listed(without)})) FROM {table}") for table in tables]
    return [Counter(map(repr, rows)) for rows in found]


def _listed(names: str) -> str:
    return ", ".join(f"'{name}'" for name in names.split(" "))


def worth(row: Row) -> int:
    """The line total in cents, 0 where it is unknown or absurd; below zero in a return."""
    units, price = UNITS[row[4]], PRICES[row[5]]
    if units is None or price is None:
        return 0
    cents = int((units * Decimal(price) * 100).quantize(Decimal(1), ROUND_HALF_UP))
    if abs(cents) >= ABSURD * 100 or Decimal(price) >= ABSURD:
        return 0
    return -abs(cents) if units < 0 else cents


@thoroughness
def test_nothing_is_lost(profile: settings) -> None:
    def property_(log: Log) -> None:
        with taken_in(log) as where:
            # Of files that are the same the first is taken.
            files = {tuple(log[name]): name for name in sorted(log, reverse=True)}
            lines = [(name, number) for rows, name in files.items() for number in range(1, len(rows) + 1)]
            placed = query(
                where,
                "SELECT source_file, source_row FROM validated_transactions"
                " UNION ALL SELECT source_file, source_row FROM quarantined_transactions",
            )
            assert sorted(placed) == sorted(lines)
            ((amount,),) = query(
                where,
                "SELECT coalesce((SELECT sum(amount) FROM validated_transactions), 0)"
                " + coalesce((SELECT sum(line_amount) FROM quarantined_transactions), 0)",
            )
            assert amount * 100 == sum(worth(row) for rows in files for row in rows)
            # Again: nothing changed, so nothing changes.
            before = contents(where, without="")
            ingest_and_validate(where)
            assert contents(where, without="") == before

    holds(property_, profile, LOGS)


@thoroughness
def test_the_order_of_files_and_rows_does_not_matter(profile: settings) -> None:
    def property_(log: Log, random: Any) -> None:
        files = [random.sample(rows, len(rows)) for rows in log.values()]
        shuffled = dict(zip(log, random.sample(files, len(files)), strict=True))
        # Shuffling can make two files the same, of which one is left out: the valid rows tell no difference.
        what = ("ingested_at source_file source_row", JUDGED[:1])
        with taken_in(log) as where, taken_in(shuffled) as other:
            assert contents(where, *what) == contents(other, *what)

    holds(property_, profile, LOGS, st.randoms(use_true_random=False))


@thoroughness
def test_a_log_that_was_changed_equals_one_built_afresh(profile: settings) -> None:
    def property_(log: Log, changed: Log) -> None:
        # Files come, change and go; those that stay are not read again.
        changed = {**changed, min(log): log[min(log)]}
        with taken_in(log) as where, taken_in(changed) as fresh:
            bring(where, changed)
            assert contents(where) == contents(fresh)

    holds(property_, profile, LOGS, LOGS)
