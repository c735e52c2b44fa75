"""Errors that the warehouse raises."""

from __future__ import annotations

from genome_pipeline.errors import ConfigError, TransientError


class WarehouseError(ConfigError):
    """The warehouse cannot be used as it is: one sentence saying why and what to do."""


class WarehouseBusy(WarehouseError, TransientError):
    """Another process holds the warehouse."""
