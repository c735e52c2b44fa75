"""How often the intervals of totals hold, on the logs of the panel, and how much narrower they are than sums of bounds.

``python -m benchmarks.totals [--logs cdnow ...]`` takes every row of the panel: the total buyers, purchase days and
spend expected of all customers, of each behavioural segment, of each cohort of a month, and of audiences as a user
might filter them, beside what happened. Their share within the interval is to be 80%. Groups of fewer than four
customers have no interval. Audiences are chosen by what the forecast says (top tenth of expected spend, churn above and
below .5), by genes (bought lately, once, or long ago) and by chance (tenths and hundredths).

Beside it stands the coverage with priors that were chosen on the other logs (*left out*): of the priors in
:func:`grid`, those with the least interval score (Gneiting and Raftery 2007) over the expected total, of all customers
and of segments, each log weighing the same. All logs together choose the program's
:data:`genome_pipeline.models.forecast.totals.PRIORS`. Writes ``benchmarks/results/accuracy/totals.json`` and ``.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.accuracy import INTERVAL_LEVEL, SEED
from benchmarks.panel.data import Data, rows_of_log
from benchmarks.panel.run import run
from genome_pipeline.calendar import Period
from genome_pipeline.contracts.columns.totals import TOTALS
from genome_pipeline.models.forecast.risk import fit_risk_model
from genome_pipeline.models.forecast.totals import (
    LEAST_CUSTOMERS,
    PRIORS,
    TARGETS,
    Groups,
    Priors,
    Spread,
    own_variances,
    total_bounds,
)
from genome_pipeline.models.forecast.value import fit_value_model
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.segments.model import fit_segments
from genome_pipeline.transforms.totals import group_sums

Floats = NDArray[np.float64]

_KEY = ["group_kind", "group_key"]


def measure(data: Data) -> dict[str, Any]:
    """The sums of each group, what happened, and how far totals were off before, as JSON can hold them."""
    features, actual = by_customer(data.features), by_customer(data.actual)
    risk = fit_risk_model(features, data.labelled, data.row.horizon_days, SEED).predict(features)
    model = fit_value_model(features, data.labelled, data.row.horizon_days, INTERVAL_LEVEL, SEED)
    value = model.predict(features.assign(churn_probability=risk["churn_probability"]))
    segments = fit_segments(features, None, SEED).assign(features)
    told = _sums(features, segments, risk["churn_probability"], value["expected_orders"], value["expected_spend"])
    happened = _sums(
        features, segments, actual["has_churned"].astype(float), actual["actual_orders"], actual["actual_spend"]
    )
    groups = told.join(happened[[*TOTALS]].add_prefix("actual_")).reset_index()
    predicted = pd.DataFrame(
        {"buys": 1 - risk["churn_probability"], "orders": value["expected_orders"], "spend": value["expected_spend"]}
    ).astype(float)
    outcomes = pd.DataFrame(
        {"buys": 1.0 - actual["has_churned"], "orders": actual["actual_orders"], "spend": actual["actual_spend"]}
    ).astype(float)
    groups = pd.concat([groups, _audiences(features, predicted, outcomes)], ignore_index=True)
    widths = {
        name: float((numbers(value[f"{name}_upper"]) - numbers(value[f"{name}_lower"])).sum())
        for name in ("expected_orders", "expected_spend")
    }
    return {
        "log": data.row.log,
        "as_of": str(data.row.as_of),
        "horizon_days": data.row.horizon_days,
        "spreads": {target: spread._asdict() for target, spread in model.spreads.items()},
        "sums_of_widths": widths,
        "groups": groups.to_dict("records"),
    }


def _sums(
    features: pd.DataFrame, segments: pd.DataFrame, churn: pd.Series, orders: pd.Series, spend: pd.Series
) -> pd.DataFrame:
    keys = {"as_of": pd.to_datetime(features["as_of"]).dt.date, "customer_id": features["customer_id"]}
    outlook = pd.DataFrame(
        {
            **keys,
            "horizon_days": 1,
            "churn_probability": numbers(churn),
            "expected_orders": numbers(orders),
            "expected_spend": numbers(spend),
            "is_extrapolated": False,
            "abstain_reason": pd.Series([None] * len(features), dtype="string"),
        }
    )
    first = pd.DataFrame({**keys, "first_order_date": pd.to_datetime(features["first_order_date"]).dt.date})
    of = segments[["customer_id", "segment_id", "segment_name"]].assign(as_of=keys["as_of"])
    told, customers, segmented = (ibis.memtable(frame) for frame in (outlook, first, of))
    nobody = ibis.memtable(
        pd.DataFrame(columns=["as_of", "customer_id", "cohort_kind", "cohort"], dtype="string").head(0)
    )
    nobody = nobody.cast({"as_of": "date"})
    found: pd.DataFrame = group_sums(told, customers, segmented, nobody, Period.MONTH, own_variances).execute()
    columns = ["customer_count", *TOTALS, *(f"{target}_variance" for target in TARGETS)]
    return found.set_index(_KEY).sort_index()[columns].astype(float)


def _audiences(features: pd.DataFrame, predicted: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Audiences in the columns of :func:`_sums`; both other frames have buys, orders and spend of customers."""
    rng = np.random.default_rng(SEED)
    spend = predicted["spend"].fillna(predicted["orders"])
    silent = features["days_since_last_order"]
    chosen = {
        "top tenth of expected spend": spend >= spend.quantile(0.9),
        "churn above .5": predicted["buys"] < 0.5,
        "churn below .5": predicted["buys"] > 0.5,
        "silent for less than most": silent < silent.median(),
        "silent for long": silent > silent.quantile(0.8),
        "bought once": features["frequency_count"] == 0,
        **{f"a tenth by chance {n}": pd.Series(rng.random(len(features)) < 0.1) for n in range(3)},
        **{f"a hundredth by chance {n}": pd.Series(rng.random(len(features)) < 0.01) for n in range(3)},
    }
    variances = own_variances(
        predicted["buys"].replace(0.0, np.nan), predicted["orders"].replace(0.0, np.nan), predicted["spend"]
    )
    rows = []
    for name, is_in in chosen.items():
        of = np.flatnonzero(is_in)
        rows.append(
            {
                "group_kind": "audience by chance" if "by chance" in name else "audience",
                "group_key": name,
                "customer_count": float(len(of)),
                **{
                    f"{prefix}{total}": float(frame[column].iloc[of].sum(min_count=1))
                    for prefix, frame in (("", predicted), ("actual_", outcomes))
                    for total, column in zip(TOTALS, predicted, strict=True)
                },
                **{
                    f"{target}_variance": float(np.nansum(values.iloc[of]))
                    for target, values in zip(TARGETS, variances, strict=True)
                },
            }
        )
    return pd.DataFrame(rows)


