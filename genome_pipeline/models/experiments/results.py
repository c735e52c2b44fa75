"""What experiments have shown by one snapshot: the rows of ``experiment_results`` and ``rule_proofs``."""

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
from genome_pipeline.models.experiments.groups import group_rows, targeting
from genome_pipeline.models.experiments.pooling import Run, pooled
from genome_pipeline.models.experiments.sequential import LARGEST_SKEWNESS, VerdictName, judge
from genome_pipeline.models.experiments.words import of_rule, of_run
from genome_pipeline.models.genes import numbers
from genome_pipeline.models.not_enough_data import NotEnoughData


class Terms(NamedTuple):
    """What was laid down when an experiment was drawn.

    Attributes:
        experiment_id: its id.
        start: snapshot of the draw, from which outcomes are counted.
        until: end of the run as it was laid down.
        stopped: snapshot at which it was stopped before that, or None.
        horizon_days: of the forecasts that were frozen.
        wished_lift: how much more the treated were to do, as a share of what was expected; None if nothing was said.
        wished_outcome: the outcome that the wish is about.
        treated_share: chance of being treated, in (0, 1).
        campaigns: names by which a contact log may call what is done to the treated; None for anything.
    """

    experiment_id: str
    start: date
    until: date
    stopped: date | None
    horizon_days: int
    wished_lift: float | None
    wished_outcome: str
    treated_share: float
    campaigns: Sequence[str] | None

    @property
    def end(self) -> date:
        """Snapshot of the last look."""
        return min(self.until, self.stopped or self.until)


def looks_until(terms: Terms, snapshots: Sequence[date], as_of: date) -> list[date]:
    """The looks of an experiment by a snapshot: those after its start, up to its end or its stop; in order."""
    return [day for day in sorted(snapshots) if terms.start < day <= min(terms.end, as_of)]


def results(
    terms: Terms,
    looks: Sequence[date],
    members: pd.DataFrame,
    done: pd.DataFrame,
    reached: pd.Series | None,
    currency: str,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of contracts ``experiment_results`` and ``experiment_groups`` at the last of the looks.

    The former has a row for each outcome that the log has, none where too few customers are left of an arm; the latter
    has rows once the run is over.

    Args:
        terms: of the experiment.
        looks: snapshots so far, in order; the last is that of the rows.
        members: contract ``experiment_members`` of the experiment, by customer.
        done: rows of :func:`genome_pipeline.transforms.experiments.outcomes_since` at these looks.
        reached: ids of the members who were contacted for it by the last look; None where nobody logs that.
        currency: code to write after amounts; may be empty.
        seed: of the model that tells whether to choose by the effect on each customer.
    """
    is_treated = members["is_treated"].to_numpy(bool)
    is_reached = None if reached is None else members["customer_id"].isin(reached).to_numpy(bool)
    shares = [(look - terms.start).days / (terms.until - terms.start).days for look in looks]
    rows, groups = [], [pd.DataFrame(columns=list(TABLES["experiment_groups"].columns))]
    for outcome in OUTCOMES:
        outcomes = _outcomes(outcome, looks, members, done)
        expected = numbers(members[f"expected_{outcome}"])
        if outcome == "spend" and not np.isfinite(expected).any() and not outcomes.any():
            continue  # a log without amounts
        try:
            row = _row(terms, looks, shares, outcome, outcomes, expected, is_treated, currency)
        except NotEnoughData:
            continue
        row |= _of_reached(outcomes[:, -1], expected, is_treated, is_reached)
        if looks[-1] == terms.end:
            last = outcomes[:, -1]
            groups.append(group_rows(looks[-1], terms.experiment_id, outcome, members, last))
            row["targeting_reason"] = targeting(members, last, terms.treated_share, seed)
        rows.append(row)
    return pd.DataFrame(rows, columns=list(TABLES["experiment_results"].columns)), _together_of(groups)


def _together_of(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else frames[0]


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
    decided = None if verdict.decided_at is None else looks[verdict.decided_at]
    at_a_look = f", at the look of {decided}" if decided not in (None, looks[-1]) else ""
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
        "verdict_reason": of_run(verdict, outcome, currency) + at_a_look,
        "decided_date": decided,
        "more_customers_count": verdict.more_customers,
        "targeting_reason": None,
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


def proofs(as_of: date, runs: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Contract ``rule_proofs`` at a snapshot: what the runs of each rule have shown together.

    One run says what it said at its end; several are pooled, as :mod:`genome_pipeline.models.experiments.pooling` says.
    Runs in which nobody did anything say nothing, nor do those of another action than the rule's latest run had.

    Args:
        as_of: the snapshot.
        runs: rows of :func:`genome_pipeline.transforms.experiments.ended_runs`.
        currency: code to write after amounts; may be empty.
    """
    latest = runs.groupby("action_rule")["action"].transform("last")
    telling = runs[(runs["standard_error"] > 0) & (runs["action"] == latest)]
    rows = [
        {"as_of": as_of, "action_rule": rule, "outcome_name": outcome, **_together(mine, str(outcome), currency)}
        for (rule, outcome), mine in telling.groupby(["action_rule", "outcome_name"], sort=True)
    ]
    return pd.DataFrame(rows, columns=list(TABLES["rule_proofs"].columns))


def _together(runs: pd.DataFrame, outcome: str, currency: str) -> dict[str, Any]:
    if len(runs) == 1:
        (run,) = runs.to_dict("records")
        kept = ("treated_count", "effect", "effect_lower", "effect_upper", "lift_ratio", "verdict", "verdict_reason")
        return {"run_count": 1, **{name: run[name] for name in kept}}
    of_all = pooled(
        [
            Run(run["treated_count"], run["effect"], run["standard_error"] ** 2, run["control_mean"])
            for run in runs.to_dict("records")
        ]
    )
    if abs(_skewness_together(runs)) > LARGEST_SKEWNESS:
        of_all = of_all._replace(verdict=VerdictName.NOT_PROVEN_YET)
    return {
        "run_count": of_all.run_count,
        "treated_count": of_all.treated_count,
        **_bounded("effect", of_all.estimate, of_all.lower, of_all.upper, 1),
        "lift_ratio": of_all.lift_share,
        "next_effect_lower": of_all.next_lower,
        "next_effect_upper": of_all.next_upper,
        "verdict": str(of_all.verdict),
        "verdict_reason": of_rule(of_all, outcome, currency),
    }


def _skewness_together(runs: pd.DataFrame) -> float:
    """Skewness of the pooled effect: third moments of independent runs add up, as their variances do."""
    deviations = numbers(runs["treated_count"]) * numbers(runs["standard_error"])
    third = float((deviations**3 * numbers(runs["effect_skewness"])).sum())
    return float(third / float((deviations**2).sum()) ** 1.5)
