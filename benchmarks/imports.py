"""How long Python takes to import the package, its doors for notebooks, and the command.

``python -m benchmarks.imports [--times 9]`` starts a process for each and takes the median of the seconds beyond those
of a Python that does nothing. Writes ``imports.json`` and ``imports.md`` in ``benchmarks/results/imports/``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

RESULTS = Path(__file__).parent / "results" / "imports"

STATEMENTS = {
    "import genome_pipeline": "import genome_pipeline",
    "genome.open": "import genome_pipeline as genome; genome.open",
    "genome.fit": "import genome_pipeline as genome; genome.fit",
    "genome --help": "from genome_pipeline.command.cli import app; app(['--help'])",
    "import duckdb": "import duckdb",
    "import pandas": "import pandas",
}
"""What is timed, and the statement that does it; the last two stand beside for comparison."""


def seconds(statement: str) -> float:
    """Wall seconds of a process that executes the statement."""
    started = time.perf_counter()
    command = [sys.executable, "-c", statement]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603, our own command
    return time.perf_counter() - started


def main() -> None:
    """Measure, in turns, so that another program's load falls on all alike."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=9)
    times = parser.parse_args().times
    taken: dict[str, list[float]] = {name: [] for name in ("nothing", *STATEMENTS)}
    for _ in range(times):
        for name, each in taken.items():
            each.append(seconds(STATEMENTS.get(name, "pass")))
    nothing = median(taken.pop("nothing"))
    found = {name: round(max(median(each) - nothing, 0), 3) for name, each in taken.items()}
    lines = ["# Seconds to import", f"Median of {times}, beyond the {nothing:.3f} s of a Python that does nothing.", ""]
    lines += ["| what | seconds |", "| --- | ---: |", *(f"| `{name}` | {value:.3f} |" for name, value in found.items())]
    text = "\n".join(lines) + "\n"
    print(text)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "imports.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "imports.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
