"""How far the total of a group of customers may be off, learned from totals that were forecast at earlier dates.

The bounds of customers do not add up to bounds of their total: what they miss by chance cancels out, and what all of
them miss together does not. The error of the total T of a group therefore has three parts, each with a variance:

- *level*: what all customers miss alike, a season for instance, however many they are;
- *group*: what the customers of one group miss beyond that;
- *own*: the outcome of each customer about what is expected of that customer, independent of the others.

The level is measured in logarithms of actual over forecast totals, for buyers in log-odds of their share, as the
share of those who nearly all buy cannot be far off. So are groups, for orders and spend as parts of the total, each
group with the weight of its total. They are learned at the origins, where the forecast was made again, groups less
what the customers' own variation explains, and joined with what other logs showed by credibility (as the level in
:mod:`.level`): few origins prove little, and overlapping horizons count as little as they overlap. Groups at the
origins are thirds of the days since the last order by thirds of the number of purchases.

A total is taken as gamma distributed with mean T and variance T^2 (exp(level + (1 - share^2) group) - 1) + own, which
cannot be negative and is skewed where the group is small. The share of a group is its part of the total of all
customers. What they miss together holds what each group misses by its share, so that share^2 of the group's variance is
in the level already; a group that grows to be all of them has their bounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincinv, logit

from genome_pipeline.contracts.columns.totals import TOTALS
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.forecast.errors import Forecasts
from genome_pipeline.models.genes import numbers

TARGETS = ("buyers", "orders", "spend")
"""What is added up: customers who buy, purchase days, and spend."""

LEAST_CUSTOMERS = 4
"""Customers of a group below which its total has no bounds: they would be those of a person or two."""

_LEAST_GROUP = 10
"""Customers below which a group at an origin says nothing."""

_DIGITS = 6
"""Bounds of counts are rounded to this many decimals before they are rounded to whole numbers."""


class Priors(NamedTuple):
    """What totals on other logs showed; ``benchmarks/totals.py`` chooses it, leaving out one log at a time.

    Attributes:
        origins: number of origins that count as much as other logs, for the level.
        groups: number of groups that count as much as other logs.
        stated: part of the variance that the forecast states of the level of buyers; totals were closer than that.
        further_variance: of the level of orders and of spend, beyond that of buyers, in squared logarithms.
        group_variance: of buyers in squared log-odds, of orders and of spend in squared logarithms.
    """

    origins: float = 4.0
    groups: float = 40.0
    stated: float = 0.3
    further_variance: Mapping[str, float] = MappingProxyType({"orders": 0.015, "spend": 0.03})
    group_variance: Mapping[str, float] = MappingProxyType({"buyers": 0.015, "orders": 0.01, "spend": 0.03})


PRIORS = Priors()


class Origin(NamedTuple):
    """The forecasts of the customers at an earlier date, and what then happened.

    ``features`` and ``outcomes`` are those of a :class:`genome_pipeline.models.snapshots.LabelledSnapshot`.
    """

    as_of: date
    features: pd.DataFrame
    forecasts: Forecasts
    outcomes: pd.DataFrame


class TotalError(NamedTuple):
    """What the bounds of a total rest on, beside its customers' own variance: a row of ``forecast_total_errors``.

    Attributes:
        level_variance: of what all customers miss alike; of buyers in squared log-odds, else in squared logarithms.
        group_variance: of what a group misses beyond that, in the same unit.
        own_factor: variance of customers' outcomes over that of :func:`own_variances`.
    """

    level_variance: float
    group_variance: float
    own_factor: float


class Spread(NamedTuple):
    """How far the totals of one target were off at the origins.

    Attributes:
        buyers_variance: variance that the forecast states of the level, for what buyers contribute to it.
        level_square: mean of the squared misses of all customers together.
        level_count: number of origins, less as far as their horizons overlap.
        group_square: mean of the squared misses of groups beyond those, less what customers' own variation explains.
        group_count: number of groups, less where a few hold most of the total.
        own_factor: variance of customers' outcomes over that of :func:`own_variances`.
    """

    buyers_variance: float
    level_square: float
    level_count: float
    group_square: float
    group_count: float
    own_factor: float

    def error(self, target: str, priors: Priors = PRIORS) -> TotalError:
        """What bounds rest on: the variances seen at the origins, joined with those of :class:`Priors`."""
        level = priors.stated * self.buyers_variance + priors.further_variance.get(target, 0.0)
        return TotalError(
            _joined(level, priors.origins, self.level_square, self.level_count),
            _joined(priors.group_variance[target], priors.groups, self.group_square, self.group_count),
            self.own_factor,
        )


def _joined(prior: float, weight: float, square: float, count: float) -> float:
    """A variance by credibility: of other logs, which count as ``weight`` observations, and of ``count`` of its own."""
    return (weight * prior + count * max(square, 0.0)) / (weight + count)


def own_variances(buys: Any, orders: Any, spend: Any) -> tuple[Any, Any, Any]:
    """Variances of one customer's own buying (0 or 1), purchase days and spend, from their expectations p, p m, p m a.

    Purchase days after the first are taken as Poisson, amounts as spread like an exponential variable. It is plain
    arithmetic, so that arrays and columns of a database will do; ``buys`` and ``orders`` are above 0.
    """
    of_orders = orders * orders / buys - orders * orders + orders - buys
    amount = spend / orders
    return buys * (1 - buys), of_orders, amount * amount * (of_orders + orders)


def fit_spreads(origins: Sequence[Origin], horizon_days: int, buyers_variance: float) -> dict[str, Spread]:
    """How far totals were off, of each target that was forecast at the origins; empty without origins.

    Args:
        origins: earlier dates at which the forecast was made again, oldest first.
        horizon_days: length of the horizon.
        buyers_variance: variance of the level of buyers as :func:`genome_pipeline.models.forecast.level.level_variance`
            has it, in squared log-odds.
    """
    sums = [_added_up(origin) for origin in origins]
    found = {}
    for target in TARGETS:
        known = [(origin.as_of, each[target]) for origin, each in zip(origins, sums, strict=True) if target in each]
        if not known:
            continue
        days, parts = zip(*known, strict=True)
        prior = buyers_variance
        if target != "buyers":
            share = float(np.mean([each["buyers"].share for each in sums]))
            prior = (1 - share) ** 2 * buyers_variance
        # Horizons that overlap tell the same season.
        count = min(len(days), 1 + (days[-1] - days[0]).days / horizon_days)
        level = float(np.mean([part.level_miss**2 for part in parts]))
        squares, weights = (np.concatenate([part[place] for part in parts]) for place in (2, 3))
        group, groups = 0.0, 0.0
        if weights.sum() > 0:
            group = float(np.average(squares, weights=weights))
            groups = float(weights.sum() ** 2 / np.sum(weights**2))
        factor = 1.0
        if target != "buyers":
            factor = sum(part.squared_errors for part in parts) / max(sum(part.own_variance for part in parts), 1e-300)
        found[target] = Spread(prior, level, count, group, groups, float(factor))
    return found


def spreads_from_dict(plain: Mapping[str, Mapping[str, float]]) -> dict[str, Spread]:
    """The spreads of targets, from plain dictionaries."""
    return {target: Spread(**spread) for target, spread in plain.items()}


class Groups(NamedTuple):
    """Groups of customers and the sums over each, shape (groups,): of one target, and of its own variance.

    ``share`` is the part of the total of all customers, in [0, 1].
    """

    customers: Floats
    total: Floats
    own_variance: Floats
    share: Floats


def total_bounds(target: str, groups: Groups, error: TotalError, level: float) -> tuple[Floats, Floats]:
    """Bounds of the totals, shape (groups,) each, made to hold ``level`` of them.

    Bounds of counts are whole numbers, or the total itself. Where a group is likely to buy nothing the lower bound
    is 0, and a bound never excludes the total itself.
    """
    total = groups.total
    variance = error.level_variance + (1 - groups.share**2) * error.group_variance
    if target == "buyers":
        variance = variance * (1 - total / groups.customers) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = 1 / (np.expm1(variance) + error.own_factor * groups.own_variance / total**2)
        lower, upper = (gammaincinv(shape, share) * total / shape for share in ((1 - level) / 2, (1 + level) / 2))
    # A total of nothing, and one of no variance, are their own bounds.
    lower, upper = (np.where(np.isfinite(bound), bound, total) for bound in (lower, upper))
    if target != "spend":
        lower, upper = (np.floor(np.round(bound, _DIGITS) + 0.5) for bound in (lower, upper))
    if target == "buyers":
        upper = np.minimum(upper, groups.customers)
    return np.minimum(lower, total), np.maximum(upper, total)


def forecast_totals(
    sums: pd.DataFrame, errors: Mapping[int, Mapping[str, TotalError]], level: float, main_horizon_days: int
) -> pd.DataFrame:
    """Contract ``forecast_totals`` of one snapshot, sorted by its key; a longer horizon's bounds are no lower.

    As in the outlook, the bounds of the main horizon stay, and the others give way from there outwards.

    Args:
        sums: what :func:`genome_pipeline.transforms.totals.group_sums` gives.
        errors: what the bounds of each target rest on, for each horizon in days.
        level: share of totals that the bounds are to hold, in (0, 1).
        main_horizon_days: length of the main horizon.
    """
    found = sums.sort_values(["group_kind", "group_key", "horizon_days"], ignore_index=True)
    days, company = found["horizon_days"], found[found["group_kind"] == "company"].set_index("horizon_days")
    for target, name in zip(TARGETS, TOTALS, strict=True):
        bounds = np.full((2, len(found)), np.nan)
        shares = found[name] / days.map(company[name]).where(lambda of_all: of_all > 0)
        for horizon, by_target in errors.items():
            rows = ((days == horizon) & found[name].notna()).to_numpy()
            if target in by_target:
                of = found[rows]
                groups = Groups(
                    numbers(of["customer_count"]),
                    numbers(of[name]),
                    np.nan_to_num(numbers(of[f"{target}_variance"])),
                    numbers(shares[rows].fillna(1.0)),
                )
                bounds[:, rows] = group_bounds(target, groups, by_target[target], level)
        for end, bound in zip(("lower", "upper"), bounds, strict=True):
            found[f"{name}_{end}"] = _coherent(found.assign(bound=bound), main_horizon_days)
        found[f"{name}_lower"] = found[[f"{name}_lower", name]].min(axis=1, skipna=False)
        found[f"{name}_upper"] = found[[f"{name}_upper", name]].max(axis=1, skipna=False)
    found["abstain_reason"] = _reasons(found)
    return found[list(TABLES["forecast_totals"].columns)]


def group_bounds(target: str, groups: Groups, error: TotalError, level: float) -> tuple[Floats, Floats]:
    """:func:`total_bounds`, missing for groups of fewer than :data:`LEAST_CUSTOMERS`."""
    is_large = groups.customers >= LEAST_CUSTOMERS
    lower, upper = total_bounds(target, groups, error, level)
    return np.where(is_large, lower, np.nan), np.where(is_large, upper, np.nan)


def why_no_bounds(customer_count: int) -> str | None:
    """Why the total of so few customers has no bounds; None for enough."""
    if customer_count >= LEAST_CUSTOMERS:
        return None
    return f"{customer_count} customer{'' if customer_count == 1 else 's'}: bounds of a total need {LEAST_CUSTOMERS}"


def _coherent(rows: pd.DataFrame, main_horizon_days: int) -> pd.Series[Any]:
    """Column ``bound``, rows sorted by horizon, with longer horizons raised and shorter ones lowered from the main."""
    found = rows["bound"].copy()
    longer, shorter = rows["horizon_days"] >= main_horizon_days, rows["horizon_days"] <= main_horizon_days
    for part, sweep in ((rows[longer], "cummax"), (rows[shorter][::-1], "cummin")):
        # A group buys within a longer horizon what it buys within a shorter one.
        swept = getattr(part.groupby(["group_kind", "group_key"])["bound"], sweep)()
        found.loc[swept.index] = swept
    return found


def error_rows(as_of: date, errors: Mapping[int, Mapping[str, TotalError]]) -> pd.DataFrame:
    """Contract ``forecast_total_errors`` of one snapshot; :func:`errors_of_rows` is its inverse."""
    names = dict(zip(TARGETS, TOTALS, strict=True))
    records = [
        {"as_of": as_of, "horizon_days": days, "total_column": names[target], **error._asdict()}
        for days, by_target in sorted(errors.items())
        for target, error in by_target.items()
    ]
    found = pd.DataFrame(records, columns=list(TABLES["forecast_total_errors"].columns))
    return found.astype({"horizon_days": "int64", **dict.fromkeys(TotalError._fields, "float64")})


def errors_of_rows(rows: pd.DataFrame) -> dict[int, dict[str, TotalError]]:
    """What the bounds of each target rest on, for each horizon in days, from rows of one snapshot."""
    names = dict(zip(TOTALS, TARGETS, strict=True))
    found: dict[int, dict[str, TotalError]] = {}
    for row in rows.to_dict("records"):
        error = TotalError(*(float(row[field]) for field in TotalError._fields))
        found.setdefault(int(row["horizon_days"]), {})[names[row["total_column"]]] = error
    return found


def _reasons(totals: pd.DataFrame) -> list[str | None]:
    """Why a total of a group, or a bound of one, is missing; None where none is."""
    parts = [f"{name}{end}" for name in TOTALS for end in ("", "_lower", "_upper")]
    is_whole, is_told = totals[parts].notna().all(axis=1), totals["expected_buyer_count"].notna()
    found = []
    for reason, count, whole, told in zip(
        totals["abstain_reason"], totals["customer_count"], is_whole, is_told, strict=True
    ):
        texts = (reason, why_no_bounds(count) if told else None)
        known = [text for text in texts if isinstance(text, str)]
        found.append(None if whole else "; ".join(known) or None)
    return found


class _Sums(NamedTuple):
    share: float
    level_miss: float
    group_squares: Floats
    group_weights: Floats
    squared_errors: float
    own_variance: float


def _added_up(origin: Origin) -> dict[str, _Sums]:
    """What the totals of each target missed at an origin; a target that was not forecast is left out."""
    buys = origin.forecasts.buys
    orders = origin.forecasts.orders
    spend = orders * origin.forecasts.amount
    with np.errstate(divide="ignore", invalid="ignore"):
        variances = own_variances(buys, orders, spend)
    actual = {
        "buyers": (~origin.outcomes["has_churned"].to_numpy(bool)).astype(float),
        "orders": numbers(origin.outcomes["actual_orders"]),
        "spend": numbers(origin.outcomes["actual_spend"]),
    }
    cells = _cells(origin.features)
    found = {}
    for target, expected, unknown in zip(TARGETS, (buys, orders, spend), variances, strict=True):
        happened, variance = actual[target], np.nan_to_num(unknown)
        if not (np.isfinite(expected).all() and np.isfinite(happened).all() and expected.sum() > 0):
            continue
        by_cell = [np.bincount(cells, values, minlength=9) for values in (expected, happened, variance)]
        sizes = np.bincount(cells, minlength=9).astype(float)
        level = float(_miss(target, expected.sum(), happened.sum(), float(len(cells))))
        is_large = (sizes >= _LEAST_GROUP) & (by_cell[0] > 0)
        total, done, own = (values[is_large] for values in by_cell)
        sizes = sizes[is_large]
        if target == "buyers":
            # What a share tells of its log-odds.
            weights = total * (1 - total / sizes)
            squares = (_miss(target, total, done, sizes) - level) ** 2 - own / weights**2
        else:
            # The logarithm of a small group's total would be far off by chance alone.
            weights = total
            squares = ((done - total * max(happened.sum(), 0.0) / expected.sum()) ** 2 - own) / total**2
        # What each customer missed beyond what all missed.
        errors = happened - expected * max(happened.sum(), 0.0) / expected.sum()
        found[target] = _Sums(
            float(buys.mean()), level, squares, weights, float(np.sum(errors**2)), float(variance.sum())
        )
    return found


def _miss(target: str, expected: Any, actual: Any, customers: Any) -> Any:
    """Actual beside expected totals: for buyers in log-odds, else as a logarithm; finite where nothing happened."""
    if target == "buyers":
        return logit((actual + 0.5) / (customers + 1)) - logit((expected + 0.5) / (customers + 1))
    least = 0.01 * expected
    return np.log((np.maximum(actual, 0) + least) / (expected + least))


def _cells(features: pd.DataFrame) -> NDArray[np.int64]:
    """Thirds of the days since the last order by thirds of the number of purchases, 0 to 8; ties are in one third."""

    def thirds(name: str) -> NDArray[np.int64]:
        ranks = pd.Series(numbers(features[name])).rank().to_numpy()
        found: NDArray[np.int64] = np.minimum(3 * (ranks - 0.5) // len(ranks), 2).astype(np.int64)
        return found

    return 3 * thirds("days_since_last_order") + thirds("frequency_count")
