"""What an experiment can show, reckoned before it starts from what the audience did before.

The spread that matters is what customers do beyond their forecast, as the effect is adjusted by it. It is taken from
an earlier snapshot that has matured: the customers whom the rule matched then, the forecast of them then, and what they
did. It is brought to today's audience in proportion to the mean that is expected, as for a compound Poisson variable.
Whoever is treated is taken to do (1 + lift) times as much, and so to spread (1 + lift) times as widely:

    variance of the effect = s^2 ((1 + lift)^2 / treated + 1 / controls)

An effect is visible if it is shown to be above 0 with a power of 80%, by a test on both sides at 5% with the bound of
the last look (:func:`.sequential.final_critical_value`): if lift times mean >= (bound + z(.8)) standard errors. The
chance of harm shown while there is good is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from genome_pipeline.errors import ConfigError
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.experiments.assignment import LEAST_ARM, check_audience, check_control_share
from genome_pipeline.models.experiments.effect import filled
from genome_pipeline.models.experiments.sequential import LARGEST_SKEWNESS, POWER, final_critical_value
from genome_pipeline.models.not_enough_data import NotEnoughData

LARGEST_LIFT = 0.5
"""A plan promises nothing about lifts above this: no message makes an audience buy half as much again."""

LEAST_LIFT = 0.001
"""A lift below this would need millions of customers."""

_NEGLIGIBLE = 1e-9


class Before(NamedTuple):
    """What the rule's audience did over one horizon after an earlier snapshot.

    Attributes:
        horizon_days: of the outcome.
        expected: forecast made at that snapshot, shape (customers,); NaN where it was withheld.
        actual: what they then did, shape (customers,).
        expected_now: mean forecast of today's audience over the same horizon.
        look_count: looks of a run as long, at least 1.
    """

    horizon_days: int
    expected: Floats
    actual: Floats
    expected_now: float
    look_count: int


class Spread(NamedTuple):
    """How far customers of the audience are from their forecast, per customer.

    Attributes:
        mean: what is expected of a customer today.
        deviation: standard deviation of what customers do beyond their forecast.
        unadjusted_deviation: standard deviation of what customers do.
        skewness: of what they do beyond their forecast.
    """

    mean: float
    deviation: float
    unadjusted_deviation: float
    skewness: float


class Row(NamedTuple):
    """What an experiment of one horizon and control share can show of one outcome.

    Attributes:
        outcome: "orders" or "spend".
        horizon_days: length of the run.
        control_share: left alone, in (0, 1).
        treated_count, control_count: customers.
        smallest_lift_share: least lift seen at 80% power, as a share of what is expected; infinite if none is.
        smallest_effect: the same per customer, in units of the outcome.
        unadjusted_lift_share: the same without the forecast.
        needed_count: customers that the wished lift needs at 80% power; None if no lift is wished.
        is_enough: the wished lift, or without one a lift of at most 50%, is seen at 80% power, and no few customers
            weigh too much in it.
    """

    outcome: str
    horizon_days: int
    control_share: float
    treated_count: int
    control_count: int
    smallest_lift_share: float
    smallest_effect: float
    unadjusted_lift_share: float
    needed_count: int | None
    is_enough: bool


def spread_of(before: Before) -> Spread:
    """The spread of today's audience over the horizon.

    Raises:
        NotEnoughData: fewer than 100 customers were in the audience then, they did nothing or all the same, or nothing
            is expected now.
    """
    count = before.actual.size
    if count < 2 * LEAST_ARM:
        raise NotEnoughData(
            f"the rule matched {count:,} customers at the snapshot that has matured: a plan needs {2 * LEAST_ARM}"
        )
    mean = float(before.actual.mean())
    if mean <= 0 or before.expected_now <= 0:
        raise NotEnoughData(f"nothing is bought by this audience within {before.horizon_days} days")
    x = filled(before.expected)
    off, beyond = x - x.mean(), before.actual - mean
    slope = float(off @ beyond) / float(off @ off) if np.ptp(x) > 0 else 0.0
    residual = beyond - slope * off
    deviation = math.sqrt(float(residual @ residual) / (count - 2))
    if deviation <= _NEGLIGIBLE * mean:
        raise NotEnoughData("all customers of this audience did the same: there is no spread to plan by")
    scale = math.sqrt(before.expected_now / mean)
    skewness = float((residual**3).mean()) / deviation**3
    return Spread(before.expected_now, deviation * scale, float(before.actual.std(ddof=1)) * scale, skewness)


def power_of(spread: Spread, lift: float, treated: int, controls: int, looks: int) -> float:
    """Probability, in [0, 1], that a run with so many customers shows a lift (a share of what is expected, above 0)."""
    error = spread.deviation * math.sqrt((1 + lift) ** 2 / treated + 1 / controls)
    return float(ndtr(lift * spread.mean / error - final_critical_value(looks)))


def visible_lift(spread: Spread, treated: int, controls: int, looks: int, power: float = POWER) -> float:
    """The least lift that a run shows with the power, as a share of what is expected; infinite if no lift is."""
    return _visible(
        spread.mean / spread.deviation, treated, controls, final_critical_value(looks) + float(ndtri(power))
    )


def _visible(ratio: float, treated: int, controls: int, height: float) -> float:
    """Solves lift^2 ratio^2 = height^2 ((1 + lift)^2 / treated + 1 / controls) for the lift above 0."""
    a, b, c = ratio**2 - height**2 / treated, -2 * height**2 / treated, -(height**2) * (1 / treated + 1 / controls)
    return (-b + math.sqrt(b * b - 4 * a * c)) / (2 * a) if a > 0 else math.inf


def customers_needed(spread: Spread, lift: float, control_share: float, looks: int) -> int:
    """Customers that the lift needs to be seen at 80% power, treated and controls together, at least 50 of each.

    ``lift`` is above 0; ``control_share`` is in (0, 1).
    """
    height = final_critical_value(looks) + float(ndtri(POWER))
    per_customer = (1 + lift) ** 2 / (1 - control_share) + 1 / control_share
    count = (height * spread.deviation / (lift * spread.mean)) ** 2 * per_customer
    return math.ceil(round(max(count, LEAST_ARM / min(control_share, 1 - control_share)), 6))


def plan(
    before: Mapping[str, Sequence[Before]],
    customer_count: int,
    control_shares: Sequence[float],
    lift: float | None = None,
) -> list[Row]:
    """What experiments on today's audience can show: a row for each outcome, horizon and control share.

    Args:
        before: by outcome ("orders", "spend"), what the audience did over each horizon that is offered.
        customer_count: customers whom the rule matches today.
        control_shares: shares to be left alone, each above 0 and below 1.
        lift: the lift that is wished, as a share of what is expected (.1: one tenth more), or None.

    Raises:
        ConfigError: a control share or the lift is out of bounds.
        NotEnoughData: the audience is too small, or did nothing before, as :func:`spread_of` says.
    """
    rows = []
    check_lift(lift)
    for share in control_shares:
        check_control_share(share)
        check_audience(customer_count, share)
    for outcome, horizons in before.items():
        for each in horizons:
            spread = spread_of(each)
            rows += [
                _row(outcome, each.horizon_days, spread, customer_count, share, each.look_count, lift)
                for share in control_shares
            ]
    return rows


def check_lift(lift: float | None) -> None:
    """Raise :class:`~genome_pipeline.errors.ConfigError` for a lift that no plan can be made for."""
    if lift is not None and not LEAST_LIFT <= lift <= LARGEST_LIFT:
        raise ConfigError(
            f"a lift of {100 * lift:g}%: choose one from {LEAST_LIFT:.1%} to {LARGEST_LIFT:.0%}, such as 10%"
        )


def _row(outcome: str, days: int, spread: Spread, count: int, share: float, looks: int, lift: float | None) -> Row:
    controls = round(count * share)
    treated = count - controls
    smallest = visible_lift(spread, treated, controls, looks)
    plain = visible_lift(spread._replace(deviation=spread.unadjusted_deviation), treated, controls, looks)
    needed = None if lift is None else customers_needed(spread, lift, share, looks)
    return Row(
        outcome,
        days,
        share,
        treated,
        controls,
        smallest,
        smallest * spread.mean,
        plain,
        needed,
        (smallest <= LARGEST_LIFT if needed is None else needed <= count)
        and abs(skewness_of_effect(spread, treated, controls)) <= LARGEST_SKEWNESS,
    )


def skewness_of_effect(spread: Spread, treated: int, controls: int) -> float:
    """Skewness of the estimate of a run: 0 where as many are treated as are left alone."""
    uneven = (1 / treated**2 - 1 / controls**2) / math.pow(1 / treated + 1 / controls, 1.5)
    return spread.skewness * uneven


def answer(rows: Sequence[Row], chosen: Row, lift: float | None) -> str:
    """What the chosen row of a plan can show, in one sentence; where that is not enough, what would be.

    ``rows`` is the whole plan, ``chosen`` one of its rows, ``lift`` the one that is wished.
    """
    count = chosen.treated_count + chosen.control_count
    run = f"{count:,} customers, {chosen.control_share:.0%} of them left alone for {chosen.horizon_days} days"
    wished = f"a lift of {lift:.0%}" if lift is not None else "no plausible lift"
    if chosen.is_enough:
        return (
            f"{run}, show a lift in {chosen.outcome} of {chosen.smallest_lift_share:.1%} or more"
            f" ({chosen.smallest_effect:.3g} per customer) in four of five experiments"
        )
    can = " cannot show" if lift is not None else " can show"
    ways = [
        f"a control of {row.control_share:.0%} for {row.horizon_days} days"
        for row in rows
        if row.is_enough and row.outcome == chosen.outcome
    ][:1]
    if chosen.needed_count is not None and chosen.needed_count > count:
        runs = math.ceil(chosen.needed_count / count)
        ways.insert(0, f"{chosen.needed_count:,} customers, as many as {runs} such runs have,")
    if ways:
        return f"{run},{can} {wished} in {chosen.outcome}: {' or '.join(ways)} would"
    others = sorted({row.outcome for row in rows if row.is_enough} - {chosen.outcome})
    instead = f"measure {others[0]} instead" if others else "widen the rule, or let several runs of it add up"
    return f"{run},{can} {wished} in {chosen.outcome}: {instead}"
