"""Frames of three libraries: pandas, Polars and Arrow, which DuckDB reads and gives."""

from __future__ import annotations

from datetime import date, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args

from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.errors import ConfigError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

Library = Literal["pandas", "polars", "arrow"]

Frame = TypeVar("Frame")
"""``pandas.DataFrame``, ``polars.DataFrame`` or ``pyarrow.Table``."""

_KINDS = {
    "pandas": ("pandas", "DataFrame"),
    "polars": ("polars", "DataFrame"),
    "arrow": ("pyarrow", "Table"),
}
"""The package and the type of each library's frame."""


def checked_library(name: str) -> Library:
    """The name of a library whose frames can be given. Raises :class:`ConfigError` for another, or one not installed.

    >>> checked_library("arrow")
    'arrow'
    """
    if name not in get_args(Library):
        raise ConfigError(f"frames = {name!r} is none of {', '.join(get_args(Library))}: choose one of these")
    package, _ = _KINDS[name]
    if find_spec(package) is None:
        raise ConfigError(f'frames = {name!r} needs {package}, which is not installed: install it, or use "pandas"')
    return cast("Library", name)


def library_of(frame: object) -> Library:
    """The library that a frame is of. Raises :class:`ConfigError` for anything else."""
    packages = {type_.__module__.partition(".")[0] for type_ in type(frame).__mro__ if type_.__name__ != "object"}
    for library, (package, type_name) in _KINDS.items():
        if package in packages and type_name in {type_.__name__ for type_ in type(frame).__mro__}:
            return cast("Library", library)
    raise ConfigError(
        f"the transactions are a {type(frame).__module__}.{type(frame).__qualname__}: give a pandas or Polars DataFrame"
        " or a pyarrow Table"
    )


def columns_of(frame: Any) -> list[str]:
    """Names of the columns of a frame of any of the libraries."""
    return [*(frame.column_names if library_of(frame) == "arrow" else frame.columns)]


def computed(connection: duckdb.DuckDBPyConnection, rows: pd.DataFrame, library: Library) -> Any:
    """Rows that were computed here as a frame of the library, each column with the contract's type."""
    columns = ", ".join(f"{name}::{COLUMNS[name].type} AS {name}" for name in rows.columns)
    return fetched(connection.from_df(rows).project(columns), library)


def fetched(result: duckdb.DuckDBPyConnection | duckdb.DuckDBPyRelation, library: Library) -> Any:
    """All rows of a result as a frame of the library."""
    match library:
        case "pandas":
            return result.df()
        case "polars":
            return result.pl()
        case "arrow":
            return result.to_arrow_table()


def day_of(value: date | str) -> date:
    """A day that is given as a date, a moment or text like 2024-01-31. Raises :class:`ConfigError` for anything else.

    >>> day_of("2024-01-31")
    datetime.date(2024, 1, 31)
    """
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{value!r} is no date: write it as 2024-01-31, or give a datetime.date") from None
