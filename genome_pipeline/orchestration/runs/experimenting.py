"""``genome experiment start`` and ``stop``: draw who is left alone, or end it, and publish the actions that follow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import pandas as pd

from genome_pipeline.contracts.columns.experiments import OUTCOMES
from genome_pipeline.contracts.playbook import EVERYTHING_RULE, LEFT_ALONE_RULE, WAIT_RULE
from genome_pipeline.errors import ConfigError, not_found
from genome_pipeline.models.experiments.assignment import assign, check_control_share, new_key
from genome_pipeline.models.experiments.power import check_lift
from genome_pipeline.models.not_enough_data import NotEnoughData
from genome_pipeline.orchestration.assets.tables import SNAPSHOT_TABLE_STAGES
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.orchestration.runs.at_work import alone_at_work
from genome_pipeline.orchestration.runs.run import Progress, publish_again
from genome_pipeline.orchestration.runs.staleness import latest_snapshot
from genome_pipeline.published.experiments import one_of
from genome_pipeline.published.reader import Published
from genome_pipeline.settings import Settings
from genome_pipeline.warehouse.experiment_record import ExperimentRecord

_LONGEST_DAYS = 3 * 365
"""A run is no longer."""

EVERY_ACTION = "Every action of the playbook"

_AUDIENCE = f"""
    CASE WHEN $rule = '{EVERYTHING_RULE}' THEN customer_id NOT IN
        (SELECT customer_id FROM experiment_members WHERE experiment_id IN (SELECT unnest($running::VARCHAR[])))
    ELSE action_rule = $rule END
