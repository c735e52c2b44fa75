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

Taste: where the log has categories (departments of The Complete Journey, products of Online Retail II), neighbours are
found with taste and without. The three categories on which customers spend most are compared, too: the mean part of
them that a customer has in common with each of their ten neighbours, and with those of another customer.

``--choose`` compares weights of taste at other dates and on other logs, whose outcomes were known before the rows above
begin: the change of AUC and of Spearman's correlation for 25 neighbours, against neighbours without taste.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
from ibis.backends.duckdb import Backend
from numpy.typing import NDArray

from benchmarks.accuracy import RESAMPLES, SEED
from benchmarks.customers import drawn_features
from benchmarks.panel.data import beside_lines
from benchmarks.panel.logs import FIVE, ROWS, LogAbsent, Row
from benchmarks.scores import activity_scores, resamples, spend_scores
from benchmarks.synthetic import write_log
from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.segments.model import fit_segments
from genome_pipeline.models.similarity.index import ESTIMATE_NEIGHBORS, SimilarityIndex
from genome_pipeline.models.similarity.matured import matured_neighbors
from genome_pipeline.models.snapshots import LabelledSnapshot
from genome_pipeline.orchestration.assets.frames import with_taste
from genome_pipeline.settings import BlockWeights
from genome_pipeline.transforms.activity import customer_activity
from genome_pipeline.transforms.features import customer_features
from genome_pipeline.transforms.taste import category_activity, category_sums, customer_categories

Floats = NDArray[np.float64]

RESULTS = Path(__file__).parent / "results" / "similarity"
NEIGHBORS = 10
SAMPLE = 500
TOP = 3
WEIGHTS = (0.5, 1.0, 2.0, 4.0)
_CHOSEN_AT = {
    "complete_journey-20170701-90",
    "complete_journey-20170701-28",
    "online_retail_ii-20100601-90",
    "online_retail_ii-20101201-90",
    "online_retail_ii-20110301-90",
}
TO_CHOOSE = tuple(row for row in ROWS if row.name in _CHOSEN_AT or row.log == "hardie_edible_grocery")
"""Rows at which the weight of taste was chosen: their outcomes were known before the rows of :data:`FIVE`."""
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


_Tasted = tuple[pd.DataFrame, tuple[str, ...]]
"""Customers with the shares of their spend beside, and the categories."""


class _Tastes:
    """What the customers of a log buy, at any date; of a log without categories nothing."""

    def __init__(self, database: Backend, row: Row) -> None:
        self._database, self._days = database, row.horizon_days
        lines = database.table("lines")
        if row.log == "online_retail_ii":
            lines = lines.mutate(category=lines.product_id)
        query = ibis.to_sql(category_activity(lines), dialect="duckdb")
        database.con.execute(f"CREATE OR REPLACE TABLE category_activity AS {query}")

    def beside(self, features: pd.DataFrame, as_of: date) -> _Tasted:
        """The customers with their taste beside."""
        calendar = Calendar(Period.DAY, date(1990, 1, 1))
        sums = category_sums(self._database.table("category_activity"), calendar, as_of, self._days)
        query = ibis.to_sql(customer_categories(sums, as_of), dialect="duckdb")
        self._database.con.execute(f"CREATE OR REPLACE TABLE customer_categories AS {query}")
        return with_taste(self._database, as_of, by_customer(features))

    def top(self, customer_ids: pd.Series[str], as_of: date) -> NDArray[np.int64]:
        """Numbers of the categories on which each customer spent most before a date, shape (n, 3); -1 for none."""
        calendar = Calendar(Period.DAY, date(1990, 1, 1))
        sums = category_sums(self._database.table("category_activity"), calendar, as_of, self._days)
        query = ibis.to_sql(sums.filter(sums.net_amount > 0), dialect="duckdb")
        found = self._database.con.execute(
            "SELECT customer_id, dense_rank() OVER (ORDER BY category) AS category, row_number() OVER (PARTITION BY"
            f" customer_id ORDER BY net_amount DESC, category) AS place FROM ({query}) QUALIFY place <= {TOP}"
        ).df()
        table = found.pivot(index="customer_id", columns="place", values="category")
        numbered: NDArray[np.int64] = table.reindex(customer_ids).fillna(-1).to_numpy(np.int64)
        return numbered


