"""The audit log of the dashboard: who looked at which page, customer or export, and who was refused.

One file a month in ``audit/`` of the home, with a JSON object a line, which only the owner of the process can read.
It holds customers as keyed hashes: a line that is copied elsewhere names nobody, and all lines about one customer can
still be found. The key is derived from the privacy key where one is set, else made once and kept beside the log.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from genome_pipeline.errors import ConfigError
from genome_pipeline.settings import Settings

_KEY_FILE = "key"
_MARK_LENGTH = 16


class AuditLog:
    """What is written to, and read from, one home."""

    def __init__(self, folder: Path, secret: bytes | None) -> None:
        self.folder = folder
        self._secret = secret

    @classmethod
    def of(cls, settings: Settings) -> AuditLog:
        """The log of a home. Writes nothing."""
        return cls(settings.audit_path, settings.privacy_key.audit_key if settings.privacy_key else None)

    def prepare(self) -> None:
        """Make the folder, and a key where there is none.

        Raises :class:`ConfigError` where it cannot be written: the dashboard shows nothing that it cannot record.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._secret is None:
                with suppress(FileExistsError):
                    self._append(self.folder / _KEY_FILE, secrets.token_bytes(32), os.O_EXCL)
            self._append(self._month(datetime.now(UTC)), b"")
        except OSError as error:
            raise ConfigError(
                f"the audit log in {self.folder} cannot be written ({error.strerror}): make it writable for who runs"
                " the dashboard"
            ) from None

    def record(self, event: str, customers: Collection[str] = (), **facts: Any) -> None:
        """Append what happened now. ``facts`` that are None or empty are left out.

        Raises :class:`OSError` where it cannot be written.
        """
        now = datetime.now(UTC)
        key = self._keys()[0] if customers else b""
        entry = {
            "at": now.isoformat(timespec="seconds"),
            "event": event,
            **{name: value for name, value in facts.items() if value not in (None, "", [])},
            **({"customers": [_mark(key, customer_id) for customer_id in customers]} if customers else {}),
        }
        # One write, so that lines of several processes do not mix.
        self._append(self._month(now), f"{json.dumps(entry)}\n".encode())

    def entries(self, since: date | None = None, customer_id: str | None = None) -> Iterator[dict[str, Any]]:
        """What was recorded, oldest first: since a day (UTC), of a customer as stored.

        A line that a crash has cut off is left out.
        """
        wanted = {_mark(key, customer_id) for key in self._keys()} if customer_id is not None else None
        for path in sorted(self.folder.glob("*.jsonl")):
            if since is not None and path.stem < f"{since:%Y-%m}":
                continue
            with path.open(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    with suppress(json.JSONDecodeError):
                        entry: dict[str, Any] = json.loads(line)
                        if (since is None or entry["at"] >= since.isoformat()) and (
                            wanted is None or wanted & set(entry.get("customers", ()))
                        ):
                            yield entry

    def _keys(self) -> list[bytes]:
        """The key for new marks, and then the key of earlier lines."""
        keys = [] if self._secret is None else [self._secret]
        with suppress(FileNotFoundError):
            keys.append((self.folder / _KEY_FILE).read_bytes())
        return keys

    def _month(self, moment: datetime) -> Path:
        return self.folder / f"{moment:%Y-%m}.jsonl"

    @staticmethod
    def _append(path: Path, content: bytes, flags: int = 0) -> None:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | flags, 0o600)
        try:
            os.write(file, content)
        finally:
            os.close(file)


def audit_entries(settings: Settings, since: date | None, customer_id: str | None) -> dict[str, Any]:
    """What `genome audit` shows: ``entries``, oldest first, and the ``folder`` they are kept in.

    ``customer_id`` is as in the source.
    """
    log = AuditLog.of(settings)
    stored = None if customer_id is None else settings.stored_id(customer_id)
    return {"folder": str(log.folder), "entries": list(log.entries(since, stored))}


def _mark(key: bytes, customer_id: str) -> str:
    return hmac.digest(key, customer_id.encode(errors="replace"), "sha256").hex()[:_MARK_LENGTH]
