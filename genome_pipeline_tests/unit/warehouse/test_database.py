import multiprocessing
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from genome_pipeline.contracts.tables import TABLES, Table
from genome_pipeline.warehouse.database import Warehouse, open_database
from genome_pipeline.warehouse.errors import WarehouseError
from genome_pipeline.warehouse.migrations import STEPS

MIGRATIONS = TABLES["segment_migrations"]
JAN, FEB = date(2020, 1, 1), date(2020, 2, 1)


def migrations(as_of: date, *counts: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            # Not in the contract's order: columns go by name.
            "customer_count": counts,
            "as_of": as_of,
            "from_segment_id": range(1, len(counts) + 1),
            "to_segment_id": 1,
            "from_segment_name": "a",
            "to_segment_name": "b",
            "recent_spend_amount": 1.5,
            "net_customer_count": 0,
            "net_spend_amount": 0.0,
        }
    )


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb", "hash", {"calendar.period": "month"})


def rows(warehouse: Warehouse) -> list[tuple[date, int]]:
    with warehouse.open() as database:
        found: list[tuple[date, int]] = database.con.execute(
            "SELECT as_of, customer_count FROM segment_migrations ORDER BY ALL"
        ).fetchall()
    return found


def write(warehouse: Warehouse, slices: list[date], frame: pd.DataFrame) -> None:
    with warehouse.open() as database:
        warehouse.replace_slices(database, MIGRATIONS, slices, frame, "run")


def test_a_slice_is_replaced_whole_and_the_others_stay(warehouse: Warehouse) -> None:
    write(warehouse, [JAN], migrations(JAN, 1, 2))
    write(warehouse, [FEB], migrations(FEB, 3))
    write(warehouse, [JAN], migrations(JAN, 4))
    assert rows(warehouse) == [(JAN, 4), (FEB, 3)]


def test_an_empty_slice_is_written_too(warehouse: Warehouse) -> None:
    write(warehouse, [JAN], migrations(JAN, 1))
    write(warehouse, [JAN], migrations(JAN)[:0])
    assert rows(warehouse) == []
    with warehouse.open() as database:
        written = database.con.execute("SELECT slice_key, row_count FROM written_slices").fetchall()
    assert written == [("2020-01-01", 0)]


def test_rows_of_another_slice_are_refused_and_nothing_changes(warehouse: Warehouse) -> None:
    write(warehouse, [JAN], migrations(JAN, 1))
    with pytest.raises(WarehouseError, match="1 of 1 rows for segment_migrations belong to none of its slices"):
        write(warehouse, [JAN], migrations(FEB, 2))
    assert rows(warehouse) == [(JAN, 1)]


def test_a_null_where_none_may_be_is_refused_and_nothing_changes(warehouse: Warehouse) -> None:
    write(warehouse, [JAN], migrations(JAN, 1))
    with pytest.raises(WarehouseError, match=r"segment_migrations is as before: .*to_segment_name"):
        write(warehouse, [JAN], migrations(JAN, 2).assign(to_segment_name=None))
    assert rows(warehouse) == [(JAN, 1)]


def test_undeclared_and_missing_columns_are_named(warehouse: Warehouse) -> None:
    frame = migrations(JAN, 1).rename(columns={"customer_count": "customers"})
    with pytest.raises(WarehouseError, match=r"lack \['customer_count'\] and have undeclared \['customers'\]"):
        write(warehouse, [JAN], frame)


def test_other_settings_of_identity_are_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    write(warehouse, [JAN], migrations(JAN, 1))
    other = Warehouse(warehouse.path, "hash", {"calendar.period": "week"})
    with (
        pytest.raises(WarehouseError, match=r"made with calendar.period = month, the config now says week"),
        other.open(),
    ):
        pass


def test_until_something_is_taken_in_the_identity_can_be_corrected(warehouse: Warehouse) -> None:
    with warehouse.open():
        pass
    corrected = Warehouse(warehouse.path, "hash", {"calendar.period": "week"})
    write(corrected, [JAN], migrations(JAN, 1))
    with (
        pytest.raises(WarehouseError, match=r"made with calendar.period = week, the config now says month"),
        Warehouse(warehouse.path, "hash", {"calendar.period": "month"}).open(),
    ):
        pass


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE customer_segments DROP COLUMN segment_name",  # no value will do
        "ALTER TABLE source_files DROP COLUMN content_hash",  # nothing makes it again
        "ALTER TABLE customer_segments ADD COLUMN segment_name_2 VARCHAR",
    ],
)
def test_a_table_made_by_another_version_is_named(warehouse: Warehouse, change: str) -> None:
    with warehouse.open() as database:
        database.con.execute(change)
    with (
        pytest.raises(WarehouseError, match=f"another version: its table {change.split()[2]} differs in"),
        Warehouse(warehouse.path, "hash", {"calendar.period": "month"}).open(),
    ):
        pass


