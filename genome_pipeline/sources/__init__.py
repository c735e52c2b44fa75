"""Source files -> rows as they are written; the entry point is :mod:`genome_pipeline.sources.source`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from genome_pipeline.errors import ConfigError, TransientError


class SourceError(ConfigError):
    """A source that cannot be read as configured: one sentence saying what, where, and what to do."""


class SourceUnreachable(SourceError, TransientError):
    """A source that did not answer; a later attempt may succeed."""


@dataclass(frozen=True)
class SourceFile:
    """One file of the source, one sheet of a workbook, or one table or query of a database.

    ``name`` identifies it on any machine: its path below the source folder, with POSIX slashes. A sheet is added after
    ``#``; a table or query is called ``postgresql:sales.lines`` or ``postgresql:query``.
    ``path`` is the file on this machine. A file in a bucket has a ``key`` there (with the bucket), and is at its path
    only while it is read. The same ``content_hash`` means the same rows. It is the SHA-256 of the file's bytes, in hex,
    or in a bucket the size and the store's version mark; a Parquet file's partition folders precede it. It is None for
    a database, which is always read.
    """

    name: str
    path: Path
    sheet: str | None
    content_hash: str | None
    key: str | None = None


def combined(marks: Iterable[str]) -> str:
    """One mark for many marks; it changes when any of them does."""
    return sha256("\n".join(marks).encode()).hexdigest()
