"""What an experiment has shown by one snapshot: the rows of ``experiment_results``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from genome_pipeline.contracts.columns.experiments import OUTCOMES
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.experiments.effect import Flags, adjusted_effects, effect_of_reached
from genome_pipeline.models.experiments.sequential import judge
from genome_pipeline.models.experiments.words import of_run
from genome_pipeline.models.genes import numbers
from genome_pipeline.models.not_enough_data import NotEnoughData


class Terms(NamedTuple):
    """What was laid down when an experiment was drawn.

    Attributes:
        experiment_id: its id.
        start: snapshot of the draw, from which outcomes are counted.
        until: snapshot of the last look.
        stopped: snapshot at which it was stopped before that, or None.
        horizon_days: of the forecasts that were frozen.
        wished_lift: how much more the treated were to do, as a share of what was expected; None if nothing was said.
        wished_outcome: the outcome that the wish is about.
        campaigns: names by which a contact log may call what is done to the treated.
    """

    experiment_id: str
    start: date
    until: date
    stopped: date | None
    horizon_days: int
    wished_lift: float | None
    wished_outcome: str
    campaigns: Sequence[str]


def looks_until(terms: Terms, snapshots: Sequence[date], as_of: date) -> list[date]:
    """The looks of an experiment by a snapshot: those after its start, up to its end or its stop; in order."""
    end = min(terms.until, terms.stopped or terms.until)
    return [day for day in sorted(snapshots) if terms.start < day <= min(end, as_of)]


def results(
    terms: Terms,
    looks: Sequence[date],
    members: pd.DataFrame,
    done: pd.DataFrame,
    currency: str,
    reached: pd.Series | None,
) -> pd.DataFrame:
    """Rows of contract ``experiment_results`` at the last of the looks, one for each outcome that the log has.

    There is none where too few customers are left of an arm.

    Args:
        terms: of the experiment.
        looks: snapshots so far, in order; the last is that of the rows.
        members: contract ``experiment_members`` of the experiment, by customer.
        done: rows of :func:`genome_pipeline.transforms.experiments.outcomes_since` at these looks.
        currency: code to write after amounts; may be empty.
        reached: ids of the members who were contacted for it by the last look; None where nobody logs that.
    """
    is_treated = members["is_treated"].to_numpy(bool)
    is_reached = None if reached is None else members["customer_id"].isin(reached).to_numpy(bool)
    shares = [(look - terms.start).days / (terms.until - terms.start).days for look in looks]
    rows = []
    for outcome in OUTCOMES:
        outcomes = _outcomes(outcome, looks, members, done)
        expected = numbers(members[f"expected_{outcome}"])
        if outcome == "spend" and not np.isfinite(expected).any() and not outcomes.any():
            continue  # a log without amounts
        try:
            row = _row(terms, looks, shares, outcome, outcomes, expected, is_treated, currency)
        except NotEnoughData:
            continue
        rows.append(row | _of_reached(outcomes[:, -1], expected, is_treated, is_reached))
    return pd.DataFrame(rows, columns=list(TABLES["experiment_results"].columns))


def _outcomes(outcome: str, looks: Sequence[date], members: pd.DataFrame, done: pd.DataFrame) -> Floats:
    """What each member did up to each look, shape (customers, looks); 0 where there is nothing."""
    wide = done.assign(look_date=pd.to_datetime(done["look_date"])).pivot(
        index="customer_id", columns="look_date", values=outcome
    )
    wide = wide.reindex(index=members["customer_id"], columns=pd.to_datetime(list(looks)))
    return wide.to_numpy(np.float64, na_value=0.0)


def _row(
    terms: Terms,
    looks: Sequence[date],
    shares: Sequence[float],
    outcome: str,
    outcomes: Floats,
    expected: Floats,
    is_treated: Flags,
    currency: str,
) -> dict[str, Any]:
    effects = adjusted_effects(outcomes, expected, is_treated)
    plain = adjusted_effects(outcomes[:, -1:], None, is_treated)
    is_stopped = terms.stopped is not None and looks[-1] >= terms.stopped
    verdict = judge(effects, shares, _wished_effect(terms, outcome, expected), is_stopped)
    look = verdict.looks[-1]
    lift = float(effects.lift_share[-1])
    return {
        "as_of": looks[-1],
        "experiment_id": terms.experiment_id,
        "outcome_name": outcome,
        "elapsed_share": shares[-1],
        "treated_count": effects.treated_count,
        "control_count": effects.control_count,
        "control_mean": float(effects.control_mean[-1]),
        **_bounded("effect", look.estimate, look.lower, look.upper, 1),
        **_bounded("effect_total", look.estimate, look.lower, look.upper, effects.treated_count),
        "lift_ratio": lift if np.isfinite(lift) else None,
        "standard_error": float(effects.deviation[-1]),
        "unadjusted_effect": float(plain.estimate[0]),
        "unadjusted_standard_error": float(plain.deviation[0]),
        "critical_value": look.critical_value,
        "effect_skewness": float(effects.skewness[-1]),
        "verdict": str(verdict.name),
        "verdict_reason": of_run(verdict, outcome, currency),
        "decided_date": None if verdict.decided_at is None else looks[verdict.decided_at],
        "more_customers_count": verdict.more_customers,
    }


_OF_REACHED = (
    "reached_share",
    "reached_effect",
    "reached_effect_standard_error",
    "contacted_control_count",
    "unreached_treated_count",
)


def _of_reached(outcome: Floats, expected: Floats, is_treated: Flags, is_reached: Flags | None) -> dict[str, Any]:
    told: dict[str, Any] = dict.fromkeys(_OF_REACHED)
    if is_reached is None:
        return told
    told |= {
        "reached_share": float(is_reached[is_treated].mean() - is_reached[~is_treated].mean()),
        "contacted_control_count": int(is_reached[~is_treated].sum()),
        "unreached_treated_count": int((~is_reached[is_treated]).sum()),
    }
    try:
        found = effect_of_reached(outcome, expected, is_treated, is_reached)
    except NotEnoughData:
        return told
    return told | {"reached_effect": found.estimate, "reached_effect_standard_error": found.deviation}


def _bounded(name: str, estimate: float, lower: float, upper: float, times: int) -> dict[str, float]:
    return {name: times * estimate, f"{name}_lower": times * lower, f"{name}_upper": times * upper}


def _wished_effect(terms: Terms, outcome: str, expected: Floats) -> float | None:
    """The effect per customer over the whole run that was wished for; None where there is none."""
    known = expected[np.isfinite(expected)]
    if terms.wished_lift is None or outcome != terms.wished_outcome or not known.size or known.mean() <= 0:
        return None
    run_days = (terms.until - terms.start).days
    return float(terms.wished_lift * known.mean() * run_days / terms.horizon_days)
