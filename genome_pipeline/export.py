"""Rows of a query into a file a spreadsheet or a notebook opens: whole or not at all, and with no formula in it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import duckdb

from genome_pipeline.settings import ConfigError
from genome_pipeline.sources.rows import identifier, literal

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


def neutral(text: str) -> str:
    """The text as :func:`write_rows` writes it: with an apostrophe in front where it would be taken for a formula."""
    return f"'{text}" if re.match(_FORMULA, text) and not re.match(_NUMBER, text) else text


def _neutral(expression: str) -> str:
    return (
        f"CASE WHEN regexp_matches({expression}, '{_FORMULA}') AND NOT regexp_matches({expression}, '{_NUMBER}')"
        f" THEN '''' || {expression} ELSE {expression} END"
    )


def _safe(name: str) -> str:
    return f"'{name}" if name[:1] in "=+-@\t\r" else name
