"""The process's streams and signals, as the command line uses them. Imports only the standard library and errors."""

from __future__ import annotations

import codecs
import io
import os
import signal
import socket
import sys
from select import select
from types import FrameType
from typing import TextIO

from genome_pipeline.errors import Interrupted

_PLAIN = "plain"
_MOST_SIGNALS = 64
_signals: list[socket.socket] = []
"""Sockets to which signals are written, and from which they are read; kept open."""
_LOOK_ALIKES = {"✓": "+", "✗": "x", "…": "...", "“": '"', "”": '"'}


def use_plain_characters() -> None:
    """From now on standard output and error replace characters that they cannot show by plain ones or by codes."""
    codecs.register_error(_PLAIN, _look_alikes)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_PLAIN)


def shows_all_characters(stream: TextIO) -> bool:
    """Whether the stream's encoding has every character."""
    return stream.encoding.lower().startswith("utf")


def another_way_to(stream: TextIO) -> TextIO:
    """A new stream to the same target as ``stream``, which keeps working while ``stream`` is captured."""
    return os.fdopen(os.dup(stream.fileno()), "w", encoding=stream.encoding, errors=stream.errors)


def raise_on_signals() -> None:
    """From now on Ctrl-C and SIGTERM raise :class:`Interrupted`, unless other code handles them."""
    _signals[:] = socket.socketpair()
    for end in _signals:
        end.setblocking(False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _raise_interrupted)
    # Receives every signal, whoever handles it: Dagster handles signals while it runs.
    signal.set_wakeup_fd(_signals[1].fileno(), warn_on_full_buffer=False)


def interrupted_by() -> int | None:
    """The first Ctrl-C or SIGTERM since :func:`raise_on_signals`; None if there was none."""
    is_any = bool(_signals) and bool(select(_signals[:1], [], [], 0)[0])
    numbers = _signals[0].recv(_MOST_SIGNALS, socket.MSG_PEEK) if is_any else b""
    return next((number for number in numbers if number in (signal.SIGINT, signal.SIGTERM)), None)


def _raise_interrupted(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted


def _look_alikes(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    unknown = error.object[error.start : error.end]
    plain = (_LOOK_ALIKES.get(each) or each.encode("ascii", "backslashreplace").decode() for each in unknown)
    return "".join(plain), error.end
