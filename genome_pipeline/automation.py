"""Jobs, schedules and sensors: what a person launches, and what runs by itself once it is switched on.

Dagster reads annotations at run time, so this module does not postpone them.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter
from dagster._core.storage.tags import RUN_KEY_TAG

from genome_pipeline.alerts import digest, send_alert
from genome_pipeline.assets import LINE_STAGES, SNAPSHOT_STAGES
from genome_pipeline.assets.stage import REASON_TAG, WAREHOUSE_POOL
from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.checks import gate
from genome_pipeline.errors import ConfigError
from genome_pipeline.failures import first_cause, sendable
from genome_pipeline.instance import AT_WORK, prune_runs, release_dead_runs
from genome_pipeline.quality.gate import in_words
from genome_pipeline.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.sources.files import landing_mark
from genome_pipeline.staleness import Span, find_stale
from genome_pipeline.summary import summarise
from genome_pipeline.warehouse.faults import machine_fault

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

_CRON = {Period.MONTH: "0 5 1 * *", Period.WEEK: "0 5 * * 1", Period.DAY: "0 5 * * *"}
_NOON = {Period.MONTH: "0 12 1 * *", Period.WEEK: "0 12 * * 1", Period.DAY: "0 12 * * *"}
_EACH_DAY = "30 5 * * *"
_AT_NIGHT = "0 3 * * *"

IN_ONE_PROCESS = dg.in_process_executor
"""A run is a process of its own already; starting one more for each step costs seconds and gains nothing."""

INGEST_JOB = "ingest"
REFRESH_JOB = "refresh"
BACKFILL_JOB = "backfill"
RETRAIN_JOB = "retrain"
PUBLISH_JOB = "publish"
REBUILD_JOB = "rebuild"
HOUSEKEEPING_JOB = "housekeeping"

_PUBLISHED = dg.AssetKey("published_genome")
_MODELS = ("segment_model", "value_model", "risk_model", "similarity_index")
_UNFINISHED = [DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED, *AT_WORK]


_INGEST = dg.define_asset_job(
    INGEST_JOB,
    selection=dg.AssetSelection.assets("raw_transactions"),
    description="Read the source files that are new or changed.",
)
_REFRESH = dg.define_asset_job(
    REFRESH_JOB,
    selection=dg.AssetSelection.all(),
    description="Read what changed in the source, make the chosen period (or range of periods) and publish.",
)


def jobs(settings: Settings) -> "list[UnresolvedAssetJobDefinition | dg.JobDefinition]":
    """The jobs of the code location; those with periods take one, or a range of them as one run."""
    partitioned = [
        name for stage in LINE_STAGES + SNAPSHOT_STAGES if stage.is_partitioned for name in stage.asset_names
    ]
    return [
        _INGEST,
        _REFRESH,
        dg.define_asset_job(
            BACKFILL_JOB,
            selection=dg.AssetSelection.assets(*partitioned),
            description="Make a range of periods again from the rows already taken in, as one run; publishes nothing.",
        ),
        dg.define_asset_job(
            RETRAIN_JOB,
            selection=dg.AssetSelection.assets(*_MODELS).downstream().required_multi_asset_neighbors(),
            description="Fit the models of the chosen snapshots again, make all that follows from them and publish.",
        ),
        dg.define_asset_job(
            PUBLISH_JOB,
            selection=dg.AssetSelection.assets("published_genome", "genome_report"),
            description="Publish what the warehouse holds, again.",
        ),
        _rebuild_job(settings),
        _housekeeping_job(settings),
    ]


def expected(assets: Iterable[dg.AssetsDefinition], calendar: Calendar) -> Sequence[dg.AssetsDefinition]:
    """The assets, those that are published with the moment by which they are expected: noon after a period has ended.

    A log that will not grow is not waited for.
    """
    fresh = dg.FreshnessPolicy.cron(deadline_cron=_NOON[calendar.period], lower_bound_delta=timedelta(hours=12))

    def expect(spec: dg.AssetSpec) -> dg.AssetSpec:
        is_awaited = spec.group_name == "publishing" and calendar.end is None
        return spec.replace_attributes(freshness_policy=fresh) if is_awaited else spec

    return dg.map_asset_specs(expect, assets)


def schedules(calendar: Calendar) -> list[dg.ScheduleDefinition]:
    """The period that has ended, once; the one that is running, each day. Early in the morning (UTC)."""
    period = calendar.period

    @dg.schedule(
        name=f"{REFRESH_JOB}_each_{period}",
        cron_schedule=_CRON[period],
        job_name=REFRESH_JOB,
        description=f"Refresh the {period} that has just ended and publish.",
    )
    def refresh_last_period(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.date()
        ended = period.shift(period.start_of(today), -1)
        if ended < calendar.start or (calendar.end is not None and ended >= calendar.end):
            return dg.SkipReason(f"the {period} from {ended} is outside the calendar")
        return dg.RunRequest(partition_key=str(ended), tags={REASON_TAG: f"schedule: the {period} ended"})

    @dg.schedule(
        name=f"{REFRESH_JOB}_running_{period}",
        cron_schedule=_EACH_DAY,
        job_name=REFRESH_JOB,
        description=f"Refresh the {period} that is still running and publish it, marked as provisional.",
    )
    def refresh_running_period(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.date()
        running = period.start_of(today)
        if running == today:
            return dg.SkipReason(f"the {period} has only just begun")
        if running < calendar.start or (calendar.end is not None and running >= calendar.end):
            return dg.SkipReason(f"the {period} from {running} is outside the calendar")
        return dg.RunRequest(partition_key=str(running), tags={REASON_TAG: f"schedule: the {period} is running"})

    housekeeping = dg.ScheduleDefinition(
        name=HOUSEKEEPING_JOB,
        cron_schedule=_AT_NIGHT,
        job_name=HOUSEKEEPING_JOB,
        description="Remove old runs from Dagster's records.",
    )
    running = [] if period is Period.DAY else [refresh_running_period]
    return [refresh_last_period, *running, housekeeping]


def sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """What watches the source, and what tells of failures."""
    return [
        _landing_sensor(settings),
        _failure_sensor(settings),
        *([_warnings_sensor(settings)] if settings.alerts.warnings else []),
    ]


def _landing_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="landing",
        jobs=[_INGEST, _REFRESH],
        minimum_interval_seconds=60,
        description="Take in source files that are new or changed, then make the periods they touch and the snapshots"
        " after them, as one run. One thing at a time; what failed is asked for again when the source has changed.",
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        release_dead_runs(context.instance)
        if context.instance.get_runs_count(RunsFilter(statuses=_UNFINISHED)):
            return dg.SkipReason("a run is at work")
        known = json.loads(context.cursor or "{}")
        try:
            mark = landing_mark(settings.source)
            if mark is not None and mark != known.get("seen"):
                # It may still be growing: it is read once it has been the same for two looks.
                context.update_cursor(json.dumps({**known, "seen": mark}))
                return dg.SkipReason("the source is changing")
            if mark is not None and mark != known.get("asked"):
                request = dg.RunRequest(job_name=INGEST_JOB, run_key=mark, tags={REASON_TAG: "landing: files changed"})
                return dg.SensorResult([request], cursor=json.dumps({"seen": mark, "asked": mark}))
            return _stale_request(settings, context.instance)
        except Exception as error:
            fault = str(error) if isinstance(error, ConfigError) else machine_fault(error, settings.home)
            if fault is None:
                raise
            return dg.SkipReason(fault)

    return landing


def _stale_request(settings: Settings, instance: dg.DagsterInstance) -> dg.SensorResult | dg.SkipReason:
    """Everything stale, as one run. The same state is asked for once: a check that failed fails again."""
    pipeline = Pipeline.of(settings, wait_seconds=0)
    planned = (stale := find_stale(pipeline, Span(with_running=True))).one_run()
    with pipeline.warehouse.open() as database:
        obstacles = gate().obstacles(database.con, settings.time)
    waiting = f"nothing is published until this is put right: {in_words(obstacles)}"
    if planned is None:
        return dg.SkipReason(waiting if obstacles else "everything is up to date")
    has_ended = settings.time.as_of(planned.last) <= settings.today()
    state = [stale.changed_at, planned.first, planned.last, has_ended, settings.results_hash]
    run_key = sha256(json.dumps(state, default=str).encode()).hexdigest()
    if obstacles and instance.get_runs_count(RunsFilter(tags={RUN_KEY_TAG: run_key})):
        return dg.SkipReason(waiting)
    # The source is read again where its own checks have not passed.
    source = ["raw_transactions"] if any(found.table_name == "raw_transactions" for found in obstacles) else []
    return dg.SensorResult(
        [
            dg.RunRequest(
                job_name=REFRESH_JOB,
                run_key=run_key,
                tags={**planned.range_tags, REASON_TAG: "landing: periods are stale"},
                asset_selection=[dg.AssetKey(name) for name in [*source, *planned.asset_names]],
            )
        ]
    )


def _failure_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="alert_on_failure",
        description="Tell of a failed run by command, webhook or mail, as [alerts] and the environment say.",
    )
    def alert_on_failure(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        events = [entry.dagster_event for entry in context.instance.all_logs(run.run_id) if entry.dagster_event]
        text = sendable(first_cause(events))
        send_alert(settings.alerts, f"Customer Genome: {run.job_name} failed ({run.run_id[:8]})", text)

    return alert_on_failure


def _warnings_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=DagsterRunStatus.SUCCESS,
        name="alert_on_warnings",
        description="Tell of a run that has published with warnings, or by force, in one message.",
    )
    def alert_on_warnings(context: dg.RunStatusSensorContext) -> None:
        run_id = context.dagster_run.run_id
        made = context.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        if not any(entry.dagster_event and entry.dagster_event.asset_key == _PUBLISHED for entry in made):
            return
        facts = summarise(settings)
        found = digest(facts["failed_checks"], facts["forced_past"])
        if found:
            send_alert(settings.alerts, f"Customer Genome: published as of {facts['as_of']} with warnings", found)

    return alert_on_warnings


def _rebuild_job(settings: Settings) -> dg.JobDefinition:
    @dg.op(pool=WAREHOUSE_POOL, description="Put the warehouse aside, make all of it from the source, and publish.")
    def rebuild_from_source(context: dg.OpExecutionContext) -> None:
        from genome_pipeline.running import rebuild

        try:
            rebuild(settings, lambda step, state: context.log.info(f"{step}: {state}"), context.run_id)
        except ConfigError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None

    @dg.job(
        name=REBUILD_JOB,
        description="Make the warehouse anew from the source, and publish: after damage, or under another calendar.",
    )
    def rebuild_job() -> None:
        rebuild_from_source()

    return rebuild_job


def _housekeeping_job(settings: Settings) -> dg.JobDefinition:
    @dg.op(description="Remove runs from Dagster's records that are old and made nothing that is still in use.")
    def remove_old_runs(context: dg.OpExecutionContext) -> None:
        removed = prune_runs(context.instance, Pipeline.of(settings))
        context.log.info(f"{removed} runs removed")

    @dg.job(name=HOUSEKEEPING_JOB, description="Remove old runs from Dagster's records.")
    def housekeeping_job() -> None:
        remove_old_runs()

    return housekeeping_job
