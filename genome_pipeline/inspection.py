"""A look before a run (`genome check`) and at what is there (`genome status`)."""

from __future__ import annotations

import os
from typing import Any

import duckdb
import ibis

from genome_pipeline.contracts.rules import active_rules
from genome_pipeline.contracts.tables import RAW_COLUMNS, TABLES
from genome_pipeline.resources import Pipeline
from genome_pipeline.settings import ConfigError, Settings
from genome_pipeline.sources.files import find_files, read_file, sniff
from genome_pipeline.transforms.validation import judged_lines, rejected_by_reason, rejected_lines, typed_lines

SAMPLE_ROWS = 10_000


def inspect_source(settings: Settings) -> dict[str, Any]:
    """Files, column mapping, first values, dates, and what would be quarantined, from a sample of the first file.

    Raises :class:`ConfigError` for what a run would stop at. Writes nothing.
    """
    _check_home(settings)
    files = find_files(settings.source)
    mapped = settings.source.columns.mapped
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        database = ibis.duckdb.from_connection(connection)
        for file in files[1:]:
            sniff(file, settings.source)
        with read_file(connection, files[0], settings.source) as rows:
            types = dict(zip(rows.columns, map(str, rows.types), strict=True))
            connection.execute(TABLES["raw_transactions"].ddl(types=types))
            rows.create_view("incoming")
            connection.execute(
                "INSERT INTO raw_transactions BY NAME SELECT *, ? AS source_file, now()::TIMESTAMP AS ingested_at"
                f" FROM incoming LIMIT {SAMPLE_ROWS}",
                [files[0].name],
            )
        examples = connection.execute(
            f"SELECT {', '.join(f'list({name}::VARCHAR)[:3]' for name in RAW_COLUMNS)} FROM raw_transactions"
        ).fetchone()
        lines = typed_lines(
            database.table("raw_transactions"),
            mapped=list(mapped),
            calendar=settings.time,
            formats=settings.source.formats,
            non_product_codes=settings.rules.non_product_codes,
        )
        dates = connection.execute(
            f"SELECT min(ordered_at), max(ordered_at), count(*), count(ordered_at) FROM ({ibis.to_sql(lines)})"
        ).fetchone()
        judged = judged_lines(lines, active_rules(list(mapped), settings.rules.disabled))
        rejected = rejected_lines(judged, database.table("raw_transactions"))
        rejected_count = int(rejected.count().execute())
        reasons = rejected_by_reason(rejected)
        by_reason = connection.execute(
            f"SELECT reason, sum(row_count)::BIGINT FROM ({ibis.to_sql(reasons)}) GROUP BY 1 ORDER BY 2 DESC, 1"
        ).fetchall()
    first, last, count, readable = dates or (None, None, 0, 0)
    if count and not readable:
        example = dict(zip(RAW_COLUMNS, examples or (), strict=True))["raw_ordered_at"]
        raise ConfigError(
            f"{files[0].name}: no value in column {settings.source.columns.ordered_at!r} can be read as a date, such as"
            f' {example[0]!r}: set source.date_format to the file\'s own, such as "%d/%m/%Y %H:%M"'
        )
    shown = dict(zip(RAW_COLUMNS, examples or (), strict=True))
    return {
        "files": [file.name for file in files],
        "columns": [
            {
                "ours": ours,
                "theirs": theirs,
                "type": types[f"raw_{ours}"],
                "examples": [str(value) for value in shown[f"raw_{ours}"] or ()],
            }
            for ours, theirs in mapped.items()
        ],
        "sample_rows": count,
        "first_ordered_at": first,
        "last_ordered_at": last,
        "quarantined_rows": rejected_count,
        "quarantine": [{"reason": reason, "row_count": rows_} for reason, rows_ in by_reason],
    }


def pipeline_status(settings: Settings) -> dict[str, Any]:
    """Source rows, snapshots made and what is published, as the warehouse has them. Writes nothing."""
    pipeline = Pipeline.of(settings)
    if not pipeline.warehouse.exists():
        return {"warehouse": f"none at {settings.warehouse_path} yet: use `genome run`"}
    with pipeline.warehouse.open_to_read() as database:
        connection = database.con
        files, rows, read_at = connection.execute(
            "SELECT count(*), coalesce(sum(row_count), 0), max(ingested_at) FROM source_files"
        ).fetchone()
        snapshots = connection.execute(
            "SELECT slice_key FROM written_slices WHERE table_name = 'customer_genome' ORDER BY 1"
        ).fetchall()
        published = connection.execute(
            "SELECT as_of, published_at FROM pipeline_runs ORDER BY published_at DESC LIMIT 1"
        ).fetchone()
        passed, checked = connection.execute(
            "SELECT count(*) FILTER (is_passed), count(*) FROM data_quality"
            " WHERE run_id = (SELECT run_id FROM data_quality ORDER BY checked_at DESC LIMIT 1)"
        ).fetchone()
    return {
        "warehouse": str(settings.warehouse_path),
        "source_files": files,
        "source_rows": int(rows),
        "last_ingested_at": read_at,
        "snapshots": f"{len(snapshots)}: {snapshots[0][0]} to {snapshots[-1][0]}" if snapshots else "none",
        "last_run_checks": f"{passed} of {checked} passed",
        "published": f"as of {published[0]}, at {published[1]:%Y-%m-%d %H:%M} UTC" if published else "nothing yet",
        "published_file": str(settings.published_path),
    }


def _check_home(settings: Settings) -> None:
    parent = settings.home.absolute()
    while not parent.exists():
        parent = parent.parent
    if not os.access(parent, os.W_OK):
        raise ConfigError(f"{settings.home} cannot be written: set GENOME_HOME to a folder you may write")