def test_a_column_that_was_added_is_filled_in_and_its_slices_are_made_again(warehouse: Warehouse) -> None:
    write(warehouse, [JAN], migrations(JAN, 1))
    with warehouse.open() as database:
        for added in ("recent_spend_amount", "net_customer_count"):
            database.con.execute(f"ALTER TABLE segment_migrations DROP COLUMN {added}")
    newer = Warehouse(warehouse.path, "hash", {"calendar.period": "month"})
    not_yet = r"has no segment_migrations\.recent_spend_amount yet, this program reads it: use `genome run`"
    with pytest.raises(WarehouseError, match=not_yet), newer.open_to_read():
        pass
    with newer.open() as database:
        filled = database.con.execute("SELECT recent_spend_amount, net_customer_count FROM segment_migrations")
        assert filled.fetchall() == [(None, 0)]
        assert tuple(database.table("segment_migrations").columns) == TABLES["segment_migrations"].columns
        written = database.con.execute("SELECT table_name, settings_hash FROM written_slices").fetchall()
        with pytest.raises(duckdb.ConstraintException, match="net_customer_count"):
            database.con.execute("UPDATE segment_migrations SET net_customer_count = NULL")
    assert written == [("segment_migrations", "a column added")]
    with newer.open_to_read():
        pass


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(WarehouseError, match="`genome rebuild`"), open_database(path):
        pass


def record_latest(warehouse: Warehouse, ahead: timedelta) -> datetime:
    """Record that the warehouse was written to so long after now; returns the moment."""
    moment = datetime.now(UTC).replace(tzinfo=None) + ahead
    write(warehouse, [JAN], migrations(JAN, 1))
    with warehouse.open() as database:
        database.con.execute("UPDATE written_slices SET written_at = ?", [moment])
    return moment


def test_a_clock_moved_back_is_named_and_nothing_changes(warehouse: Warehouse) -> None:
    record_latest(warehouse, timedelta(days=2))
    with pytest.raises(WarehouseError, match=r"the clock says .* set the clock right"):
        write(warehouse, [FEB], migrations(FEB, 3))
    assert rows(warehouse) == [(JAN, 1)]


def test_what_is_written_after_a_small_correction_of_the_clock_is_still_later(warehouse: Warehouse) -> None:
    latest = record_latest(warehouse, timedelta(minutes=20))
    write(warehouse, [FEB], migrations(FEB, 3))
    with warehouse.open() as database:
        written = database.con.execute(
            "SELECT written_at FROM written_slices WHERE slice_key = '2020-02-01'"
        ).fetchone()
    assert written == (latest + timedelta(microseconds=1),)


def _hold(path: str, is_held: Event, is_enough: Event) -> None:
    with duckdb.connect(path):
        is_held.set()
        is_enough.wait(60)


def test_opening_waits_for_another_process_but_not_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    spawn = multiprocessing.get_context("spawn")
    is_held, is_enough = spawn.Event(), spawn.Event()
    holder = spawn.Process(target=_hold, args=(str(path), is_held, is_enough))
    holder.start()
    try:
        assert is_held.wait(60)
        with pytest.raises(WarehouseError, match="held by another process"), open_database(path, wait_seconds=0):
            pass
        threading.Timer(0.5, is_enough.set).start()
        with open_database(path, wait_seconds=60) as database:
            assert database.con.execute("SELECT 1").fetchone() == (1,)
    finally:
        is_enough.set()
        holder.join()


_ADDED = {
    *("is_provisional", "last_gap_days", "active_year_share", "year_ago_purchase_day_count"),
    *("two_years_ago_purchase_day_count", "orders_if_retained", "spend_per_order_amount"),
    *("churn_confidence", "orders_confidence", "spend_confidence"),
}
_WITH_ADDED = ("customer_activity", "customer_features", "customer_value", "customer_genome", "customer_confidence")


def before(name: str) -> Table:
    """A table as it was before columns were added to it."""
    table = TABLES[name]
    columns = tuple(column for column in table.columns if column not in _ADDED)
    return replace(table, columns=columns)


_NOT_NULL = {
    column.name: {"VARCHAR": "''", "DATE": "DATE '2020-01-01'", "BOOLEAN": "false"}.get(column.type, "0")
    for column in before("customer_genome").fields
    if column.name not in TABLES["customer_genome"].nullable
}
_CUSTOMERS_BEFORE = (
    f"INSERT INTO customer_genome BY NAME SELECT {', '.join(f'{value} AS {name}' for name, value in _NOT_NULL.items())}"
    " FROM range(3)"
)


