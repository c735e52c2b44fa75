"""What checks cost: the share of a whole run spent in them.

``python -m benchmarks.quality [--lines 1500000 10000000]`` runs the pipeline on seeded synthetic logs, each in a home
of its own that is removed after, and writes ``benchmarks/results/quality.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.synthetic import CONFIG, write_log

RESULTS = Path(__file__).parent / "results"
CUSTOMERS = {1_500_000: 2_500, 10_000_000: 10_000}
_CONFIG = (
    CONFIG
    + """[predict]
horizon_days = 28
"""
)


def measure(lines: int, folder: Path) -> dict[str, Any]:
    """Seconds of a run over a log of about ``lines`` lines, and those of its checks, by check."""
    from genome_pipeline.orchestration.assets.flow import STAGES
    from genome_pipeline.orchestration.runs.run import run
    from genome_pipeline.orchestration.runs.staleness import Span
    from genome_pipeline.settings import load_settings

    customers = CUSTOMERS.get(lines, max(500, lines // 1_000))
    written = write_log(folder / "log.parquet", lines=lines, customers=customers)
    config = folder / "genome.toml"
    config.write_text(
        _CONFIG.format(home=folder / "home", log=folder / "log.parquet", start="2024-01-01", end="2025-01-01"),
        encoding="utf-8",
    )
    stages = {stage.name for stage in STAGES}
    started: dict[str, float] = {}
    seconds: dict[str, float] = {}

    def progress(step: str, state: str) -> None:
        if state == "started":
            started[step] = time.perf_counter()
        else:
            seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - started[step]

    begun = time.perf_counter()
    outcome = run(load_settings(config), Span(), progress)
    whole = time.perf_counter() - begun
    checks = {step: spent for step, spent in seconds.items() if step not in stages}
    return {
        "lines": written,
        "customers": customers,
        "snapshots": len(outcome.as_of),
        "run_seconds": round(whole, 1),
        "check_seconds": round(sum(checks.values()), 1),
        "check_share": round(sum(checks.values()) / whole, 3),
        "slowest": {step: round(spent, 2) for step, spent in sorted(checks.items(), key=lambda item: -item[1])[:8]},
    }


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, nargs="+", default=list(CUSTOMERS))
    found = []
    for lines in parser.parse_args().lines:
        with tempfile.TemporaryDirectory(prefix="genome-benchmark-") as folder:
            found.append(measure(lines, Path(folder)))
        os.environ.pop("DAGSTER_HOME", None)
        print(json.dumps(found[-1]), flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "quality.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    rows = []
    for row in found:
        slowest = ", ".join(f"{step} {spent} s" for step, spent in row["slowest"].items())
        rows.append(
            f"| {row['lines']:,} | {row['customers']:,} | {row['snapshots']} | {row['run_seconds']}"
            f" | {row['check_seconds']} | {row['check_share']:.1%} | {slowest} |"
        )
    table = [
        "| lines | customers | snapshots | run, s | checks, s | share | slowest checks |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        *rows,
    ]
    text = "# Share of a run spent in checks\n\n" + "\n".join(table) + "\n"
    (RESULTS / "quality.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
