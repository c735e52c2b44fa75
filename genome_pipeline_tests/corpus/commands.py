"""Wrong use and odd surroundings of the command: what it says, its exit code; what was there stays as it was."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import duckdb


@dataclass(frozen=True)
class Command:
    """A call of `genome`, and the sentence it ends with, on standard error where the code is not 0.

    FOLDER stands for the folder of ``genome.toml``. ``prepare`` does to that folder what is odd about it.
    """

    name: str
    arguments: str
    sentence: str
    code: int = 2
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], object] = lambda _: None


def _replaced(old: str, new: str, folder: Path) -> None:
    config = folder / "genome.toml"
    config.write_text(config.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def _foreign(name: str, folder: Path) -> None:
    path = folder / name
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE invoices AS SELECT 1 AS id")


def _linked(folder: Path) -> None:
    published = folder / "published" / "genome.duckdb"
    published.parent.mkdir(exist_ok=True)
    published.symlink_to(folder / "elsewhere.duckdb")


def _junk(folder: Path) -> None:
    (folder / "dagster").mkdir(exist_ok=True)
    (folder / "dagster" / "dagster.yaml").write_text("just words\n", encoding="utf-8")


def _date(start: str) -> Callable[[Path], object]:
    return partial(_replaced, "start = 2020-01-01", f"start = {start}")


COMMANDS = [
    Command(
        "a section as one value",
        "status",
        "GENOME_SOURCE is not valid JSON: set GENOME_SOURCE__PATH and the like, or unset it",
        environment={"GENOME_SOURCE": "x"},
    ),
    Command(
        "a word where a number belongs",
        "status",
        "GENOME_PREDICT__HORIZON_DAYS: predict.horizon_days = 'abc' is wrong: input should be a valid integer, unable"
        " to parse string as an integer",
        environment={"GENOME_PREDICT__HORIZON_DAYS": "abc"},
    ),
    Command(
        "an empty home",
        "status",
        "GENOME_HOME: home: no folder is named; name one, or leave it out",
        environment={"GENOME_HOME": ""},
    ),
    Command(
        "a date without its marks",
        "status",
        "FOLDER/genome.toml: calendar.start: 20240101 is no date; write it as 2024-01-31",
        prepare=_date("20240101"),
    ),
    Command(
        "a start in the year 1",
        "status",
        "FOLDER/genome.toml: calendar.start: 0001-01-01 is not between 1900-01-01 and 2200-01-01; correct the year",
        prepare=_date("0001-01-01"),
    ),
    Command(
        "a snapshot in the year 9999",
        "run --as-of 9999-12-31",
        "snapshot 9999-12-31 is not between 1900-01-01 and 2200-01-01: correct the year",
    ),
    Command(
        "a warehouse of another program",
        "status",
        "FOLDER/warehouse.duckdb is another program's database, with a table 'invoices': set GENOME_HOME to another"
        " folder, or move that file away",
        prepare=partial(_foreign, "warehouse.duckdb"),
    ),
    Command(
        "a published file of another program",
        "run",
        "FOLDER/published/genome.duckdb is another program's database, without a table 'pipeline_runs': move it away,"
        " then publish with `genome run`",
        prepare=partial(_foreign, "published/genome.duckdb"),
    ),
    Command(
        "a published file that is a link",
        "run",
        "FOLDER/published/genome.duckdb is a link to FOLDER/elsewhere.duckdb, which would be replaced by a file that"
        " its readers do not see: remove the link, and let them read that file",
        prepare=_linked,
    ),
    Command(
        "a published file that is gone",
        "customer 1",
        "nothing is published at FOLDER/published/genome.duckdb yet: use `genome run` first",
    ),
    Command(
        "a dagster.yaml of words",
        "run",
        "FOLDER/dagster/dagster.yaml is no configuration of Dagster's (Expected YAML from file"
        ' FOLDER/dagster/dagster.yaml to parse to dictionary, instead got: "just words"): correct it, or delete it to'
        " have it written anew",
        prepare=_junk,
    ),
    Command(
        "output that is not UTF-8",
        "check",
        "+ ready: `genome run --config FOLDER/genome.toml` takes it from here",
        code=0,
        environment={"PYTHONIOENCODING": "ascii"},
    ),
    Command(
        "a program without its docstrings",
        "check",
        "✓ ready: `genome run --config FOLDER/genome.toml` takes it from here",
        code=0,
        environment={"PYTHONOPTIMIZE": "2", "PYTHONIOENCODING": "utf-8"},
    ),
    Command(
        "a source that may not be read",
        "run",
        "FOLDER/in/good.csv cannot be read (permission denied): check it and its permissions",
        prepare=lambda folder: (folder / "in" / "good.csv").chmod(0),
    ),
]
NEED_A_USER = () if os.geteuid() else ("a source that may not be read",)
"""Commands that root is never refused."""
