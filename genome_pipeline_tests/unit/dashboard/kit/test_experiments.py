"""Experiments in words and numbers."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.experiments import (
    effect_and_interval,
    experiments_at,
    headline,
    reason_of,
    state_of,
    total_and_interval,
)
from genome_pipeline_tests.support.published_file import (
    LATEST,
    PROVEN_EXPERIMENT,
    RUNNING_EXPERIMENT,
    SNAPSHOTS,
)
from genome_pipeline_tests.support.shown import changed


@pytest.mark.parametrize(
    ("verdicts", "over", "sentence"),
    [
        (["not proven yet"], [False], "1 experiment was started and still runs: it has proven nothing yet"),
        (["proven"], [True], "1 experiment was started and is over: it has proven that acting brings more"),
        (
            ["not proven yet", "not proven yet"],
            [True, False],
            "2 experiments were started, 1 is over: none has proven anything yet",
        ),
        (
            ["proven", "harmful", "proven"],
            [True, True, True],
            "3 experiments were started, all are over: 2 have proven that acting brings more and 1 has shown that"
            " acting does harm",
        ),
        (
            ["harmful", "not proven yet"],
            [False, False],
            "2 experiments were started, none is over: 1 has shown that acting does harm",
        ),
    ],
)
def test_the_headline_counts_what_is_over_and_what_was_shown(
    verdicts: list[str], over: list[bool], sentence: str
) -> None:
    assert headline(pd.DataFrame({"verdict": verdicts, "is_over": over})) == sentence


def look(**values: object) -> pd.Series:
    numbers = {"effect": 0.1348, "effect_lower": -0.25, "effect_upper": 0.52}
    totals = {"effect_total": 67.2, "effect_total_lower": -1125.0, "effect_total_upper": 1259.6}
    return pd.Series({**numbers, **totals, **values}, dtype=object)


def test_an_effect_is_told_with_its_sign_and_interval_in_the_unit_of_the_outcome() -> None:
    for told, expected in (
        (effect_and_interval(look(), "orders", "USD"), ("+13.48", "-25.00 to 52.00")),
        (effect_and_interval(look(effect=-2.5), "spend", "USD"), ("-$2.50", "-$0.25 to $0.52")),
        (total_and_interval(look(), "orders", "USD"), ("+67", "-1,125 to 1,260")),
        (total_and_interval(look(), "spend", "EUR"), ("+€67.20", "-€1.12k to €1.26k")),
        (effect_and_interval(look(effect=np.nan), "orders", None), (formats.NOTHING, "")),
    ):
        assert told == tuple(text.replace("-", formats.MINUS) for text in expected)


def test_the_reason_leaves_out_the_verdict() -> None:
    told = {"verdict": "proven", "verdict_reason": "proven: +5.00 orders per 100 customers (1.00 to 9.00)"}
    assert reason_of(look(**told)) == "+5.00 orders per 100 customers (1.00 to 9.00)."
    unseen = {"verdict_reason": None, "stopped_date": None}
    assert "No look was made at it" in reason_of(look(**unseen, is_over=True))
    assert "No look at it yet" in reason_of(look(**unseen, is_over=False))


def test_a_stopped_experiment_awaits_no_look() -> None:
    for is_over in (False, True):
        told = reason_of(look(verdict_reason=None, is_over=is_over, stopped_date=date(2018, 1, 1)))
        assert told == "No look was made at it: it was stopped before one, or too few customers were left."


@pytest.mark.parametrize(
    ("is_provisional", "stopped", "is_over"),
    [(False, None, True), (True, None, False), (True, LATEST, True), (True, SNAPSHOTS[2], True)],
)
def test_a_run_until_a_provisional_snapshot_is_not_over_unless_it_was_stopped(
    published_path: Path, tmp_path: Path, is_provisional: bool, stopped: date | None, is_over: bool
) -> None:
    path = changed(
        tmp_path / "provisional.duckdb",
        published_path,
        f"UPDATE customer_genome_history SET is_provisional = {is_provisional} WHERE as_of = '{LATEST}'",
        f"UPDATE experiments SET until_date = '{LATEST}', stopped_date = nullif('{stopped}', 'None')::DATE"
        f" WHERE experiment_id = '{RUNNING_EXPERIMENT}'",
    )
    with duckdb.connect(str(path), read_only=True) as connection:
        experiments = experiments_at(connection, LATEST)
    (_, running), (_, proven) = experiments.iterrows()
    assert (running["experiment_id"], proven["experiment_id"]) == (RUNNING_EXPERIMENT, PROVEN_EXPERIMENT)
    assert bool(running["is_over"]) is is_over
    assert proven["is_over"]
    assert ("runs until" in state_of(running)) is not is_over


def test_an_experiment_runs_is_over_or_was_stopped() -> None:
    until = date(2018, 2, 1)
    assert state_of(look(until_date=until, stopped_date=None, is_over=False)) == "runs until 1 Feb 2018"
    assert state_of(look(until_date=until, stopped_date=None, is_over=True)) == "over since 1 Feb 2018"
    assert state_of(look(until_date=until, stopped_date=date(2018, 1, 1), is_over=True)) == "stopped at 1 Jan 2018"
