"""Whole runs on a small shop: no look-ahead, same results however made, nothing half done."""

import io
import json
import os
import subprocess
import sys
import textwrap
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster import DagsterInstance
from rich.console import Console

from genome_pipeline.command.terminal.customer import print_card
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.definitions import build_definitions
from genome_pipeline.errors import ConfigError
from genome_pipeline.published.summary import customer_card
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline_tests.support.pipelines import (
    assert_same,
    is_empty_in_the_shop,
    make,
    shop,
    shop_config,
    split_by_month,
    tables,
)


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_every_source_row_is_validated_or_quarantined(shop_run: Settings) -> None:
    ((raw, kept, aside),) = query(
        shop_run.warehouse_path,
        "SELECT (SELECT count(*) FROM raw_transactions), (SELECT count(*) FROM validated_transactions),"
        " (SELECT count(*) FROM quarantined_transactions)",
    )
    assert raw == kept + aside  # type: ignore[operator]
    assert aside == 3


def test_every_snapshot_table_has_every_customer(shop_run: Settings) -> None:
    for table in ("customer_segments", "customer_value", "customer_risk", "customer_confidence", "customer_genome"):
        missing = query(
            shop_run.warehouse_path,
            f"SELECT as_of, customer_id FROM customer_features ANTI JOIN {table} USING (as_of, customer_id)",
        )
        assert missing == [], table


def test_all_checks_that_must_pass_have_passed(shop_run: Settings) -> None:
    failed = query(
        shop_run.published_path,
        "SELECT table_name, check_name, observed FROM data_quality WHERE NOT is_passed AND severity = 'ERROR'",
    )
    assert failed == []
    checked = {name for (name,) in query(shop_run.published_path, "SELECT DISTINCT table_name FROM data_quality")}
    assert {"raw_transactions", "validated_transactions", "quarantined_transactions", "customer_genome"} <= checked


_WITHOUT_PERIODS = ("raw_transactions", "experiments", "experiment_members", "contacts")


def test_every_check_has_an_outcome_in_dagster_at_every_period_of_a_range(shop_run: Settings) -> None:
    months = {f"2020-{month:02d}-01" for month in range(1, 8)}
    with DagsterInstance.from_config(str(shop_run.dagster_home)) as instance:
        for check in build_definitions(shop_run).asset_checks or ():
            for key in check.check_keys:
                history = instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
                assert {record.status.value for record in history} <= {"SUCCEEDED", "FAILED"}, key
                partitions = {record.partition for record in history} - {None}
                # The published file is checked once; Dagster plans that check for each period of the run.
                has_none = key.asset_key.to_user_string() in _WITHOUT_PERIODS
                assert partitions == (set() if has_none else months), key


@pytest.mark.slow
def test_dagster_shows_the_outcome_of_each_period_of_a_range_and_of_a_range_of_one(early_shop: Path) -> None:
    settings, _ = make(early_shop, "2020-03-01", "2020-03-01")  # January was made together with February
    key = dg.AssetCheckKey(dg.AssetKey("customer_genome"), "contract")
    with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        infos = instance.event_log_storage.get_asset_check_partition_info([key])
    # An outcome that is not of what is there now is shown as none.
    assert {
        info.partition_key: (info.latest_execution_status.value, info.is_current)
        for info in infos
        if info.partition_key
    } == {"2020-01-01": ("SUCCEEDED", True), "2020-02-01": ("SUCCEEDED", True)}


@pytest.mark.slow
def test_a_snapshot_of_which_any_table_was_never_made_is_made_again(early_shop: Path) -> None:
    """As after an update that brings a new table."""
    settings, _ = make(early_shop, None, "2020-03-01")
    with duckdb.connect(str(settings.warehouse_path)) as warehouse:
        warehouse.execute("DELETE FROM written_slices WHERE table_name = 'gene_drift' AND slice_key = '2020-03-01'")
    assert make(early_shop, None, "2020-03-01")[1].as_of == (date(2020, 3, 1),)


