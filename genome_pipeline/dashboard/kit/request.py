"""The request for a page: all of it comes from the URL and the published file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import parse_qsl, urlencode

import duckdb

from genome_pipeline.dashboard.kit.snapshots import Run
from genome_pipeline.dashboard.kit.theme import Theme
from genome_pipeline.published.reader import PublishedFileMissing, PublishedFileUnreadable

LONGEST_LINK = 60_000
"""Longest query string, in characters: it has to hold the ids of a group."""

# DuckDB raises RuntimeError for text that is no Unicode.
UNSHOWABLE = (PublishedFileMissing, PublishedFileUnreadable, duckdb.Error, LookupError, ValueError, RuntimeError)
"""Errors where the file cannot be read, or a link asks for something impossible."""

Parameters = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True)
class PageRequest:
    """One request for a page, at one snapshot of one version of the file.

    ``snapshots`` has the latest one first; ``provisional`` are those whose period had not ended in the log;
    ``search`` is the query string, in which a parameter may be repeated.
    """

    connection: duckdb.DuckDBPyConnection
    run: Run
    snapshots: Sequence[date]
    provisional: frozenset[date]
    as_of: date
    parameters: Mapping[str, str]
    theme: Theme
    search: str = ""

    @property
    def previous_as_of(self) -> date | None:
        """The snapshot before this one."""
        earlier = [snapshot for snapshot in self.snapshots if snapshot < self.as_of]
        return earlier[0] if earlier else None

    def chosen(self, parameter: str, options: Iterable[str], default: str) -> str:
        """Value of a parameter of the URL where it is one of ``options``, else ``default``."""
        value = self.parameters.get(parameter, default)
        return value if value in options else default

    def link(self, path: str, parameters: Parameters | None = None) -> str:
        """URL of a page at the same snapshot."""
        kept = {"as_of": self.parameters["as_of"]} if "as_of" in self.parameters else {}
        given = parameters.items() if isinstance(parameters, Mapping) else parameters or ()
        return url(path, [*kept.items(), *given])


def url(path: str, parameters: Parameters) -> str:
    """URL of a page; without ``as_of`` among the parameters it follows the latest snapshot."""
    return f"{path}?{urlencode(parameters)}" if parameters else path


def parameters_of(search: str | None) -> dict[str, str]:
    """The parameters of a query string, each with its last value."""
    return dict(parse_qsl((search or "").removeprefix("?")))
