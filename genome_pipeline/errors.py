"""Errors with a message of one sentence. Imports nothing, so that the command line can name them at once."""

from __future__ import annotations


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