def judged(one: dict[str, Any], priors: Priors) -> pd.DataFrame:
    """One row for each total with an interval: whether it held, its width and its score over the expected total."""
    groups = pd.DataFrame(one["groups"])
    (company,) = groups[groups["group_kind"] == "company"].to_dict("records")
    groups = groups[groups["customer_count"] >= LEAST_CUSTOMERS]
    parts = []
    for target, name in zip(TARGETS, TOTALS, strict=True):
        of = groups[groups[name].notna() & (groups[name] > 0)]
        if target not in one["spreads"] or of.empty:
            continue
        total, actual = numbers(of[name]), numbers(of[f"actual_{name}"])
        lower, upper = total_bounds(
            target,
            Groups(
                numbers(of["customer_count"]),
                total,
                np.nan_to_num(numbers(of[f"{target}_variance"])),
                np.minimum(total / company[name], 1.0),
            ),
            Spread(**one["spreads"][target]).error(target, priors),
            INTERVAL_LEVEL,
        )
        missed = np.maximum(lower - actual, 0) + np.maximum(actual - upper, 0)
        parts.append(
            pd.DataFrame(
                {
                    "log": one["log"],
                    "kind": of["group_kind"].to_numpy(),
                    "key": of["group_key"].to_numpy(),
                    "target": target,
                    "total": total,
                    "lower": lower,
                    "upper": upper,
                    "customers": numbers(of["customer_count"]),
                    "covered": missed == 0,
                    "below": actual < lower,
                    "above": actual > upper,
                    "actual": actual,
                    "width": upper - lower,
                    "score": (upper - lower + 2 / (1 - INTERVAL_LEVEL) * missed) / total,
                    "sum_of_widths": one["sums_of_widths"].get(f"expected_{target}", np.nan),
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def grid() -> list[Priors]:
    """The priors that are tried."""
    return [
        PRIORS._replace(
            origins=PRIORS.origins * own,
            groups=PRIORS.groups * own,
            stated=PRIORS.stated * stated,
            further_variance={name: further * value for name, value in PRIORS.further_variance.items()},
            group_variance={name: further * value for name, value in PRIORS.group_variance.items()},
        )
        for own, stated, further in product((0.5, 1, 2), (0.5, 1, 2), (0.5, 1, 2))
    ]


def summary(found: list[dict[str, Any]]) -> str:
    """Coverage by kind and target, and by log, with the program's priors and with those of the other logs."""
    ours = pd.concat([judged(one, PRIORS) for one in found], ignore_index=True)
    logs = list(dict.fromkeys(ours["log"]))
    tried = {}
    without_cohorts = [
        one | {"groups": [group for group in one["groups"] if group["group_kind"] in ("company", "segment")]}
        for one in found
    ]
    for place, priors in enumerate(grid()):
        of = pd.concat([judged(one, priors) for one in without_cohorts], ignore_index=True)
        tried[place] = of.groupby("log")["score"].mean()
    scores = pd.DataFrame(tried)
    left_out = []
    for log in logs:
        others = scores.drop(index=log) if len(logs) > 1 else scores
        left_out += [judged(one, _best(others)) for one in found if one["log"] == log]
    ours["left_out"] = pd.concat(left_out, ignore_index=True)["covered"]
    of_all = ours[ours["kind"].isin(["company", "segment"])]
    audiences = ours[ours["kind"].str.startswith("audience")]
    parts = [
        f"All customers and segments: {len(of_all)} totals, {of_all['covered'].mean():.1%} covered,"
        f" {of_all['left_out'].mean():.1%} with priors of the other logs. All logs together choose {_best(scores)}.",
        _table(ours, ["kind", "target"]),
        _table(of_all, ["log"]),
        _table(audiences.assign(key=audiences["key"].str.replace(r" \d$", "", regex=True)), ["key"]),
        _table(audiences, ["log"]),
    ]
    company = ours[(ours["kind"] == "company") & ours["sum_of_widths"].notna()]
    narrower = (company["sum_of_widths"] / company["width"]).replace(np.inf, np.nan).groupby(company["target"]).median()
    parts.append(
        "The sum of customers' intervals is wider than the company's by a median factor of "
        + ", ".join(f"{value:.2f} ({target})" for target, value in narrower.items())
        + "."
    )
    return "# Intervals of totals\n\n" + "\n\n".join(parts) + "\n"


def _best(scores: pd.DataFrame) -> Priors:
    """The priors of least score, relative to the best of each log; ``scores`` has logs as rows, priors as columns."""
    relative = scores.div(scores.min(axis=1), axis=0).mean()
    return grid()[int(np.argmin(relative.to_numpy()))]


def _table(rows: pd.DataFrame, by: list[str]) -> str:
    found = rows.groupby(by)[["covered", "left_out", "below", "above"]].mean()
    found.insert(0, "totals", rows.groupby(by).size())
    return str(found.reset_index().to_markdown(index=False, floatfmt=".3f"))


def _measured(log: str) -> Iterator[dict[str, Any]]:
    for _, data in rows_of_log(log):
        with threadpool_limits(1):
            yield measure(data)


if __name__ == "__main__":
    run("totals", __doc__, _measured, summary)
