"""Errors with a message of one sentence. Imports only the standard library, as the command line does at first."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


class ConfigError(Exception):
    """A mistake of use or configuration: one sentence saying what, where, and what to do."""


class TransientError(ConfigError):
    """An error that may pass by itself: a server that does not answer, a file held by another process."""


class PublicationRefused(ConfigError):
    """Tables in the warehouse have not passed their checks, and are not published."""


class RunFailed(Exception):
    """A run stopped: a check failed, or something unexpected happened. Nothing was published.

    ``sentence`` may be sent to anyone. ``cause`` is the message of the original error, which may quote data; it is
    shown only in the terminal and in Dagster's log.
    """

    def __init__(self, sentence: str, cause: str = "") -> None:
        super().__init__(f"{sentence}: {cause}" if cause else sentence)
        self.sentence = sentence


class Interrupted(BaseException):
    """Somebody pressed Ctrl-C or asked the process to end; not an error, and caught only at the top level."""


def not_found(kind: str, name: str, known: Sequence[str]) -> ConfigError:
    """The error for a name that is not among those ``known``, with a close one where there is one.

    >>> print(not_found("rule", "win_bak", ["win_back", "nudge"]))
    there is no rule 'win_bak' (did you mean 'win_back'?); rules there are: win_back, nudge
    """
    close = difflib.get_close_matches(name, known, 1)
    there_are = f"{kind}s there are: {', '.join(known)}" if known else f"there is no {kind} yet"
    return ConfigError(f"there is no {kind} {name!r}{f' (did you mean {close[0]!r}?)' if close else ''}; {there_are}")