def version_1(warehouse: Warehouse) -> None:
    """A warehouse of before schema versions were written, with a file taken in."""
    with duckdb.connect(warehouse.path) as connection:
        for statement in (
            "CREATE TABLE warehouse_identity (setting_name VARCHAR NOT NULL, setting_value VARCHAR NOT NULL)",
            "INSERT INTO warehouse_identity VALUES ('calendar.period', 'month')",
            "CREATE TABLE source_files (source_file VARCHAR NOT NULL, content_hash VARCHAR, copy_of_source_file"
            " VARCHAR, row_count BIGINT NOT NULL, raw_types VARCHAR NOT NULL, ingested_at TIMESTAMP NOT NULL)",
            "CREATE TABLE pipeline_runs (run_id VARCHAR NOT NULL, as_of DATE NOT NULL, version VARCHAR NOT NULL,"
            " settings_hash VARCHAR NOT NULL, parameters VARCHAR NOT NULL, published_at TIMESTAMP NOT NULL)",
            *(before(name).ddl() for name in (*_WITH_ADDED, "prediction_outcomes")),
            "ALTER TABLE customer_confidence ADD COLUMN precision_confidence DOUBLE",
            TABLES["written_slices"].ddl(),
            "INSERT INTO source_files VALUES ('a.csv', 'f00', NULL, 3, '{}', '2020-01-01')",
            _CUSTOMERS_BEFORE,
            TABLES["data_quality"].ddl(),
            "INSERT INTO data_quality VALUES ('run', '2020-01-01', 't', 'c', NULL, 'WARN', false, '2 of 3, e.g. c1')",
        ):
            connection.execute(statement)


@pytest.mark.parametrize("version", STEPS)
@pytest.mark.parametrize("interrupted_after", [0, 1, 2])
def test_an_older_warehouse_is_brought_to_the_present_version(
    warehouse: Warehouse, version: int, interrupted_after: int
) -> None:
    version_1(warehouse)
    with duckdb.connect(warehouse.path) as connection:
        for step in range(1, version):
            for statement in STEPS[step]:
                connection.execute(statement)
        if version > 1:
            connection.execute("INSERT INTO warehouse_identity VALUES ('schema_version', ?)", [str(version)])
        for statement in STEPS[version][:interrupted_after]:
            connection.execute(statement)
    older = rf"has schema version {version}, this program reads \d+: `genome run` brings it"
    with pytest.raises(WarehouseError, match=older), warehouse.open_to_read():
        pass
    with warehouse.open() as database:
        files = database.con.execute("SELECT source_file, row_count, suppressed_row_count FROM source_files").fetchall()
        made = dict(database.con.execute("SELECT column_name, is_nullable FROM duckdb_columns()").fetchall())
        customers = database.con.execute("SELECT count(*), count(is_provisional) FROM customer_genome").fetchone()
        observed = database.con.execute("SELECT observed FROM data_quality").fetchall()
        columns = {name: tuple(database.table(name).columns) for name in (*_WITH_ADDED, "prediction_outcomes")}
    assert columns == {name: TABLES[name].columns for name in columns}
    assert observed == [("2 of 3",)]
    assert files == [("a.csv", 3, 0)]
    assert customers == (3, 3)
    assert made["suppressed_row_count"] is False
    with warehouse.open_to_read() as database:
        assert sorted(name for name in database.list_tables()) == sorted(
            name for name, table in TABLES.items() if not table.is_made_at_publishing and name != "raw_transactions"
        )


def test_snapshots_of_an_older_warehouse_are_stale_where_columns_were_added(warehouse: Warehouse) -> None:
    """What is stale is told by the last table of a part of the pipeline: see ``find_stale``."""
    version_1(warehouse)
    with duckdb.connect(warehouse.path) as connection:
        connection.execute("INSERT INTO warehouse_identity VALUES ('schema_version', '5')")
        for statement in (statement for step in range(1, 5) for statement in STEPS[step]):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO written_slices BY NAME SELECT 'segment_profiles' AS table_name, '2020-02-01' AS slice_key,"
            " 0 AS row_count, 'run' AS run_id, 'now' AS settings_hash, TIMESTAMP '2020-02-01' AS written_at"
        )
    with warehouse.open() as database:
        found = database.con.execute("SELECT settings_hash FROM written_slices").fetchall()
    assert found == [("schema 5",)]


def test_a_warehouse_that_is_not_what_its_version_says_is_named(warehouse: Warehouse) -> None:
    version_1(warehouse)
    with duckdb.connect(warehouse.path) as connection:
        connection.execute("DROP TABLE source_files")
    with (
        pytest.raises(WarehouseError, match=r"says it has schema version 1, but .* `genome rebuild`"),
        warehouse.open(),
    ):
        pass


def test_a_warehouse_of_a_newer_program_is_named_and_left_alone(warehouse: Warehouse) -> None:
    with warehouse.open() as database:
        database.con.execute("UPDATE warehouse_identity SET setting_value = '99' WHERE setting_name = 'schema_version'")
    before = warehouse.path.read_bytes()
    newer = Warehouse(warehouse.path, "hash", {"calendar.period": "month"})
    with pytest.raises(WarehouseError, match="has schema version 99, this program knows"), newer.open():
        pass
    with pytest.raises(WarehouseError, match=r"has schema version 99.* use the newer program"), newer.open_to_read():
        pass
    assert warehouse.path.read_bytes() == before


def test_memory_is_limited_where_it_is_said(tmp_path: Path) -> None:
    limited = Warehouse(tmp_path / "warehouse.duckdb", "hash", {"calendar.period": "month"}, memory_limit="500MiB")
    for opened in (limited.open, limited.open_to_read):
        with opened() as database:
            assert database.con.execute("SELECT current_setting('memory_limit')").fetchall() == [("500.0 MiB",)]
