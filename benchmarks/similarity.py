"""Similar customers: how fast, how exact, and whether what became of them tells what a customer will do.

``python -m benchmarks.similarity [--customers 200000 1000000] [--rows cdnow-181 ...]`` prints its tables and keeps them
in ``benchmarks/results/similarity/``, as JSON and Markdown.

Speed: customers drawn from those of a synthetic log, each moved by days and scaled in amount, so that hardly two are
the same. Each size is measured in a process of its own, for its peak memory: seconds to scale, build the index (its own
measurement of recall included) and find the ten nearest of every customer; then to put the pairs into words. Beside it
scikit-learn's brute-force cosine neighbours of a sample in the same process, extrapolated to all. Recall is that of the
sample, against the same.

Signal: at each row of the accuracy benchmark, what the matured neighbours of each customer did is set against what the
customer did, with AUC for buying nothing and Spearman's rank correlation for spend; and so is what as many random
customers of the same segment did, and all of that segment. In brackets 95% bootstrap intervals over customers.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.accuracy import RESAMPLES, SEED
from benchmarks.customers import drawn_features
from benchmarks.panel.data import labelled_data
from benchmarks.panel.logs import FIVE, LogAbsent, Row
from benchmarks.scores import activity_scores, resamples, spend_scores
from benchmarks.synthetic import write_log
from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.segments.model import fit_segments
from genome_pipeline.models.similarity.index import ESTIMATE_NEIGHBORS, SimilarityIndex
from genome_pipeline.models.similarity.matured import matured_neighbors
from genome_pipeline.transforms.activity import customer_activity
from genome_pipeline.transforms.features import customer_features

Floats = NDArray[np.float64]

RESULTS = Path(__file__).parent / "results" / "similarity"
NEIGHBORS = 10
SAMPLE = 500
_LOG_CUSTOMERS = 50_000
_LOG_LINES = 1_000_000
_AS_OF = date(2025, 1, 1)


def speed(customers: int, features: Path) -> dict[str, Any]:
    """Seconds, recall and peak memory for so many customers drawn from ``features``; to be run in its own process."""
    drawn = drawn_features(pd.read_parquet(features), customers, SEED)
    begun, cpu_begun = time.perf_counter(), time.process_time()
    index = SimilarityIndex.build(drawn, NEIGHBORS, seed=SEED)
    built = time.perf_counter()
    rows, similarity = index.nearest_of_all()
    found, cpu = time.perf_counter(), time.process_time() - cpu_begun
    index.neighbors(_AS_OF)
    told = time.perf_counter() - found - (found - built)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    sample, sklearn_seconds, truth = _brute_force(index)
    told_parameters = json.loads(index.summary(_AS_OF)["parameters"].iloc[0])
    return {
        "customers": customers,
        "build_seconds": round(built - begun, 1),
        "search_seconds": round(found - built, 1),
        "seconds": round(found - begun, 1),
        "cpu_seconds": round(cpu, 1),
        "words_seconds": round(told, 1),
        "peak_gigabytes": round(peak, 2),
        "cells": told_parameters["cells"],
        "probed_cells": told_parameters["probed_cells"],
        "recall": round(float((similarity[sample] >= truth[:, -1:] - 1e-8).mean()), 4),
        "recall_measured_by_index": index.recall,
        "sklearn_seconds_extrapolated": round(sklearn_seconds / SAMPLE * customers),
        "times_faster_than_sklearn": round(sklearn_seconds / SAMPLE * customers / (found - begun), 1),
        "index_megabytes": round(len(index.to_bytes()) / 1e6, 1),
        "neighbors": int(rows.size),
    }


def _brute_force(index: SimilarityIndex) -> tuple[NDArray[np.int64], float, Floats]:
    """A sample of rows, the seconds scikit-learn takes for their neighbours, and the similarity of these."""
    from sklearn.neighbors import NearestNeighbors

    sample = np.sort(np.random.default_rng(SEED + 1).choice(len(index.vectors), SAMPLE, replace=False))
    brute = NearestNeighbors(n_neighbors=NEIGHBORS + 1, metric="cosine", algorithm="brute").fit(index.vectors)
    begun = time.perf_counter()
    distance, rows = brute.kneighbors(index.vectors[sample])
    seconds = time.perf_counter() - begun
    # The customer is among their own neighbours, unless as many others are exactly alike.
    distance[rows == sample[:, None]] = np.inf
    return sample, seconds, 1 - np.sort(distance, axis=1)[:, :NEIGHBORS]


def _log_features(folder: Path) -> Path:
    """Features of the customers of a synthetic log, as Parquet."""
    write_log(folder / "log.parquet", lines=_LOG_LINES, customers=_LOG_CUSTOMERS, seed=SEED)
    database = ibis.duckdb.connect()
    database.con.execute(
        'CREATE TABLE lines AS SELECT customer AS customer_id, "order" AS order_id, moment AS ordered_at, product AS'
        " product_id, department AS category, NULL::VARCHAR AS country, quantity::DECIMAL(18, 3) AS quantity,"
        " (quantity * price)::DECIMAL(18, 2) AS amount, quantity < 0 AS is_return,"
        f" date_trunc('month', moment)::DATE AS period_start_date FROM '{folder / 'log.parquet'}'"
    )
    activity = database.create_table("activity", customer_activity(database.table("lines")))
    features = customer_features(activity, Calendar(Period.MONTH, date(2024, 1, 1)), _AS_OF, 90)
    database.create_table("features", features)
    database.con.execute(f"COPY features TO '{folder / 'features.parquet'}'")
    return folder / "features.parquet"


@dataclass(frozen=True)
class _Outcomes:
    """What others did, as a prediction of what each customer does: shares that stopped, and mean spend."""

    churned: Floats
    spend: Floats


def signal(row: Row) -> dict[str, Any]:
    """How well the outcomes of others rank the customers of one row. Raises :class:`LogAbsent`."""
    data = labelled_data(row)
    features, actual, matured = by_customer(data.features), by_customer(data.actual), data.matured[-1]
    pairs, estimates = matured_neighbors(features, matured, row.as_of, NEIGHBORS, seed=SEED)
    listed = pairs.groupby("customer_id")[["has_churned", "actual_spend"]].mean().reindex(features["customer_id"])
    estimates = by_customer(estimates)
    predictors = {
        f"{NEIGHBORS} neighbours": _Outcomes(numbers(listed["has_churned"]), numbers(listed["actual_spend"])),
        f"{ESTIMATE_NEIGHBORS} neighbours": _Outcomes(
            numbers(estimates["neighbor_churn_probability"]), numbers(estimates["neighbor_expected_spend"])
        ),
    }
    model = fit_segments(matured.features, None, SEED)
    then, now = (model.assign(frame)["segment_id"].to_numpy(int) for frame in (matured.features, features))
    churned, spend = (numbers(matured.outcomes[name]) for name in ("has_churned", "actual_spend"))
    generator = np.random.default_rng(SEED)
    drawn = np.empty((len(now), ESTIMATE_NEIGHBORS), dtype=np.int64)
    means = _Outcomes(np.empty(len(now)), np.empty(len(now)))
    for segment in np.unique(now):
        # A segment nobody was in then says nothing; everyone stands for it.
        pool = np.flatnonzero(then == segment) if (then == segment).any() else np.arange(len(then))
        mine = now == segment
        drawn[mine] = generator.choice(pool, (int(mine.sum()), ESTIMATE_NEIGHBORS))
        means.churned[mine], means.spend[mine] = churned[pool].mean(), spend[pool].mean()
    predictors |= {
        f"{count} of the segment": _Outcomes(
            churned[drawn[:, :count]].mean(axis=1), spend[drawn[:, :count]].mean(axis=1)
        )
        for count in (1, NEIGHBORS, ESTIMATE_NEIGHBORS)
    }
    predictors["all of the segment"] = means
    weights = resamples(len(actual), RESAMPLES, SEED)
    has_churned, actual_spend = actual["has_churned"].to_numpy(bool), numbers(actual["actual_spend"])
    scores = {
        name: {
            "auc": activity_scores(has_churned, outcomes.churned, weights)["auc"],
            "spearman": spend_scores(actual_spend, outcomes.spend, weights)["spearman"],
        }
        for name, outcomes in predictors.items()
    }
    return {
        "log": row.log,
        "as_of": str(row.as_of),
        "horizon_days": row.horizon_days,
        "customers": len(actual),
        "matured_as_of": str(matured.as_of),
        "matured_horizon_days": matured.horizon_days,
        "scores": {name: {metric: _interval(v) for metric, v in of.items()} for name, of in scores.items()},
        "gain": {
            str(count): {
                metric: _interval(scores[f"{count} neighbours"][metric] - scores[f"{count} of the segment"][metric])
                for metric in ("auc", "spearman")
            }
            for count in (NEIGHBORS, ESTIMATE_NEIGHBORS)
        },
    }


def _interval(values: Floats) -> list[float]:
    """The value, and the bounds of its 95% bootstrap interval."""
    return [float(values[0]), *map(float, np.quantile(values[1:], [0.025, 0.975]))]


def _speed_markdown(found: list[dict[str, Any]]) -> str:
    names = {
        "customers": "customers",
        "seconds": "build and search, s",
        "cpu_seconds": "of processor time, s",
        "words_seconds": "in words, s",
        "peak_gigabytes": "peak memory, GB",
        "recall": f"recall@{NEIGHBORS}",
        "cells": "cells",
        "probed_cells": "looked at",
        "index_megabytes": "index, MB",
        "sklearn_seconds_extrapolated": "scikit-learn, s (extrapolated)",
        "times_faster_than_sklearn": "times faster",
    }
    lines = ["| " + " | ".join(f"{row[key]:,}" for key in names) + " |" for row in found]
    head = ["| " + " | ".join(names.values()) + " |", "| " + " ---: |" * len(names)]
    cores = os.cpu_count()
    return "\n".join([f"# Ten nearest of every customer, {cores} processors\n", *head, *lines, ""])


def _signal_markdown(found: list[dict[str, Any]]) -> str:
    lines = []
    for row in found:
        for metric in ("auc", "spearman"):
            cells = [_cell(of[metric]) for of in row["scores"].values()]
            gains = [_cell(of[metric]) for of in row["gain"].values()]
            where = f"{row['log']}, {row['as_of']}, {row['horizon_days']} days"
            lines.append(f"| {where} | {metric} | " + " | ".join([*cells, *gains]) + " |")
    columns = [*found[0]["scores"], *(f"gain with {count}" for count in found[0]["gain"])] if found else []
    return "\n".join(
        [
            "# What matured neighbours did as a prediction of what the customer does\n",
            "| row | metric | " + " | ".join(columns) + " |",
            "| --- | --- |" + " ---: |" * len(columns),
            *lines,
            "",
        ]
    )


def _cell(interval: list[float]) -> str:
    value, lower, upper = interval
    return f"{value:.3f} [{lower:.3f}, {upper:.3f}]"


def _store(name: str, found: list[dict[str, Any]], text: str) -> None:
    print(text, flush=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, nargs="*", default=[200_000, 1_000_000])
    parser.add_argument("--rows", nargs="*", choices=list(FIVE), default=list(FIVE))
    arguments = parser.parse_args()
    if arguments.rows:
        signals = []
        for name in arguments.rows:
            try:
                signals.append(signal(FIVE[name]))
            except LogAbsent as reason:
                print(f"{name} skipped. {reason}\n", flush=True)
        _store("signal", signals, _signal_markdown(signals))
    if arguments.customers:
        speeds = []
        with tempfile.TemporaryDirectory(prefix="genome-benchmark-") as folder:
            features = _log_features(Path(folder))
            for customers in arguments.customers:
                with multiprocessing.get_context("spawn").Pool(1) as process:
                    speeds.append(process.apply(speed, (customers, features)))
                print(json.dumps(speeds[-1]), flush=True)
        _store("speed", speeds, _speed_markdown(speeds))


if __name__ == "__main__":
    main()
