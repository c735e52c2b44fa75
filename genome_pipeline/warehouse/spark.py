"""A Spark cluster as the engine of the row-level stages: rows go out and come back as Parquet, in parts.

The only module that imports ``pyspark``, and only when work begins.
"""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import TABLES, Table
from genome_pipeline.settings import ConfigError, TransientError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_SPARK_TYPES = {"VARCHAR": "STRING"}


class Model(Protocol):
    """A fitted model that predicts each row by itself."""

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        """Predictions for rows of features."""
        ...


class SparkError(ConfigError):
    """Spark cannot be used as it is set up: one sentence saying why and what to do."""


class ClusterLost(SparkError, TransientError):
    """The cluster gave up in the middle of work."""


class SparkEngine:
    """Expressions are computed by the cluster at ``master``.

    ``exchange`` is a folder that the driver and all workers see under the same path. Each piece of work has a folder
    of its own in it, which is removed with it.
    """

    def __init__(self, master: str, exchange: Path) -> None:
        self._master = master
        self._exchange = exchange

    @contextmanager
    def work(self, database: Backend) -> Iterator[WorkOnCluster]:
        """See :class:`genome_pipeline.warehouse.engine.Engine`. Raises :class:`SparkError`.

        The session with the cluster is kept for further work of this process.
        """
        session = _session(self._master)
        from py4j.protocol import Py4JError

        folder = self._exchange / uuid.uuid4().hex
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise SparkError(
                f"{self._exchange} cannot be written to ({error.strerror}): set spark.exchange to a folder that this"
                " machine and the workers see under the same path"
            ) from None
        try:
            yield WorkOnCluster(session, database, folder)
        except Py4JError as error:
            raise ClusterLost(
                f"the Spark cluster at {self._master} gave up ({str(error).strip().splitlines()[0]}): see its own log,"
                " then run again"
            ) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class WorkOnCluster:
    """See :class:`genome_pipeline.warehouse.engine.Work`."""

    def __init__(self, session: SparkSession, database: Backend, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._spark: Any = ibis.pyspark.connect(session)
        self._part_count = 0

    def share(self, rows: ir.Table) -> ir.Table:
        """The rows, written as Parquet for the workers to read."""
        folder = self._next_folder()
        query = ibis.to_sql(rows, dialect="duckdb")
        self._database.con.execute(f"COPY ({query}) TO '{folder}' (FORMAT parquet, PER_THREAD_OUTPUT true)")
        return self._spark.read_parquet(folder)

    def fetch(self, rows: ir.Table) -> ir.Table:
        """What the workers wrote, read where it lies."""
        folder = self._next_folder()
        self._spark.to_parquet(rows, folder)
        return self._database.read_parquet(f"{folder}/*.parquet")

    def score(self, rows: ir.Table, load: Callable[[bytes], Model], stored: bytes, table: Table) -> ir.Table:
        """Rows of ``table`` that the ``stored`` model predicts for rows of the warehouse, in batches on the workers.

        The model travels as it is stored; the workers' Python must have this package.
        """
        features: DataFrame = self._spark._session.table(self.share(rows).get_name())
        schema = ", ".join(f"{column.name} {_SPARK_TYPES.get(column.type, column.type)}" for column in table.fields)
        folder = self._next_folder()
        scored = features.mapInArrow(partial(_scored, load, stored, table.name), schema)
        scored.write.parquet(str(folder))
        return self._database.read_parquet(f"{folder}/*.parquet")

    def _next_folder(self) -> Path:
        self._part_count += 1
        return self._folder / str(self._part_count)


def _scored(
    load: Callable[[bytes], Model], stored: bytes, table: str, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """On a worker: predictions of each batch, with the types of the contract.

    DuckDB makes frames of the batches, as it does of the warehouse's rows where there is no cluster.
    """
    model = load(stored)
    columns = ", ".join(f'"{column.name}"::{column.type} AS "{column.name}"' for column in TABLES[table].fields)
    with duckdb.connect() as connection:
        for batch in batches:
            features = connection.from_arrow(pa.Table.from_batches([batch])).df()
            connection.register("predicted", model.predict(features))
            yield from connection.execute(f"SELECT {columns} FROM predicted").to_arrow_table().to_batches()


def _session(master: str) -> SparkSession:
    """The session of this process with the cluster, begun where there is none. Raises :class:`SparkError`."""
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
    # The workers' Python, where spark-defaults.conf or the environment names no other.
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
