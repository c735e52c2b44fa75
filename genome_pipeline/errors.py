"""Errors that are told in one sentence. Imports nothing, so that the command line can name them at once."""

from __future__ import annotations


class ConfigError(Exception):
    """A mistake of use or configuration: one sentence saying what, where, and what to do."""


class TransientError(ConfigError):
    """What may pass by itself: a server that does not answer, a file held by another process."""


class PublicationRefused(ConfigError):
    """What is in the warehouse has not passed its checks, and is not published."""
