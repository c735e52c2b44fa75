"""Experiments in the published file (`genome experiment`): plans, what runs have shown, and whom to treat."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from genome_pipeline.contracts.columns.experiments import OUTCOMES
from genome_pipeline.contracts.playbook import EVERYTHING_RULE, LEFT_ALONE_RULE, WAIT_RULE
from genome_pipeline.errors import ConfigError, not_found
from genome_pipeline.models.experiments.checks import Finding, as_drawn
from genome_pipeline.models.experiments.power import Before, Row, answer, plan
from genome_pipeline.models.genes import numbers
from genome_pipeline.models.not_enough_data import NotEnoughData
from genome_pipeline.published.export import check_target, write_rows
from genome_pipeline.published.reader import Published
from genome_pipeline.settings import Settings
from genome_pipeline.sources.source import check_may_be_written
from genome_pipeline.warehouse.experiment_record import ExperimentRecord

_CONTROL_SHARES = (0.1, 0.2, 0.3, 0.5)

_IN_NO_RUN = """
    SELECT count(*) AS customer_count FROM customer_genome WHERE customer_id NOT IN (
        SELECT customer_id FROM experiment_members JOIN experiments USING (experiment_id)
        WHERE least(until_date, coalesce(stopped_date, until_date)) > (SELECT max(as_of) FROM customer_genome))
"""
"""How many customers are in no running experiment: an experiment on everything draws among them."""

_BEFORE = """
    SELECT outlook.expected_orders, outlook.expected_spend,
        coalesce(orders, 0)::DOUBLE AS actual_orders, coalesce(spend, 0)::DOUBLE AS actual_spend
    FROM customer_actions_history AS actions
    JOIN customer_outlook_history AS outlook USING (as_of, customer_id)
    LEFT JOIN (
        SELECT customer_id, sum(purchase_day_count) AS orders,
            sum(coalesce(gross_amount, 0) - coalesce(return_amount, 0)) AS spend
        FROM customer_activity WHERE period_start_date >= $start AND period_start_date < $finish GROUP BY 1
    ) USING (customer_id)
    WHERE as_of = $start AND $rule IN (action_rule, 'everything') AND horizon_days = $days ORDER BY customer_id