def _likeness(top: NDArray[np.int64], neighbors: NDArray[np.int64]) -> dict[str, float]:
    """Mean part of the top categories in common with neighbours (n, k), and with those of another customer."""

    def shared(mine: NDArray[np.int64]) -> float:
        has_any = mine[:, 0] >= 0
        theirs = top[neighbors[has_any]]  # (n, k, 3)
        common = (mine[has_any][:, None, :, None] == theirs[:, :, None, :]) & (mine[has_any] >= 0)[:, None, :, None]
        return float((common.any(axis=3).sum(axis=2) / (mine[has_any] >= 0).sum(axis=1)[:, None]).mean())

    order = np.random.default_rng(SEED).permutation(len(top))
    return {"neighbours": shared(top), "permuted customers": shared(top[order])}


def _predictors(
    now: _Tasted, matured: LabelledSnapshot, then: _Tasted, row: Row, taste: float | None
) -> dict[int, _Outcomes]:
    """What the nearest matured neighbours did, by their number; ``taste`` is its weight, None for the default."""
    weights = BlockWeights().model_dump() | ({} if taste is None else {"taste": taste})
    known = replace(matured, features=then[0])
    pairs, estimates = matured_neighbors(now[0], known, row.as_of, NEIGHBORS, weights, SEED, now[1], then[1])
    listed = pairs.groupby("customer_id")[["has_churned", "actual_spend"]].mean().reindex(now[0]["customer_id"])
    estimates = by_customer(estimates)
    return {
        NEIGHBORS: _Outcomes(numbers(listed["has_churned"]), numbers(listed["actual_spend"])),
        ESTIMATE_NEIGHBORS: _Outcomes(
            numbers(estimates["neighbor_churn_probability"]), numbers(estimates["neighbor_expected_spend"])
        ),
    }


def signal(row: Row) -> dict[str, Any]:
    """How well the outcomes of others rank the customers of one row. Raises :class:`LogAbsent`."""
    database, data = beside_lines(row)
    features, actual, matured = by_customer(data.features), by_customer(data.actual), data.matured[-1]
    tastes = _Tastes(database, row)
    tasted, tasted_then = tastes.beside(features, row.as_of), tastes.beside(matured.features, matured.as_of)
    found = {"": _predictors(tasted, matured, tasted_then, row, None)}
    likeness: dict[str, Any] = {}
    if tasted[1]:
        found[" without taste"] = _predictors(tasted, matured, tasted_then, row, 0.0)
        top = tastes.top(features["customer_id"], row.as_of)
        for name, weight in (("with taste", BlockWeights().taste), ("without taste", 0.0)):
            index = SimilarityIndex.build(
                tasted[0], NEIGHBORS, BlockWeights(taste=weight).model_dump(), SEED, categories=tasted[1]
            )
            likeness[name] = _likeness(top, index.nearest_of_all()[0])
    predictors = {
        f"{count} neighbours{which}": outcomes for which, of in found.items() for count, outcomes in of.items()
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
        "gain_with_taste": {
            str(count): {
                metric: _interval(
                    scores[f"{count} neighbours"][metric] - scores[f"{count} neighbours without taste"][metric]
                )
                for metric in ("auc", "spearman")
            }
            for count in (NEIGHBORS, ESTIMATE_NEIGHBORS)
            if tasted[1]
        },
        "shared_top_categories": likeness,
    }


