"""How forecasts turned out, from the tables of backtests: what an answer says of how such statements did before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from genome_pipeline.ask.answers import Record, Refusal, from_data, number
from genome_pipeline.ask.disclosure import LEAST_GROUP, hidden
from genome_pipeline.contracts.metrics import METRICS
from genome_pipeline.published.reader import Reader

TARGETS = ("churn", "orders", "spend")
SLICES = ("all", "segment", "tenure", "value_decile", "prediction_decile", "confidence_decile")

_TELLING = {
    "churn": ("predicted_rate", "base_rate", "brier", "auc"),
    "orders": ("total_ratio", "coverage", "mae"),
    "spend": ("total_ratio", "coverage", "mae"),
}
NOTHING_MATURED = "no outcomes of earlier forecasts are known yet, so that nobody can say how such statements did"


def record_of(published: Reader, targets: Collection[str]) -> tuple[list[Record], list[Refusal]]:
    """The telling metrics of the targets, of all customers at the latest snapshot that matured."""
    if not targets:
        return [], []
    found = backtests(published, targets, "all", 1, latest=True)
    missing = sorted(set(targets) - {record.about for record in found})
    return found, [Refusal(what=f"how forecasts of {about} did before", why=NOTHING_MATURED) for about in missing]


def backtests(
    published: Reader, targets: Collection[str], slice_name: str, least: int, *, latest: bool = False
) -> list[Record]:
    """The telling metrics of the targets, latest snapshot first, or of the ``latest`` that matured only.

    Slices are hidden as groups of customers are.
    """
    horizon = int(published.parameters()["horizon_days"])
    table = "model_performance" if latest else "model_performance_history"
    rows = published.rows(
        "SELECT matured_as_of, as_of, target, slice_value, metric, max(customer_count) AS customer_count,"
        " max(metric_value) FILTER (predictor = 'model') AS model,"
        " max(metric_value) FILTER (predictor = 'naive') AS naive"
        f" FROM {table} WHERE slice_name = ? AND list_contains(?, concat(target, ' ', metric)) GROUP BY ALL"
        " ORDER BY as_of DESC, target, slice_value, metric",
        [slice_name, [f"{target} {metric}" for target in targets for metric in _TELLING[target]]],
    )
    tables: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        tables[row["as_of"], row["target"], row["metric"]].append(position)
    gone = {
        positions[place]
        for positions in tables.values()
        for place in hidden(
            [(each,) for each in positions], [rows[each]["customer_count"] for each in positions], least
        )
    }
    return [
        Record(
            about=row["target"],
            as_of=row["as_of"],
            matured_as_of=row["matured_as_of"],
            horizon_days=horizon,
            of="all" if slice_name == "all" else from_data(row["slice_value"]),
            customer_count=row["customer_count"],
            metric=row["metric"],
            meaning=METRICS[row["metric"]].description,
            model=number(row["model"]),
            naive=number(row["naive"]),
        )
        for position, row in enumerate(rows)
        if position not in gone
    ]


_FURTHER = {
    "orders_total_ratio": ("orders", "total_ratio"),
    "orders_coverage_share": ("orders", "coverage"),
    "spend_total_ratio": ("spend", "total_ratio"),
    "spend_coverage_share": ("spend", "coverage"),
    "mean_churn_probability": ("churn", "predicted_rate"),
    "actual_churn_share": ("churn", "base_rate"),
}


def further_records(published: Reader) -> list[Record]:
    """How forecasts over horizons other than the main one turned out, of all customers, latest first."""
    rows = published.rows("FROM outlook_performance_history ORDER BY matured_as_of DESC, horizon_days, as_of DESC")
    return [
        Record(
            about=about,
            as_of=row["as_of"],
            matured_as_of=row["matured_as_of"],
            horizon_days=row["horizon_days"],
            customer_count=row["customer_count"],
            metric=metric,
            meaning=METRICS[metric].description,
            model=number(row[column]),
            naive=None,
        )
        for row in rows
        for column, (about, metric) in _FURTHER.items()
        if row[column] is not None and row["customer_count"] >= LEAST_GROUP
    ]
