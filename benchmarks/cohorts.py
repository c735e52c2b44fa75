"""How often the spend of a cohort, and the day on which it pays back, lie within their intervals, on the panel's logs.

``python -m benchmarks.cohorts [--logs cdnow ...]`` takes the rows of the panel of 60 days or more, and of each the
cohorts of a month with ten customers or more. The cost of winning a cohort is simulated: what it had spent by the row's
date, and a quarter, half and three quarters of what it was expected to spend within the horizon. A payback after the
horizon is within the interval if that has no end. Writes ``benchmarks/results/accuracy/cohorts.json`` and ``.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from ibis.backends.duckdb import Backend
from threadpoolctl import threadpool_limits

from benchmarks.panel.data import Data, rows_of_log
from benchmarks.panel.run import run
from benchmarks.totals import judged, measure
from genome_pipeline.models.forecast.totals import PRIORS

LEAST_DAYS = 60
LEAST_CUSTOMERS = 10
PARTS = (0.25, 0.5, 0.75)


def paybacks(database: Backend, data: Data) -> Iterator[dict[str, Any]]:
    """One record for each cohort and simulated cost."""
    totals = judged(measure(data), PRIORS)
    if totals.empty:
        return
    chosen = (totals["kind"] == "cohort") & (totals["target"] == "spend") & (totals["customers"] >= LEAST_CUSTOMERS)
    days = data.row.horizon_days
    for row in totals[chosen].to_dict("records"):
        spent = _spent_by_day(database, data, row["key"])
        for part in PARTS:
            missing = part * row["total"]
            reached = np.flatnonzero(spent >= missing)
            total, above, below = row["total"], row["upper"] - row["total"], row["total"] - row["lower"]
            # As in the view cohort_payback: distances of bounds grow as square roots.
            earliest, expected = days * _root(total, missing, above, -1), days * missing / total
            latest = days * _root(total, missing, below, 1) if row["lower"] >= missing else np.inf
            actual = float(reached[0] + 1) if len(reached) else np.inf
            yield {
                "log": data.row.log,
                "as_of": str(data.row.as_of),
                "horizon_days": days,
                "cohort": row["key"],
                "customers": int(row["customers"]),
                "part": part,
                "is_total_covered": bool(row["covered"]),
                "is_covered": bool(np.floor(earliest) <= actual <= np.ceil(latest)),
                "has_end": bool(np.isfinite(latest)),
                "days_missed": float(abs(min(actual, days) - expected)),
            }


def _root(total: float, missing: float, distance: float, sign: int) -> float:
    """Part f of the horizon at which f total - sign sqrt(f) distance is ``missing``."""
    return float(((sign * distance + np.sqrt(distance**2 + 4 * total * missing)) / (2 * total)) ** 2)


def _spent_by_day(database: Backend, data: Data, cohort: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What the cohort had spent from the row's date on by the end of each day of the horizon."""
    found = database.con.execute(
        "SELECT ordered_at::DATE - $as_of::DATE AS day, sum(amount)::DOUBLE AS spent FROM lines SEMI JOIN"
        " (SELECT customer_id FROM lines GROUP BY 1 HAVING date_trunc('month', min(ordered_at))::DATE = $cohort::DATE)"
        " USING (customer_id) WHERE ordered_at >= $as_of AND ordered_at < $as_of::DATE + $days::INTEGER GROUP BY 1",
        {"as_of": data.row.as_of, "cohort": cohort, "days": data.row.horizon_days},
    ).df()
    by_day = found.set_index("day")["spent"].reindex(range(data.row.horizon_days), fill_value=0.0)
    return np.cumsum(by_day.to_numpy(dtype=np.float64))


def summary(found: list[dict[str, Any]]) -> str:
    """Coverage of totals and of paybacks, by log and by part of the expected spend that was missing."""
    rows = pd.DataFrame(found)
    columns = {"is_total_covered": "total covered", "is_covered": "payback covered", "has_end": "has an end"}
    parts = [
        f"{len(rows) // len(PARTS)} cohorts: {rows['is_total_covered'].mean():.1%} of their totals and"
        f" {rows['is_covered'].mean():.1%} of their paybacks are within the interval."
    ]
    for by in ("log", "part"):
        told = rows.groupby(by)[[*columns]].mean().rename(columns=columns)
        told["median days missed"] = rows.groupby(by)["days_missed"].median()
        told.insert(0, "paybacks", rows.groupby(by).size())
        parts.append(str(told.reset_index().to_markdown(index=False, floatfmt=".3f")))
    return "# Cohorts\n\n" + "\n\n".join(parts) + "\n"


def _measured(log: str) -> Iterator[dict[str, Any]]:
    for database, data in rows_of_log(log):
        if data.row.horizon_days >= LEAST_DAYS:
            with threadpool_limits(1):
                yield from paybacks(database, data)


if __name__ == "__main__":
    run("cohorts", __doc__, _measured, summary)
