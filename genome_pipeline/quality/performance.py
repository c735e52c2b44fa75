"""Whether matured predictions were as good as they claimed, and as good as earlier ones.

Everything is judged from ``model_performance`` and ``outlook_performance``. How far may a share be from its forecast?
Customers of one snapshot live through the same season, which moves them together, so that the share is less certain
than that of as many independent customers. Forecasts cannot know a season that has not been seen. A season is
modelled as a common shift of everyone's log-odds, with standard deviation :data:`SEASON_LOG_ODDS`; it moves a share q
by q (1 - q) times as much. The standard error of the share of n customers is therefore sqrt(v / n + (SEASON_LOG_ODDS
v)^2), where v is the mean of q (1 - q). It is at least 2.5 points where half of the customers churn, however many
they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import exp, isinf, sqrt
from typing import Any

import duckdb

from genome_pipeline.contracts.metrics import CUSTOMER_ERRORS

HEADLINE = {"orders": "mae", "spend": "mae", "churn": "brier"}
"""The error that is compared from snapshot to snapshot, by target."""

SEASON_LOG_ODDS = 0.1
"""Standard deviation of a season's shift of everyone's log-odds; a constant, so that a forecast cannot widen it by
being wrong."""

TOTAL_ERRORS = 3.0
"""A total fails beyond this many standard errors from its forecast; by chance one in 370 does."""

SLICE_ERRORS = 3.5
"""One slice among many fails beyond this many standard errors; by chance fewer than one in 2,000 does."""

NAIVE_ERRORS = 2.0
"""A forecast fails if it is worse than the naive one by this many standard errors; by chance one in 44 does."""

SIGNIFICANCE = 0.01
"""Level of each permutation test: with outcomes or confidence at random, at most one snapshot in 100 passes."""

LEAST_CUSTOMERS = 200
"""With fewer customers permutation tests are not judged: they could not tell good confidence from poor."""

LEAST_SNAPSHOTS = 6
STEADY_DEVIATIONS = 3
"""An error this many deviations above the mean of at least :data:`LEAST_SNAPSHOTS` earlier snapshots is reported."""

_LARGEST_SHIFT = 20.0  # of log-odds: turns any share into all or none


@dataclass(frozen=True)
class Finding:
    """The finding on one target at one snapshot, in words; ``is_passed`` if it is as it should be."""

    matured_as_of: date
    target: str
    is_passed: bool
    observed: str
    customer_count: int


def _standard_error(variance: float, customer_count: int) -> float:
    return sqrt(variance / customer_count + (SEASON_LOG_ODDS * variance) ** 2)


@dataclass(frozen=True)
class _Slice:
    """The model's metrics for one target in one slice of a snapshot."""

    matured_as_of: date
    as_of: date
    target: str
    name: str
    value: str
    customer_count: int
    metrics: Mapping[str, float]

    def standard_error(self, variance: float) -> float:
        """Standard error of a share of this slice's customers; ``variance`` is the mean of q (1 - q)."""
        return _standard_error(variance, self.customer_count)

    def finding(self, is_passed: bool, observed: str, name: str | None = None) -> Finding:
        """The finding on this slice, under the name of its target or another."""
        at = f"{self.target} at {self.as_of}: {observed}"
        return Finding(self.matured_as_of, name or self.target, is_passed, at, self.customer_count)


