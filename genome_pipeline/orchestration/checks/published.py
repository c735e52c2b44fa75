"""The published file, seen as a reader sees it."""

from __future__ import annotations

from collections.abc import Sequence

from genome_pipeline.contracts.published import published_schema
from genome_pipeline.orchestration.checks.bridge import Subject, check
from genome_pipeline.quality.validation import CheckResult
from genome_pipeline.warehouse.database import open_database


@check(
    "published_genome",
    description="A reader finds every table and view in the published file, and the latest snapshot has customers.",
    is_blocking=True,
)
def published_is_whole(subject: Subject) -> Sequence[CheckResult]:
    """Open the file read-only and look."""
    with open_database(subject.settings.published_path, read_only=True) as published:
        found = set(published.list_tables())
        ((count,),) = published.con.execute("SELECT count(*) FROM customer_genome").fetchall()
    missing = sorted(published_schema()["tables"].keys() - found)
    return [
        CheckResult(
            "published_genome",
            "published_is_whole",
            "ERROR",
            not missing and count > 0,
            f"{len(found)} tables and views, {count:,} customers in the latest snapshot"
            + (f"; missing: {', '.join(missing)}" if missing else ""),
            count,
        )
    ]


CHECKS = (published_is_whole,)
