"""Rows that are lost before they are counted: none goes without a word, and many stop what would be published."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest

from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.assets.ingestion import raw_transactions
from genome_pipeline.orchestration.assets.tables import LINE_STAGES
from genome_pipeline.orchestration.failures import first_cause
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.orchestration.runs.staleness import Span, find_stale
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline.warehouse.ingestion import PRESENT_FILES, ingest
from genome_pipeline_tests.support.pipelines import make, materialise, shop_config, split_by_month, write_shop_log

HEADER = "customer,order,date,sku,department,units,price\n"


def read_and_judge(settings: Settings) -> str | None:
    """Why reading, judging and summing up January to April stopped, if it did."""
    result = materialise(settings, [raw_transactions, *LINE_STAGES], date(2020, 1, 1), date(2020, 4, 1))
    return None if result.success else str(first_cause(result.all_events))


def found(settings: Settings, check: str) -> list[tuple[date | None, bool, str]]:
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        return connection.execute(
            "SELECT period_start_date, is_passed, observed FROM data_quality WHERE check_name = ? ORDER BY ALL", [check]
        ).fetchall()


def test_a_month_that_lost_its_customers_stops_there(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    write_shop_log(log, customers=60)
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    april = [number for number, line in enumerate(lines) if line.split(",")[2].startswith("2020-04")]
    blanked = april[: round(len(april) * 0.7)]
    for number in blanked:
        lines[number] = "," + lines[number].split(",", 1)[1]
    log.write_text("".join(lines), encoding="utf-8")
    why = read_and_judge(load_settings(shop_config(tmp_path)))
    assert why is not None
    share = f"{len(blanked) / len(april):.1%}"
    assert why.startswith(
        f"check quarantined_share of quarantined_transactions failed: month from 2020-04-01: {share} of {len(april)}"
        f" rows set aside, {share} for missing_customer ({len(blanked)} of them in log.csv, the first in row"
        f" {blanked[0]})"
    )
    with duckdb.connect(str(tmp_path / "home/warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM customer_activity").fetchall() == [(0,)]

    more = "[quality]\nmax_quarantined_share_by_reason = { missing_customer = 0.8 }\n"
    allowed = load_settings(shop_config(tmp_path, home="allowed", more=more))
    assert read_and_judge(allowed) is None
    steady = found(allowed, "quarantine_is_steady")
    assert [(day, is_passed) for day, is_passed, _ in steady] == [
        (date(2020, month, 1), month < 4) for month in range(1, 5)
    ]
    assert "as median of the 3 months before" in steady[-1][2]


def test_a_file_that_lost_its_dates_stops_there(tmp_path: Path) -> None:
    write_shop_log(tmp_path / "log.csv", customers=60)
    landing = split_by_month(tmp_path)
    text = (landing / "2020-03.csv").read_text(encoding="utf-8")
    (landing / "2020-03.csv").write_text(
        text.replace("2020-03-0", "2020-33-0").replace("2020-03-1", "2020-33-1"), encoding="utf-8"
    )
    why = read_and_judge(load_settings(shop_config(tmp_path, "landing")))
    assert why is not None
    assert "2020-03.csv, rows of no month: " in why
    assert "for unreadable_date" in why


@pytest.mark.slow
def test_files_that_are_gone_are_named_and_stop_the_run_where_they_are_many(tmp_path: Path) -> None:
    write_shop_log(tmp_path / "log.csv", customers=60)
    landing = split_by_month(tmp_path)
    settings = load_settings(shop_config(tmp_path, "landing"))
    assert read_and_judge(settings) is None
    with duckdb.connect(str(settings.warehouse_path)) as connection:  # as a publication does
        connection.execute(f"INSERT INTO published_files {PRESENT_FILES}")
    aside = tmp_path / "aside"
    aside.mkdir()
    for month in ("2020-02", "2020-03"):
        (landing / f"{month}.csv").rename(aside / f"{month}.csv")
    why = read_and_judge(settings)
    assert why is not None
    assert why.startswith("check files_remain of raw_transactions failed: since the last publication 2020-0")
    assert "2020-02.csv with " in why
    assert why.endswith("at most 20% may go: put them back, or raise quality.max_removed_share")
    (aside / "2020-03.csv").rename(landing / "2020-03.csv")
    assert read_and_judge(settings) is None
    assert [(is_passed, "2020-02.csv" in words) for _, is_passed, words in found(settings, "files_remain")].count(
        (False, True)
    ) == 2
    (aside / "2020-02.csv").rename(landing / "2020-02.csv")
    assert read_and_judge(settings) is None


@pytest.mark.slow
def test_where_every_row_is_set_aside_the_reason_and_the_first_row_are_named(tmp_path: Path) -> None:
    rows = "".join(f"c{number},o{number},2020-01-0{number},p1,food,1,-2.00\n" for number in range(1, 6))
    (tmp_path / "log.csv").write_text(HEADER + rows, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        make(shop_config(tmp_path))
    assert str(raised.value).startswith(
        "there is no snapshot to publish, as all 5 rows were set aside, 5 of them for negative_price, the first in"
        " log.csv row 1. The price of one unit is below zero"
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", r"log.csv holds no rows: export it again, with rows below its column names"),
        (
            "c1,o1,2019-01-05,p1,food,1,2\n",
            r"starts 2020-01-01 and ends 2020-08-01: its rows are dated 2019-01-05 to 2019-01-05; set calendar.start",
        ),
        ("c1,o1,2021-01-05,p1,food,1,2\n", r"dated 2021-01-05 to 2021-01-05; set calendar.end"),
        ("c1,o1,,p1,food,1,2\n", r"no row of .*log.csv has a date: see `genome check`"),
    ],
)
def test_a_log_without_a_period_says_why(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "log.csv").write_text(HEADER + rows, encoding="utf-8")
    pipeline = Pipeline.of(load_settings(shop_config(tmp_path)))
    with pipeline.warehouse.open() as database:
        ingest(database, pipeline.settings)
    with pytest.raises(ConfigError, match=message):
        find_stale(pipeline, Span())