def weighed(row: Row) -> dict[str, Any]:
    """The change of AUC and Spearman's correlation with each weight of taste. Raises :class:`LogAbsent`."""
    database, data = beside_lines(row)
    features, actual, matured = by_customer(data.features), by_customer(data.actual), data.matured[-1]
    tastes = _Tastes(database, row)
    now, then = tastes.beside(features, row.as_of), tastes.beside(matured.features, matured.as_of)
    churned, spent = actual["has_churned"].to_numpy(bool), numbers(actual["actual_spend"])
    weights = np.ones((1, len(actual)))
    found = {}
    for weight in (0.0, *WEIGHTS):
        of = _predictors(now, matured, then, row, weight)[ESTIMATE_NEIGHBORS]
        auc = activity_scores(churned, of.churned, weights)["auc"][0]
        found[weight] = (float(auc), float(spend_scores(spent, of.spend, weights)["spearman"][0]))
    plain = found.pop(0.0)
    changes = {weight: [one - other for one, other in zip(of, plain, strict=True)] for weight, of in found.items()}
    return {"row": row.name, "without": plain, "change": changes}


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
            cells = [_cell(of[metric]) for name, of in row["scores"].items() if "without taste" not in name]
            gains = [_cell(of[metric]) for of in row["gain"].values()]
            where = f"{row['log']}, {row['as_of']}, {row['horizon_days']} days"
            lines.append(f"| {where} | {metric} | " + " | ".join([*cells, *gains]) + " |")
    names = [name for name in found[0]["scores"] if "without taste" not in name] if found else []
    columns = [*names, *(f"gain with {count}" for count in found[0]["gain"])] if found else []
    return "\n".join(
        [
            "# What matured neighbours did as a prediction of what the customer does\n",
            "| row | metric | " + " | ".join(columns) + " |",
            "| --- | --- |" + " ---: |" * len(columns),
            *lines,
            "",
        ]
    )


def _taste_markdown(found: list[dict[str, Any]]) -> str:
    lines = []
    for row in (row for row in found if row["shared_top_categories"]):
        shared = row["shared_top_categories"]
        cells = [_cell(of[metric]) for of in row["gain_with_taste"].values() for metric in ("auc", "spearman")]
        cells += [
            f"{shared[which][of]:.3f}"
            for which, of in (
                ("with taste", "neighbours"),
                ("without taste", "neighbours"),
                ("with taste", "permuted customers"),
            )
        ]
        lines.append(f"| {row['log']}, {row['as_of']}, {row['horizon_days']} days | " + " | ".join(cells) + " |")
    columns = [f"{metric}, {count}" for count in (NEIGHBORS, ESTIMATE_NEIGHBORS) for metric in ("AUC", "Spearman")]
    columns += ["with taste", "without taste", "neighbours of another"]
    return "\n".join(
        [
            f"\n# What taste changes, and the part of the top {TOP} categories shared with the {NEIGHBORS} nearest\n",
            "| row | " + " | ".join(columns) + " |",
            "| --- |" + " ---: |" * len(columns),
            *lines,
            "",
        ]
    )


def _weights_markdown(found: list[dict[str, Any]]) -> str:
    lines = [
        f"| {row['row']} | " + " | ".join(f"{auc:+.4f}, {rank:+.4f}" for auc, rank in row["change"].values()) + " |"
        for row in found
    ]
    by_log = pd.DataFrame({row["row"]: {w: sum(of) / 2 for w, of in row["change"].items()} for row in found})
    means = by_log.T.groupby(lambda name: name.split("-")[0]).mean().mean()
    return "\n".join(
        [
            "# Change of AUC and of Spearman's correlation with a weight of taste, against none\n",
            "| row | " + " | ".join(f"weight {weight:g}" for weight in WEIGHTS) + " |",
            "| --- |" + " ---: |" * len(WEIGHTS),
            *lines,
            "| mean of both over logs | " + " | ".join(f"{mean:+.4f}" for mean in means) + " |",
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
    parser.add_argument("--choose", action="store_true")
    arguments = parser.parse_args()
    if arguments.choose:
        found = [weighed(row) for row in TO_CHOOSE]
        _store("taste_weights", found, _weights_markdown(found))
        return
    if arguments.rows:
        signals = []
        for name in arguments.rows:
            try:
                signals.append(signal(FIVE[name]))
            except LogAbsent as reason:
                print(f"{name} skipped. {reason}\n", flush=True)
        _store("signal", signals, _signal_markdown(signals) + _taste_markdown(signals))
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
