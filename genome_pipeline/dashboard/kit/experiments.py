"""Experiments as they stood at a snapshot: what each had shown by then, in numbers and in words."""

from __future__ import annotations

from datetime import date

import duckdb
import pandas as pd
from dash.development.base_component import Component

from genome_pipeline.contracts.columns.experiments import VERDICTS
from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.components import badge

PER_CUSTOMERS = {"orders": 100, "spend": 1}
"""Of how many customers an effect is told, by outcome: few of them order once more."""

UNITS = {"orders": "orders per 100 customers", "spend": "spend per customer"}

SIGNS = dict(zip(VERDICTS, ("✓", "○", "✗"), strict=True))
"""What stands beside the colour of a verdict."""

_ENDS = ("", "_lower", "_upper")
_TONES = dict(zip(VERDICTS, ("good", "plain", "bad"), strict=True))


def experiments_at(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per experiment drawn by a snapshot, latest first, with its last look by then at what it is about.

    The numbers of a look are null before the first. ``stopped_date`` is null until it was stopped, and ``is_over``
    false as long as its controls are left alone. At a provisional snapshot its period has not ended: a run until then
    is over only if it was stopped.
    """
    return connection.execute(
        """
        SELECT experiment_id, action_rule, action, rule_condition, experiments.as_of, until_date,
            CASE WHEN stopped_date <= $as_of THEN stopped_date END AS stopped_date,
            coalesce(stopped_date <= $as_of, false) OR until_date < $as_of OR (
                until_date = $as_of
                AND NOT EXISTS (FROM customer_genome_history WHERE as_of = $as_of AND is_provisional)
            ) AS is_over,
            control_share, outcome_name, wished_lift_share,
            experiments.treated_count, experiments.control_count,
            look.as_of AS look_date, coalesce(elapsed_share, 0) AS elapsed_share,
            effect, effect_lower, effect_upper, effect_total, effect_total_lower, effect_total_upper,
            coalesce(verdict, 'not proven yet') AS verdict, verdict_reason, decided_date,
            targeting_reason
        FROM experiments LEFT JOIN (
            SELECT * FROM experiment_results_history WHERE as_of <= $as_of
            QUALIFY row_number() OVER (PARTITION BY experiment_id, outcome_name ORDER BY as_of DESC) = 1
        ) AS look USING (experiment_id, outcome_name)
        WHERE experiments.as_of <= $as_of
        ORDER BY experiments.as_of DESC, started_at DESC, experiment_id
        """,
        {"as_of": as_of},
    ).df()


def rule_proofs_at(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """What all runs of each rule that had ended by a snapshot have shown together: a row per rule and outcome."""
    return connection.execute(
        "SELECT * EXCLUDE (as_of) FROM rule_proofs_history WHERE as_of = ? ORDER BY action_rule, outcome_name", [as_of]
    ).df()


def headline(experiments: pd.DataFrame) -> str:
    """What all experiments together come to, in a sentence; there is at least one."""
    over = int(experiments["is_over"].sum())
    proven, harmful = (int((experiments["verdict"] == verdict).sum()) for verdict in ("proven", "harmful"))
    shown = [
        *([f"{proven} {'has' if proven == 1 else 'have'} proven that acting brings more"] if proven else []),
        *([f"{harmful} {'has' if harmful == 1 else 'have'} shown that acting does harm"] if harmful else []),
    ]
    if len(experiments) == 1:
        begun = f"1 experiment was started and {'is over' if over else 'still runs'}"
        return f"{begun}: {shown[0].replace('1 has', 'it has') if shown else 'it has proven nothing yet'}"
    ended = "all are over" if over == len(experiments) else f"{over or 'none'} {'is' if over < 2 else 'are'} over"
    return (
        f"{len(experiments)} experiments were started, {ended}: {' and '.join(shown) or 'none has proven anything yet'}"
    )


def verdict_badge(verdict: str) -> Component:
    """A verdict with its sign, in its colour."""
    return badge(f"{SIGNS[verdict]} {verdict}", _TONES[verdict])


def reason_of(experiment: pd.Series) -> str:
    """The numbers of the verdict of a row of :func:`experiments_at` or :func:`rule_proofs_at`; without a look, why.

    The verdict itself is left out: it stands beside them.
    """
    if formats.is_missing(experiment["verdict_reason"]):
        if not formats.is_missing(experiment["stopped_date"]):
            return "No look was made at it: it was stopped before one, or too few customers were left."
        if experiment["is_over"]:
            return "No look was made at it: it ended before one, or too few customers were left."
        return "No look at it yet: the first is made with the next snapshot."
    return str(experiment["verdict_reason"]).removeprefix(f"{experiment['verdict']}: ") + "."


def state_of(experiment: pd.Series) -> str:
    """Whether an experiment still runs: ``"runs until 1 Feb 2018"``."""
    if not formats.is_missing(experiment["stopped_date"]):
        return f"stopped at {formats.day(experiment['stopped_date'])}"
    return f"{'over since' if experiment['is_over'] else 'runs until'} {formats.day(experiment['until_date'])}"


def effect_and_interval(look: pd.Series, outcome: str, currency: str | None) -> tuple[str, str]:
    """An effect and its interval: ``"+13.48"`` and ``"2.08 to 24.88"``; a dash and nothing before the first look."""
    return _bounded(*(_of_customers(look[f"effect{end}"], outcome, currency) for end in _ENDS))


def total_and_interval(look: pd.Series, outcome: str, currency: str | None) -> tuple[str, str]:
    """The effect times the customers treated, and its interval, likewise."""
    totals = [look[f"effect_total{end}"] for end in _ENDS]
    return _bounded(
        *(
            formats.compact_money(total, currency) if outcome == "spend" else _minus(formats.integer(total))
            for total in totals
        )
    )


def mean_cell(look: pd.Series, outcome: str, currency: str | None) -> str:
    """What customers did without being treated, in the unit of the effect."""
    return _of_customers(look["control_mean"], outcome, currency)


def _of_customers(value: float, outcome: str, currency: str | None) -> str:
    if outcome == "spend":
        return formats.money(value, currency)
    return _minus(formats.decimal(value * PER_CUSTOMERS[outcome]))


def _bounded(best: str, lower: str, upper: str) -> tuple[str, str]:
    if best == formats.NOTHING:
        return best, ""
    return best if best.startswith(formats.MINUS) else f"+{best}", f"{lower} to {upper}"


def _minus(text: str) -> str:
    return text.replace("-", formats.MINUS)
