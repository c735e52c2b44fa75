"""`genome run` tells of what stops it, and by choice of warnings."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from genome_pipeline.command import cli, notices
from genome_pipeline.errors import ConfigError, RunFailed
from genome_pipeline.orchestration.failures import sendable
from genome_pipeline.settings import load_settings
from genome_pipeline_tests.support.pipelines import shop_config


def config_with_alerts(folder: Path, more: str = "") -> tuple[Path, Path]:
    told = folder / "told"
    return shop_config(folder, more=f'[alerts]\ncommand = ["tee", "{told}"]\n{more}'), told


def test_a_run_that_fails_is_told_of(tmp_path: Path) -> None:
    config, told = config_with_alerts(tmp_path)
    with pytest.raises(ConfigError, match=r"log\.csv"):
        cli.run(config=config, quiet=True)
    assert told.read_text(encoding="utf-8").startswith("Customer Genome: run failed\n")
    assert "log.csv" in told.read_text(encoding="utf-8")


def test_an_alert_quotes_no_data() -> None:
    unexpected = RunFailed("step customer_value stopped unexpectedly", "Could not convert string 'c0001' to INT32")
    assert sendable(unexpected) == "step customer_value stopped unexpectedly"
    assert "c0001" in str(unexpected)
    assert sendable(ValueError("c0001")) == "it stopped unexpectedly (ValueError)"
    assert sendable(ConfigError("log.csv is empty")) == "log.csv is empty"


def test_an_alert_that_is_not_taken_hides_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = shop_config(tmp_path, more='[alerts]\ncommand = ["/nowhere/to/be/found"]\n')
    with pytest.raises(ConfigError, match=r"log\.csv"):
        cli.run(config=config, quiet=True)
    assert "the alert was not taken by alerts.command (FileNotFoundError)" in capsys.readouterr().err


@pytest.mark.parametrize(("choice", "is_told"), [("", False), ("warnings = true\n", True)])
def test_warnings_are_told_of_by_choice(tmp_path: Path, choice: str, is_told: bool) -> None:
    config, told = config_with_alerts(tmp_path, choice)
    warnings = [{"table_name": "customer_activity", "observed": "half as many orders"}]
    facts = {"as_of": date(2020, 2, 1), "failed_checks": warnings, "forced_past": None}
    notices.tell_of_warnings(load_settings(config), facts)
    assert told.exists() is is_told
    if is_told:
        assert told.read_text(encoding="utf-8") == (
            "Customer Genome: published as of 2020-02-01 with warnings\ncustomer_activity: half as many orders\n"
        )
