"""The engines that compute stages of many rows: this process, or a Spark cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from genome_pipeline.settings import Settings
from genome_pipeline.warehouse.exchange import Exchange, local_exchange


class Work(Protocol):
    """One piece of work on an open warehouse. Results are valid until the work ends."""

    def send(self, rows: ir.Table) -> ir.Table:
        """Rows of the warehouse in a form that the engine reads, to build expressions on."""
        ...

    def fetch(self, rows: ir.Table) -> ir.Table:
        """The result of an expression on sent tables, in a form that the warehouse can write to its tables."""
        ...


class Engine(Protocol):
    """Computes expressions on lines, and applies models to customers."""

    def work(self, database: Backend) -> AbstractContextManager[Work]:
        """Begin work on an open warehouse."""
        ...

    def exchange(self) -> AbstractContextManager[Exchange]:
        """Begin to apply functions to customers, while the warehouse may be closed."""
        ...


class DuckDBEngine:
    """The warehouse itself computes expressions; functions are applied in this process.

    ``folder`` holds rows for these functions: see :func:`genome_pipeline.warehouse.exchange.local_exchange`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def work(self, database: Backend) -> Iterator[Work]:
        """See :class:`Engine`."""
        yield _InPlace()

    @contextmanager
    def exchange(self) -> Iterator[Exchange]:
        """See :class:`Engine`."""
        with local_exchange(self._folder) as exchange:
            yield exchange


class _InPlace:
    def send(self, rows: ir.Table) -> ir.Table:
        return rows

    def fetch(self, rows: ir.Table) -> ir.Table:
        return rows


def engine_of(settings: Settings) -> Engine:
    """The engine that ``settings`` name; nothing is started yet."""
    if settings.engine == "duckdb":
        return DuckDBEngine(settings.exchange_path)
    from genome_pipeline.warehouse.spark import SparkEngine

    return SparkEngine(settings.spark.master, settings.spark_exchange)
