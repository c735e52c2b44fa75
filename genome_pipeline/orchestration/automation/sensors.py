"""Sensors: one watches the source, others report failures and warnings.

Dagster reads annotations at run time, so this module does not postpone them.
"""

import json
from hashlib import sha256

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

from genome_pipeline.errors import ConfigError, TransientError
from genome_pipeline.orchestration.alerts import digest, send_alert
from genome_pipeline.orchestration.assets.stage import ON_COMMAND, REASON_TAG
from genome_pipeline.orchestration.automation.jobs import INGEST_JOB, REFRESH_JOB, is_of, jobs
from genome_pipeline.orchestration.checks.declared import gate
from genome_pipeline.orchestration.failures import first_cause, sendable
from genome_pipeline.orchestration.internals import RUN_KEY_TAG
from genome_pipeline.orchestration.place import Place
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.orchestration.runs.at_work import AT_WORK, DIED, release_dead_runs
from genome_pipeline.orchestration.runs.staleness import Span, find_stale
from genome_pipeline.published.delivery import send_changes
from genome_pipeline.published.summary import summarise
from genome_pipeline.quality.gate import obstacles_in_words
from genome_pipeline.settings import Settings
from genome_pipeline.sources.source import mark_of
from genome_pipeline.warehouse import faults
from genome_pipeline.warehouse.ingestion import files_due

_UP_TO_DATE = "everything is up to date"
_UNFINISHED = [DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED, *AT_WORK]


def sensors(settings: Settings, place: Place) -> list[dg.SensorDefinition]:
    """The sensors that watch the source and report failures and warnings."""
    return [
        _landing_sensor(settings, place),
        _failure_sensor(settings, place),
        *([_warnings_sensor(settings, place)] if settings.alerts.warnings else []),
        *([_audiences_sensor(settings, place)] if settings.audiences.webhooks else []),
    ]


