"""Where the row-level stages are computed: in the warehouse's own DuckDB, or on a Spark cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from genome_pipeline.settings import Settings


class Work(Protocol):
    """One piece of work on an open warehouse. What it returns holds until the work ends."""

    def share(self, rows: ir.Table) -> ir.Table:
        """Rows of the warehouse as the engine sees them, to build expressions on."""
        ...

    def fetch(self, rows: ir.Table) -> ir.Table:
        """What the expression on shared tables gives, as the warehouse sees it, to be written to its tables."""
        ...


class Engine(Protocol):
    """What the row-level stages are computed by."""

    def work(self, database: Backend) -> AbstractContextManager[Work]:
        """Begin work on an open warehouse."""
        ...


class DuckDBEngine:
    """The warehouse computes by itself: expressions are handed on as they are."""

    @contextmanager
    def work(self, database: Backend) -> Iterator[Work]:
        """See :class:`Engine`."""
        yield _InPlace()


class _InPlace:
    def share(self, rows: ir.Table) -> ir.Table:
        return rows

    def fetch(self, rows: ir.Table) -> ir.Table:
        return rows


def engine_of(settings: Settings) -> Engine:
    """The engine that ``settings`` name. Starts nothing."""
    if settings.engine == "duckdb":
        return DuckDBEngine()
    from genome_pipeline.warehouse.spark import SparkEngine

    return SparkEngine(settings.spark.master, settings.spark_exchange_path)
