"""Suites of users: one that blocks stops the publication, one that does not is a warning."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from genome_pipeline.command.cli import main
from genome_pipeline.settings import load_settings
from genome_pipeline_tests.support.pipelines import make, shop, shop_config

MORE = '[quality]\nsuites = "expectations"\n'


def suite(folder: Path, table: str, *, column: str, blocking: bool) -> None:
    """That no value of the column is above 0."""
    kept = {"type": "expect_column_values_to_be_between", "kwargs": {"column": column, "max_value": 0}}
    (folder / "expectations").mkdir(exist_ok=True)
    (folder / "expectations" / f"{table}.json").write_text(
        json.dumps({"name": "ours", "expectations": [kept], "meta": {"blocking": blocking}})
    )


def genome(*arguments: str) -> int:
    """The exit code of the command."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr("sys.argv", ["genome", *arguments])
        main()
    return int(ended.value.code or 0)


@pytest.mark.slow
def test_a_suite_of_the_last_table_stops_the_publication(tmp_path: Path) -> None:
    shop(tmp_path)
    suite(tmp_path, "customer_genome", column="purchase_day_count", blocking=True)
    config = shop_config(tmp_path, more=MORE)
    assert genome("run", "--config", str(config), "--from", "2020-06-01", "--to", "2020-07-01", "--quiet") == 1
    assert not load_settings(config).published_path.exists()
    suite(tmp_path, "customer_genome", column="purchase_day_count", blocking=False)
    settings, outcome = make(config, "2020-06-01", "2020-07-01")
    assert outcome.as_of
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        warned = connection.execute(
            "SELECT DISTINCT severity, is_passed FROM data_quality WHERE check_name LIKE 'customer_genome: %'"
        ).fetchall()
    assert ("WARN", False) in warned
