"""Writing rows of a query, or all published tables, to files for spreadsheets and notebooks, without formulas."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb

from genome_pipeline.errors import ConfigError
from genome_pipeline.published.reader import Published, file_version
from genome_pipeline.sql import identifier, literal

# Text that a spreadsheet takes for a formula, at the start of a text or of another cell: ";" separates cells where
# decimals have a comma. Full-width signs count as plain ones. A number with its sign is no formula.
_FORMULA = "(^|[;\t\r\n])([ \u00a0]*[=+\\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])"
_MARKED = r"\1'\2"
_NUMBER = r"^[+-]?[0-9][0-9.,]*$"
# Rows of a group are in memory together: 15 MB for a wide table. An export of the dashboard may use 200 MB, and groups
# of twice this size, beside the sort, made it 3.5 times slower (a million customers, 78 columns, sorted).
_FORMATS = {".csv": "FORMAT csv, HEADER", ".parquet": "FORMAT parquet, ROW_GROUP_SIZE 20480"}
# Characters that stay unchanged in a note: no line breaks, and none that separate cells.
_PLAIN = " !#$&'()*+-./:<=>?@[]^_{|}~%\u2212\u2013"


def check_target(path: Path) -> None:
    """Raises :class:`ConfigError` for an extension other than .csv or .parquet, or a folder that does not exist."""
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"{path} must end in .csv or .parquet: that says in which format to write")
    if not path.parent.is_dir():
        raise ConfigError(f"{path.parent} is no folder: make it, or name another")


def write_rows(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    values: list[Any],
    path: Path,
    notes: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write the rows of ``query`` to ``path``, in one step; returns ``path`` and ``row_count``.

    In a CSV file texts are quoted. A text or column name that a spreadsheet would take for a formula gets an apostrophe
    in front.
    ``notes`` describe the rows. In a CSV file they are lines ``# name: text`` before the header, with anything that
    could end a line or a cell percent-encoded; in a Parquet file they are key-value metadata. Raises
    :class:`ConfigError` if the file cannot be written, and as :func:`check_target` does.
    """
    check_target(path)
    notes = notes or {}
    options = _FORMATS[path.suffix.lower()]
    chosen = "*"
    if path.suffix.lower() == ".csv":
        columns = connection.execute(f"DESCRIBE {query}", values).fetchall()
        # Columns are addressed by position: a source may have two columns of the same name.
        query = f"SELECT * FROM ({query}) AS rows({', '.join(f'c{position}' for position in range(len(columns)))})"
        names = [neutral(name) for name, *_ in columns]
        texts = {position for position, (_, type_, *_) in enumerate(columns) if type_.startswith("VARCHAR")}
        chosen = ", ".join(
            f"{_neutral(f'c{position}::VARCHAR') if position in texts else f'c{position}'} AS {identifier(name)}"
            for position, name in enumerate(names)
        )
        if texts:
            # If columns share a name, DuckDB would quote only the first.
            is_told_apart = len({name.lower() for name in names}) == len(names)
            quoted = f"({', '.join(identifier(names[position]) for position in sorted(texts))})"
            options += f", FORCE_QUOTE {quoted if is_told_apart else '*'}"
    elif notes:
        entries = ", ".join(f"{literal(name)}: {literal(text)}" for name, text in notes.items())
        options += f", KV_METADATA {{{entries}}}"
    building = path.with_name(f".{path.name}.part")
    try:
        written = connection.execute(
            f"COPY (SELECT {chosen} FROM ({query})) TO {literal(str(building))} ({options})", values
        ).fetchall()[0][0]
        if notes and path.suffix.lower() == ".csv":
            _put_before(building, "".join(f"# {name}: {_one_cell(text)}\n" for name, text in notes.items()))
        os.replace(building, path)
    except (duckdb.IOException, OSError) as error:
        raise ConfigError(f"{path} cannot be written ({str(error).splitlines()[0]}): name another file") from None
    finally:
        building.unlink(missing_ok=True)
    return {"path": str(path), "row_count": written}


def neutral(text: str) -> str:
    """The text as :func:`write_rows` writes it: with an apostrophe in front of anything like a formula."""
    return text if re.fullmatch(_NUMBER, text) else re.sub(_FORMULA, _MARKED, text)


def export_tables(published_path: Path, folder: Path, suffix: str) -> dict[str, int]:
    """Write every table and view of the published file to ``folder``, each to ``<name><suffix>``; name -> rows.

    All files are of the same, latest version. If another version is published meanwhile, all are written again, as
    customers may have been forgotten. Raises :class:`ConfigError` if nothing is published, and as :func:`write_rows`
    does.
    """
    while True:
        version = file_version(published_path)
        with Published(published_path) as published:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(f"{folder} cannot be made ({error.strerror}): name a folder you may write") from None
            counts: dict[str, int] = {}
            for name in published.names():
                query = f"SELECT * FROM {identifier(name)}"
                counts[name] = write_rows(published.connection, query, [], folder / f"{name}{suffix}")["row_count"]
        if file_version(published_path) == version:
            return counts


def renew_exports(published_path: Path, folder: Path) -> None:
    """Write the files exported to ``folder`` again, from the present published file."""
    for suffix in _FORMATS:
        if any(folder.glob(f"*{suffix}")):
            export_tables(published_path, folder, suffix)


def _neutral(expression: str) -> str:
    return (
        f"CASE WHEN regexp_full_match({expression}, {literal(_NUMBER)}) THEN {expression}"
        f" ELSE regexp_replace({expression}, {literal(_FORMULA)}, {literal(_MARKED)}, 'g') END"
    )


def _one_cell(text: str) -> str:
    return "".join(mark if mark.isalnum() or mark in _PLAIN else quote(mark) for mark in text)


def _put_before(path: Path, text: str) -> None:
    """Insert text at the start of a file, as DuckDB writes nothing before the header."""
    whole = path.with_name(f"{path.name}.whole")
    try:
        with path.open("rb") as rows, whole.open("wb") as file:
            file.write(text.encode())
            shutil.copyfileobj(rows, file)
        os.replace(whole, path)
    finally:
        whole.unlink(missing_ok=True)
