"""The same expressions on a real standalone cluster: a master and two workers, each a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pandas.testing
import pytest

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.genes import by_customer
from genome_pipeline.models.segments.model import SegmentModel, fit_segments
from genome_pipeline.models.similarity.index import SimilarityIndex, shards
from genome_pipeline.orchestration.assets.segments import ASSIGNED_FIELDS
from genome_pipeline.transforms.activity import customer_activity
from genome_pipeline.transforms.neighbors import best_neighbors
from genome_pipeline.warehouse.engine import DuckDBEngine
from genome_pipeline.warehouse.spark import SparkEngine
from genome_pipeline_tests.support.logs import engine
from genome_pipeline_tests.support.pipelines import is_empty_in_the_shop, make, shop, tables
from genome_pipeline_tests.support.populations import shop as shop_customers

# Neither is needed by most: `make test-cluster` brings the extra, and stops where there is no Java.
pyspark = pytest.importorskip("pyspark", reason="needs pyspark: the extra spark")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not shutil.which("java") and "JAVA_HOME" not in os.environ, reason="needs Java 17"),
]

ROOT = Path(__file__).parents[3]


@dataclass
class Cluster:
    master: str
    workers: list[subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and two workers on loopback, whose Python has this package; all are stopped by process id."""
    folder = tmp_path_factory.mktemp("cluster")
    spark_class = Path(pyspark.__file__).parent / "bin" / "spark-class"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable, "SPARK_CONF_DIR": str(folder)}
    (folder / "spark-defaults.conf").write_text(
        "spark.sql.shuffle.partitions 4\nspark.executor.memory 768m\nspark.ui.enabled false\n"
        f"spark.executorEnv.PYTHONPATH {ROOT}\n",
        encoding="utf-8",
    )
    started: list[subprocess.Popen[bytes]] = []

    def start(role: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (folder / f"{role}{len(started)}.log").open("wb") as log:
            command = [str(spark_class), f"org.apache.spark.deploy.{role.lower()}.{role}", "--webui-port", "0"]
            process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", *arguments],
                env=os.environ | given,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started.append(process)
        return process

    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        try:
            start("Master", "--port", str(port))
            master = f"spark://127.0.0.1:{port}"
            workers = [start("Worker", "-c", "1", "-m", "1G", "-d", str(folder / name), master) for name in "ab"]
            yield Cluster(master, workers)
        finally:
            if session := pyspark.sql.SparkSession.getActiveSession():
                session.stop()
            for process in started:
                end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and what it started (a worker's executors)."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


LAST = "2020-03-01"
"""The second snapshot: its models have learned from the first, with boosting; segments have some before them."""


def test_both_engines_make_the_same_tables(cluster: Cluster, tmp_path: Path) -> None:
    expected_settings, _ = make(shop(tmp_path / "one"), None, LAST)
    config = shop(tmp_path / "both")
    config.write_text(
        f'engine = "spark"\n{config.read_text(encoding="utf-8")}[spark]\nmaster = "{cluster.master}"\n',
        encoding="utf-8",
    )
    settings, _ = make(config, None, LAST)
    expected, found = tables(expected_settings.warehouse_path), tables(settings.warehouse_path)
    assert expected.keys() == found.keys()
    for name, frame in expected.items():
        assert len(frame) > 0 or is_empty_in_the_shop(name), name
        pandas.testing.assert_frame_equal(frame, found[name], rtol=1e-6, atol=1e-6, obj=name)
    assert list((settings.home / "exchange").iterdir()) == []


def test_workers_assign_segments_and_search_parts_of_an_index_as_one_process_does(
    cluster: Cluster, tmp_path: Path
) -> None:
    customers = pd.concat([shop_customers(seed, 1_000).assign(block=seed) for seed in (1, 2, 3)])
    customers = customers.assign(customer_id=customers["customer_id"] + "-" + customers.pop("block").astype("str"))
    database = engine()
    database.con.register("customer_features", customers)
    index = SimilarityIndex.build(customers).to_bytes()
    segments = fit_segments(customers, None, seed=0).to_bytes()
    found = []
    for each in (DuckDBEngine(tmp_path), SparkEngine(cluster.master, tmp_path.as_uri())):
        with each.exchange() as exchange:
            given = exchange.put(database, database.table("customer_features"))
            assigned = exchange.map_customers(
                given, segments, SegmentModel.from_bytes, SegmentModel.assign, ASSIGNED_FIELDS
            )
            # More than a megabyte each, which travels another way.
            lots = [
                exchange.map_customers(
                    given,
                    part,
                    SimilarityIndex.from_bytes,
                    SimilarityIndex.neighbors_of,
                    TABLES["customer_neighbors"].fields,
                )
                for part in shards(index, 7_000)
            ]
            nearest = exchange.get(database, lots, lambda rows: best_neighbors(rows, 10))
            found.append(
                (by_customer(exchange.frame(assigned)), nearest.order_by("customer_id", "neighbor_rank").execute())
            )
    assert len(found[0][1]) == 10 * len(customers)
    for one, other in zip(*found, strict=True):
        pandas.testing.assert_frame_equal(one, other, check_exact=True)


def test_a_stage_completes_when_a_worker_is_killed_in_the_middle_of_it(cluster: Cluster, tmp_path: Path) -> None:
    database = engine()
    database.con.execute(TABLES["validated_transactions"].ddl())
    database.con.execute(
        "INSERT INTO validated_transactions BY NAME SELECT date_trunc('month', ordered_at)::DATE AS period_start_date,"
        " *, amount AS unit_price FROM (SELECT 'log' AS source_file, i AS source_row, 'c' || i % 50000 AS customer_id,"
        " 'o' || i // 3 AS order_id, TIMESTAMP '2020-01-01' + INTERVAL (i * 7919 % 500000) MINUTE AS ordered_at,"
        " 'p' || i % 97 AS product_id, 'k' || i % 7 AS category, 1 + i % 3 AS quantity,"
        " ((i % 1009) / 100)::DECIMAL(18,2) AS amount, false AS is_return FROM range(600000) t(i))"
    )
    lines = database.table("validated_transactions")
    killed_at_tasks: list[int] = []
    with SparkEngine(cluster.master, str(tmp_path)).work(database) as work:
        expression = customer_activity(work.send(lines))
        tracker = pyspark.SparkContext.getOrCreate().statusTracker()

        def kill() -> None:
            deadline = time.monotonic() + 60
            while not killed_at_tasks and time.monotonic() < deadline:
                for stage in map(tracker.getStageInfo, tracker.getActiveStageIds()):
                    if stage is not None and stage.numActiveTasks == 2:
                        end(cluster.workers[0])
                        killed_at_tasks.append(stage.numActiveTasks)
                        return
                time.sleep(0.01)

        killer = threading.Thread(target=kill)
        killer.start()
        rows = work.fetch(expression)
        killer.join()
        found = counted(database, rows)
    assert killed_at_tasks == [2]
    assert cluster.workers[0].poll() is not None
    assert found == counted(database, customer_activity(lines))


def counted(database: Any, rows: Any) -> Any:
    """The rows of ``customer_activity`` as one number and exact sums."""
    return database.con.execute(
        "SELECT count(*), sum(order_count), sum(purchase_day_count), sum(gross_amount), sum(squared_order_amount_sum),"
        f" sum(squared_gap_days_sum), sum(len(categories)) FROM ({ibis.to_sql(rows, dialect='duckdb')})"
    ).fetchall()
