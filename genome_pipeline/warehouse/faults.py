"""Errors of the machine in one sentence each: a full disk, a folder that cannot be written, memory, damage."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb

from genome_pipeline.errors import ConfigError

# When a write fails, SQLite, which holds Dagster's records, reports only "disk i/o error".
_FULL = re.compile(r"no space left|disk is full|quota exceeded|disk i/o error", re.IGNORECASE)
_UNWRITABLE = re.compile(
    r"read-only file system|readonly database|permission denied|unable to open database file", re.IGNORECASE
)
# When a library does not fit in memory, the error comes from the loader, not from Python.
_NO_MEMORY = re.compile(r"cannot allocate memory|failed to map segment|can't start new thread", re.IGNORECASE)
_DAMAGED = re.compile(r"checksum|corrupt|could not read enough bytes|deserializ|malformed", re.IGNORECASE)


def error_in_words(error: BaseException, home: Path) -> str | None:
    """The error in one sentence if the machine or a user is at fault; None for anything else."""
    return machine_fault(error, home) or (str(error) if isinstance(error, ConfigError) else None)


def machine_fault(error: BaseException, home: Path) -> str | None:
    """The fault of the machine that caused ``error``, and what to do about it; None if it has another cause.

    An error that has a sentence of its own is judged by its causes only: its words may quote files and values.
    """
    for cause in _causes(error):
        if isinstance(cause, ConfigError):
            continue
        number, text = getattr(cause, "errno", None), str(cause)
        if number in (errno.ENOSPC, errno.EDQUOT) or _FULL.search(text):
            return f"no space is left where {home} is, or its disk fails: free some and run again"
        if number in (errno.EACCES, errno.EROFS) or _UNWRITABLE.search(text):
            return f"{home} cannot be written: make it, and all in it, writable to this user, then run again"
        is_exhausted = isinstance(cause, MemoryError | duckdb.OutOfMemoryException)
        if is_exhausted or number == errno.ENOMEM or _NO_MEMORY.search(text):
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
        # Raised "from None", an error hides its context on purpose.
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
