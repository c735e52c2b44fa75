"""Stored models and indexes: one file per kind and snapshot, written whole or not at all, without pickle."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from genome_pipeline.warehouse.errors import WarehouseError

KEPT_SNAPSHOTS = 24
"""Models of this many latest snapshots are kept: a snapshot reads those of the one before it, and no older ones."""

KEPT_DAYS = 7


@dataclass(frozen=True)
class Artifacts:
    """The ``artifacts/`` folder."""

    folder: Path

    def write(self, kind: str, as_of: date, suffix: str, content: bytes) -> str:
        """Store ``content`` in one step; returns its name relative to the folder."""
        name = f"{kind}/{as_of}{suffix}"
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.replace(path, content)
        return name

    def replace(self, path: Path, content: bytes) -> None:
        """Replace the content of the file in one step."""
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            unfinished.write_bytes(content)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)

    def keep_latest(self, kind: str, count: int) -> None:
        """Remove the files of ``kind``, except those of the latest ``count`` snapshots."""
        for path in sorted((self.folder / kind).glob("*.*"))[:-count]:
            path.unlink()

    def prune(self) -> None:
        """Remove models of snapshots before the latest :data:`KEPT_SNAPSHOTS`, and files left by a process that died.

        Files written within :data:`KEPT_DAYS` stay: a running backfill may still need them.
        """
        written_before = time.time() - timedelta(days=KEPT_DAYS).total_seconds()
        for kind in self.folder.glob("*"):
            old = [*sorted(kind.glob("[!.]*"))[:-KEPT_SNAPSHOTS], *kind.glob(".*")]
            for path in old:
                if path.stat().st_mtime < written_before:
                    path.unlink()

    def read(self, name: str) -> bytes:
        """The bytes stored under ``name``. Raises :class:`WarehouseError` where they are gone."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise WarehouseError(
                f"stored model {name} is gone from {self.folder}: materialise its model asset again"
            ) from None