def _landing_sensor(settings: Settings, place: Place) -> dg.SensorDefinition:
    of_place = jobs(place)
    ingest_job = place.name(INGEST_JOB)

    @dg.sensor(
        name=place.name("landing"),
        jobs=[of_place[INGEST_JOB], of_place[REFRESH_JOB]],
        minimum_interval_seconds=60,
        description="Take in source files that are new or changed, then make the periods they touch and the snapshots"
        " after them, as one run. One thing at a time; what failed is asked for again when the source has changed.",
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        release_dead_runs(context.instance, place)
        if any(is_of(place, run) for run in context.instance.get_runs(RunsFilter(statuses=_UNFINISHED))):
            return dg.SkipReason("a run is at work")
        known = json.loads(context.cursor or "{}")
        try:
            mark = mark_of(settings.source, settings.contacts)
            if mark is not None and mark != known.get("seen"):
                # The source may still be growing: it is read once it has been the same at two looks.
                context.update_cursor(json.dumps({**known, "seen": mark}))
                return dg.SkipReason("the source is changing")
            if mark is not None and mark != known.get("asked"):
                request = dg.RunRequest(job_name=ingest_job, run_key=mark, tags={REASON_TAG: "landing: files changed"})
                return dg.SensorResult([request], cursor=json.dumps({"seen": mark, "asked": mark}))
            if mark is not None and str(settings.today()) != known.get("looked_at"):
                # Once a day, as orders dated in the future may come due one by one.
                known["looked_at"] = str(settings.today())
                if _has_files_due(settings):
                    request = dg.RunRequest(job_name=ingest_job, tags={REASON_TAG: "landing: future orders have come"})
                    return dg.SensorResult([request], cursor=json.dumps(known))
            request_or_reason = _stale_request(settings, place, context.instance)
        except Exception as error:
            fault = faults.error_in_words(error, settings.home)
            if fault is None:
                raise
            if isinstance(error, TransientError):
                known["told"] = fault  # it may pass by itself
            request_or_reason = fault
        if isinstance(request_or_reason, dg.RunRequest):
            return dg.SensorResult([request_or_reason], cursor=json.dumps(known))
        return _skipped(request_or_reason, known, place)

    return landing


def _skipped(reason: str, known: dict[str, str], place: Place) -> dg.SensorResult:
    """Skip; what keeps a publication waiting is an event of the published file, once, as ticks are soon forgotten."""
    is_news = reason not in (_UP_TO_DATE, known.get("told"))
    held_up = dg.AssetObservation(place.key("published_genome"), metadata={"waits_because": reason})
    return dg.SensorResult(
        skip_reason=reason, asset_events=[held_up] if is_news else [], cursor=json.dumps({**known, "told": reason})
    )


def _has_files_due(settings: Settings) -> bool:
    with Pipeline.of(settings, wait_seconds=0).warehouse.open() as database:
        return bool(files_due(database, settings))


def _stale_request(settings: Settings, place: Place, instance: dg.DagsterInstance) -> dg.RunRequest | str:
    """A run of everything stale, or why there is none.

    The same state is requested only once, as a failed check would fail again.
    """
    pipeline = Pipeline.of(settings, wait_seconds=0)
    planned = (stale := find_stale(pipeline, Span(with_running=True))).one_run()
    with pipeline.warehouse.open() as database:
        obstacles = gate().obstacles(database.con, settings.time)
    waiting = f"nothing is published until this is put right: {obstacles_in_words(obstacles)}"
    if planned is None:
        return waiting if obstacles else _UP_TO_DATE
    has_ended = settings.time.as_of(planned.last) <= settings.today()
    state = [stale.changed_at, planned.first, planned.last, has_ended, settings.results_hash]
    run_key = sha256(json.dumps(state, default=str).encode()).hexdigest()
    if obstacles and instance.get_runs_count(RunsFilter(tags={RUN_KEY_TAG: run_key})):
        return waiting
    # The source is read again if its own checks have not passed.
    source = ["raw_transactions"] if any(found.table_name == "raw_transactions" for found in obstacles) else []
    return dg.RunRequest(
        job_name=place.name(REFRESH_JOB),
        run_key=run_key,
        tags={**planned.range_tags, REASON_TAG: "landing: periods are stale"},
        asset_selection=[*map(place.key, [*source, *planned.asset_names])],
    )


def _failure_sensor(settings: Settings, place: Place) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name=place.name("alert_on_failure"),
        description="Tell of a failed run by command, webhook or mail, as [alerts] and the environment say.",
    )
    def alert_on_failure(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        if not is_of(place, run) or (_has_told(run) and context.failure_event.message != DIED):
            return
        events = [entry.dagster_event for entry in context.instance.all_logs(run.run_id) if entry.dagster_event]
        text = sendable(first_cause(events))
        send_alert(settings.alerts, f"Customer Genome: {run.job_name} failed ({run.run_id[:8]})", text)

    return alert_on_failure


def _warnings_sensor(settings: Settings, place: Place) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=DagsterRunStatus.SUCCESS,
        name=place.name("alert_on_warnings"),
        description="Tell of a run that has published with warnings, or by force, in one message.",
    )
    def alert_on_warnings(context: dg.RunStatusSensorContext) -> None:
        if not _has_published_by_itself(context, place):
            return
        facts = summarise(settings)
        found = digest(facts["failed_checks"], facts["forced_past"])
        if found:
            send_alert(settings.alerts, f"Customer Genome: published as of {facts['as_of']} with warnings", found)

    return alert_on_warnings


def _audiences_sensor(settings: Settings, place: Place) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=DagsterRunStatus.SUCCESS,
        name=place.name("send_audiences"),
        description="Tell the webhooks of [audiences], after a publication, who came into an audience and who left it.",
    )
    def send_audiences(context: dg.RunStatusSensorContext) -> None:
        if not _has_published_by_itself(context, place):
            return
        try:
            send_changes(settings)
        except ConfigError as error:
            send_alert(settings.alerts, "Customer Genome: audiences were not sent", str(error))
            raise

    return send_audiences


def _has_published_by_itself(context: dg.RunStatusSensorContext, place: Place) -> bool:
    """Whether the run is of this place, has published, and was started by no command, which tells of it itself."""
    run = context.dagster_run
    if not is_of(place, run) or _has_told(run):
        return False
    published = place.key("published_genome")
    made = context.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    return any(entry.dagster_event and entry.dagster_event.asset_key == published for entry in made)


def _has_told(run: dg.DagsterRun) -> bool:
    """Whether the run is of a command, which tells of its failure and warnings itself unless its process dies."""
    return run.tags.get(REASON_TAG) == ON_COMMAND
