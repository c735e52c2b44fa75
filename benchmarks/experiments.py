"""Whether experiments on real logs show what is there: no effect, or one that was put in.

``python -m benchmarks.experiments [--logs cdnow ...]`` takes the customers of CDNOW (every fourth), The Complete
Journey and Online Retail II at one date, forecast as the program does it, and what they did in the 90 days after,
looked at every 30 days. A fifth is left alone, drawn anew in each experiment.

- *No effect*: 1,000 draws; how many show an effect, or harm, at any look, and how many raise a false alarm of the
  sample ratio at 5% after 2% of the customers were lost by chance.
- *Known effects*, 400 draws each: orders of the treated are added or deleted at random, with their amounts, or amounts
  are multiplied. The sizes are the lifts that the plan, made from the 90 days before, promises to show with 50, 80 and
  95% power. How often the interval of the last look covers the true effect on these customers, how much shorter the
  forecast makes it, and how often the effect is shown.

Writes ``benchmarks/results/experiments/experiments.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom
from threadpoolctl import threadpool_limits

from benchmarks.accuracy import INTERVAL_LEVEL, SEED
from benchmarks.panel.data import beside_lines
from benchmarks.panel.logs import Row
from benchmarks.panel.run import measure_each
from genome_pipeline.models.experiments.assignment import assign
from genome_pipeline.models.experiments.checks import sample_ratio
from genome_pipeline.models.experiments.effect import Flags, adjusted_effects
from genome_pipeline.models.experiments.power import LARGEST_LIFT, Before, Spread, power_of, spread_of, visible_lift
from genome_pipeline.models.experiments.sequential import ALPHA, VerdictName, judge
from genome_pipeline.models.forecast.risk import fit_risk_model
from genome_pipeline.models.forecast.value import fit_value_model
from genome_pipeline.models.genes import by_customer, numbers

Floats = NDArray[np.float64]

RESULTS = Path(__file__).parent / "results" / "experiments"

STARTS = {"cdnow": date(1998, 1, 1), "complete_journey": date(2017, 10, 3), "online_retail_ii": date(2011, 6, 10)}
_EVERY = {"cdnow": 4}
HORIZON_DAYS, PERIOD_DAYS = 90, 30
LOOKS = HORIZON_DAYS // PERIOD_DAYS
SHARES = np.arange(1, LOOKS + 1) / LOOKS
CONTROL_SHARE = 0.2
OUTCOMES = ("orders", "spend")
NULL_DRAWS, EFFECT_DRAWS = 1_000, 400
LOST_SHARE = 0.02
POWERS = (0.5, 0.8, 0.95)


class Audience(NamedTuple):
    """Customers at a date, and what they did after it.

    Attributes:
        customers: ``customer_id``, ``churn_probability``, ``expected_orders``, ``expected_spend``, by customer.
        orders: purchase days from the date up to each look, shape (customers, looks).
        spend: amounts likewise.
    """

    customers: pd.DataFrame
    orders: Floats
    spend: Floats

    def outcome(self, name: str) -> Floats:
        """Orders, or spend."""
        return self.orders if name == "orders" else self.spend

    def expected(self, name: str) -> Floats:
        """The forecast of orders, or of spend."""
        return numbers(self.customers[f"expected_{name}"])


def audience(log: str, as_of: date) -> Audience:
    """The customers of a log at a date. Raises :class:`benchmarks.panel.logs.LogAbsent`."""
    database, data = beside_lines(Row(log, as_of, HORIZON_DAYS))
    features = by_customer(data.features)
    risk = fit_risk_model(features, data.labelled, HORIZON_DAYS, SEED).predict(features)
    model = fit_value_model(features, data.labelled, HORIZON_DAYS, INTERVAL_LEVEL, SEED)
    value = model.predict(features.assign(churn_probability=risk["churn_probability"]))
    customers = pd.DataFrame(
        {
            "customer_id": features["customer_id"].to_numpy(),
            "churn_probability": numbers(risk["churn_probability"]),
            **{f"expected_{name}": numbers(value[f"expected_{name}"]) for name in OUTCOMES},
        }
    )
    did = database.con.execute(
        """
        SELECT customer_id, ((ordered_at::DATE - ?::DATE) // ?)::INTEGER AS look,
            count(DISTINCT ordered_at::DATE) AS orders, sum(amount)::DOUBLE AS spend
        FROM lines WHERE ordered_at::DATE >= ?::DATE AND ordered_at::DATE < ?::DATE + ? GROUP BY ALL
        """,
        [as_of, PERIOD_DAYS, as_of, as_of, HORIZON_DAYS],
    ).df()
    wide = did.pivot(index="customer_id", columns="look", values=list(OUTCOMES)).reindex(customers["customer_id"])
    orders, spend = (np.cumsum(wide[name].fillna(0.0).to_numpy(np.float64), axis=1) for name in OUTCOMES)
    step = _EVERY.get(log, 1)
    return Audience(customers.iloc[::step].reset_index(drop=True), orders[::step], spend[::step])


def draws(customers: pd.DataFrame) -> Flags:
    """Who is treated in each of the experiments, shape (draws, customers)."""
    return np.array(
        [assign(customers, CONTROL_SHARE, f"{draw:064x}")["is_treated"].to_numpy(bool) for draw in range(NULL_DRAWS)]
    )


def without_effect(customers: Audience, drawn: Flags) -> dict[str, Any]:
    """How often chance alone shows an effect, at any look, and how often a sample ratio raises an alarm."""
    verdicts: dict[str, list[VerdictName]] = {name: [] for name in OUTCOMES}
    ratios: dict[str, list[float]] = {name: [] for name in OUTCOMES}
    alarms = withheld = 0
    generator = np.random.default_rng(SEED)
    for is_treated in drawn:
        for name in OUTCOMES:
            effects = adjusted_effects(customers.outcome(name), customers.expected(name), is_treated)
            verdict = judge(effects, SHARES.tolist())
            verdicts[name].append(verdict.name)
            withheld += name == "spend" and verdict.reason != ""
            plain = adjusted_effects(customers.outcome(name)[:, -1:], None, is_treated)
            ratios[name].append(float(effects.deviation[-1] / plain.deviation[0]))
        left = generator.random(is_treated.size) >= LOST_SHARE
        seen = int((left & is_treated).sum()), int((left & ~is_treated).sum())
        alarms += not sample_ratio(int(is_treated.sum()), int((~is_treated).sum()), *seen, ALPHA).passed
    found: dict[str, Any] = {"customers": len(customers.customers), "sample ratio": alarms / NULL_DRAWS}
    for name in OUTCOMES:
        for verdict_name in (VerdictName.PROVEN, VerdictName.HARMFUL):
            found[f"{name} {verdict_name}"] = verdicts[name].count(verdict_name) / NULL_DRAWS
        found[f"{name} length"] = float(np.mean(ratios[name]))
    return found | {"spend withheld": withheld / NULL_DRAWS}


def changed(customers: Audience, kind: str, lift: float, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Orders and spend of all customers if they were treated, shape (customers, looks) each."""
    orders, spend = (np.diff(each, axis=1, prepend=0.0) for each in (customers.orders, customers.spend))
    if kind == "shifting":
        return customers.orders, customers.spend * (1 + lift)
    further = generator.binomial(orders.astype(np.int64), lift) * (1.0 if kind == "adding" else -1.0)
    of_spend = spend * np.divide(further, orders, out=np.zeros_like(orders), where=orders > 0)
    return np.cumsum(orders + further, axis=1), np.cumsum(spend + of_spend, axis=1)


def with_effect(customers: Audience, drawn: Flags, kind: str, lift: float) -> dict[str, Any]:
    """Coverage of the last look's intervals, and how often the effect is shown, by outcome."""
    covered = dict.fromkeys(OUTCOMES, 0)
    shown = dict.fromkeys(OUTCOMES, 0)
    name_of_effect = VerdictName.HARMFUL if kind == "thinning" else VerdictName.PROVEN
    generator = np.random.default_rng(SEED)
    for is_treated in drawn[:EFFECT_DRAWS]:
        treated = dict(zip(OUTCOMES, changed(customers, kind, lift, generator), strict=True))
        for name in OUTCOMES:
            alone = customers.outcome(name)
            truth = float((treated[name] - alone)[:, -1].mean())
            outcomes = np.where(is_treated[:, None], treated[name], alone)
            verdict = judge(adjusted_effects(outcomes, customers.expected(name), is_treated), SHARES.tolist())
            covered[name] += verdict.looks[-1].lower <= truth <= verdict.looks[-1].upper
            shown[name] += verdict.name is name_of_effect
    found: dict[str, Any] = {"kind": kind, "lift": lift}
    for name in OUTCOMES:
        found[f"{name} covered"] = covered[name] / EFFECT_DRAWS
        found[f"{name} shown"] = shown[name] / EFFECT_DRAWS
    return found


def measured(log: str, before: Audience, now: Audience) -> Iterator[dict[str, Any]]:
    """A row without an effect, and one for each kind and size of a known one."""
    drawn = draws(now.customers)
    yield {"log": log, "part": "none"} | without_effect(now, drawn)
    controls = round(len(now.customers) * CONTROL_SHARE)
    arms = len(now.customers) - controls, controls
    for kind, power in product(("adding", "thinning", "shifting"), POWERS):
        name = "spend" if kind == "shifting" else "orders"
        spread = planned(before, now, name)
        lift = visible_lift(spread, *arms, LOOKS, power)
        promised = power_of(spread, lift, *arms, LOOKS) if lift <= LARGEST_LIFT else None
        row = with_effect(now, drawn, kind, min(lift, LARGEST_LIFT))
        if kind != "shifting":
            row["spend promised"] = None
        row[f"{name} promised"] = promised
        yield {"log": log, "part": "known"} | row


def planned(before: Audience, now: Audience, name: str) -> Spread:
    """What a plan made at the start knows: outcomes of the horizon before, and the forecast of this one."""
    actual = before.outcome(name)[:, -1]
    return spread_of(Before(HORIZON_DAYS, before.expected(name), actual, float(now.expected(name).mean()), LOOKS))


def _measured(log: str) -> Iterator[dict[str, Any]]:
    with threadpool_limits(1):
        before, now = (audience(log, STARTS[log] - timedelta(days=days)) for days in (HORIZON_DAYS, 0))
        yield from measured(log, before, now)


def summary(found: list[dict[str, Any]]) -> str:
    """Both parts as tables, with the bands that chance allows."""
    band = binom.interval(0.95, NULL_DRAWS, ALPHA)
    none = pd.DataFrame([row for row in found if row["part"] == "none"]).drop(columns="part")
    for name in OUTCOMES:
        none.insert(2, f"{name} false", none[f"{name} proven"] + none[f"{name} harmful"])
    known = pd.DataFrame([row for row in found if row["part"] == "known"]).drop(columns="part")
    coverage = known[[f"{name} covered" for name in OUTCOMES]].stack()
    promises = pd.concat([known[f"{name} shown"] - known[f"{name} promised"].astype(float) for name in OUTCOMES])
    of_positive = promises[promises.index.isin(known.index[known["kind"] != "thinning"])].dropna()
    return "\n\n".join(
        [
            "# Experiments on real logs",
            f"No effect, {NULL_DRAWS:,} draws, three looks. False verdicts are to be 5%: 95% of such shares lie between"
            f" {band[0] / NULL_DRAWS:.1%} and {band[1] / NULL_DRAWS:.1%}. Length: of the adjusted interval over that of"
            " the plain difference. Withheld: spend without a verdict, as a few customers weigh too much.",
            none.to_markdown(index=False, floatfmt=".3f"),
            f"Known effects, {EFFECT_DRAWS} draws each. Covered: the true effect lies in the interval of the last look"
            f" ({coverage.min():.1%} to {coverage.max():.1%}). Shown: proven, or harmful where orders were deleted, at"
            " any look. Promised: by the plan made before the start; shown less promised of added orders and"
            f" multiplied amounts: {of_positive.min():+.3f} to {of_positive.max():+.3f}.",
            known.to_markdown(index=False, floatfmt=".3f"),
        ]
    )


def main() -> None:
    """Measure, log by log."""
    logs = list(STARTS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", nargs="+", choices=logs, default=logs)
    measure_each("experiments", parser.parse_args().logs, logs, _measured, summary, RESULTS)


if __name__ == "__main__":
    main()
