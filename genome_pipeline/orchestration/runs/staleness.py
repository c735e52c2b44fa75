"""Staleness: the periods that have to be made, for the first time or again, and the runs that make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from genome_pipeline.calendar import FIRST_DAY, LAST_DAY, Calendar
from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.assets.experiments import experiment_results, rule_proofs
from genome_pipeline.orchestration.assets.flow import LINE_STAGES, PUBLISHING_STAGES, SNAPSHOT_STAGES
from genome_pipeline.orchestration.assets.stage import Stage
from genome_pipeline.orchestration.assets.validation import validation
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.warehouse.ingestion import typed_raw

_STAGES = (LINE_STAGES, SNAPSHOT_STAGES)
_LOOK_STAGES = (experiment_results, rule_proofs)


@dataclass(frozen=True)
class Span:
    """Snapshots asked for: both ends are ``as_of`` dates, ``None`` where open.

    With a first date, snapshots are made even where they are up to date. The period still running gets a provisional
    snapshot if ``with_running`` is set, if the last date is its end, or if it had one before.
    """

    first: date | None = None
    last: date | None = None
    with_running: bool = False


@dataclass(frozen=True)
class PlannedRun:
    """Stages to run together for a range of periods; ``first`` and ``last`` are first days of periods."""

    first: date
    last: date
    stages: tuple[Stage, ...]

    @property
    def range_tags(self) -> dict[str, str]:
        """The range, as tags of a Dagster run."""
        return {
            "dagster/asset_partition_range_start": str(self.first),
            "dagster/asset_partition_range_end": str(self.last),
        }

    @property
    def asset_names(self) -> list[str]:
        """The assets to make."""
        return [name for stage in self.stages for name in stage.asset_names]


@dataclass(frozen=True)
class Stale:
    """Starts of the periods whose lines have to be validated again, and of those whose snapshots have to be made.

    The snapshots are one contiguous range, as each builds on those before it. ``undated`` is a period to validate in
    order to validate rows without a date again, if these changed. ``changed_at`` is when source rows, or contacts, last
    changed. ``looks`` are the periods of which only the results of experiments have to be made, as contacts changed.
    """

    lines: list[date]
    snapshots: list[date]
    undated: date | None
    changed_at: datetime
    looks: list[date]

    def runs(self, calendar: Calendar) -> list[PlannedRun]:
        """The runs that make everything stale, in order; the last one publishes if there are snapshots to make."""
        planned = []
        if self.undated and not self.lines:
            planned.append(PlannedRun(self.undated, self.undated, (validation,)))
        if self.lines != self.snapshots:
            # For late or changed rows, only their own periods are validated and summed up again.
            planned += [PlannedRun(part[0], part[-1], LINE_STAGES) for part in _stretches(calendar, self.lines)]
        looks = [start for start in self.looks if start not in self.snapshots]
        planned += [PlannedRun(part[0], part[-1], _LOOK_STAGES) for part in _stretches(calendar, looks)]
        if self.snapshots:
            stages = (LINE_STAGES if self.lines == self.snapshots else ()) + SNAPSHOT_STAGES
            planned.append(PlannedRun(self.snapshots[0], self.snapshots[-1], stages))
        return planned

    def one_run(self) -> PlannedRun | None:
        """Everything stale in one run; None where nothing is stale."""
        periods = self.snapshots or ([self.undated] if self.undated else [])
        if self.looks and not periods:
            return PlannedRun(self.looks[0], self.looks[-1], (*_LOOK_STAGES, *PUBLISHING_STAGES))
        stages = LINE_STAGES + SNAPSHOT_STAGES
        return PlannedRun(min([*periods, *self.looks]), periods[-1], stages) if periods else None


def check_boundaries(settings: Settings, span: Span) -> None:
    """Raises :class:`ConfigError` unless the span begins and ends with a period and does not end before it begins."""
    for day in (span.first, span.last):
        if day is not None:
            if not FIRST_DAY <= day <= LAST_DAY:
                raise ConfigError(f"snapshot {day} is not between {FIRST_DAY} and {LAST_DAY}: correct the year")
            try:
                settings.time.period_start(day)
            except ValueError as error:
                raise ConfigError(f"snapshot {error}") from None
    if span.first and span.last and span.first > span.last:
        raise ConfigError(f"--from {span.first} is after --to {span.last}: swap them")


def find_stale(pipeline: Pipeline, span: Span) -> Stale:
    """The periods that are stale, or asked for, within the span.

    Raises :class:`ConfigError` if the log has no period that can be made, or lacks one that was asked for.
    """
    settings, calendar = pipeline.settings, pipeline.settings.time
    with pipeline.warehouse.open() as database:
        first_day, last_day = _days(database, settings)
        # A period whose rows were all removed has to be emptied.
        earliest, latest = database.con.execute(
            "SELECT min(slice_key::DATE), max(slice_key::DATE) FROM written_slices"
            " WHERE table_name = 'customer_activity'"
        ).fetchall()[0]
        first, last = min(first_day, earliest or date.max), max(last_day, latest or date.min)
        today = settings.today()
        until = max(today, span.last or today, latest_snapshot(database) or today)
        known = [
            start
            for start in calendar.periods(first, last)
            if (calendar.end is None or start < calendar.end)
            and start <= today
            and (span.with_running or calendar.as_of(start) <= until)
        ]
        if not known:
            raise ConfigError(
                f"the first {calendar.period} of the log, from {first_day}, has not ended yet: run again after"
                f" {calendar.as_of(calendar.period.start_of(first_day))}"
            )
        for day in (span.first, span.last):
            if day is not None and calendar.period_start(day) not in known:
                raise ConfigError(
                    f"snapshot {day} is outside the data, which run from {first_day} to {last_day}:"
                    f" choose one from {calendar.as_of(known[0])} to {calendar.as_of(known[-1])}"
                )
        if span.last is not None:
            known = [start for start in known if calendar.as_of(start) <= span.last]
        stale = _stale(pipeline, database, known)
    if span.first is None:
        return stale
    again = [start for start in known if start >= calendar.period_start(span.first)]
    return replace(stale, lines=sorted({*stale.lines, *again}), snapshots=max(stale.snapshots, again, key=len))


def latest_snapshot(database: Backend) -> date | None:
    """``as_of`` of the latest snapshot; None before the first."""
    ((found,),) = database.con.execute("SELECT max(as_of) FROM customer_genome").fetchall()
    return found  # type: ignore[no-any-return]


def _days(database: Backend, settings: Settings) -> tuple[date, date]:
    """First and last day of the log."""
    lines = typed_raw(database, settings)
    first, last = (
        lines.filter(lines.period_start_date.notnull())
        .aggregate(first=lines.ordered_at.min(), last=lines.ordered_at.max())
        .to_pyarrow()
        .to_pylist()[0]
        .values()
    )
    if first is None:
        raise ConfigError(_no_day_because(lines, settings))
    return first.date(), last.date()


def _no_day_because(lines: ir.Table, settings: Settings) -> str:
    """The reason why the log has no period."""
    found = lines.aggregate(rows=lines.count(), first=lines.ordered_at.min(), last=lines.ordered_at.max())
    ((rows, first, last),) = (tuple(row.values()) for row in found.to_pyarrow().to_pylist())
    path, calendar = settings.source.path, settings.calendar
    if not rows:
        return f"{path} holds no rows: export it again, with rows below its column names"
    if first is None:
        return f"no row of {path} has a date: see `genome check`, and correct source.columns.ordered_at"
    if last.date() < calendar.start:
        advice = "set calendar.start to the first day of the log's first period"
    elif calendar.end is not None and first.date() >= calendar.end:
        advice = "set calendar.end to the day after the log's last period, or take it out"
    else:
        advice = "dates after the moment at which the file was read do not count: see source.date_format and time_zone"
    within = f"starts {calendar.start}" + (f" and ends {calendar.end}" if calendar.end else "")
    return (
        f"no row of {path} is dated within the calendar, which {within}: its rows are dated {first:%Y-%m-%d} to"
        f" {last:%Y-%m-%d}; {advice}"
    )


def _stale(pipeline: Pipeline, database: Backend, periods: Sequence[date]) -> Stale:
    """The periods among ``periods`` that are stale.

    Lines of a period are stale if they were never validated, or under other settings, or before their source rows
    changed. A snapshot is stale if any of its tables was never made, or was made under other settings, before the lines
    of its own or an earlier period changed, or before its period ended; or if its actions were made before an
    experiment that concerns them was started or stopped. Slices made since the last publication count as never made:
    their run stopped half way, so that checks may have failed or not been run. The results of an experiment's look are
    stale if contacts of before it changed since.
    """
    settings = pipeline.settings
    ((published_at,),) = database.con.execute("SELECT max(published_at) FROM pipeline_runs").fetchall()
    published_at = published_at or datetime.min
    lines, snapshots = (_whole_slices(database, stages, settings, published_at) for stages in _STAGES)
    changed = dict(database.con.execute("SELECT period_start_date, changed_at FROM changed_periods").fetchall())
    stale_lines = [
        start for start in periods if str(start) not in lines or changed.get(start, datetime.min) > lines[str(start)]
    ]
    undated = database.con.execute(
        "SELECT max(written_at) FROM written_slices WHERE table_name = 'quarantined_transactions'"
        " AND slice_key = 'undated'"
    ).fetchall()[0][0]
    has_undated = None in changed and (undated is None or changed[None] > undated or undated > published_at)
    contact_changes = database.con.execute("SELECT changed_at, changed_from_date FROM contact_changes").fetchall()
    changed_at = max([*changed.values(), *(moment for moment, _ in contact_changes)], default=datetime.min)
    experiments = database.con.execute(
        "SELECT as_of, until_date, started_at, stopped_date, stopped_at FROM experiments"
    ).fetchall()
    judged = _written_at(database, "experiment_results")
    looks = [
        start
        for start in periods
        if judged.get(as_of := settings.time.as_of(start), datetime.max) < _contacted_at(contact_changes, as_of)
        and any(begun < as_of <= min(until, stopped or until) for begun, until, _, stopped, _ in experiments)
    ]
    stale = Stale(stale_lines, [], periods[-1] if has_undated and periods else None, changed_at, looks)
    actions = _written_at(database, "customer_actions")
    made_at = datetime.min
    for number, start in enumerate(periods):
        as_of = settings.time.as_of(start)
        made_at = max(made_at, lines.get(str(start), made_at))
        if as_of <= settings.today():
            made_at = max(made_at, _midnight(as_of, settings))
        is_drawn_since = actions.get(as_of, made_at) < _drawn_at(experiments, min(as_of, settings.today()))
        if start in stale_lines or str(as_of) not in snapshots or snapshots[str(as_of)] < made_at or is_drawn_since:
            return replace(stale, snapshots=list(periods[number:]))
    return stale


def _written_at(database: Backend, table: str) -> dict[date, datetime]:
    """When each snapshot of a table was written."""
    return dict(
        database.con.execute(
            "SELECT slice_key::DATE, written_at FROM written_slices WHERE table_name = ?", [table]
        ).fetchall()
    )


def _contacted_at(changes: Sequence[tuple[datetime, date]], as_of: date) -> datetime:
    """When contacts of before a snapshot last changed."""
    return max((moment for moment, day in changes if day < as_of), default=datetime.min)


def _drawn_at(
    experiments: Sequence[tuple[date, date, datetime, date | None, datetime | None]], as_of: date
) -> datetime:
    """When it was last decided who is left alone at a snapshot."""
    moments = [datetime.min]
    for start, until, started_at, stopped, stopped_at in experiments:
        if start <= as_of < until:
            moments.append(stopped_at if stopped is not None and stopped_at and stopped <= as_of else started_at)
    return max(moments)


def _whole_slices(
    database: Backend, stages: Sequence[Stage], settings: Settings, published_at: datetime
) -> dict[str, datetime]:
    """When each slice was made that has every table of the stages, under these settings, and was published since."""
    tables = [name for stage in stages if stage.is_partitioned for name in stage.asset_names]
    rows = database.con.execute(
        "SELECT slice_key, min(written_at) FROM written_slices WHERE table_name IN (SELECT unnest($tables))"
        " GROUP BY slice_key HAVING count(*) FILTER (settings_hash = $settings) = len($tables)"
        " AND max(written_at) <= $published_at",
        {"tables": tables, "settings": settings.results_hash, "published_at": published_at},
    ).fetchall()
    return dict(rows)


def _midnight(day: date, settings: Settings) -> datetime:
    """When the day begins in the log's time zone, in UTC without a zone, as the warehouse records moments."""
    local = datetime.combine(day, datetime.min.time(), ZoneInfo(settings.source.time_zone))
    return local.astimezone(UTC).replace(tzinfo=None)


def _stretches(calendar: Calendar, periods: Sequence[date]) -> list[list[date]]:
    """The periods, in order, split where one does not directly follow the one before."""
    stretches: list[list[date]] = []
    for period in periods:
        if stretches and calendar.as_of(stretches[-1][-1]) == period:
            stretches[-1].append(period)
        else:
            stretches.append([period])
    return stretches
