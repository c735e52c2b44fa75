"""Whether matured predictions were as good as they said they were, and as good as those before.

Everything judged is in ``model_performance``. How far a share may be from what was said of it: customers of one
snapshot live through one season, which moves them together, so that the share is less certain than as many independent
customers would make it. Forecasts cannot tell a season that has not been seen. It counts as a common shift of the
log-odds of all with a standard deviation of :data:`SEASON_LOG_ODDS`; a share q moves by q (1 - q) times as much. The
standard error of a share of n customers is therefore sqrt(v / n + (SEASON_LOG_ODDS v)^2), v the mean of q (1 - q):
however many the customers are, 2.5 points where half of them churn.
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
"""The error that is watched from snapshot to snapshot, by target."""

SEASON_LOG_ODDS = 0.1
"""Standard deviation of what a season adds to the log-odds of all; a constant, so that no forecast earns more of it by
being wrong."""

TOTAL_ERRORS = 3.0
"""Standard errors from what is expected that count as outside, of one total: by chance one in 370 is."""

SLICE_ERRORS = 3.5
"""The same of one slice among many: by chance less than one in 2,000 is."""

NAIVE_ERRORS = 2.0
"""Standard errors by which a forecast must be worse than the naive one: one as good as that is in one of 44 cases."""

SIGNIFICANCE = 0.01
"""Of each permutation test: on outcomes, or confidence, dealt at random at most one snapshot in 100 passes."""

LEAST_CUSTOMERS = 200
"""Customers below which permutation tests are not judged: they could not tell a good confidence from a poor one."""

LEAST_SNAPSHOTS = 6
STEADY_DEVIATIONS = 3
"""An error this many deviations above the mean of at least :data:`LEAST_SNAPSHOTS` snapshots before is reported."""

_LARGEST_SHIFT = 20.0  # of log-odds: all or nothing


@dataclass(frozen=True)
class Finding:
    """What was found of one target on one snapshot, in words; ``is_passed`` where it is as it should be."""

    matured_as_of: date
    target: str
    is_passed: bool
    observed: str
    customer_count: int


@dataclass(frozen=True)
class _Slice:
    """The model's metrics of one target in one slice of a snapshot."""

    matured_as_of: date
    as_of: date
    target: str
    name: str
    value: str
    customer_count: int
    metrics: Mapping[str, float]

    def standard_error(self, variance: float) -> float:
        """That of the share of this slice's customers, with the given mean of q (1 - q)."""
        return sqrt(variance / self.customer_count + (SEASON_LOG_ODDS * variance) ** 2)

    def finding(self, is_passed: bool, observed: str, name: str | None = None) -> Finding:
        """What was found of it, under the name of its target or another."""
        at = f"{self.target} at {self.as_of}: {observed}"
        return Finding(self.matured_as_of, name or self.target, is_passed, at, self.customer_count)


def judge_coverage(connection: duckdb.DuckDBPyConnection, matured_as_of: Sequence[date], level: float) -> list[Finding]:
    """Coverage of the intervals of orders and spend, which were made for ``level``: neither too low nor too high.

    Over all, by decile of the prediction, by segment and by tenure. Too many are covered where even without their
    upper bounds the intervals cover more than the narrowest that hold what is likeliest, which where most buy nothing
    is more than ``level``; and wherever an interval has no end.
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
    """Bounds of the churn probability: each tenth's share within its mean bounds, and bounds that tell tenths apart.

    The upper bound of the lowest tenth must lie below the lower bound of the highest: bounds of 0 and 1 hold any share
    and say nothing.
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

    Tenths are judged beside the total: what all of them miss alike, in log-odds, is said once.
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


def judge_confidence(connection: duckdb.DuckDBPyConnection, matured_as_of: Sequence[date]) -> list[Finding]:
    """Whether errors fall with confidence: of churn, and of orders and spend given the churn probability.

    Both permutation tests must say so: the error is smaller, weighted by confidence, than with confidence dealt anew,
    and than with outcomes dealt anew.
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
    """The model's errors beside the naive ones, by the standard error of the mean of the customers' differences."""
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
    """The model's error in ``metrics`` (by target), against its mean and deviation on the snapshots before."""
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
    """A missed share in standard errors; half a customer is free, as counts are whole."""
    excess = max(abs(missed) - 0.5 / customer_count, 0.0)
    if excess == 0:
        return 0.0
    errors = excess / standard_error if standard_error else float("inf")
    return errors if missed > 0 else -errors


def _common_shift(tenths: Sequence[_Slice]) -> float:
    """What brings the log-odds of the tenths' mean probabilities to the number who churned; by bisection."""
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