"""


def experiment_plan(settings: Settings, rule: str, control_share: float, lift: float | None) -> dict[str, Any]:
    """What an experiment on the rule's present audience could show, from what its audience did before.

    Returns ``as_of``, ``action_rule``, ``customer_count``, ``rows`` (a row per outcome, length of run and control
    share) and ``answers``, a sentence per outcome for the shortest run that is long enough, else for the main horizon.
    Raises :class:`ConfigError` for an unknown rule, a share or a lift out of bounds, and where the audience is too
    small, or did nothing before, for any plan.
    """
    with Published(settings.published_path) as published:
        as_of = published.latest()
        audience = _audience_size(published, rule)
        before = _before(published, settings, rule, as_of)
        parameters = published.parameters()
    shares = sorted({*_CONTROL_SHARES, control_share})
    rows: list[Row] = []
    reasons: list[str] = []
    for outcome, runs in before.items():
        for run, share in product(runs, shares):
            try:
                rows += plan({outcome: [run]}, audience, [share], lift)
            except NotEnoughData as error:
                reasons += [str(error)] if share == control_share else []
    if not any(row.control_share == control_share for row in rows):
        why = reasons[0] if reasons else "no run of its length has passed since the rule first matched anybody"
        raise ConfigError(f"no plan can be made for {rule}: {why}")
    return {
        "as_of": as_of,
        "action_rule": rule,
        "customer_count": audience,
        "currency": parameters["currency"],
        "wished_lift_share": lift,
        "rows": [row._asdict() for row in rows],
        "answers": _answers(rows, control_share, int(parameters["horizon_days"]), lift),
    }


def _answers(rows: Sequence[Row], control_share: float, main_days: int, lift: float | None) -> dict[str, str]:
    found = {}
    for outcome in OUTCOMES:
        mine = [row for row in rows if row.outcome == outcome and row.control_share == control_share]
        if mine:
            by_length = sorted(mine, key=lambda row: row.horizon_days)
            nearest = min(mine, key=lambda row: abs(row.horizon_days - main_days))
            chosen = next((row for row in by_length if row.is_enough), nearest)
            found[outcome] = answer(rows, chosen, lift)
    return found


def _audience_size(published: Published, rule: str) -> int:
    rows = published.rows("SELECT action_rule, customer_count FROM action_audiences ORDER BY rule_position")
    sizes = {row["action_rule"]: int(row["customer_count"]) for row in rows}
    if rule == EVERYTHING_RULE:
        return int(published.row(_IN_NO_RUN)["customer_count"])
    if rule in (WAIT_RULE, LEFT_ALONE_RULE):
        raise ConfigError(f"customers of {rule!r} get no action, so that there is nothing to test: choose a rule")
    if rule not in sizes:
        raise not_found("rule", rule, [*sizes])
    return sizes[rule]


def _before(published: Published, settings: Settings, rule: str, as_of: date) -> dict[str, list[Before]]:
    """By outcome, what the audience did over each run that has passed, as long as each horizon."""
    calendar = settings.time
    observed = published.row("SELECT max(as_of) AS as_of FROM customer_genome_history WHERE NOT is_provisional")[
        "as_of"
    ]
    now = published.connection.execute(
        "SELECT horizon_days, avg(expected_orders) AS orders, avg(expected_spend) AS spend FROM customer_outlook"
        " JOIN customer_actions USING (as_of, customer_id) WHERE ? IN (action_rule, 'everything') GROUP BY 1"
        " ORDER BY 1",
        [rule],
    ).fetchall()
    found: dict[str, list[Before]] = {}
    for days, *means in now if observed else ():
        periods = calendar.window_periods(days)
        start = calendar.period.shift(observed, -periods)
        values = {"start": start, "finish": observed, "rule": rule, "days": days}
        rows = published.connection.execute(_BEFORE, values).df()
        for outcome, mean in zip(OUTCOMES, means, strict=True):
            if len(rows) and mean is not None:
                expected, actual = (numbers(rows[f"{kind}_{outcome}"]) for kind in ("expected", "actual"))
                found.setdefault(outcome, []).append(Before(days, expected, actual, float(mean), periods))
    return found


def experiment_list(settings: Settings) -> dict[str, Any]:
    """Every experiment that was published, latest first, with what it has shown by its latest look."""
    with Published(settings.published_path) as published:
        return {
            "as_of": published.latest(),
            "currency": published.parameters()["currency"],
            "experiments": published.rows("FROM experiment_verdicts ORDER BY started_at DESC, experiment_id"),
        }


def experiment_facts(settings: Settings, experiment_id: str) -> dict[str, Any]:
    """One experiment: its terms, every look, whether it went as it was drawn, and whether its rule has changed since.

    Raises :class:`ConfigError` if there is no such experiment.
    """
    with Published(settings.published_path) as published:
        terms = _terms(published, experiment_id)
        looks = published.rows(
            "FROM experiment_results_history WHERE experiment_id = ? ORDER BY outcome_name, as_of", [experiment_id]
        )
        checks = went_as_drawn(published.connection, experiment_id, published.latest())
        groups = published.rows(
            "SELECT * FROM experiment_groups_history WHERE experiment_id = ? AND outcome_name = ?"
            " ORDER BY split_by, group_name",
            [experiment_id, terms["outcome_name"]],
        )
        currency = published.parameters()["currency"]
    return {
        "experiment": terms,
        "rule_change": _rule_change(settings, terms),
        "currency": currency,
        "looks": looks,
        "groups": groups,
        "checks": {name: {"is_passed": each.passed, "observed": each.sentence} for name, each in checks.items()},
    }


def _rule_change(settings: Settings, terms: dict[str, Any]) -> str | None:
    """How the playbook differs from what it was when the experiment was drawn, in words; None if it does not."""
    name = terms["action_rule"]
    if name == EVERYTHING_RULE:
        return None
    rule = next((rule for rule in settings.actions.rules if rule.name == name), None)
    if rule is None:
        what = f"the playbook has no rule {name!r} any more"
    else:
        now = {"action": rule.action, "audience": rule.words(settings.source.currency)}
        then = {"action": terms["action"], "audience": terms["rule_condition"]}
        changed = [f"its {part} is now {told!r}" for part, told in now.items() if told != then[part]]
        if not changed:
            return None
        what = f"the rule has changed since: {' and '.join(changed)}"
    return f"{what}. The lists count as they were drawn, and whoever is left alone does not get {terms['action']!r}"


def went_as_drawn(connection: duckdb.DuckDBPyConnection, experiment_id: str, as_of: date) -> dict[str, Finding]:
    """By the check's name, whether an experiment went as it was drawn, by its last look up to ``as_of``."""
    experiments, members, looks = (
        connection.execute(f"FROM {table} WHERE experiment_id = ? ORDER BY {order}", [experiment_id]).df()
        for table, order in (
            ("experiments", "as_of"),
            ("experiment_members", "customer_id"),
            ("experiment_results_history", "as_of, outcome_name"),
        )
    )
    looks = looks[looks["as_of"] <= pd.Timestamp(as_of)]
    look = None if looks.empty else looks.iloc[-1].to_dict()
    return as_drawn(experiments.iloc[0].to_dict(), members, look)


