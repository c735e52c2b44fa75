"""Rows of a query, or all that is published, into files a spreadsheet or a notebook opens: whole, with no formula."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb

from genome_pipeline.settings import ConfigError
from genome_pipeline.sources.rows import identifier, literal
from genome_pipeline.summary import Published

# What a spreadsheet takes for a formula; a number with its sign is none.
_FORMULA = r"^[=+\-@\t\r]"
_NUMBER = r"^[+-]?[0-9][0-9.,]*$"
_FORMATS = {".csv": "(FORMAT csv, HEADER)", ".parquet": "(FORMAT parquet)"}


def check_target(path: Path) -> None:
    """Raises :class:`ConfigError` for another ending than .csv or .parquet, or a folder that does not exist."""
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"{path} must end in .csv or .parquet: that says in which format to write")
    if not path.parent.is_dir():
        raise ConfigError(f"{path.parent} is no folder: make it, or name another")


def write_rows(connection: duckdb.DuckDBPyConnection, query: str, values: list[Any], path: Path) -> dict[str, Any]:
    """Write the rows of ``query`` to ``path``, in one step; gives ``path`` and ``row_count``.

    In a CSV file a text, or a column's name, that a spreadsheet would take for a formula gets an apostrophe in front.
    Raises :class:`ConfigError` where the file cannot be written, and as :func:`check_target` does.
    """
    check_target(path)
    chosen = "*"
    if path.suffix.lower() == ".csv":
        columns = connection.execute(f"DESCRIBE {query}", values).fetchall()
        # By position: a source may have two columns of one name.
        query = f"SELECT * FROM ({query}) AS rows({', '.join(f'c{position}' for position in range(len(columns)))})"
        chosen = ", ".join(
            f"{_neutral(f'c{position}') if type_ == 'VARCHAR' else f'c{position}'} AS {identifier(_safe(name))}"
            for position, (name, type_, *_) in enumerate(columns)
        )
    building = path.with_name(f".{path.name}.part")
    try:
        written = connection.execute(
            f"COPY (SELECT {chosen} FROM ({query})) TO {literal(str(building))} {_FORMATS[path.suffix.lower()]}", values
        ).fetchall()[0][0]
        os.replace(building, path)
    except (duckdb.IOException, OSError) as error:
        raise ConfigError(f"{path} cannot be written ({str(error).splitlines()[0]}): name another file") from None
    finally:
        building.unlink(missing_ok=True)
    return {"path": str(path), "row_count": written}


def export_tables(published_path: Path, folder: Path, suffix: str) -> dict[str, int]:
    """Write every table and view of the published file to ``folder``, each to ``<name><suffix>``; name -> rows.

    Raises :class:`ConfigError` when nothing is published, and as :func:`write_rows` does.
    """
    with Published(published_path) as published:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be made ({error.strerror}): name a folder you may write") from None
        return {
            name: write_rows(published.connection, f"SELECT * FROM {identifier(name)}", [], folder / f"{name}{suffix}")[
                "row_count"
            ]
            for name in published.names()
        }


def renew_exports(published_path: Path, folder: Path) -> None:
    """Write again, from the published file as it is now, what was exported to ``folder``."""
    for suffix in _FORMATS:
        if any(folder.glob(f"*{suffix}")):
            export_tables(published_path, folder, suffix)


def _neutral(expression: str) -> str:
    return (
        f"CASE WHEN regexp_matches({expression}, '{_FORMULA}') AND NOT regexp_matches({expression}, '{_NUMBER}')"
        f" THEN '''' || {expression} ELSE {expression} END"
    )


def _safe(name: str) -> str:
    return f"'{name}" if name[:1] in "=+-@\t\r" else name
