"""Chooses what the forecast takes from other logs, by leaving out one log at a time.

``python -m benchmarks.constants [--jobs 2]`` fits the forecast on every row of the panel under each of a few constants
(:class:`genome_pipeline.models.forecast.constants.Constants`). For each log those are chosen that have the least log
loss, over the best baseline, on the rows of all other logs, each log counting alike; what they then achieve on the log
left out is the table of record. What all logs together choose is told beside it.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from benchmarks.panel.baselines import SEED, baselines
from benchmarks.panel.data import each_row
from benchmarks.panel.logs import ROWS
from genome_pipeline.models.forecast.constants import CONSTANTS, Constants
from genome_pipeline.models.forecast.risk import fit_risk_model
from genome_pipeline.models.genes import numbers
from genome_pipeline.models.losses import log_losses

RESULTS = Path(__file__).parent / "results" / "constants"

GRID = tuple(Constants(*values) for values in product((500.0, 5_000.0, 50_000.0), (0.02, 0.04, 0.12), (0.2, 0.4, 0.7)))


def _measured(log: str) -> list[dict[str, Any]]:
    """Of each row of a log, log loss over the best baseline and AUC beside it, under each of the constants."""
    found = []
    for data in each_row([row for row in ROWS if row.log == log]):
        is_active = ~data.actual["has_churned"].to_numpy(bool)
        with threadpool_limits(1):
            others = [forecast.activity for forecast in baselines(data).values() if forecast.activity is not None]
            best = min(float(log_losses(is_active, activity).mean()) for activity in others)
            best_auc = max(float(roc_auc_score(is_active, activity)) for activity in others)
        for constants in GRID:
            model = fit_risk_model(data.features, data.labelled, data.row.horizon_days, SEED, constants)
            active = 1 - numbers(model.predict(data.features)["churn_probability"])
            found.append(
                {
                    "log": log,
                    "row": data.row.name,
                    **constants._asdict(),
                    "ratio": float(log_losses(is_active, active).mean()) / best,
                    "auc": float(roc_auc_score(is_active, active)) - best_auc,
                }
            )
        print(f"{data.row.name} done", flush=True)
    return found


def _least(table: pd.DataFrame) -> tuple[float, ...]:
    """The constants of least mean ratio, each log counting alike; of equals, those nearest to the program's."""
    names = list(Constants._fields)
    by_log = table.groupby([*names, "log"])["ratio"].mean().groupby(level=names).mean().round(5)
    least = by_log[by_log == by_log.min()].index
    usual = np.log(np.array(CONSTANTS))
    return tuple(min(least, key=lambda values: float(np.abs(np.log(np.array(values)) - usual).sum())))


def _of(table: pd.DataFrame, constants: tuple[float, ...]) -> pd.DataFrame:
    rows: pd.DataFrame = table[(table[list(Constants._fields)] == constants).all(axis=1)]
    return rows


def record(table: pd.DataFrame) -> str:
    """The table of record, as Markdown."""
    lines = [
        "# Constants chosen by leaving out one log at a time\n",
        "| log left out | chosen: "
        + ", ".join(Constants._fields)
        + " | rows | log loss over the best baseline | AUC |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    left_out = []
    for log in table["log"].unique():
        chosen = _least(table[table["log"] != log])
        rows = _of(table[table["log"] == log], chosen)
        left_out.append(rows)
        told = ", ".join(f"{value:g}" for value in chosen)
        lines.append(f"| {log} | {told} | {len(rows)} | {rows['ratio'].mean():.4f} | {rows['auc'].mean():+.4f} |")
    rows = pd.concat(left_out)
    lines.append(
        f"| all left out | | {len(rows)} | {rows['ratio'].mean():.4f}, at most 1 on {np.mean(rows['ratio'] <= 1):.0%},"
        f" at most {rows['ratio'].max():.3f} | {rows['auc'].mean():+.4f}, at least -0.003 on"
        f" {np.mean(rows['auc'] >= -0.003):.0%} |"
    )
    chosen = _least(table)
    lines += ["", "All logs together choose " + ", ".join(f"{value:g}" for value in chosen) + "."]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="logs measured at the same time")
    logs = list(dict.fromkeys(row.log for row in ROWS))
    with ProcessPoolExecutor(parser.parse_args().jobs) as pool:
        found = [one for rows in pool.map(_measured, logs) for one in rows]
    table = pd.DataFrame(found)
    text = record(table)
    print(text)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "rows.json").write_text(json.dumps(found) + "\n", encoding="utf-8")
    (RESULTS / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
