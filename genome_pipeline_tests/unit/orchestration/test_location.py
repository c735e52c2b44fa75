"""One name of the code location, under which the UI shows the runs of the command line beside its own."""

import tomllib
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster._core.workspace.load_target import ModuleTarget

from genome_pipeline.orchestration.assets.stage import ON_COMMAND, REASON_TAG
from genome_pipeline.orchestration.automation.sensors import sensors
from genome_pipeline.orchestration.place import ALONE
from genome_pipeline.orchestration.runs.at_work import DIED
from genome_pipeline.orchestration.runs.run import CODE_LOCATION
from genome_pipeline.settings import AlertSettings, Settings

ROOT = Path(__file__).parents[3]


@dg.job
def refresh() -> None:
    pass


def test_every_way_to_start_dagster_gives_the_code_location_one_name() -> None:
    (of_workspace,) = location_origins_from_yaml_paths([str(ROOT / "workspace.yaml")])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["dg"]["project"]
    # `genome ui`, and the units of docs/operations.md, name the module.
    (of_module,) = ModuleTarget(CODE_LOCATION, None, None, None).create_origins()
    assert {of_workspace.location_name, project["code_location_name"], of_module.location_name} == {CODE_LOCATION}
    assert project["code_location_target_module"] == CODE_LOCATION
    units = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert set(dg_modules(units)) == {CODE_LOCATION}


def dg_modules(text: str) -> list[str]:
    """The modules that commands of Dagster's are told to load."""
    words = text.replace("`", " ").split()
    return [
        name
        for option, name in pairwise(words)
        if option == "-m" and name.startswith("genome") and name != "genome_pipeline.orchestration.webserver"
    ]


def test_runs_of_the_command_line_stand_among_those_of_the_code_location(shop_run: Settings) -> None:
    with DagsterInstance.from_config(str(shop_run.dagster_home)) as instance:
        runs = instance.get_runs()
        on_page = instance.get_runs(RunsFilter(tags={".dagster/repository": f"__repository__@{CODE_LOCATION}"}))
    assert {run.job_name for run in runs} == {"ingest", "refresh"}
    for run in runs:
        assert run.remote_job_origin is not None
        assert (run.remote_job_origin.location_name, run.remote_job_origin.job_name) == (CODE_LOCATION, run.job_name)
        target = run.remote_job_origin.repository_origin.code_location_origin.loadable_target_origin
        assert isinstance(target, LoadableTargetOrigin)
        assert target.module_name == CODE_LOCATION
        # Whoever ran the command has seen it fail: the daemon does not try again behind their back.
        assert run.tags["dagster/max_retries"] == "0"
    assert {run.run_id for run in on_page} == {run.run_id for run in runs}


@pytest.mark.parametrize(
    ("reason", "message", "is_told"),
    [
        ("landing: files changed", "a step failed", True),
        (ON_COMMAND, "a step failed", False),  # the command itself has told of it
        (ON_COMMAND, DIED, True),
    ],
)
def test_a_failure_is_told_once(tmp_path: Path, shop_run: Settings, reason: str, message: str, is_told: bool) -> None:
    told = tmp_path / "told"
    settings = shop_run.model_copy(update={"alerts": AlertSettings(command=("tee", str(told)))})
    (sensor,) = (sensor for sensor in sensors(settings, ALONE) if sensor.name == "alert_on_failure")
    with DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(refresh, tags={REASON_TAG: reason})
        event = instance.report_run_failed(run, message)
        failed = instance.get_run_by_id(run.run_id)
        assert failed is not None
        assert failed.status is DagsterRunStatus.FAILURE
        context = dg.build_run_status_sensor_context(sensor.name, event, instance, failed)
        sensor(context.for_run_failure())
    assert told.exists() is is_told
