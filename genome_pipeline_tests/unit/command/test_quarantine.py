from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from genome_pipeline.command.cli import app
from genome_pipeline.command.quarantine import quarantine_summary, write_quarantine
from genome_pipeline.contracts.rules import active_rules
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline.transforms.validation import judged_lines, rejected_lines, rejections
from genome_pipeline.warehouse.ingestion import ingest, typed_raw
from genome_pipeline_tests.support.pipelines import shop_config

ROWS = """customer,order,date,sku,department,units,price
c1,o1,2020-01-05,p1,food,1,2.50
,o2,2020-01-06,p1,food,1,2.50
,o3,2020-02-06,p1,food,1,0
=1+1,o4,2020-13-06,@p,food,-5,2.50
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A shop with one good row, and three that are set aside."""
    (tmp_path / "log.csv").write_text(ROWS, encoding="utf-8")
    config = shop_config(tmp_path)
    settings = load_settings(config)
    warehouse = Pipeline.of(settings).warehouse
    rules = active_rules(list(settings.source.columns.mapped), ())
    with warehouse.open() as database:
        ingest(database, settings)
        rejected = rejected_lines(
            rejections(judged_lines(typed_raw(database, settings), rules)), database.table("raw_transactions")
        )
        periods = [*database.con.execute("SELECT DISTINCT period_start_date FROM changed_periods").fetchall()]
        slices = [period for (period,) in periods]
        warehouse.replace_slices(database, TABLES["quarantined_transactions"], slices, rejected, "run")
    return config


@pytest.fixture
def settings(config: Path) -> Settings:
    return load_settings(config)


def test_reasons_are_counted_with_amounts_and_periods(settings: Settings) -> None:
    facts = quarantine_summary(settings)
    assert facts["quarantined_rows"] == 3
    assert [
        (row["reason"], row["row_count"], str(row["amount"]), str(row["first_period"])) for row in facts["reasons"]
    ] == [
        ("missing_customer", 2, "2.50", "2020-01-01"),
        ("unreadable_date", 1, "-12.50", "None"),
        ("zero_amount", 1, "0.00", "2020-02-01"),
    ]


def test_rows_are_written_under_the_names_of_the_source(settings: Settings, tmp_path: Path) -> None:
    assert write_quarantine(settings, tmp_path / "rows.csv") == {"path": str(tmp_path / "rows.csv"), "row_count": 3}
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:4] == ["source_file", "source_row", "reasons", "customer"]
    assert header[4:] == ["date", "order", "sku", "department", "units", "price"]
    assert rows[1] == ["log.csv", "3", "missing_customer zero_amount", "", "2020-02-06", "o3", "p1", "food", "1", "0"]
    # No spreadsheet shall take them for formulas; a negative number is none.
    assert rows[2] == ["log.csv", "4", "unreadable_date", "'=1+1", "2020-13-06", "o4", "'@p", "food", "-5", "2.50"]


def test_the_source_is_not_written_over(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path)
    for target in (tmp_path / "log.csv", tmp_path / "log" / "log.csv"):
        with pytest.raises(ConfigError, match=r"log.csv is where source.path takes files from: it would be lost, or"):
            write_quarantine(settings, target)
    assert (tmp_path / "log.csv").read_text(encoding="utf-8") == ROWS


def test_parquet_keeps_rows_as_they_came_and_a_reason_chooses_among_them(settings: Settings, tmp_path: Path) -> None:
    write_quarantine(settings, tmp_path / "rows.parquet", "unreadable_date")
    found = duckdb.execute("SELECT customer, sku FROM read_parquet(?)", [str(tmp_path / "rows.parquet")]).fetchall()
    assert found == [("=1+1", "@p")]


@pytest.mark.parametrize(
    ("path", "reason", "message"),
    [
        ("rows.txt", None, "must end in .csv or .parquet"),
        ("nowhere/rows.csv", None, "is no folder"),
        ("rows.csv", "typo", "no row is quarantined for 'typo'; reasons there are: missing_customer, unreadable_date"),
    ],
)
def test_mistakes_are_named_and_leave_no_file(
    settings: Settings, tmp_path: Path, path: str, reason: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        write_quarantine(settings, tmp_path / path, reason)
    assert not (tmp_path / path).exists()


def test_the_command_lists_the_reasons(config: Path) -> None:
    done = CliRunner().invoke(app, ["quarantine", "--config", str(config)], env={"COLUMNS": "120"})
    assert done.exit_code == 0, done.output
    assert "3 source rows are quarantined." in done.output
    assert "missing_customer" in done.output
