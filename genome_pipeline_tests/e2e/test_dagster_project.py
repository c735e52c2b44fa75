"""Two shops in another Dagster project, and assets of that project on their tables: docs/dagster.md, as it stands."""

import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pytest
from dagster import DagsterInstance

from genome_pipeline.components import CustomerGenomeComponent
from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.assets.flow import STAGES
from genome_pipeline.orchestration.automation.jobs import is_of
from genome_pipeline.orchestration.place import ALONE, Place
from genome_pipeline.orchestration.published_tables import PublishedTables
from genome_pipeline.settings import Settings
from genome_pipeline_tests.support.dagster_project import commands_of_page, write_project
from genome_pipeline_tests.support.dagster_server import BIN, environment
from genome_pipeline_tests.support.pipelines import write_shop_log

ASSETS = {name for stage in STAGES for name in stage.asset_names}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, shop_run: Settings) -> Iterator[dg.Definitions]:
    """The page's project. Both shops have published; the south lacks its last month, and customers before c0100."""
    root = tmp_path_factory.mktemp("project")
    write_project(root, {shop: Path(shop_run.source.path) for shop in ("north", "south")})
    for shop in ("north", "south"):
        folder = root / "homes" / shop / "published"
        folder.mkdir(parents=True)
        shutil.copy(shop_run.published_path, folder)
    with duckdb.connect(str(folder / "genome.duckdb")) as south:
        south.execute("DELETE FROM customer_genome_history WHERE customer_id < 'c0100' OR as_of = '2020-08-01'")
    sys.path.insert(0, str(root / "src"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        definitions = dg.load_from_defs_folder(path_within_project=root)
    yield definitions
    sys.path.remove(str(root / "src"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "crm"]:
        del sys.modules[name]


def materialised(
    project: dg.Definitions, asset: dg.AssetKey, instance: DagsterInstance, month: str | None = None
) -> dg.ExecuteInProcessResult:
    job = project.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, asset_selection=[asset], partition_key=month, raise_on_error=False)


def reason(result: dg.ExecuteInProcessResult) -> str:
    (failure,) = (event.step_failure_data for event in result.all_events if event.is_step_failure)
    assert failure.user_failure_data is not None, failure.error
    return str(failure.user_failure_data.description)


BEST = dg.AssetKey("best_customers")


def test_two_shops_stand_side_by_side_in_one_project(project: dg.Definitions) -> None:
    specs = {spec.key: spec for spec in project.resolve_all_asset_specs()}
    for shop in ("north", "south"):
        own = {key.path[-1]: spec for key, spec in specs.items() if key.path[0] == shop}
        assert set(own) == ASSETS
        assert {spec.owners[0] for spec in own.values()} == {f"team:{shop}"}
        assert {str(spec.group_name).partition("_")[0] for spec in own.values()} == {shop}
    graph = project.resolve_asset_graph()
    assert graph.get(BEST).parent_keys == {
        dg.AssetKey(["north", "customer_genome"]),
        dg.AssetKey(["south", "customer_genome"]),
    }
    pools = {shop: project.get_assets_def([shop, "customer_genome"]).op.pool for shop in ("north", "south")}
    assert pools == {"north": "north__genome_warehouse", "south": "south__genome_warehouse"}
    repository = project.get_repository_def()
    assert {"north__refresh", "south__refresh"} <= set(repository.job_names)
    assert {"north__landing", "south__alert_on_failure"} <= {sensor.name for sensor in repository.sensor_defs}
    # Runs of others are not a shop's to remove, and a project has one executor.
    assert not any("housekeeping" in name for name in repository.job_names)
    assert project.executor is None


def test_an_asset_of_another_project_takes_the_snapshot_of_its_month_from_both_shops(project: dg.Definitions) -> None:
    with DagsterInstance.ephemeral() as instance:
        result = materialised(project, BEST, instance, "2020-02-01")
        assert result.success
        best: pd.DataFrame = result.output_for_node("best_customers")
    assert set(best["as_of"]) == {pd.Timestamp("2020-03-01")}
    assert set(best["shop"]) == {"north", "south"}
    assert best.loc[best["shop"] == "south", "customer_id"].min() >= "c0100"


def test_an_asset_without_months_takes_all_that_are_published(project: dg.Definitions) -> None:
    with DagsterInstance.ephemeral() as instance:
        result = materialised(project, dg.AssetKey(["crm", "snapshot_sizes"]), instance)
        sizes: dict[str, int] = result.output_for_node("crm__snapshot_sizes")
        assert list(sizes) == [f"2020-0{month}-01" for month in range(2, 9)]
        result = materialised(project, dg.AssetKey(["crm", "segment_count"]), instance)
        assert result.output_for_node("crm__segment_count") > 1


def test_a_month_that_is_not_published_is_refused(project: dg.Definitions) -> None:
    with DagsterInstance.ephemeral() as instance:
        said = reason(materialised(project, BEST, instance, "2020-07-01"))
    assert "has no customer_genome of 2020-08-01: make and publish that month first" in said
    assert said.endswith("it has 2020-02-01 to 2020-07-01")


def test_a_month_that_was_made_again_and_not_published_is_refused(project: dg.Definitions) -> None:
    with DagsterInstance.ephemeral() as instance:
        again = dg.AssetMaterialization(["north", "customer_genome"], partition="2020-02-01")
        instance.report_runless_asset_event(again)
        assert materialised(project, BEST, instance, "2020-01-01").success
        said = reason(materialised(project, BEST, instance, "2020-02-01"))
    assert said.startswith("north/customer_genome was made again after it was published: publish it first")


@pytest.mark.parametrize(
    ("table", "kind", "sentence"),
    [
        (
            "customer_genome",
            dict,
            "customer_genome cannot be read as dict: annotate it as pd.DataFrame or pa.Table",
        ),
        ("raw_transactions", pd.DataFrame, "raw_transactions is no published table: take one of docs/data_diction"),
    ],
)
def test_what_cannot_be_read_is_refused(shop_run: Settings, table: str, kind: type, sentence: str) -> None:
    tables = PublishedTables.of(shop_run)
    context = dg.build_input_context(asset_key=dg.AssetKey(table), dagster_type=dg.PythonObjectDagsterType(kind))
    with pytest.raises(dg.Failure) as raised:
        tables.load_input(context)
    assert raised.value.description is not None
    assert re.search(sentence, raised.value.description)
    with pytest.raises(dg.Failure) as raised, dg.build_output_context(asset_key=dg.AssetKey("mine")) as output:
        tables.handle_output(output, 1)
    assert "which is for reading" in str(raised.value.description)


def test_a_home_for_all_shops_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = CustomerGenomeComponent.from_attributes_dict(attributes={"config": "north.toml"})
    monkeypatch.setenv("GENOME_HOME", "everyones")
    with pytest.raises(ConfigError, match="GENOME_HOME is set for every shop of this project: take it out"):
        shop.build_defs(dg.ComponentTree.for_test().load_context)


def test_a_shop_knows_its_own_runs_among_those_of_a_project() -> None:
    north, south = Place(("north",), is_shared=True), Place(("south",), is_shared=True)
    job = dg.DagsterRun("north__refresh")
    assets = dg.DagsterRun("__ASSET_JOB", asset_selection=frozenset({north.key("customer_genome"), BEST}))
    other = dg.DagsterRun("refresh", asset_selection=frozenset({BEST}))
    assert [(is_of(north, run), is_of(south, run), is_of(ALONE, run)) for run in (job, assets, other)] == [
        (True, False, True),
        (True, False, True),
        (False, False, True),
    ]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_command_of_the_page_does_what_it_says(tmp_path: Path) -> None:
    root, home = tmp_path / "project", tmp_path / "dagster"
    for seed, shop in enumerate(("north", "south")):
        write_shop_log(tmp_path / f"{shop}.csv", customers=40, seed=seed)
    write_project(root, {shop: tmp_path / f"{shop}.csv" for shop in ("north", "south")})
    home.mkdir()
    (root / "dagster.yaml").rename(home / "dagster.yaml")
    variables = environment(DAGSTER_HOME=str(home), PYTHONPATH=str(root / "src"))
    for command in commands_of_page():
        done = subprocess.run(
            [BIN / command[0], *command[1:]], cwd=root, env=variables, capture_output=True, text=True, check=False
        )
        output = "\n".join(
            line for line in (done.stdout + done.stderr).splitlines() if "SupersessionWarning" not in line
        )
        assert done.returncode == 0, (command, output)
        # Dagster warns of beta parameters that it passes itself, where a run has some of a job's checks.
        ours = [line for line in output.splitlines() if "dagster/_core" not in line]
        assert not re.search(r"\w+Warning: ", "\n".join(ours)), (command, output)
        if command[1:3] == ["list", "components"]:
            assert "genome_pipeline.components.CustomerGenomeComponent" in output
    for shop in ("north", "south"):
        assert (tmp_path / "project" / "homes" / shop / "published" / "genome.duckdb").exists()
        assert not (root / "homes" / shop / "dagster").exists()  # its runs are those of the project's instance
    with DagsterInstance.from_config(str(home)) as instance:
        made = {key.to_user_string() for key in instance.all_asset_keys()}
    assert {"north/customer_genome", "south/published_genome", "best_customers", "mine"} <= made