def card_text(card: dict[str, Any]) -> str:
    file = io.StringIO()
    print_card(Console(file=file, width=200), card)
    return file.getvalue()


def test_the_card_in_the_terminal_says_why(shop_run: Settings) -> None:
    card = customer_card(shop_run, "c0000")
    shown = card_text(card)
    churn, spend = (
        [row for row in card["drivers"] if row["prediction"] == prediction]
        for prediction in ("churn_probability", "expected_spend")
    )
    assert sum(row["contribution"] for row in churn) == pytest.approx(card["genome"]["churn_probability"], abs=1e-6)
    assert sum(row["contribution"] for row in spend) == pytest.approx(card["genome"]["expected_spend"], abs=1e-6)
    for row in churn[1:]:
        assert f"{row['contribution']:+z.3f}" in shown
        assert f"{row['contribution_change']:+z.3f}" in shown
    assert f"{card['genome']['expected_spend']:,.2f} EUR" in shown
    first = card_text(customer_card(shop_run, "c0000", date(2020, 2, 1)))
    assert "Why churn probability" in first
    assert "Since last snapshot" not in first


def test_rows_after_the_snapshot_change_nothing_in_it(shop_run: Settings, tmp_path: Path) -> None:
    config = shop(tmp_path)
    lines = (tmp_path / "log.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    before = [line for line in lines if not line.split(",")[2] >= "2020-06-01" or line.startswith("customer,")]
    assert len(before) < len(lines)
    (tmp_path / "log.csv").write_text("".join(before), encoding="utf-8")
    settings, outcome = make(config, "2020-06-01", "2020-06-01")
    assert outcome.as_of[-1] == date(2020, 6, 1)
    as_of = date(2020, 6, 1)
    assert_same(tables(settings.warehouse_path, as_of), tables(shop_run.warehouse_path, as_of))


@pytest.mark.slow
def test_one_period_after_the_other_equals_all_at_once(shop_run: Settings, tmp_path: Path) -> None:
    config = shop(tmp_path)
    dates = [date(2020, month, 1) for month in (2, 3)]

    def compare(settings: Settings) -> None:
        for as_of in dates:
            assert_same(tables(settings.warehouse_path, as_of), tables(shop_run.warehouse_path, as_of))

    for as_of in dates:
        settings, outcome = make(config, str(as_of), str(as_of))
        assert outcome.as_of == (as_of,)
    compare(settings)
    make(config, "2020-02-01", "2020-03-01")
    compare(settings)


@pytest.mark.slow
def test_the_order_of_rows_changes_no_customer_table(shop_run: Settings, tmp_path: Path) -> None:
    config = shop(tmp_path)
    header, *lines = (tmp_path / "log.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "log.csv").write_text(header + "".join(reversed(lines)), encoding="utf-8")
    settings, _ = make(config, None, "2020-05-01")
    for as_of in (date(2020, 2, 1), date(2020, 5, 1)):
        assert_same(tables(settings.warehouse_path, as_of), tables(shop_run.warehouse_path, as_of))


def test_a_second_run_finds_nothing_to_do(early_shop: Path) -> None:
    _, second = make(early_shop, None, "2020-03-01")
    assert second.as_of == ()


def materialised(settings: Settings, asset: str) -> list[str]:
    """Periods of the asset, in the order in which they were made."""
    with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        records = instance.fetch_materializations(dg.AssetKey(asset), limit=100, ascending=True).records
        return [str(record.partition_key) for record in records]


@pytest.mark.slow
def test_a_changed_file_makes_its_own_period_and_later_snapshots_anew(tmp_path: Path) -> None:
    shop(tmp_path)
    landing = split_by_month(tmp_path)
    config = shop_config(tmp_path, "landing")
    settings, first = make(config, None, "2020-04-01")
    assert len(first.as_of) == 3
    with (landing / "2020-02.csv").open("a", encoding="utf-8") as log:
        log.write("c0001,late,2020-02-10 10:00:00,p1,food,1,2.00\n")
    _, second = make(config, None, "2020-04-01")
    assert second.as_of == (date(2020, 3, 1), date(2020, 4, 1))
    for asset in ("validated_transactions", "quarantined_transactions", "customer_activity"):
        assert materialised(settings, asset)[3:] == ["2020-02-01"], asset
    for asset in ("customer_features", "customer_genome"):
        assert materialised(settings, asset)[3:] == ["2020-02-01", "2020-03-01"], asset

    fresh, _ = make(shop_config(tmp_path, "landing", home="fresh"), None, "2020-04-01")
    assert_same(tables(settings.warehouse_path), tables(fresh.warehouse_path))
    _, third = make(config, None, "2020-04-01")
    assert third.as_of == ()


@pytest.mark.slow
def test_a_month_that_the_log_does_not_reach_is_marked_and_has_no_forecast(tmp_path: Path) -> None:
    config = shop(tmp_path)
    log = tmp_path / "log.csv"
    header, *rows = log.read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if row.split(",")[2] < "2020-03-01 12"]
    log.write_text("\n".join([header, *kept]), encoding="utf-8")
    settings, _ = make(config)
    marked = query(
        settings.published_path,
        "SELECT as_of, bool_or(is_provisional) FROM customer_genome_history GROUP BY 1 ORDER BY 1",
    )
    assert marked == [(date(2020, 2, 1), False), (date(2020, 3, 1), False), (date(2020, 4, 1), True)]
    why = (
        "the log ends 30 days before the snapshot, over half of the horizon of 28: who has left cannot be told from who"
        " is not in it yet"
    )
    assert query(
        settings.published_path,
        "SELECT DISTINCT risk_abstain_reason, value_abstain_reason, churn_probability, expected_spend, confidence"
        " FROM customer_genome",
    ) == [(why, why, None, None, None)]
    assert query(
        settings.published_path,
        "SELECT period_start_date, observed FROM data_quality"
        " WHERE check_name = 'forecast_is_offered' AND NOT is_passed",
    ) == [(date(2020, 3, 1), f"2020-04-01: no forecast, as {why}")]


@pytest.mark.slow
def test_a_repaired_file_empties_the_quarantine(early_shop: Path) -> None:
    log = early_shop.parent / "log.csv"
    settings = load_settings(early_shop)
    undated = "SELECT count(*) FROM quarantined_transactions WHERE period_start_date IS NULL"
    assert query(settings.published_path, "SELECT sum(row_count) FROM quarantine_reasons") == [(1,)]
    assert query(settings.published_path, "SELECT reason FROM quarantine_samples") == [("unreadable_date",)]
    log.write_text(log.read_text(encoding="utf-8").replace("2020-13-03", "2020-07-13"), encoding="utf-8")
    _, outcome = make(early_shop, None, "2020-03-01")
    assert outcome.as_of == ()
    assert query(settings.warehouse_path, undated) == [(0,)]
    assert query(settings.published_path, "SELECT coalesce(sum(row_count), 0) FROM quarantine_reasons") == [(0,)]
    assert query(settings.published_path, "SELECT count(*) FROM quarantine_samples") == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize("month", ["2020-01", "2020-03"])
def test_a_removed_file_at_either_end_empties_its_period(tmp_path: Path, month: str) -> None:
    shop(tmp_path)
    landing = split_by_month(tmp_path)
    for late in ("04", "05", "06", "07"):
        (landing / f"2020-{late}.csv").unlink()
    config = shop_config(tmp_path, "landing", more="[quality]\nmax_removed_share = 0.5\n")
    settings, _ = make(config)
    (landing / f"{month}.csv").unlink()
    _, outcome = make(config)
    assert outcome.as_of[0] == settings.time.as_of(date.fromisoformat(f"{month}-01"))
    left = "SELECT count(*) FROM {} WHERE strftime(period_start_date, '%Y-%m') = '" + month + "'"
    for table in ("validated_transactions", "customer_activity"):
        assert query(settings.warehouse_path, left.format(table)) == [(0,)], table


@pytest.mark.slow
def test_a_reader_keeps_the_published_file_it_opened(early_shop: Path) -> None:
    settings = load_settings(early_shop)
    reader = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                """
                import duckdb, sys
                connection = duckdb.connect(sys.argv[1], read_only=True)
                for _ in sys.stdin:
                    found = connection.execute("SELECT max(as_of), count(*) FROM customer_genome").fetchone()
                    print(*found, flush=True)
                """
            ),
            str(settings.published_path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert reader.stdin is not None
        assert reader.stdout is not None

        def ask() -> str:
            print("?", file=reader.stdin, flush=True)
            return reader.stdout.readline()  # type: ignore[union-attr]

        before = ask()
        make(early_shop, "2020-04-01", "2020-04-01")
        assert ask() == before
    finally:
        reader.stdin.close()  # type: ignore[union-attr]
        reader.wait(timeout=30)
    assert query(settings.published_path, "SELECT max(as_of) FROM customer_genome") == [(date(2020, 4, 1),)]


@pytest.mark.parametrize(
    ("as_of", "message"),
    [
        ("2020-03-15", "2020-03-15 is not the end of a month: the nearest are 2020-03-01 and 2020-04-01"),
        ("2021-01-01", "snapshot 2021-01-01 is outside the data, which run from 2020-01-0. to 2020-07-3.:"),
    ],
)
def test_a_snapshot_that_cannot_be_made_is_named(shop_run: Settings, as_of: str, message: str) -> None:
    config = shop_run.home.with_suffix(".toml")
    before = shop_run.published_path.stat().st_mtime_ns
    with pytest.raises(ConfigError, match=message):
        make(config, as_of, as_of)
    assert shop_run.published_path.stat().st_mtime_ns == before


def test_a_broken_file_changes_neither_warehouse_nor_published_file(early_shop: Path) -> None:
    config, log = early_shop, early_shop.parent / "log.csv"
    settings = load_settings(config)
    warehouse, published = tables(settings.warehouse_path), settings.published_path.read_bytes()
    log.write_text("customer,order,date,sku,department,units\n1,1,x,p,f,1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"log.csv has no column 'price' \(source.columns.unit_price\)"):
        make(config, None, "2020-03-01")
    log.write_text("customer,order,date,sku,department,units,price\n1,1,13/02/2020,p,f,1,2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"column 'date' holds no date .* such as '13/02/2020'"):
        make(config, None, "2020-03-01")
    assert_same(tables(settings.warehouse_path), warehouse)
    assert settings.published_path.read_bytes() == published


def test_a_failed_check_publishes_nothing(early_shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage gone wrong writes what its contract forbids; the run stops there."""
    from genome_pipeline.errors import RunFailed
    from genome_pipeline.transforms import features

    settings = load_settings(early_shop)
    published = settings.published_path.read_bytes()
    honest = features.customer_features

    def wrong(*arguments: Any) -> Any:
        return honest(*arguments).mutate(days_since_last_order=-1)

    monkeypatch.setattr(features, "customer_features", wrong)
    with pytest.raises(RunFailed, match=r"check contract of customer_features failed: .*days_since_last_order"):
        make(early_shop, "2020-04-01", "2020-04-01")
    assert settings.published_path.read_bytes() == published


@pytest.mark.slow
@pytest.mark.parametrize("periods", [["2020-01-01"], ["2020-01-01", "2020-02-01"]], ids=["one period", "a range"])
def test_checks_run_alone_for_a_period_and_for_a_range(early_shop: Path, periods: list[str]) -> None:
    settings = load_settings(early_shop)
    everything = dg.Definitions.merge(
        build_definitions(settings),
        dg.Definitions(jobs=[dg.define_asset_job("look_again", dg.AssetSelection.all_asset_checks())]),
    )
    tags = {"dagster/asset_partition_range_start": periods[0], "dagster/asset_partition_range_end": periods[-1]}
    with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        result = everything.resolve_job_def("look_again").execute_in_process(instance=instance, tags=tags)
    evaluations = result.get_asset_check_evaluations()
    assert {name for evaluation in evaluations for name in [evaluation.check_name]} == {
        key.name for check in build_definitions(settings).asset_checks or () for key in check.check_keys
    }
    assert not any(e.severity is dg.AssetCheckSeverity.ERROR and not e.passed for e in evaluations)
    recorded = query(
        settings.warehouse_path,
        "SELECT DISTINCT table_name, period_start_date::VARCHAR FROM data_quality"
        f" WHERE run_id = '{result.run_id}' AND check_name IN ('unique_key', 'nothing_lost') ORDER BY ALL",
    )
    for table in ("customer_activity", "customer_genome", "quarantined_transactions"):
        assert [period for name, period in recorded if name == table and period] == periods, table


@pytest.mark.slow
def test_too_few_customers_abstain_with_a_reason(tmp_path: Path) -> None:
    config = shop(tmp_path)
    lines = (tmp_path / "log.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    few = [line for line in lines if line.startswith(("customer,", "c000"))]
    (tmp_path / "log.csv").write_text("".join(few), encoding="utf-8")
    settings, _ = make(config, None, "2020-04-01")
    rows = query(
        settings.published_path,
        "SELECT DISTINCT expected_spend IS NULL, value_abstain_reason IS NOT NULL, churn_probability IS NULL,"
        " risk_abstain_reason IS NOT NULL FROM customer_genome",
    )
    assert rows == [(True, True, True, True)]


@pytest.mark.slow
def test_a_log_of_customers_and_dates_alone_is_enough(tmp_path: Path) -> None:
    shop(tmp_path)
    config = shop_config(tmp_path)
    kept = ("customer_id", "ordered_at")
    text = config.read_text(encoding="utf-8")
    for column in ("order_id", "product_id", "category", "quantity", "unit_price"):
        text = "\n".join(line for line in text.splitlines() if not line.startswith(f"{column} "))
    config.write_text(text, encoding="utf-8")
    settings, _ = make(config, None, "2020-04-01")
    assert tuple(settings.source.columns.mapped) == kept
    ((orders, churn, spend, reason),) = query(
        settings.published_path,
        "SELECT count(expected_orders) > 50, count(churn_probability) > 50, count(expected_spend),"
        " any_value(value_abstain_reason) FROM customer_genome",
    )
    assert (orders, churn, spend) == (True, True, 0)
    assert "no amounts" in str(reason)


@pytest.mark.slow
def test_the_command_runs_quietly_and_speaks_json(early_shop: Path) -> None:
    config = early_shop
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GENOME_", "DAGSTER"))}
    genome = [sys.executable, "-m", "genome_pipeline.command.cli"]
    done = subprocess.run(
        [*genome, "run", "--config", config, "--as-of", "2020-04-01", "--json"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert (facts["as_of"], facts["snapshots_made"]) == ("2020-04-01", ["2020-04-01"])
    wrong = subprocess.run(
        [*genome, "run", "--config", config, "--as-of", "2020-03-02", "--quiet"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("genome: snapshot 2020-03-02 is not the end of a month")


def test_every_table_of_the_contract_is_filled(shop_run: Settings) -> None:
    for table in TABLES.values():
        if table.is_made_at_publishing or is_empty_in_the_shop(table.name):
            continue
        assert query(shop_run.warehouse_path, f"SELECT count(*) > 0 FROM {table.name}") == [(True,)], table.name
