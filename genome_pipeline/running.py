"""``genome run``: which periods have to be made, and making them through Dagster."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from threading import Thread
from zoneinfo import ZoneInfo

import dagster as dg
from dagster import DagsterEvent, DagsterEventType, DagsterInstance
from dagster._core.utils import make_new_run_id
from ibis.backends.duckdb import Backend

from genome_pipeline.assets import LINE_STAGES, SNAPSHOT_STAGES
from genome_pipeline.assets.stage import Stage
from genome_pipeline.assets.validation import validation
from genome_pipeline.automation import INGEST_JOB, PUBLISH_JOB, REFRESH_JOB
from genome_pipeline.calendar import Calendar
from genome_pipeline.definitions import build_definitions
from genome_pipeline.instance import PID_TAG, open_event_logs, prepare_home, release_dead_runs
from genome_pipeline.quality.validation import load_great_expectations
from genome_pipeline.resources import Pipeline
from genome_pipeline.settings import ConfigError, Settings
from genome_pipeline.warehouse.ingestion import typed_raw
from genome_pipeline.warehouse.publishing import is_current

_LOGGER = "progress"
_RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")

Progress = Callable[[str, str], None]
"""Told of each step and its state: ``started``, ``done``, ``failed`` or ``skipped``."""


class RunFailed(Exception):
    """A run stopped: a check failed, or something unexpected happened. Nothing was published."""


@dataclass(frozen=True)
class Span:
    """Snapshots asked for: both ends are ``as_of`` dates, ``None`` where open.

    With a first one, they are made even where they are up to date.
    """

    first: date | None = None
    last: date | None = None


@dataclass(frozen=True)
class Outcome:
    """What a run did: the snapshots made, oldest first (none when all was up to date), and its id."""

    as_of: tuple[date, ...]
    run_id: str | None


def run(settings: Settings, span: Span, progress: Progress) -> Outcome:
    """Take in what is new in the source, make the snapshots that are missing, stale or asked for, and publish.

    Raises :class:`ConfigError` for a mistake of the user's and :class:`RunFailed` when a check failed; in both
    cases what was published before stays.
    """
    _check_boundaries(settings, span)
    pipeline = Pipeline.of(settings)
    definitions = dg.Definitions.merge(
        build_definitions(settings), dg.Definitions(loggers={_LOGGER: _progress_logger(progress)})
    )
    prepare_home(settings)
    # The first check needs it seconds from now, and the stages before it leave a core idle.
    Thread(target=load_great_expectations, daemon=True).start()
    with DagsterInstance.get() as instance:
        release_dead_runs(instance)
        _execute(definitions, INGEST_JOB, instance, {})
        stale = _periods_to_make(pipeline, span)
        lines, periods = stale.lines, stale.snapshots
        if stale.undated and not lines:
            _execute(definitions, REFRESH_JOB, instance, _range([stale.undated]), _names([validation]))
        if lines != periods:
            # Late or changed rows: their own periods are judged and summed up again, and no others.
            for stretch in _stretches(settings.time, lines):
                _execute(definitions, REFRESH_JOB, instance, _range(stretch), _names(LINE_STAGES))
        if periods:
            stages = (LINE_STAGES if lines == periods else ()) + SNAPSHOT_STAGES
            run_id = _execute(definitions, REFRESH_JOB, instance, _range(periods), _names(stages))
        elif lines or stale.undated or not is_current(settings.published_path):
            run_id = _execute(definitions, PUBLISH_JOB, instance, {})
        else:
            return Outcome((), None)
    return Outcome(tuple(map(settings.time.as_of, periods)), run_id)


def _range(periods: Sequence[date]) -> dict[str, str]:
    return dict(zip(_RANGE_TAGS, (str(periods[0]), str(periods[-1])), strict=True))


def _names(stages: Iterable[Stage]) -> list[str]:
    return [name for stage in stages for name in stage.asset_names]


def _stretches(calendar: Calendar, periods: Sequence[date]) -> list[list[date]]:
    """The periods, in order, cut where one is not the next of the other."""
    stretches: list[list[date]] = []
    for period in periods:
        if stretches and calendar.as_of(stretches[-1][-1]) == period:
            stretches[-1].append(period)
        else:
            stretches.append([period])
    return stretches


def _check_boundaries(settings: Settings, span: Span) -> None:
    for day in (span.first, span.last):
        if day is not None:
            try:
                settings.time.period_start(day)
            except ValueError as error:
                raise ConfigError(f"snapshot {error}") from None
    if span.first and span.last and span.first > span.last:
        raise ConfigError(f"--from {span.first} is after --to {span.last}: swap them")


@dataclass(frozen=True)
class _Stale:
    """Starts of the periods whose lines have to be judged again, and of those whose snapshots have to be made.

    The latter are one contiguous range, as each snapshot builds on those before it. ``undated`` is a period with which
    to judge the rows without a date again, where they have changed.
    """

    lines: list[date]
    snapshots: list[date]
    undated: date | None


def _periods_to_make(pipeline: Pipeline, span: Span) -> _Stale:
    settings, calendar = pipeline.settings, pipeline.settings.time
    with pipeline.warehouse.open() as database:
        lines = typed_raw(database, settings)
        first_day, last_day = (
            lines.filter(lines.period_start_date.notnull())
            .aggregate(first=lines.ordered_at.min(), last=lines.ordered_at.max())
            .to_pyarrow()
            .to_pylist()[0]
            .values()
        )
        if first_day is None:
            raise ConfigError(
                f"no row of {settings.source.path} is dated within the calendar, which starts {calendar.start}:"
                " set calendar.start to the first day of the log's first period"
            )
        # A period whose rows were all removed has to be emptied.
        earliest, latest = database.con.execute(
            "SELECT min(slice_key::DATE), max(slice_key::DATE) FROM written_slices"
            " WHERE table_name = 'customer_activity'"
        ).fetchall()[0]
        first, last = min(first_day.date(), earliest or date.max), max(last_day.date(), latest or date.min)
        today = datetime.now(ZoneInfo(settings.source.time_zone)).date()
        known = [start for start in calendar.periods(first, last) if calendar.as_of(start) <= today]
        if not known:
            raise ConfigError(
                f"the first {calendar.period} of the log, from {first_day.date()}, has not ended yet: run again after"
                f" {calendar.as_of(calendar.period.start_of(first_day.date()))}"
            )
        for day in (span.first, span.last):
            if day is not None and calendar.period_start(day) not in known:
                raise ConfigError(
                    f"snapshot {day} is outside the data, which run from {first_day.date()} to {last_day.date()}:"
                    f" choose one from {calendar.as_of(known[0])} to {calendar.as_of(known[-1])}"
                )
        if span.last is not None:
            known = [start for start in known if calendar.as_of(start) <= span.last]
        stale = _stale(pipeline, database, known)
    if span.first is None:
        return stale
    again = [start for start in known if start >= calendar.period_start(span.first)]
    return _Stale(sorted({*stale.lines, *again}), max(stale.snapshots, again, key=len), stale.undated)


def _stale(pipeline: Pipeline, database: Backend, periods: Sequence[date]) -> _Stale:
    """What is stale among the periods.

    Lines are stale that were never judged, or under other settings, or before their source rows changed. A snapshot is
    stale that was never made, or under other settings, or before the lines of its own period or an earlier one.
    """
    lines, snapshots = (
        dict(
            database.con.execute(
                "SELECT slice_key, written_at FROM written_slices WHERE table_name = ? AND settings_hash = ?",
                [table, pipeline.settings.results_hash],
            ).fetchall()
        )
        for table in ("customer_activity", "segment_profiles")  # the last that is made of each
    )
    changed = dict(database.con.execute("SELECT period_start_date, changed_at FROM changed_periods").fetchall())
    stale_lines = [
        start for start in periods if str(start) not in lines or changed.get(start, datetime.min) > lines[str(start)]
    ]
    undated = database.con.execute(
        "SELECT max(written_at) FROM written_slices WHERE table_name = 'quarantined_transactions'"
        " AND slice_key = 'undated'"
    ).fetchall()[0][0]
    has_undated = None in changed and (undated is None or changed[None] > undated)
    stale = _Stale(stale_lines, [], periods[-1] if has_undated and periods else None)
    made_at = datetime.min
    for number, start in enumerate(periods):
        as_of = str(pipeline.settings.time.as_of(start))
        made_at = max(made_at, lines.get(str(start), made_at))
        if start in stale_lines or as_of not in snapshots or snapshots[as_of] < made_at:
            return replace(stale, snapshots=list(periods[number:]))
    return stale


def _execute(
    definitions: dg.Definitions,
    job: str,
    instance: DagsterInstance,
    tags: dict[str, str],
    assets: Sequence[str] | None = None,
) -> str:
    run_id = make_new_run_id()
    with open_event_logs(instance, run_id):
        result = definitions.resolve_job_def(job).execute_in_process(
            instance=instance,
            run_id=run_id,
            run_config={"loggers": {_LOGGER: {}}},
            tags={**tags, PID_TAG: str(os.getpid())},
            raise_on_error=False,
            asset_selection=None if assets is None else [dg.AssetKey(name) for name in assets],
        )
    if result.success:
        return result.run_id
    raise _failure(result.all_events)


def _failure(events: Iterable[DagsterEvent]) -> Exception:
    """The first cause of a failed run, as the exception to raise."""
    failed_checks = []
    for event in events:
        if event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR:
                failed_checks.append(
                    f"check {evaluation.check_name} of {evaluation.asset_key.to_user_string()} failed:"
                    f" {evaluation.description}"
                )
        elif event.event_type is DagsterEventType.STEP_FAILURE and not failed_checks:
            data = event.step_failure_data
            if data.user_failure_data is not None and data.user_failure_data.description:
                return ConfigError(data.user_failure_data.description)
            error = data.error
            cause = error.cause if error and error.cause else error
            return RunFailed(
                f"step {event.step_key} stopped unexpectedly: {cause.message.strip() if cause else 'no reason given'}"
            )
    return RunFailed("; ".join(failed_checks) or "the run stopped; `make ui` shows its log")


def _progress_logger(progress: Progress) -> dg.LoggerDefinition:
    """A Dagster logger that hands the start and end of each step to ``progress`` and writes nothing."""
    states = {
        DagsterEventType.STEP_START: "started",
        DagsterEventType.STEP_SUCCESS: "done",
        DagsterEventType.STEP_FAILURE: "failed",
        DagsterEventType.STEP_SKIPPED: "skipped",
    }

    class _Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            event = getattr(record, "dagster_event", None) or getattr(record, "dagster_meta", {}).get("dagster_event")
            if event is not None and event.event_type in states and event.step_key:
                progress(event.step_key, states[event.event_type])

    def progress_logger(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger(_LOGGER)
        logger.addHandler(_Handler())
        return logger

    return dg.LoggerDefinition(progress_logger, description="Progress of a run on the command line.")
