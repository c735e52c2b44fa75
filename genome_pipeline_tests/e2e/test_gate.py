"""Whatever a person clicks, nothing is published that has not passed its blocking checks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster import DagsterInstance

from genome_pipeline.command.inspection import pipeline_status
from genome_pipeline.definitions import build_definitions
from genome_pipeline.errors import RunFailed
from genome_pipeline.orchestration.assets.features import customer_features
from genome_pipeline.orchestration.automation.sensors import sensors
from genome_pipeline.orchestration.failures import first_cause
from genome_pipeline.orchestration.home import prepare_home
from genome_pipeline.orchestration.place import ALONE
from genome_pipeline.published.summary import summarise
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline_tests.support.pipelines import make, materialise

WRONG = "check contract of customer_features of 2020-03-01 failed: "


def publish(settings: Settings, *, force: bool = False, again: bool = False) -> dg.ExecuteInProcessResult:
    """Materialise ``published_genome`` by hand, or execute such a run ``again``."""
    prepare_home(settings)
    return (
        build_definitions(settings)
        .resolve_job_def("publish")
        .execute_in_process(
            run_config={"ops": {"published_genome": {"config": {"force": force}}}},
            tags={"dagster/parent_run_id": "earlier", "dagster/root_run_id": "earlier"} if again else {},
            asset_selection=[dg.AssetKey("published_genome")],
            raise_on_error=False,
        )
    )


def make_without_checks(settings: Settings, assets: Sequence[str], period: str) -> None:
    """Materialise assets of one period, their checks left out in the launchpad."""
    prepare_home(settings)
    selection = dg.AssetSelection.assets(*assets).without_checks()
    definitions = dg.Definitions.merge(
        build_definitions(settings), dg.Definitions(jobs=[dg.define_asset_job("unchecked", selection)])
    )
    assert definitions.resolve_job_def("unchecked").execute_in_process(partition_key=period).success


def landing_says(settings: Settings) -> str:
    (sensor,) = (sensor for sensor in sensors(settings, ALONE) if sensor.name == "landing")
    with DagsterInstance.ephemeral() as instance:
        mark = json.loads(sensor.evaluate_tick(dg.build_sensor_context(instance=instance)).cursor or "")["seen"]
        cursor = json.dumps({"seen": mark, "asked": mark})
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        (request,) = sensor.evaluate_tick(context).run_requests or ()
        # It was asked for, and has failed.
        instance.create_run_for_job(
            build_definitions(settings).resolve_job_def("refresh"),
            tags={"dagster/run_key": request.run_key or ""},
            status=dg.DagsterRunStatus.FAILURE,
        )
        return sensor.evaluate_tick(context).skip_message or ""


@pytest.fixture
def refused(early_shop: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A shop of which March has failed the contract of its features."""
    from genome_pipeline.transforms import features

    honest = features.customer_features

    def wrong(*arguments: Any) -> Any:
        return honest(*arguments).mutate(days_since_last_order=-1)

    monkeypatch.setattr(features, "customer_features", wrong)
    with pytest.raises(RunFailed, match="check contract of customer_features failed: "):
        make(early_shop, None, "2020-04-01")
    return load_settings(early_shop)


def test_what_was_refused_is_not_published_by_hand_and_every_door_says_why(refused: Settings, early_shop: Path) -> None:
    published = refused.published_path.read_bytes()
    result = publish(refused)
    assert not result.success
    cause = first_cause(result.all_events)
    assert isinstance(cause, RunFailed)
    assert str(cause).startswith(WRONG)
    assert str(cause).endswith("say force: true in the run config of published_genome, in a new run of the launchpad")
    assert refused.published_path.read_bytes() == published
    assert landing_says(refused).startswith(f"nothing is published until this is put right: {WRONG}")
    status = pipeline_status(refused)
    assert status["in_the_way"].startswith(WRONG)
    assert status["published"].startswith("as of 2020-03-01")
    # What is up to date by itself does not hide it.
    with pytest.raises(RunFailed, match=r"of 2020-03-01 failed: "):
        make(early_shop, None, "2020-03-01")


def test_by_force_it_is_published_and_recorded(refused: Settings) -> None:
    assert publish(refused, force=True).success
    with duckdb.connect(str(refused.published_path), read_only=True) as connection:
        runs = connection.execute("SELECT forced_past FROM pipeline_runs ORDER BY published_at").fetchall()
    assert runs[0] == (None,)
    assert runs[-1][0].startswith(WRONG)
    assert pipeline_status(refused)["forced_past"].startswith(WRONG)
    facts = summarise(refused)
    assert facts["forced_past"].startswith(WRONG)
    assert any(row["table_name"] == "customer_features" for row in facts["failed_checks"])
    # What is published again is no better for it.
    assert publish(refused).success
    assert pipeline_status(refused)["forced_past"].startswith(WRONG)
    assert summarise(refused)["failed_checks"] == facts["failed_checks"]


def test_a_run_executed_again_does_not_force_again(refused: Settings) -> None:
    published = refused.published_path.read_bytes()
    cause = first_cause(publish(refused, force=True, again=True).all_events)
    assert str(cause).startswith(WRONG)
    assert refused.published_path.read_bytes() == published


def test_what_was_never_checked_is_not_published_and_a_run_makes_it_again(early_shop: Path) -> None:
    settings = load_settings(early_shop)
    make_without_checks(settings, customer_features.asset_names, "2020-02-01")
    cause = first_cause(publish(settings).all_events)
    assert str(cause).startswith("check contract of customer_features of 2020-02-01 has not run since it was written")
    materialise(settings, [customer_features], date(2020, 2, 1), date(2020, 2, 1))
    cause = first_cause(publish(settings).all_events)
    assert str(cause).startswith("gene_drift of 2020-02-01 was not made again after customer_features, nor were 30")
    status = pipeline_status(settings)
    assert status["made_since"] == "1: 2020-03-01 to 2020-03-01; what is published is older"
    assert status["in_the_way"] == (
        "gene_drift of 2020-02-01 was not made again after customer_features, nor were 30 other tables"
    )
    _, outcome = make(early_shop, None, "2020-03-01")
    assert outcome.as_of == (date(2020, 3, 1),)
    assert not {"made_since", "in_the_way", "forced_past"} & pipeline_status(settings).keys()
    assert publish(settings).success


@pytest.mark.slow
def test_a_warehouse_checked_by_an_older_version_is_not_locked_out(early_shop: Path) -> None:
    settings = load_settings(early_shop)
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute("DELETE FROM checked_slices")
    assert publish(settings).success
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute("DELETE FROM checked_slices")
        connection.execute("DELETE FROM pipeline_runs")
    assert not publish(settings).success
    _, outcome = make(early_shop, None, "2020-03-01")
    assert len(outcome.as_of) == 2