def judge_coverage(connection: duckdb.DuckDBPyConnection, matured_as_of: Sequence[date], level: float) -> list[Finding]:
    """Coverage of the intervals of orders and spend, which were made for ``level``: neither too low nor too high.

    Judged over all customers, and by decile of the prediction, segment and tenure. Coverage is too high if, even
    without their upper bounds, intervals cover more than the narrowest intervals of the most likely values. (Where most
    customers buy nothing, these cover more than ``level``.) An interval without an upper end always counts as too wide.
    """
    findings = []
    for whole, slices in _by_snapshot(connection, matured_as_of, ("orders", "spend"), "coverage"):
        judged = [whole, *(part for part in slices if part.name in ("prediction_decile", "segment", "tenure"))]
        low, high = [], []
        for one in judged:
            errors = TOTAL_ERRORS if one is whole else SLICE_ERRORS
            least = one.metrics["least_coverage"]
            most = least + errors * one.standard_error(least * (1 - least))
            if one.metrics["coverage"] < level - errors * one.standard_error(level * (1 - level)):
                low.append(one)
            if one.metrics["inner_coverage"] > most or isinf(one.metrics["mean_interval_width"]):
                high.append(one)
        findings.append(
            whole.finding(
                not low and not high,
                f"{whole.metrics['coverage']:.1%} of all within intervals of {level:.0%}"
                f" (the narrowest that hold what is likeliest: {whole.metrics['least_coverage']:.1%});"
                f" of {len(judged)} slices too few in {_listed(low)}, too many in {_listed(high)}",
            )
        )
    return findings


def judge_bounds(connection: duckdb.DuckDBPyConnection, matured_as_of: Sequence[date]) -> list[Finding]:
    """Bounds of the churn probability: each tenth's share must lie within its mean bounds, and bounds must differ.

    The upper bound of the lowest tenth must lie below the lower bound of the highest: bounds of 0 and 1 contain any
    share and mean nothing.
    """
    findings = []
    for whole, slices in _by_snapshot(connection, matured_as_of, ("churn",), "mean_lower_bound"):
        tenths = [part for part in slices if part.name == "prediction_decile" and "mean_lower_bound" in part.metrics]
        outside = []
        for tenth in tenths:
            allowed = SLICE_ERRORS * tenth.standard_error(tenth.metrics["expected_brier"]) + 0.5 / tenth.customer_count
            lower, upper = tenth.metrics["mean_lower_bound"] - allowed, tenth.metrics["mean_upper_bound"] + allowed
            if not lower <= tenth.metrics["base_rate"] <= upper:
                outside.append(tenth)
        lowest, highest = tenths[0].metrics["mean_upper_bound"], tenths[-1].metrics["mean_lower_bound"]
        findings.append(
            whole.finding(
                not outside and (lowest < highest or len(tenths) == 1),
                f"the share that churned is outside the bounds of {_listed(outside)};"
                f" the lowest tenth is bounded by {lowest:.1%} from above, the highest by {highest:.1%} from below",
            )
        )
    return findings


def judge_calibration(connection: duckdb.DuckDBPyConnection, matured_as_of: Sequence[date]) -> list[Finding]:
    """Customers who churned beside the sum of ``churn_probability``: of all (``total``), in each tenth (``tenths``).

    Tenths are judged relative to the total: an error that they share, in log-odds, is reported once.
    """
    findings = []
    for whole, slices in _by_snapshot(connection, matured_as_of, ("churn",), "predicted_rate"):
        said, did = whole.metrics["predicted_rate"], whole.metrics["base_rate"]
        errors = _errors(did - said, whole.standard_error(whole.metrics["expected_brier"]), whole.customer_count)
        findings.append(
            whole.finding(
                abs(errors) <= TOTAL_ERRORS,
                f"{said:.1%} were to churn, {did:.1%} did ({errors:+.1f} standard errors)",
                "total",
            )
        )
        tenths = [part for part in slices if part.name == "prediction_decile"]
        shift = _common_shift(tenths)
        outside = []
        for tenth in tenths:
            missed = tenth.metrics["base_rate"] - _shifted(tenth, shift)
            error = tenth.standard_error(tenth.metrics["expected_brier"])
            if abs(_errors(missed, error, tenth.customer_count)) > SLICE_ERRORS:
                outside.append(tenth)
        told = ", ".join(
            f"{tenth.value}: {_shifted(tenth, shift):.1%} said, {tenth.metrics['base_rate']:.1%} did"
            for tenth in outside
        )
        findings.append(
            whole.finding(
                not outside,
                f"beside the total, too far apart in {len(outside)} of {len(tenths)} tenths of the probability"
                + (f" ({told})" if told else ""),
                "tenths",
            )
        )
    return findings


