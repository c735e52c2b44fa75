"""What it costs to say why: both models explained and worded for a million customers, and what changed for each.

``python -m benchmarks.explain [--customers 1000000]`` fits value and risk on lifelike histories, draws customers of two
snapshots (``benchmarks/customers.py``), and writes ``benchmarks/results/explain/explain.json`` and ``.md``. Rows are
checked against the predictions, untimed, and dropped as they come; the pipeline writes them to disk.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.customers import drawn_features
from genome_pipeline.models.drivers import explain_customers
from genome_pipeline.models.forecast.explanations import explain_forecast
from genome_pipeline.models.forecast.risk import fit_risk_model
from genome_pipeline.models.forecast.value import fit_value_model
from genome_pipeline_tests.support.histories import HORIZON_DAYS, START, history

RESULTS = Path(__file__).parent / "results" / "explain"
NOW = START + timedelta(days=390)
BEFORE = NOW - timedelta(days=30)


def measure(customers: int, seed: int = 0) -> dict[str, Any]:
    """Seconds, memory, and the largest difference between a prediction and the sum of its contributions."""
    log = history(size=4_000)
    risk = fit_risk_model(log.features(NOW), log.labelled(NOW), HORIZON_DAYS, seed)
    value = fit_value_model(log.features(NOW), log.labelled(NOW), HORIZON_DAYS, 0.8, seed)
    # The two snapshots are of the same customers, so that the same are drawn of both.
    features, previous = (drawn_features(log.features(day), customers, seed) for day in (NOW, BEFORE))
    churn = risk.predict(features)["churn_probability"].to_numpy()
    spend = value.predict(features.assign(churn_probability=churn))["expected_spend"].to_numpy()
    predicted = {"churn_probability": churn, "expected_spend": spend}
    explained = {prediction: np.zeros(customers) for prediction in predicted}
    found: dict[str, Any] = {
        "customers": customers,
        "models": {"churn_probability": "+".join(risk.experts), "expected_spend": "+".join(value.orders.experts)}
        if value.orders
        else {},
        "cores": os.cpu_count(),
        "load_at_start": round(os.getloadavg()[0], 1),
        "peak_megabytes_at_start": _peak_megabytes(),
    }
    seconds = cpu_seconds = 0.0
    row_count = 0
    parts = explain_customers(partial(explain_forecast, risk, value), features, previous, "EUR")
    while True:
        started, cpu_started = time.perf_counter(), time.process_time()
        rows = next(parts, None)
        seconds += time.perf_counter() - started
        cpu_seconds += time.process_time() - cpu_started
        if rows is None:
            break
        row_count += len(rows)
        number = rows["customer_id"].str.slice(1).astype("int64").to_numpy()
        np.add.at(explained[rows["prediction"].iloc[0]], number, rows["contribution"].to_numpy())
    return found | {
        "rows": row_count,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "peak_megabytes": _peak_megabytes(),
        "largest_error": {name: float(np.abs(explained[name] - predicted[name]).max()) for name in predicted},
        "largest_prediction": {name: float(predicted[name].max()) for name in predicted},
    }


def _peak_megabytes() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _markdown(found: dict[str, Any]) -> str:
    models = ", ".join(f"{name}: {parts}" for name, parts in found["models"].items())
    errors = ", ".join(
        f"{name} {error:.1e} (of at most {found['largest_prediction'][name]:,.2f})"
        for name, error in found["largest_error"].items()
    )
    rows = {
        "customers": f"{found['customers']:,}",
        "models explained": models,
        "rows made": f"{found['rows']:,}",
        "seconds, this snapshot and the one before": f"{found['seconds']} (processor time {found['cpu_seconds']})",
        "peak memory": f"{found['peak_megabytes']:,} MB, of which {found['peak_megabytes_at_start']:,} MB before",
        "largest error of a sum": errors,
        "machine": f"{found['cores']} cores, a load of {found['load_at_start']} at the start, as it was shared",
    }
    lines = ["# Explaining and wording both models", "", "| what | measured |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {text} |" for name, text in rows.items())]) + "\n"


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    found = measure(parser.parse_args().customers)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "explain.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (RESULTS / "explain.md").write_text(_markdown(found), encoding="utf-8")
    print(_markdown(found))


if __name__ == "__main__":
    main()
