"""A Spark cluster as the engine: rows go to it and return as Parquet files.

Only this module imports ``pyspark``, and only when work begins.
"""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import pandas as pd
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.column import Column
from genome_pipeline.errors import ConfigError, TransientError
from genome_pipeline.sources.buckets import file_system
from genome_pipeline.warehouse.exchange import Exchange, Model, applied

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SPARK_TYPES = {"VARCHAR": "STRING"}


class SparkError(ConfigError):
    """Spark cannot be used as it is set up: one sentence saying why and what to do."""


class ClusterLost(SparkError, TransientError):
    """The cluster gave up in the middle of work."""


class SparkEngine:
    """The cluster at ``master`` computes expressions and applies functions.

    ``exchange`` is a folder that the driver and all workers see under the same path, or the URL of one in a bucket.
    This process reaches a bucket through fsspec, workers reach it as Spark is configured. Each piece of work has its
    own folder in it, which is removed when the work ends.
    """

    def __init__(self, master: str, exchange: str) -> None:
        self._master = master
        self._exchange = exchange

    @contextmanager
    def work(self, database: Backend) -> Iterator[WorkOnCluster]:
        """See :class:`genome_pipeline.warehouse.engine.Engine`. Raises :class:`SparkError`.

        The session with the cluster is kept for later work of this process.
        """
        with self.exchange() as exchange:
            yield WorkOnCluster(exchange, database)

    @contextmanager
    def exchange(self) -> Iterator[SparkExchange]:
        """See :class:`genome_pipeline.warehouse.engine.Engine`. Raises :class:`SparkError`."""
        session = _session(self._master)
        from py4j.protocol import Py4JError

        folder = f"{self._exchange}/{uuid.uuid4().hex}"
        store, path = file_system(folder, "spark.exchange", use_listings_cache=False)
        try:
            store.makedirs(path) if _is_local(store) else store.pipe_file(f"{path}/_begun", b"")
        except Exception as error:  # every store has errors of its own
            raise SparkError(
                f"{self._exchange} cannot be written to ({getattr(error, 'strerror', None) or error}): set"
                " spark.exchange to a folder that this machine and the workers see under the same path, or to the URL"
                " of one in a bucket that both may write to"
            ) from None
        try:
            yield SparkExchange(session, folder, None if _is_local(store) else store)
        except Py4JError as error:
            raise ClusterLost(
                f"the Spark cluster at {self._master} gave up ({str(error).strip().splitlines()[0]}): see its own log,"
                " then run again"
            ) from error
        finally:
            with suppress(Exception):  # nobody reads files that are left behind
                store.rm(path, recursive=True)


def _is_local(store: AbstractFileSystem) -> bool:
    return isinstance(store, LocalFileSystem)


class SparkExchange(Exchange):
    """Workers apply functions and compute expressions; this package must be installed in their Python."""

    def __init__(self, session: SparkSession, folder: str, store: AbstractFileSystem | None) -> None:
        super().__init__(folder, store)
        self._session = session
        self.spark: Any = ibis.pyspark.connect(session)

    def map_customers(
        self,
        customers: str,
        stored: bytes,
        load: Callable[[bytes], Model],
        apply: Callable[[Model, pd.DataFrame], pd.DataFrame],
        fields: Sequence[Column],
    ) -> str:
        """See :class:`Exchange`. ``load`` and ``apply`` are sent by name."""
        folder = self.next_folder()
        schema = ", ".join(f"{column.name} {_SPARK_TYPES.get(column.type, column.type)}" for column in fields)
        rows = self._session.read.parquet(customers)
        rows.mapInArrow(partial(applied, stored, load, apply, fields), schema).write.parquet(folder)
        return folder

    def get(
        self, database: Backend, lots: Sequence[str], finish: Callable[[ir.Table], ir.Table] | None = None
    ) -> ir.Table:
        """See :class:`Exchange`."""
        if finish is not None:
            view = f"lots_{uuid.uuid4().hex}"
            self._session.read.parquet(*lots).createOrReplaceTempView(view)
            lots = [self.compute(finish(self.spark.table(view)))]
        return super().get(database, lots)

    def compute(self, rows: ir.Table) -> str:
        """Let the workers write the result of an expression on their tables; returns its folder."""
        folder = self.next_folder()
        self.spark.to_parquet(rows, folder)
        return folder


class WorkOnCluster:
    """See :class:`genome_pipeline.warehouse.engine.Work`."""

    def __init__(self, exchange: SparkExchange, database: Backend) -> None:
        self._exchange = exchange
        self._database = database

    def send(self, rows: ir.Table) -> ir.Table:
        """The rows, written as Parquet for the workers to read."""
        return self._exchange.spark.read_parquet(self._exchange.put(self._database, rows))

    def fetch(self, rows: ir.Table) -> ir.Table:
        """The rows that the workers wrote, read from where they are."""
        return self._exchange.get(self._database, [self._exchange.compute(rows)])


def _session(master: str) -> SparkSession:
    """The session of this process with the cluster, started if there is none. Raises :class:`SparkError`."""
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise SparkError(
            'engine = "spark" needs an extra that is not installed: pip install "genome-pipeline[spark]"'
        ) from None
    if "JAVA_HOME" not in os.environ and shutil.which("java") is None:
        raise SparkError('engine = "spark" needs Java 17, and there is no java: install it, or set JAVA_HOME')
    # The workers' Python, unless spark-defaults.conf or the environment names another.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(master).appName("customer-genome")
    settings = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.timestampType": "TIMESTAMP_NTZ",
        "spark.ui.showConsoleProgress": "false",
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except (PySparkRuntimeError, Py4JError) as error:
        raise SparkError(
            f"Spark does not start with the cluster at {master} ({str(error).strip().splitlines()[0]}): is spark.master"
            " right, and the cluster up?"
        ) from None