"""

_FROZEN = ("expected_orders", "expected_spend", "churn_probability", "segment_name", "days_since_last_order")


class Wish(NamedTuple):
    """What is asked of an experiment.

    Attributes:
        rule: rule of the playbook whose audience is drawn; or "everything", which draws among all customers who are in
            no running experiment, and leaves controls without any action.
        control_share: share to be left alone, above 0 and below 1.
        until: snapshot of the last look; None for the first by which the main horizon has passed.
        outcome: "orders" or "spend".
        lift: lift to be shown, as a share of what is expected; None if nothing is wished.
    """

    rule: str
    control_share: float
    until: date | None = None
    outcome: str = OUTCOMES[0]
    lift: float | None = None


def start_experiment(settings: Settings, wish: Wish, progress: Progress) -> dict[str, Any]:
    """Draw an experiment among the audience that the rule has in the published snapshot, and publish the actions.

    The draw is kept before anything is published, so that whatever is published from then on leaves the controls alone;
    if nothing can be published, it is taken back.
    Returns the row of ``experiments``. Raises :class:`ConfigError` for a wish that cannot be met, and as
    :func:`~genome_pipeline.orchestration.runs.run.run` does.
    """
    with alone_at_work(settings, "`genome experiment start`"):
        record, as_of = _record_and_snapshot(settings)
        experiment, members = _drawn(settings, wish, as_of, record.experiments())
        record.add(experiment, members)
        try:
            _publish(settings, as_of, progress)
        except BaseException:
            if not _is_published(settings, experiment["experiment_id"]):
                # Readers still see the actions of before: nobody is left alone by a draw that nobody was told of.
                record.remove(experiment["experiment_id"])
                _take_back(settings, record)
            raise
    return experiment


def stop_experiment(settings: Settings, experiment_id: str, progress: Progress) -> dict[str, Any]:
    """End an experiment before its time, at the latest snapshot: its controls get their actions again.

    Returns the row of ``experiments``. Raises :class:`ConfigError` for one that does not exist or is over.
    """
    with alone_at_work(settings, "`genome experiment stop`"):
        record, as_of = _record_and_snapshot(settings)
        experiment = one_of(record.experiments(), experiment_id)
        if not is_running(experiment, as_of):
            ended = experiment["stopped_date"] or experiment["until_date"]
            raise ConfigError(f"experiment {experiment_id} is over since {ended}: there is nothing to stop")
        record.stop(experiment_id, as_of, _now())
        try:
            _publish(settings, as_of, progress)
        except BaseException:
            if not _is_published(settings, experiment_id, is_stopped=True):
                record.resume(experiment_id)
                _take_back(settings, record)
            raise
        return one_of(record.experiments(), experiment_id)


def is_running(experiment: dict[str, Any], as_of: date) -> bool:
    """Whether its controls are left alone at a snapshot."""
    end = min(experiment["until_date"], experiment["stopped_date"] or experiment["until_date"])
    return bool(experiment["as_of"] <= as_of < end)


def _drawn(
    settings: Settings, wish: Wish, as_of: date, experiments: Sequence[dict[str, Any]]
) -> tuple[dict[str, Any], pd.DataFrame]:
    """A row of ``experiments``, and its rows of ``experiment_members``."""
    check_control_share(wish.control_share)
    check_lift(wish.lift)
    action, condition = _what(settings, wish.rule)
    until = _end_of_run(settings, wish.until, as_of)
    running = [experiment for experiment in experiments if is_running(experiment, as_of)]
    for experiment in running:
        if experiment["action"] == action:
            raise ConfigError(
                f"experiment {experiment['experiment_id']} on the same action runs until {experiment['until_date']}:"
                f" wait for its end, or stop it with `genome experiment stop {experiment['experiment_id']}`"
            )
    with Published(settings.published_path) as published:
        audience = published.connection.execute(
            f"SELECT customer_id, {', '.join(_FROZEN)} FROM customer_genome_history WHERE as_of = $as_of"
            f" AND {_AUDIENCE} ORDER BY customer_id",
            {"as_of": as_of, "rule": wish.rule, "running": [experiment["experiment_id"] for experiment in running]},
        ).df()
        horizon_days = int(published.parameters()["horizon_days"])
    same = [each for each in experiments if each["action_rule"] == wish.rule and each["as_of"] == as_of]
    # Drawn again at one snapshot, the same customers are left alone: their list may have gone out.
    key = same[0]["draw_key"] if same else new_key()
    try:
        drawn = assign(audience, wish.control_share, key)
    except NotEnoughData as error:
        raise ConfigError(f"{error}; nothing was started") from None
    name = f"{wish.rule}-{as_of}" + (f"-{len(same) + 1}" if same else "")
    members = audience.merge(drawn, on="customer_id", validate="one_to_one").rename(columns={"stratum": "stratum_id"})
    experiment = {
        "experiment_id": name,
        "action_rule": wish.rule,
        "action": action,
        "rule_condition": condition,
        "as_of": as_of,
        "until_date": until,
        "started_at": _now(),
        "stopped_date": None,
        "stopped_at": None,
        "horizon_days": horizon_days,
        "control_share": wish.control_share,
        "draw_key": key,
        "outcome_name": wish.outcome,
        "wished_lift_share": wish.lift,
        "treated_count": int(members["is_treated"].sum()),
        "control_count": int((~members["is_treated"]).sum()),
    }
    return experiment, members.assign(experiment_id=name)


def _what(settings: Settings, name: str) -> tuple[str, str]:
    """The action of a rule, and whom it is for."""
    if name == EVERYTHING_RULE:
        return EVERY_ACTION, "all customers who are in no other experiment"
    if name in (WAIT_RULE, LEFT_ALONE_RULE):
        raise ConfigError(f"customers of {name!r} get no action, so that there is nothing to test: choose a rule")
    rules = {rule.name: rule for rule in settings.actions.rules}
    if name not in rules:
        raise not_found("rule", name, [*rules])
    return rules[name].action, rules[name].words(settings.source.currency)


def _end_of_run(settings: Settings, until: date | None, as_of: date) -> date:
    """The snapshot of the last look. Raises :class:`ConfigError` for a day that is none, or not after ``as_of``."""
    calendar = settings.time
    latest = calendar.period.shift(as_of, calendar.window_periods(_LONGEST_DAYS))
    if calendar.end is not None and calendar.end <= as_of:
        raise ConfigError(f"calendar.end = {calendar.end}: no snapshot follows, so that nothing could be looked at")
    if until is None:
        until = calendar.period.shift(as_of, calendar.window_periods(settings.predict.horizon_days))
        return until if calendar.end is None else min(until, calendar.end)
    if until > min(latest, calendar.end or latest):
        raise ConfigError(f"--until {until} is too far: choose a day up to {min(latest, calendar.end or latest)}")
    try:
        calendar.period_start(until)
    except ValueError as error:
        raise ConfigError(
            f"--until {error}, and results are looked at at the end of each: choose one of them"
        ) from None
    if until <= as_of:
        raise ConfigError(f"--until {until} is not after {as_of}, the snapshot from which outcomes count")
    return until


def _record_and_snapshot(settings: Settings) -> tuple[ExperimentRecord, date]:
    """The record, and the latest snapshot whose period has ended.

    Raises :class:`ConfigError` where what is published is not what the warehouse and the config say.
    """
    record = ExperimentRecord.beside(settings.warehouse_path)
    with Published(settings.published_path) as published:
        known = published.row(
            "SELECT max(as_of) AS as_of FROM customer_genome_history WHERE as_of <= ?", [settings.today()]
        )
        latest, made_under = (
            published.latest(),
            published.row("SELECT settings_hash FROM pipeline_runs ORDER BY published_at DESC LIMIT 1"),
        )
    if made_under["settings_hash"] != settings.results_hash:
        raise ConfigError("the config has changed since what is published was made: use `genome run` first")
    if known["as_of"] is None:
        raise ConfigError(f"the only snapshot is of {latest}, which has not come yet: wait for the end of the period")
    with Pipeline.of(settings).warehouse.open() as database:
        if latest_snapshot(database) != latest:
            raise ConfigError(
                f"the latest snapshot in the warehouse is {latest_snapshot(database)}, the latest published one"
                f" {latest}: publish it with `genome run` first"
            )
        record.make_from(database)
    return record, known["as_of"]


def _is_published(settings: Settings, experiment_id: str, *, is_stopped: bool = False) -> bool:
    stopped = " AND stopped_date IS NOT NULL" if is_stopped else ""
    with Published(settings.published_path) as published:
        return bool(published.rows(f"SELECT 1 FROM experiments WHERE experiment_id = ?{stopped}", [experiment_id]))


def _take_back(settings: Settings, record: ExperimentRecord) -> None:
    """Let the warehouse follow the record, too: nothing made by what was taken back may be published."""
    with Pipeline.of(settings).warehouse.open() as database:
        record.copy_to(database, "taken back", settings.results_hash)


def _publish(settings: Settings, as_of: date, progress: Progress) -> None:
    made = {"customer_actions"}
    stages = []
    for stage in SNAPSHOT_TABLE_STAGES:
        reads = {name for name, how in stage.reads.items() if how.includes_own_period}
        if made & {*stage.asset_names, *reads} or "experiment_results" in stage.asset_names:
            made |= {*stage.asset_names}
            stages.append(stage)
    publish_again(settings, as_of, stages, progress)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