def judge_outlook(connection: duckdb.DuckDBPyConnection, matured_as_of: Sequence[date]) -> list[Finding]:
    """Customers who churned beside the sum of ``churn_probability``, over each further horizon."""
    rows = connection.execute(
        "SELECT matured_as_of, as_of, horizon_days, customer_count, mean_churn_probability, actual_churn_share,"
        " expected_brier_score FROM outlook_performance WHERE matured_as_of IN (SELECT unnest(?))"
        " ORDER BY as_of, horizon_days",
        [list(matured_as_of)],
    ).fetchall()
    findings = []
    for matured, as_of, days, count, said, did, variance in rows:
        errors = _errors(did - said, _standard_error(variance, count), count)
        findings.append(
            Finding(
                matured,
                f"{days}_days",
                abs(errors) <= TOTAL_ERRORS,
                f"over {days} days from {as_of}: {said:.1%} were to churn, {did:.1%} did"
                f" ({errors:+.1f} standard errors)",
                count,
            )
        )
    return findings


def judge_confidence(connection: duckdb.DuckDBPyConnection, matured_as_of: Sequence[date]) -> list[Finding]:
    """Whether errors fall as confidence rises: for churn, and for orders and spend given the churn probability.

    Both permutation tests must agree: the confidence-weighted error is smaller than with confidence permuted, and
    smaller than with outcomes permuted.
    """
    findings = []
    names = "orders", "spend", "churn"
    for whole, _ in _by_snapshot(connection, matured_as_of, names, "confidence_error_ratio"):
        by_confidence, by_outcome = whole.metrics["confidence_p_value"], whole.metrics["outcome_p_value"]
        is_judged = whole.customer_count >= LEAST_CUSTOMERS
        given = "" if whole.target == "churn" else ", given the churn probability,"
        findings.append(
            whole.finding(
                not is_judged or max(by_confidence, by_outcome) <= SIGNIFICANCE,
                f"weighted by confidence the error{given} is {whole.metrics['confidence_error_ratio']:.3f} of the mean"
                f" error; as small by chance in {by_confidence:.1%} of draws of confidence,"
                f" {by_outcome:.1%} of outcomes"
                + ("" if is_judged else f"; not judged below {LEAST_CUSTOMERS} customers"),
            )
        )
    return findings


def judge_naive(connection: duckdb.DuckDBPyConnection, matured_as_of: Sequence[date]) -> list[Finding]:
    """The model's errors beside the naive ones, in standard errors of the mean difference per customer."""
    amounts = _by_snapshot(connection, matured_as_of, ("orders", "spend"), "squared_error_excess")
    findings = []
    for whole, _ in (*amounts, *_by_snapshot(connection, matured_as_of, ("churn",), "log_loss_excess")):
        excesses = {
            name: (whole.metrics[f"{error}_excess"], whole.metrics.get(f"{error}_excess_standard_error", 0.0))
            for error, name in CUSTOMER_ERRORS.items()
            if f"{error}_excess" in whole.metrics
        }
        told = "; ".join(f"{name} {excess:+.4g}, give or take {by:.2g}" for name, (excess, by) in excesses.items())
        is_passed = all(excess <= NAIVE_ERRORS * by for excess, by in excesses.values())
        findings.append(whole.finding(is_passed, f"beside the naive forecast {told}"))
    return findings