def write_treated(settings: Settings, experiment_id: str, path: Path) -> dict[str, Any]:
    """Write the customers whom an experiment treats, as drawn, to a CSV or Parquet file.

    Whoever any experiment leaves alone now is not among them.
    Returns ``path`` and ``row_count``. Raises :class:`ConfigError` for an unknown experiment, for a path from which the
    source would read the file, and as :func:`genome_pipeline.published.export.write_rows` does.
    """
    check_treated_target(settings, path)
    check_draws_are_published(settings)
    with Published(settings.published_path) as published:
        if _terms(published, experiment_id)["action_rule"] == EVERYTHING_RULE:
            raise ConfigError(
                f"{experiment_id} has no list of its own: whom it leaves alone is in no audience, and `genome audience"
                " RULE --to FILE` writes those"
            )
        return write_rows(
            published.connection,
            "SELECT experiment_id, customer_id, action, expected_orders, expected_spend, churn_probability,"
            " members.segment_name, days_since_last_order FROM experiment_members AS members"
            " JOIN experiments USING (experiment_id) WHERE experiment_id = ? AND is_treated"
            f" AND customer_id NOT IN (SELECT customer_id FROM customer_genome WHERE action_rule = '{LEFT_ALONE_RULE}')"
            " ORDER BY round(expected_spend, 6) DESC NULLS LAST, customer_id",
            [experiment_id],
            path,
        )


def check_draws_are_published(settings: Settings) -> None:
    """Raises :class:`ConfigError` as :func:`check_draws` does, and where nothing is published but something drawn."""
    record = ExperimentRecord.beside(settings.warehouse_path)
    if record.experiments():
        with Published(settings.published_path) as published:
            check_draws(record, published)


def check_draws(record: ExperimentRecord, published: Published) -> None:
    """Raises :class:`ConfigError` where the published file does not know of an experiment that was drawn.

    That is so if the process that drew it was killed before it had published: controls still have their action there.
    """
    drawn = {each["experiment_id"] for each in record.experiments()}
    known = {row["experiment_id"] for row in published.rows("SELECT experiment_id FROM experiments")}
    if missing := sorted(drawn - known):
        raise ConfigError(
            f"experiment {missing[0]} was drawn, and whom it leaves alone is not published yet: use `genome run` first"
        )


def check_treated_target(settings: Settings, path: Path) -> None:
    """Raises :class:`ConfigError` as :func:`write_treated` does for a path."""
    check_target(path)
    check_may_be_written(path, settings)


def _terms(published: Published, experiment_id: str) -> dict[str, Any]:
    return one_of(published.rows("FROM experiments ORDER BY started_at, experiment_id"), experiment_id)


def one_of(experiments: Sequence[dict[str, Any]], experiment_id: str) -> dict[str, Any]:
    """The experiment of that id. Raises :class:`ConfigError` if there is none."""
    for experiment in experiments:
        if experiment["experiment_id"] == experiment_id:
            return experiment
    raise not_found("experiment", experiment_id, [experiment["experiment_id"] for experiment in experiments])
