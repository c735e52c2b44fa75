"""Source files -> rows as they came; :mod:`genome_pipeline.sources.files` is the way in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from genome_pipeline.settings import ConfigError


class SourceError(ConfigError):
    """A source that cannot be read as configured: one sentence saying what, where, and what to do."""


@dataclass(frozen=True)
class SourceFile:
    """One file of the source, or one sheet of a workbook.

    ``name`` identifies it whatever the machine: its path below the source folder, with POSIX slashes; a
    sheet follows after ``#``. ``content_hash`` is the SHA-256 of the file's bytes, in hex.
    """

    name: str
    path: Path
    sheet: str | None
    content_hash: str
