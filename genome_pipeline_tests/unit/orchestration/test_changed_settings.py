"""The UI shows what a changed setting made stale, and a snapshot says of which day it is."""

import logging

import dagster as dg
from dagster import AssetKey, AssetRecordsFilter, DagsterInstance
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from genome_pipeline.definitions import build_definitions
from genome_pipeline.orchestration.graph import events_of_warnings
from genome_pipeline.settings import Settings


def with_horizon(settings: Settings, days: int) -> Settings:
    return settings.model_copy(update={"predict": settings.predict.model_copy(update={"horizon_days": days})})


def stale(settings: Settings, name: str, month: str | None) -> tuple[StaleStatus, list[str]]:
    with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        graph = build_definitions(settings).resolve_asset_graph()
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        causes = [cause.reason for cause in resolver.get_stale_causes(AssetKey(name), month)]
        return resolver.get_status(AssetKey(name), month), causes


def test_a_changed_horizon_makes_months_stale_and_another_home_does_not(shop_run: Settings) -> None:
    assert stale(shop_run, "customer_features", "2020-03-01") == (StaleStatus.FRESH, [])
    status, causes = stale(with_horizon(shop_run, 35), "customer_features", "2020-03-01")
    assert status is StaleStatus.STALE
    assert "has a new code version" in causes
    # Nothing of the settings shapes what is read of the source as it is written.
    assert stale(with_horizon(shop_run, 35), "raw_transactions", None)[0] is StaleStatus.FRESH


def test_a_snapshot_says_of_which_day_it_is_and_whether_it_is_provisional(shop_run: Settings) -> None:
    with DagsterInstance.from_config(str(shop_run.dagster_home)) as instance:
        of_march = AssetRecordsFilter(AssetKey("customer_genome"), asset_partitions=["2020-03-01"])
        (record,) = instance.fetch_materializations(of_march, limit=1).records
        published = instance.get_latest_materialization_event(AssetKey("published_genome"))
    assert record.asset_materialization is not None
    facts = {name: value.value for name, value in record.asset_materialization.metadata.items()}
    assert (facts["as_of"], facts["is_provisional"]) == ("2020-04-01", False)
    assert published is not None
    assert published.asset_materialization is not None
    assert published.asset_materialization.metadata["is_provisional"].value is False


@dg.op
def waits(context: dg.OpExecutionContext) -> None:
    with events_of_warnings(context.log):
        logging.getLogger("genome_pipeline.warehouse.database").warning("waiting for %s", "warehouse.duckdb")


def test_a_warning_of_the_warehouse_is_an_event_of_the_run() -> None:
    job = dg.GraphDefinition("waiting", node_defs=[waits]).to_job()
    with DagsterInstance.ephemeral() as instance:
        run_id = job.execute_in_process(instance=instance).run_id
        said = [entry.user_message for entry in instance.all_logs(run_id)]
    assert "waiting for warehouse.duckdb" in said
