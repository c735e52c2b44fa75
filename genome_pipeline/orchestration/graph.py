"""The assets with their checks, the jobs over them, and the resource that they share."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from threading import Thread

import dagster as dg

# Imported before any thread imports it with Great Expectations: concurrent first imports may see half a module.
import sqlalchemy.orm  # noqa: F401

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.orchestration.assets.flow import PUBLISHING_STAGES, STAGES
from genome_pipeline.orchestration.automation.jobs import jobs
from genome_pipeline.orchestration.checks.declared import build_checks
from genome_pipeline.orchestration.internals import open_event_logs
from genome_pipeline.orchestration.partitions import period_partitions
from genome_pipeline.orchestration.place import Place
from genome_pipeline.orchestration.published_tables import PUBLISHED_TABLES, PublishedTables
from genome_pipeline.orchestration.resources import PIPELINE, Pipeline
from genome_pipeline.orchestration.runs.at_work import alone_at_work, holding_run_lock
from genome_pipeline.privacy import keep_to_owner
from genome_pipeline.quality.suites import load_great_expectations
from genome_pipeline.settings import Settings

_NOON = {Period.MONTH: "0 12 1 * *", Period.WEEK: "0 12 * * 1", Period.DAY: "0 12 * * *"}


def build_graph(settings: Settings, place: Place) -> dg.Definitions:
    """Assets, checks and jobs of the pipeline that ``settings`` describe; nothing that starts by itself."""
    partitions = period_partitions(settings.time)
    return dg.Definitions(
        assets=_with_freshness(
            [stage.build(partitions, place, settings.results_hash) for stage in STAGES], settings.time
        ),
        asset_checks=build_checks(partitions, place),
        jobs=[*jobs(place).values()],
        resources={
            place.name(PIPELINE): _pipeline(settings),
            place.name(PUBLISHED_TABLES): PublishedTables.of(settings),
        },
        # A run has its own process already; another process per step would cost seconds and gain nothing.
        executor=None if place.is_shared else dg.in_process_executor,
    )


def _pipeline(settings: Settings) -> dg.ResourceDefinition:
    @contextmanager
    def hand_out(context: dg.InitResourceContext) -> Iterator[Pipeline]:
        assert context.instance is not None
        assert context.run is not None
        assert context.log is not None
        run_id = context.run.run_id
        keep_to_owner()
        # The first check needs it seconds from now; until then a core is idle.
        Thread(target=load_great_expectations, daemon=True).start()
        with (
            open_event_logs(context.instance, run_id),
            holding_run_lock(context.instance, run_id),
            events_of_warnings(context.log),
            alone_at_work(settings, f"run {run_id[:8]} of Dagster's", context.log, "terminating this run"),
        ):
            yield Pipeline.of(settings)

    return dg.ResourceDefinition(hand_out, description="The settings, the warehouse and the stored models.")


@contextmanager
def events_of_warnings(log: dg.DagsterLogManager) -> Iterator[None]:
    """Repeat warnings of the pipeline, such as that it waits for the warehouse, among the events of the run."""

    class _Repeating(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            log.log(record.levelno, record.getMessage())

    repeating = _Repeating(logging.WARNING)
    pipeline = logging.getLogger("genome_pipeline")
    pipeline.addHandler(repeating)
    try:
        yield
    finally:
        pipeline.removeHandler(repeating)


def _with_freshness(assets: Iterable[dg.AssetsDefinition], calendar: Calendar) -> Sequence[dg.AssetsDefinition]:
    """The assets; published ones get a freshness policy, which expects them by noon after a period has ended.

    If the calendar has an end, the log will not grow, and nothing is expected.
    """
    published = {name for stage in PUBLISHING_STAGES for name in stage.asset_names}
    fresh = dg.FreshnessPolicy.cron(deadline_cron=_NOON[calendar.period], lower_bound_delta=timedelta(hours=12))

    def with_policy(spec: dg.AssetSpec) -> dg.AssetSpec:
        is_awaited = spec.key.path[-1] in published and calendar.end is None
        return spec.replace_attributes(freshness_policy=fresh) if is_awaited else spec

    return dg.map_asset_specs(with_policy, assets)
