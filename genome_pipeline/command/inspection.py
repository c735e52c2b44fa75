"""The source before a run (`genome check`), and the state of the pipeline (`genome status`)."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import ibis

from genome_pipeline.command.drafting import MOMENTS_ROWS, Look, look_at
from genome_pipeline.contracts.rules import active_rules
from genome_pipeline.contracts.tables import RAW_COLUMNS, TABLES
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.published.reader import LATEST_CHECKS, Published
from genome_pipeline.quality.data_docs import DataDocs
from genome_pipeline.quality.gate import obstacles_in_words
from genome_pipeline.quality.own_suites import load_own_suites
from genome_pipeline.settings import Draft, Settings, SourceSettings
from genome_pipeline.sources import text
from genome_pipeline.sources.guessing import written
from genome_pipeline.sources.source import Sample, SourceFile, find_files, read_file, read_sample, sniff
from genome_pipeline.transforms.lines import typed_lines
from genome_pipeline.transforms.validation import judged_lines

SAMPLE_ROWS = 10_000
GUESSING_ROWS = 1_000
FIRST_ROWS = 5
_MANY = 0.1


def inspect_source(draft: Draft, folder: Path) -> dict[str, Any]:
    """What a run would read: files, columns, first rows, dates, rows to quarantine, and points to look at.

    Settings that the draft leaves open are guessed; ``config`` is then the text of the whole ``genome.toml`` to save in
    ``folder``. ``missing`` names settings that could not be guessed; rows are not typed then. Raises
    :class:`ConfigError` for mistakes that would stop a run at its settings or the first file. Writes nothing.
    """
    _check_home(draft)
    load_own_suites(draft.quality.suites)
    files = find_files(draft.source)
    if not files:
        raise ConfigError(f"{draft.source.path} holds no rows: name a file with column names and rows below them")
    with _warning_once(), connect() as connection:
        sample = read_sample(files[0], draft.source, GUESSING_ROWS)
        connection.execute("SET TimeZone = 'UTC'")
        look = look_at(connection, draft, files, sample, folder)
        facts: dict[str, Any] = {
            "files": [file.name for file in files],
            "layout": sample.layout,
            "columns": [_column(ours, look, sample) for ours in look.mapped],
            "unmapped": [name for name in sample.names if name not in look.mapped.values()],
            "first_ordered_at": look.first,
            "last_ordered_at": look.last,
            "dated_rows": look.dated_rows,
            "is_dated_in_part": look.dated_rows >= MOMENTS_ROWS,
            "missing": list(look.missing),
            "config": look.config,
            "warnings": list(look.doubts),
        }
        if look.settings is not None:
            _check_dates(look, files[0], facts["columns"])
            source = draft.source.model_copy(update={"columns": look.settings.source.columns})
            for file in files[1:]:
                sniff(file, source)
            facts |= _judged_sample(connection, look.settings, files[0], source)
            facts["warnings"] += [
                f"{row['row_count'] / facts['sample_rows']:.0%} of the sampled rows would be quarantined:"
                f" {row['reason']}"
                for row in facts["quarantine"]
                if row["row_count"] >= _MANY * facts["sample_rows"]
            ]
            if any(row["reason"] == "future_date" for row in facts["quarantine"]):
                zone = look.settings.source.time_zone
                facts["warnings"].append(
                    f"some orders are dated after this moment in {zone}: where the log's clock is another, set"
                    " source.time_zone"
                )
    return facts


@contextmanager
def _warning_once() -> Iterator[None]:
    """Log each warning once, although a file is read several times here."""
    told: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        is_known = record.getMessage() in told
        told.add(record.getMessage())
        return not is_known

    text.logger.addFilter(is_new)
    try:
        yield
    finally:
        text.logger.removeFilter(is_new)


def _check_dates(look: Look, file: SourceFile, columns: Sequence[Mapping[str, Any]]) -> None:
    (dates,) = (column for column in columns if column["ours"] == "ordered_at")
    if look.first is None and dates["examples"]:
        advice = [doubt for doubt in look.doubts if "date_format" in doubt]
        raise ConfigError(
            f"{file.name}: no value in column {dates['theirs']!r} can be read as a date, such as"
            f" {dates['examples'][0]!r}: "
            + (advice[0] if advice else 'set source.date_format to the file\'s own, such as "%d/%m/%Y %H:%M"')
        )


def _column(ours: str, look: Look, sample: Sample) -> dict[str, Any]:
    theirs = look.mapped[ours]
    guess = look.guessed.get(ours)
    position = sample.names.index(theirs) if theirs in sample.names else None
    return {
        "ours": ours,
        "theirs": theirs,
        "type": None if position is None else sample.types[position],
        "examples": [] if position is None else list(dict.fromkeys(written(sample.values[position])))[:3],
        "guessed_by": guess.sureness.value if guess else None,
    }


def _judged_sample(
    connection: duckdb.DuckDBPyConnection, settings: Settings, file: SourceFile, source: SourceSettings
) -> dict[str, Any]:
    """The first rows of the file, validated as a run would."""
    mapped = settings.source.columns.mapped
    with read_file(connection, file, source) as rows:
        types = dict(zip(rows.columns, map(str, rows.types), strict=True))
        connection.execute(TABLES["raw_transactions"].ddl(types=types))
        rows.create_view("incoming")
        connection.execute(
            "INSERT INTO raw_transactions BY NAME SELECT *, ? AS source_file, now()::TIMESTAMP AS ingested_at"
            f" FROM incoming LIMIT {SAMPLE_ROWS}",
            [file.name],
        )
    raw = ibis.duckdb.from_connection(connection).table("raw_transactions")
    lines = typed_lines(
        raw,
        mapped=list(mapped),
        calendar=settings.time,
        formats=settings.source.formats,
        non_product_codes=settings.rules.non_product_codes,
    )
    rules = active_rules(list(mapped), settings.rules.disabled)
    judged = judged_lines(lines, rules).order_by("source_row").to_pyarrow().to_pylist()
    as_it_came = {row["source_row"]: row for row in raw.select("source_row", *RAW_COLUMNS).to_pyarrow().to_pylist()}
    counts = Counter(reason for row in judged for reason in row["reasons"] or ())
    shown = {rule.name: [ours for ours in rule.shown_columns if ours in mapped] for rule in rules}
    quarantine = []
    for reason, count in counts.most_common():
        number = next(row["source_row"] for row in judged if reason in (row["reasons"] or ()))
        values = {mapped[ours]: as_it_came[number][f"raw_{ours}"] for ours in shown[reason]}
        quarantine.append({"reason": reason, "row_count": count, "example": {"source_row": number, "values": values}})
    typed = TABLES["validated_transactions"].columns
    columns = [
        ours
        for ours in (*mapped, "amount")
        if ours in typed and (ours != "amount" or settings.source.columns.has_amounts)
    ]
    return {
        "sample_rows": len(judged),
        "first_rows": [
            {**{ours: row[ours] for ours in dict.fromkeys(columns)}, "reasons": row["reasons"] or []}
            for row in judged[:FIRST_ROWS]
        ],
        "quarantined_rows": sum(bool(row["reasons"]) for row in judged),
        "quarantine": quarantine,
    }


def pipeline_status(settings: Settings) -> dict[str, Any]:
    """Source rows, snapshots and the publication, as recorded in the warehouse. Writes nothing."""
    pipeline = Pipeline.of(settings)
    if not pipeline.warehouse.exists():
        return {"warehouse": f"none at {settings.warehouse_path} yet: use `genome run`"}
    # Checks are declared with their assets, which take Dagster a second to load; `genome check` does without.
    from genome_pipeline.orchestration.checks.declared import gate

    with pipeline.warehouse.open_to_read() as database:
        connection = database.con
        ((files, rows, read_at),) = connection.execute(
            "SELECT count(*), coalesce(sum(row_count), 0), max(ingested_at) FROM source_files"
        ).fetchall()
        snapshots = connection.execute(
            "SELECT slice_key FROM written_slices WHERE table_name = 'customer_genome' ORDER BY 1"
        ).fetchall()
        published = connection.execute(
            "SELECT as_of, published_at, forced_past FROM pipeline_runs ORDER BY published_at DESC LIMIT 1"
        ).fetchall()
        made_since = connection.execute(
            "SELECT DISTINCT slice_key FROM written_slices WHERE table_name IN (SELECT unnest(?)) AND written_at >"
            " coalesce((SELECT max(published_at) FROM pipeline_runs), TIMESTAMP '-infinity') ORDER BY 1",
            [[name for name, table in TABLES.items() if table.slice_by == "as_of"]],
        ).fetchall()
        obstacles = gate().obstacles(connection, settings.time)
        ((passed, checked),) = connection.execute(
            f"SELECT count(*) FILTER (is_passed), count(*) FROM ({LATEST_CHECKS})"
        ).fetchall()
    latest = published[0] if published else None
    data_docs = DataDocs(settings.quality_path).index
    return {
        "warehouse": str(settings.warehouse_path),
        "source_files": files,
        "source_rows": int(rows),
        "last_ingested_at": read_at,
        "snapshots": _ends(snapshots),
        "checks": f"{passed} of {checked} passed",
        "published": _published(settings, latest),
        **({"made_since": f"{_ends(made_since)}; what is published is older"} if made_since and latest else {}),
        **({"in_the_way": obstacles_in_words(obstacles)} if obstacles else {}),
        **({"forced_past": latest[2]} if latest and latest[2] else {}),
        "published_file": str(settings.published_path),
        **({"data_docs": str(data_docs)} if data_docs.exists() else {}),
    }


def _published(settings: Settings, latest: tuple[Any, ...] | None) -> str:
    """What readers find; ``latest`` is what was published last, and when."""
    if latest is None:
        return "nothing yet"
    try:
        Published(settings.published_path).close()
    except ConfigError as error:
        return f"nothing that can be read: {error}"
    return f"as of {latest[0]}, at {latest[1]:%Y-%m-%d %H:%M} UTC"


def _ends(slices: Sequence[tuple[str]]) -> str:
    """Number of snapshots, the first and the last."""
    return f"{len(slices)}: {slices[0][0]} to {slices[-1][0]}" if slices else "none"


def _check_home(settings: Draft) -> None:
    parent = settings.home.absolute()
    while not parent.exists():
        parent = parent.parent
    if not os.access(parent, os.W_OK):
        raise ConfigError(f"{settings.home} cannot be written: set GENOME_HOME to a folder you may write")
