"""A selection of customers as a file to take along: exactly the rows and columns that the Audience page shows."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import BinaryIO

import duckdb

from genome_pipeline.dashboard import queries
from genome_pipeline.dashboard.selection import Selection, in_words
from genome_pipeline.export import write_rows

_BATCH_ROWS = 50_000
_MEMORY_LIMIT = "200MB"


def audience_file(connection: duckdb.DuckDBPyConnection, as_of: date, selection: Selection, kind: str) -> BinaryIO:
    """The customers of a selection as an open file, ``kind`` csv or parquet, which is gone once it is closed.

    Its head says the snapshot, the selection and the number of customers. The connection reads the published file and
    can reach no other; another one, which has seen nothing of the request, writes.
    """
    run = queries.run(connection)
    _, size = queries.audience_size(connection, as_of, selection)
    is_provisional = as_of in queries.provisional_snapshots(connection)
    notes = {
        "snapshot": f"{as_of} (provisional)" if is_provisional else str(as_of),
        "published": f"{run.published_at:%Y-%m-%d %H:%M} UTC from {run.source_name}",
        **{f"selection {number}": text for number, text in enumerate(in_words(selection), start=1)},
        "customers": str(size),
    }
    rows = connection.execute(*queries.audience_query(as_of, selection, size)).to_arrow_reader(_BATCH_ROWS)
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(config={"memory_limit": _MEMORY_LIMIT}) as writer:
        path = Path(folder) / f"audience.{kind}"
        writer.register("audience", rows)
        write_rows(writer, "SELECT * FROM audience", [], path, notes)
        return path.open("rb")
