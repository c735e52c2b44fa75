"""The three example logs: nothing lost, no look-ahead, the numbers the field knows."""

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from genome_pipeline.command.demo import write_complete_journey
from genome_pipeline.settings import Settings
from genome_pipeline_tests.support.pipelines import EXAMPLES, SHARED_LOGS, assert_same, make, tables

ONLINE_RETAIL = SHARED_LOGS / "online_retail_ii.parquet"
needs_online_retail = pytest.mark.skipif(
    not ONLINE_RETAIL.exists(), reason="UCI Online Retail II is not part of the project and is not here"
)


def run_example(name: str, home: Path, source: Path, as_of: str | None, **predict: Any) -> Settings:
    """Run an example's config on ``source``, in a home of its own."""
    os.environ |= {"GENOME_HOME": str(home), "GENOME_SOURCE__PATH": str(source)}
    os.environ |= {f"GENOME_PREDICT__{option.upper()}": str(value) for option, value in predict.items()}
    settings, _ = make(EXAMPLES / name, as_of, as_of)
    return settings


def cdnow_sample(folder: Path) -> Path:
    """The 1-in-10 sample of the bundled log."""
    path = folder / "cdnow_sample.csv"
    log = EXAMPLES / "data" / "cdnow.csv.gz"
    duckdb.sql(f"COPY (FROM read_csv('{log}', all_varchar=true) WHERE in_sample = '1') TO '{path}' (HEADER)")
    return path


def complete_journey(folder: Path) -> Path:
    """The demo's log, from its package."""
    path = folder / "complete_journey.parquet"
    write_complete_journey(path)
    return path


def online_retail(_: Path) -> Path:
    """UCI Online Retail II, beside the project."""
    return ONLINE_RETAIL


@pytest.mark.parametrize(
    ("name", "log", "moment", "as_of", "horizon_days"),
    [
        pytest.param("cdnow.toml", cdnow_sample, "order_date::TIMESTAMP", "1997-05-01", 28, marks=pytest.mark.slow),
        pytest.param(
            "complete_journey.toml", complete_journey, "transaction_timestamp", "2017-06-01", 28, marks=pytest.mark.slow
        ),
        pytest.param(
            "online_retail_ii.toml",
            online_retail,
            '"timestamp"',
            "2010-07-01",
            28,
            marks=[pytest.mark.slow, needs_online_retail],
        ),
    ],
    ids=["cdnow", "complete_journey", "online_retail_ii"],
)
def test_rows_after_the_snapshot_change_nothing_in_it(
    tmp_path: Path, name: str, log: Callable[[Path], Path], moment: str, as_of: str, horizon_days: int
) -> None:
    whole = log(tmp_path)
    cut = tmp_path / f"cut{whole.suffix}"
    read = f"read_csv('{whole}', all_varchar=true)" if whole.suffix == ".csv" else f"'{whole}'"
    duckdb.sql(f"COPY (FROM {read} WHERE {moment} < TIMESTAMP '{as_of}') TO '{cut}'")
    seen = run_example(name, tmp_path / "whole", whole, as_of, horizon_days=horizon_days)
    blind = run_example(name, tmp_path / "cut", cut, as_of, horizon_days=horizon_days)
    day = date.fromisoformat(as_of)
    found = tables(blind.warehouse_path, day)
    assert len(found["customer_genome"]) > 1_000
    assert len(found["prediction_outcomes"]) > 0
    assert_same(found, tables(seen.warehouse_path, day))


@pytest.mark.slow
def test_all_customers_of_cdnow_have_a_genome(tmp_path: Path) -> None:
    log = EXAMPLES / "data" / "cdnow.csv.gz"
    settings = run_example("cdnow.toml", tmp_path / "home", log, "1998-01-01")
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        found = connection.execute("SELECT count(*), min(as_of), max(as_of) FROM customer_genome").fetchone()
    assert found == (23_570, date(1998, 1, 1), date(1998, 1, 1))


@pytest.mark.slow
@needs_online_retail
def test_online_retail_reconciles_to_the_row_and_cent(tmp_path: Path) -> None:
    settings = run_example("online_retail_ii.toml", tmp_path / "home", ONLINE_RETAIL, "2010-04-01")
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        raw = connection.execute(
            "SELECT date_trunc('month', raw_ordered_at)::DATE, count(*),"
            " sum(round(raw_quantity * raw_unit_price::DECIMAL(18, 4), 2)) FROM raw_transactions"
            " WHERE raw_ordered_at < '2010-04-01' GROUP BY 1 ORDER BY 1"
        ).fetchall()
        kept = connection.execute(
            "SELECT period_start_date, count(*), sum(amount) FROM (SELECT period_start_date, amount FROM"
            " validated_transactions UNION ALL SELECT period_start_date, line_amount FROM quarantined_transactions)"
            " GROUP BY 1 ORDER BY 1"
        ).fetchall()
        total = connection.execute("SELECT count(*) FROM raw_transactions").fetchone()
    assert total == (1_067_370,)
    assert [(period, rows) for period, rows, _ in kept] == [(period, rows) for period, rows, _ in raw]
    assert [amount for *_, amount in kept] == [amount for *_, amount in raw]