def judge_errors(
    connection: duckdb.DuckDBPyConnection, matured_as_of: Sequence[date], metrics: Mapping[str, str]
) -> list[Finding]:
    """The model's error in ``metrics`` (by target), beside its mean and deviation at earlier snapshots."""
    rows = connection.execute(
        "WITH errors AS (SELECT matured_as_of, as_of, target, metric, metric_value AS error, customer_count"
        " FROM model_performance WHERE slice_name = 'all' AND predictor = 'model'"
        " AND map_extract_value($metrics::MAP(VARCHAR, VARCHAR), target) = metric),"
        " judged AS (SELECT *, avg(error) OVER earlier AS mean, stddev(error) OVER earlier AS deviation,"
        " count(*) OVER earlier AS snapshots FROM errors WINDOW earlier AS (PARTITION BY target ORDER BY as_of"
        " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))"
        " SELECT matured_as_of, as_of, target, metric, error, mean, deviation, customer_count FROM judged"
        " WHERE snapshots >= $least AND matured_as_of IN (SELECT unnest($dates)) ORDER BY as_of, target",
        {"metrics": {**metrics}, "least": LEAST_SNAPSHOTS, "dates": [*matured_as_of]},
    ).fetchall()
    return [
        Finding(
            matured,
            target,
            error <= mean + STEADY_DEVIATIONS * deviation,
            f"{target} at {as_of}: {metric} {error:.4g}, on the snapshots before {mean:.4g} on average,"
            f" give or take {deviation:.4g}",
            count,
        )
        for matured, as_of, target, metric, error, mean, deviation, count in rows
    ]


def _by_snapshot(
    connection: duckdb.DuckDBPyConnection, matured_as_of: Sequence[date], targets: Sequence[str], metric: str
) -> list[tuple[_Slice, list[_Slice]]]:
    """All customers, and the slices, of each snapshot and target for which the metric was measured, in that order."""
    rows = connection.execute(
        "SELECT matured_as_of, as_of, target, slice_name, slice_value, max(customer_count),"
        " map_from_entries(list((metric, metric_value))) FROM model_performance"
        " WHERE predictor = 'model' AND metric_value IS NOT NULL AND list_contains($targets, target)"
        " AND matured_as_of IN (SELECT unnest($dates))"
        " GROUP BY matured_as_of, as_of, target, slice_name, slice_value"
        " ORDER BY as_of, target, slice_name, try_cast(slice_value AS INT), slice_value",
        {"targets": [*targets], "dates": [*matured_as_of]},
    ).fetchall()
    found: dict[tuple[Any, ...], list[_Slice]] = {}
    for row in rows:
        found.setdefault(row[1:3], []).append(_Slice(*row))
    wholes = [(slices, next((one for one in slices if one.name == "all"), None)) for slices in found.values()]
    return [
        (whole, [one for one in slices if one is not whole and metric in one.metrics])
        for slices, whole in wholes
        if whole and metric in whole.metrics
    ]


def _errors(missed: float, standard_error: float, customer_count: int) -> float:
    """The difference between two shares in standard errors; half a customer is ignored, as counts are whole."""
    excess = max(abs(missed) - 0.5 / customer_count, 0.0)
    if excess == 0:
        return 0.0
    errors = excess / standard_error if standard_error else float("inf")
    return errors if missed > 0 else -errors


def _common_shift(tenths: Sequence[_Slice]) -> float:
    """The shift of log-odds that brings the tenths' mean probabilities to the number who churned; by bisection."""
    churned = sum(tenth.customer_count * tenth.metrics["base_rate"] for tenth in tenths)
    low, high = -_LARGEST_SHIFT, _LARGEST_SHIFT
    while high - low > 1e-9:
        middle = (low + high) / 2
        if sum(tenth.customer_count * _shifted(tenth, middle) for tenth in tenths) < churned:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _shifted(tenth: _Slice, shift: float) -> float:
    """Mean probability of a tenth after a shift of its log-odds."""
    p = tenth.metrics["predicted_rate"]
    return p * exp(shift) / (1 - p + p * exp(shift))


def _listed(slices: Sequence[_Slice]) -> str:
    if not slices:
        return "none"
    return ", ".join("all" if one.name == "all" else f"{one.name} {one.value}" for one in slices)
