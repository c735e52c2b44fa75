"""Source files -> rows as they came; :mod:`genome_pipeline.sources.source` is the way in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from genome_pipeline.errors import ConfigError, TransientError


class SourceError(ConfigError):
    """A source that cannot be read as configured: one sentence saying what, where, and what to do."""


class SourceUnreachable(SourceError, TransientError):
    """A source that did not answer this time."""


@dataclass(frozen=True)
class SourceFile:
    """One file of the source, one sheet of a workbook, or what a database gives.

    ``name`` identifies it whatever the machine: its path below the source folder, with POSIX slashes; a
    sheet follows after ``#``; a table or query is called ``postgresql:sales.lines`` or ``postgresql:query``.
    ``path`` is the file on this machine; one in a bucket has a ``key`` there (with the bucket), and is at its
    path only while it is read. The same ``content_hash`` means the same rows: the SHA-256 of the file's bytes,
    in hex, or in a bucket the size and the store's own mark of a version; before it, the partition folders of a
    Parquet file. A database tells none: None is always read.
    """

    name: str
    path: Path
    sheet: str | None
    content_hash: str | None
    key: str | None = None


def combined(marks: Iterable[str]) -> str:
    """One mark of many: another one when any of them is."""
    return sha256("\n".join(marks).encode()).hexdigest()
