"""What the machine refuses, told in one sentence: a full disk, a folder that cannot be written, memory, damage."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb

# Of a write that fails, SQLite, in which Dagster keeps its records, says no more than the last of these.
_FULL = re.compile(r"no space left|disk is full|quota exceeded|disk i/o error", re.IGNORECASE)
_UNWRITABLE = re.compile(
    r"read-only file system|readonly database|permission denied|unable to open database file", re.IGNORECASE
)
_DAMAGED = re.compile(r"checksum|corrupt|could not read enough bytes|deserializ|malformed", re.IGNORECASE)


def machine_fault(error: BaseException, home: Path) -> str | None:
    """What of the machine is at fault for ``error``, and what to do; None where it is not the machine."""
    for cause in _causes(error):
        number, text = getattr(cause, "errno", None), str(cause)
        if number in (errno.ENOSPC, errno.EDQUOT) or _FULL.search(text):
            return f"no space is left where {home} is, or its disk fails: free some and run again"
        if number in (errno.EACCES, errno.EROFS) or _UNWRITABLE.search(text):
            return f"{home} cannot be written: make it, and all in it, writable to this user, then run again"
        if isinstance(cause, MemoryError | duckdb.OutOfMemoryException):
            return (
                "memory has run out: end other programs, give the machine more, or raise warehouse.memory_limit where"
                " it is set, then run again"
            )
        is_damage = isinstance(cause, duckdb.FatalException | duckdb.InternalException)
        if is_damage or (isinstance(cause, duckdb.Error) and _DAMAGED.search(text)):
            return (
                f"the warehouse in {home} is damaged: restore it from a backup, or `genome rebuild` makes it anew from"
                " the source"
            )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
