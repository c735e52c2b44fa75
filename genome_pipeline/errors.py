"""Errors that are told in one sentence. Imports nothing, so that the command line can name them at once."""

from __future__ import annotations


class ConfigError(Exception):
    """A mistake of use or configuration: one sentence saying what, where, and what to do."""


class TransientError(ConfigError):
    """What may pass by itself: a server that does not answer, a file held by another process."""


class PublicationRefused(ConfigError):
    """What is in the warehouse has not passed its checks, and is not published."""


class RunFailed(Exception):
    """A run stopped: a check failed, or something unexpected happened. Nothing was published.

    ``sentence`` may be sent to anyone. ``cause`` is what an error said, which may quote the data: it is part of the
    message, for the terminal and Dagster's log.
    """

    def __init__(self, sentence: str, cause: str = "") -> None:
        super().__init__(f"{sentence}: {cause}" if cause else sentence)
        self.sentence = sentence


class Interrupted(BaseException):
    """Somebody pressed Ctrl-C or asked the process to end: no error, and nothing to catch but at the very top."""
