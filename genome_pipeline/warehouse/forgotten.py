"""The list of forgotten customers: keyed hashes in a file beside the warehouse, as the list has to outlive it.

The warehouse may be made anew, put aside or deleted, and forgotten customers must not return when it is.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from ibis.backends.duckdb import Backend

from genome_pipeline import __version__
from genome_pipeline.errors import ConfigError
from genome_pipeline.privacy import FORGOTTEN_FILE, KEY_VARIABLE, PrivacyKey

_COLUMNS = ("customer_hash", "key_fingerprint", "forgotten_on", "version")


@dataclass(frozen=True)
class Forgotten:
    """The list: for each customer the hash, the key's fingerprint, the day, and the version of the program.

    It is also the record of erasures: how many customers were forgotten when, and nothing that was known of them.
    """

    path: Path

    @classmethod
    def beside(cls, warehouse: Path) -> Forgotten:
        """The list that belongs to a warehouse."""
        return cls(warehouse.with_name(FORGOTTEN_FILE))

    def marks(self) -> set[str]:
        """The hash of every customer who was forgotten. Raises :class:`ConfigError` where the list cannot be read."""
        return {row["customer_hash"] for row in self._rows()}

    def check_key(self, key: PrivacyKey | None) -> None:
        """Raises :class:`ConfigError` unless ``key`` is that of the list and recognises them in the source."""
        for fingerprint in sorted({row["key_fingerprint"] for row in self._rows()}):
            if key is None or key.fingerprint != fingerprint:
                raise ConfigError(
                    f"customers were forgotten in {self.path.parent} under the key {fingerprint}, and"
                    f" {'the one set is ' + key.fingerprint if key else 'none is set'}: set {KEY_VARIABLE} to that key,"
                    " without which they would come back"
                )

    def add(self, marks: Iterable[str], fingerprint: str, day: date | None = None) -> None:
        """Add customers that are not on the list yet; the whole list is rewritten in one step."""
        rows = self._rows()
        known = {row["customer_hash"] for row in rows}
        values = (fingerprint, str(day or datetime.now(UTC).date()), __version__)
        rows += [
            dict(zip(_COLUMNS, (mark, *values), strict=True)) for mark in dict.fromkeys(marks) if mark not in known
        ]
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        building = self.path.with_name(f".{self.path.name}.part")
        try:
            building.write_text(text.getvalue(), encoding="utf-8")
            to_disk(building)
            os.replace(building, self.path)
            to_disk(self.path.parent)
        except OSError as error:
            raise ConfigError(
                f"{self.path} cannot be written ({error.strerror}), so that nobody was forgotten: make its folder"
                " writable, and forget again"
            ) from None

    def take_from(self, database: Backend) -> None:
        """Import the list that an older version kept in the warehouse, and remove it there."""
        if "forgotten_customers" not in database.list_tables():
            return
        connection = database.con
        for fingerprint, day in connection.execute(
            "SELECT DISTINCT key_fingerprint, forgotten_at::DATE FROM forgotten_customers ORDER BY ALL"
        ).fetchall():
            marks = connection.execute(
                "SELECT customer_hash FROM forgotten_customers WHERE key_fingerprint = ? AND forgotten_at::DATE = ?",
                [fingerprint, day],
            ).fetchall()
            self.add((mark for (mark,) in marks), fingerprint, day)
        connection.execute("DROP TABLE forgotten_customers")
        connection.execute("DROP TABLE IF EXISTS erasures")

    def _rows(self) -> list[dict[str, str]]:
        try:
            with self.path.open(encoding="utf-8", newline="") as file:
                rows = [*csv.DictReader(file)]
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ConfigError(f"{self.path}, who was forgotten, cannot be read ({error}): restore it") from None
        if any(None in row or None in row.values() or tuple(row) != _COLUMNS for row in rows):
            raise ConfigError(f"{self.path}, who was forgotten, is not as it was written: restore it from a backup")
        return rows


def up_to_tens(count: int) -> int:
    """The count rounded up to tens, so that it does not reveal how often a forgotten customer bought.

    >>> up_to_tens(1), up_to_tens(10), up_to_tens(0)
    (10, 10, 0)
    """
    return -(-count // 10) * 10


def to_disk(path: Path) -> None:
    """Flush the file, or the names in the folder, to disk, so that a power cut does not restore the old content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
