"""Suites of users: one that blocks stops the publication, one that does not is a warning, a bad one runs nothing."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from genome_pipeline.command.cli import main
from genome_pipeline.orchestration.assets.ingestion import raw_transactions
from genome_pipeline.orchestration.assets.tables import LINE_STAGES
from genome_pipeline.orchestration.checks.declared import gate
from genome_pipeline.orchestration.failures import first_cause
from genome_pipeline.settings import load_settings
from genome_pipeline_tests.support.pipelines import make, materialise, shop, shop_config, write_shop_log

MORE = '[quality]\nsuites = "expectations"\n'


def suite(folder: Path, table: str, *, column: str, blocking: bool) -> None:
    """That no value of the column is above 0."""
    kept = {"type": "expect_column_values_to_be_between", "kwargs": {"column": column, "max_value": 0}}
    (folder / "expectations").mkdir(exist_ok=True)
    (folder / "expectations" / f"{table}.json").write_text(
        json.dumps({"name": "ours", "expectations": [kept], "meta": {"blocking": blocking}})
    )


def evaluations(result: dg.ExecuteInProcessResult) -> list[Any]:
    return [event for event in result.get_asset_check_evaluations() if event.partition is None]


def test_a_suite_that_blocks_stops_what_follows_and_one_that_does_not_is_a_warning(tmp_path: Path) -> None:
    write_shop_log(tmp_path / "log.csv", customers=20)
    suite(tmp_path, "validated_transactions", column="line_amount", blocking=True)
    settings = load_settings(shop_config(tmp_path, more=MORE))
    months = (date(2020, 1, 1), date(2020, 2, 1))
    result = materialise(settings, [raw_transactions, *LINE_STAGES], *months)
    why = "column_values_to_be_between of line_amount (suite validated_transactions): broken by "
    assert not result.success
    cause = str(first_cause(result.all_events))
    assert "check contract of validated_transactions failed: " in cause
    assert why in cause
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        obstacles = gate().obstacles(connection, settings.time)
        assert any(why in str(obstacle) for obstacle in obstacles)
    page = (settings.data_docs_path / "own-validated_transactions.html").read_text(encoding="utf-8")
    assert "✗ 1 of 1 expectations failed" in page

    suite(tmp_path, "validated_transactions", column="line_amount", blocking=False)
    result = materialise(settings, [raw_transactions, *LINE_STAGES], *months)
    assert result.success
    (warned,) = [found for found in evaluations(result) if not found.passed and found.check_name == "contract"]
    assert (warned.severity, why in str(warned.description)) == (dg.AssetCheckSeverity.WARN, True)
    for found in evaluations(result):
        assert Path(str(found.metadata["data_docs"].value)).is_file()
    assert Path(str(warned.metadata["data_docs"].value)).name == "validated_transactions.html"


def test_a_bad_suite_is_told_before_anything_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_shop_log(tmp_path / "log.csv", customers=5)
    suite(tmp_path, "validated_transactions", column="no_such", blocking=True)
    config = shop_config(tmp_path, more=MORE)
    assert main(["run", "--config", str(config)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "validated_transactions has no column 'no_such'" in said
    assert not (tmp_path / "home" / "warehouse.duckdb").exists()
    assert main(["check", "--config", str(config)]) == 2


@pytest.mark.slow
def test_a_suite_of_the_last_table_stops_the_publication(tmp_path: Path) -> None:
    shop(tmp_path)
    suite(tmp_path, "customer_genome", column="purchase_day_count", blocking=True)
    config = shop_config(tmp_path, more=MORE)
    assert main(["run", "--config", str(config), "--from", "2020-06-01", "--to", "2020-07-01", "--quiet"]) == 1
    assert not load_settings(config).published_path.exists()
    suite(tmp_path, "customer_genome", column="purchase_day_count", blocking=False)
    settings, outcome = make(config, "2020-06-01", "2020-07-01")
    assert outcome.as_of
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        warned = connection.execute(
            "SELECT DISTINCT severity, is_passed FROM data_quality WHERE check_name LIKE 'customer_genome: %'"
        ).fetchall()
    assert ("WARN", False) in warned
