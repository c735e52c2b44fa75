"""How fast models are fitted: BTYD beside ``lifetimes`` on CDNOW, and value and risk for a million customers.

``LIFETIMES_PYTHON=… python -m benchmarks.training`` prints a table and keeps it in ``benchmarks/results/training/``, as
JSON and Markdown. ``lifetimes`` needs older libraries than ours: name the interpreter of an environment that has it;
without one that part is skipped. Both read the same arrays, in the same run. A million customers are drawn from Online
Retail II's (``benchmarks/customers.py``), and the snapshots to learn from hold as many as the pipeline reads of each.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.accuracy import INTERVAL_LEVEL, SEED
from benchmarks.customers import drawn_features, drawn_snapshot
from benchmarks.panel.btyd import fit_bg_nbd, fit_gamma_gamma
from benchmarks.panel.data import labelled_data
from benchmarks.panel.logs import FIVE, LogAbsent
from genome_pipeline.models.btyd.pareto_nbd import fit_pareto_nbd
from genome_pipeline.models.forecast.risk import fit_risk_model
from genome_pipeline.models.forecast.value import fit_value_model
from genome_pipeline.models.genes import numbers
from genome_pipeline.models.snapshots import purchase_history
from genome_pipeline.transforms.sampling import SNAPSHOT_ROWS

RESULTS = Path(__file__).parent / "results" / "training"

_LIFETIMES = """
import json, sys, time, warnings
import numpy as np
from lifetimes import BetaGeoFitter, GammaGammaFitter, ParetoNBDFitter
warnings.filterwarnings("ignore")
data = np.load(sys.argv[1])
x, t_x, t, z, horizon = (data[name] for name in ("x", "t_x", "t", "z", "horizon"))
found = {}
begun = time.perf_counter()
bg = BetaGeoFitter().fit(x, t_x, t)
bg.conditional_expected_number_of_purchases_up_to_time(float(horizon), x, t_x, t)
bought = (x > 0) & (z > 0)
gg = GammaGammaFitter().fit(x[bought], z[bought])
gg.conditional_expected_average_profit(x, z)
found["BG/NBD and Gamma-Gamma"] = time.perf_counter() - begun
begun = time.perf_counter()
pareto = ParetoNBDFitter().fit(x, t_x, t)
pareto.conditional_expected_number_of_purchases_up_to_time(float(horizon), x, t_x, t)
found["Pareto/NBD"] = time.perf_counter() - begun
print(json.dumps(found))
"""


def btyd_seconds() -> dict[str, dict[str, float]]:
    """Seconds to fit and predict on all of CDNOW, by model and library."""
    row = FIVE["cdnow-19980101-181"]
    features = labelled_data(row).features
    x, t_x, t = purchase_history(features)
    z = np.nan_to_num(numbers(features["monetary_value_amount"]))

    def bg_nbd() -> None:
        fit_bg_nbd(x, t_x, t).expected_purchases(x, t_x, t, row.horizon_days)
        fit_gamma_gamma(x, z).mean_amount(x, z)

    def pareto_nbd() -> None:
        fit_pareto_nbd(x, t_x, t).expected_purchases(x, t_x, t, row.horizon_days)

    ours = {"BG/NBD and Gamma-Gamma": _seconds(bg_nbd), "Pareto/NBD": _seconds(pareto_nbd)}
    found = {"ours": ours}
    if interpreter := os.environ.get("LIFETIMES_PYTHON"):
        with tempfile.NamedTemporaryFile(suffix=".npz") as file:
            np.savez(file, x=x, t_x=t_x, t=t, z=z, horizon=row.horizon_days)
            file.flush()
            answer = subprocess.run(  # noqa: S603, the interpreter is the user's own
                [interpreter, "-c", _LIFETIMES, file.name], check=True, capture_output=True, text=True
            )
        found["lifetimes"] = json.loads(answer.stdout.splitlines()[-1])
    else:
        print("lifetimes skipped: name its interpreter in LIFETIMES_PYTHON", flush=True)
    return found


def training_seconds(customers: int) -> dict[str, float]:
    """Seconds to fit value and risk for one snapshot, to predict for all, and peak memory in GB."""
    row = FIVE["online_retail_ii-20110911-90"]
    data = labelled_data(row)
    current = drawn_features(data.features, customers, SEED)
    labelled = [drawn_snapshot(snapshot, min(SNAPSHOT_ROWS, customers), SEED) for snapshot in data.labelled]
    frames: list[pd.DataFrame] = []
    begun = time.perf_counter()
    risk = fit_risk_model(current, labelled, row.horizon_days, SEED)
    value = fit_value_model(current, labelled, row.horizon_days, INTERVAL_LEVEL, SEED)
    fitted = time.perf_counter()
    frames.append(risk.predict(current))
    frames.append(value.predict(current.assign(churn_probability=frames[0]["churn_probability"].to_numpy())))
    done = time.perf_counter()
    return {
        "customers": customers,
        "fit seconds": fitted - begun,
        "predict seconds": done - fitted,
        "customers predicted a second": customers / (done - fitted),
        "peak memory in GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def _seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _markdown(btyd: dict[str, dict[str, float]], training: dict[str, float] | None) -> str:
    lines = ["# Fitting models\n", "Fit and predict on CDNOW, 23,570 customers, in seconds:\n"]
    lines += ["| model | " + " | ".join(btyd) + " | ratio |", "| --- |" + " ---: |" * (len(btyd) + 1)]
    for model, ours in btyd["ours"].items():
        others = [seconds[model] for name, seconds in btyd.items() if name != "ours"]
        ratio = f"{others[0] / ours:.1f}" if others else ""
        lines.append(
            f"| {model} | " + " | ".join(f"{seconds[model]:.2f}" for seconds in btyd.values()) + f" | {ratio} |"
        )
    if training:
        lines += ["\nValue and risk for one snapshot:\n", "| what | value |", "| --- | ---: |"]
        lines += [
            f"| {name} | {value:,.0f} |" if value > 100 else f"| {name} | {value:.1f} |"
            for name, value in training.items()
        ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    customers: int = parser.parse_args().customers
    training: dict[str, float] | None = None
    try:
        training = training_seconds(customers)
    except LogAbsent as reason:
        print(f"value and risk skipped. {reason}\n", flush=True)
    btyd = btyd_seconds()
    text = _markdown(btyd, training)
    print(text)
    found: dict[str, Any] = {"btyd": btyd, "training": training}
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "training.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (RESULTS / "training.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
