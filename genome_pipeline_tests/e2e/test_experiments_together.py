"""Experiments started at the same moment, in a warehouse that knows customers by pseudonyms alone."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from genome_pipeline.published.audience import write_audience
from genome_pipeline.published.experiments import experiment_list, write_treated
from genome_pipeline.settings import load_settings
from genome_pipeline.warehouse.experiment_record import ExperimentRecord
from genome_pipeline_tests.support.files import files_with
from genome_pipeline_tests.support.pipelines import make, shop_config, write_shop_log

MORE = """
[privacy]
pseudonyms = true

[[actions.rules]]
name = "write"
action = "Write to everyone"
reason = "Spent {spend_amount}"

[contacts]
path = "contacts.csv"
[contacts.columns]
customer_id = "who"
contacted_at = "when"
"""
KEY = "k" * 8 + "0123456789abcdef" * 2
START = date(2020, 4, 1)
NAME = f"write-{START}"


@pytest.mark.slow
def test_of_two_starts_at_once_one_draws_and_no_door_names_a_control_or_a_raw_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENOME_PRIVACY__KEY", KEY)
    write_shop_log(tmp_path / "log.csv", customers=300)
    log = re.sub(r"^c(?=\d{4},)", "shopper-", (tmp_path / "log.csv").read_text(encoding="utf-8"), flags=re.M)
    (tmp_path / "log.csv").write_text(log, encoding="utf-8")
    names = sorted({line.split(",")[0] for line in log.splitlines()[1:]})
    contacts = ["who,when", *(f"{name},{START} 09:00" for name in names)]
    (tmp_path / "contacts.csv").write_text("\n".join(contacts), encoding="utf-8")
    config = shop_config(tmp_path, more=MORE)
    make(config, None, str(START))

    command = [sys.executable, "-m", "genome_pipeline.command.cli", "experiment", "start", "write"]
    starts = [
        subprocess.Popen(
            [*command, "--control", "50%", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=500) for process in starts]
    assert sorted(process.returncode for process in starts) == [0, 2], said
    refused = next(error for process, (_, error) in zip(starts, said, strict=True) if process.returncode)
    assert f"experiment {NAME} on the same action runs until" in " ".join(refused.split())

    settings = load_settings(config)
    assert [row["experiment_id"] for row in experiment_list(settings)["experiments"]] == [NAME]
    assert len(ExperimentRecord.beside(settings.warehouse_path).experiments()) == 1
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        members = connection.execute("SELECT customer_id, is_treated FROM experiment_members").df()
        reached = connection.execute("SELECT count(*) FROM contacts JOIN experiment_members USING (customer_id)")
        assert reached.fetchall() == [(len(members),)]  # the contact log's ids are folded into the same pseudonyms
    treated = {*members.loc[members["is_treated"], "customer_id"]}
    write_audience(settings, "write", tmp_path / "audience.csv")
    write_treated(settings, NAME, tmp_path / "treated.parquet")
    assert {*pd.read_csv(tmp_path / "audience.csv")["customer_id"]} == treated
    assert {*pd.read_parquet(tmp_path / "treated.parquet")["customer_id"]} == treated
    assert files_with(settings.home, "shopper-") == []
    for list_of_treated in ("audience.csv", "treated.parquet"):
        assert b"shopper-" not in (tmp_path / list_of_treated).read_bytes()
