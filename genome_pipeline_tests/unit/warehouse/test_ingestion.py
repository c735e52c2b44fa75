from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from ibis.backends.duckdb import Backend

from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.privacy import PrivacyKey
from genome_pipeline.settings import Settings
from genome_pipeline.sources import SourceError
from genome_pipeline.warehouse.errors import WarehouseError
from genome_pipeline.warehouse.forgotten import Forgotten
from genome_pipeline.warehouse.ingestion import Ingestion, ingest

HEADER = "customer,date,paid,money\n"
JANUARY, FEBRUARY, MARCH = date(2020, 1, 1), date(2020, 2, 1), date(2020, 3, 1)


class Shop:
    """A folder of files, and the warehouse that takes them in."""

    def __init__(self, folder: Path) -> None:
        self.landing = folder / "landing"
        self.landing.mkdir()
        self.home = folder / "home"
        self.privacy: dict[str, Any] = {}

    def put(self, name: str, *rows: str) -> None:
        (self.landing / name).write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")

    def settings(self, **source: Any) -> Settings:
        columns = {"customer_id": "customer", "ordered_at": "date", "amount": "paid"}
        if source.pop("has_currency", False):
            columns["currency"] = "money"
        return Settings(
            home=self.home,
            source={"path": str(self.landing), "columns": columns, **source},
            calendar={"start": JANUARY},
            privacy=self.privacy,
        )

    @contextmanager
    def warehouse(self, **source: Any) -> Iterator[Backend]:
        with Pipeline.of(self.settings(**source)).warehouse.open() as database:
            yield database

    def ingest(self, **source: Any) -> Ingestion:
        with self.warehouse(**source) as database:
            return ingest(database, self.settings(**source))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse() as database:
            rows: list[tuple[Any, ...]] = database.con.execute(sql).fetchall()
            return rows


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_only_periods_whose_rows_differ_have_changed(shop: Shop) -> None:
    shop.put("log.csv", "1,2020-01-05,10,EUR", "1,2020-02-05,10,EUR", "1,2020-03-05,10,EUR")
    assert shop.ingest().changed_periods == {JANUARY, FEBRUARY, MARCH}
    # The whole history is exported again each night; one amount was corrected, and a row has come in.
    shop.put("log.csv", "1,2020-01-05,10,EUR", "1,2020-02-05,12,EUR", "1,2020-03-05,10,EUR", "2,2020-03-06,5,EUR")
    second = shop.ingest()
    assert (second.read, second.changed_periods) == (["log.csv"], {FEBRUARY, MARCH})
    third = shop.ingest()
    assert (third.unchanged, third.read, third.changed_periods) == (["log.csv"], [], set())


def test_a_changed_file_replaces_its_own_rows_only(shop: Shop) -> None:
    shop.put("a.csv", "1,2020-01-05,10,EUR")
    shop.put("b.csv", "2,2020-02-05,10,EUR")
    shop.ingest()
    shop.put("b.csv", "2,2020-03-05,10,EUR")
    result = shop.ingest()
    assert (result.unchanged, result.read) == (["a.csv"], ["b.csv"])
    assert result.changed_periods == {FEBRUARY, MARCH}
    assert shop.query("SELECT source_file, raw_ordered_at FROM raw_transactions ORDER BY 1") == [
        ("a.csv", "2020-01-05"),
        ("b.csv", "2020-03-05"),
    ]


def test_a_removed_file_takes_its_rows_with_it(shop: Shop) -> None:
    shop.put("a.csv", "1,2020-01-05,10,EUR")
    shop.put("b.csv", "2,2020-02-05,10,EUR", "3,,10,EUR")
    shop.ingest()
    (shop.landing / "b.csv").unlink()
    result = shop.ingest()
    assert (result.removed, result.changed_periods) == (["b.csv"], {FEBRUARY, None})
    assert shop.query("SELECT source_file FROM raw_transactions") == [("a.csv",)]
    assert shop.query("SELECT source_file FROM source_files") == [("a.csv",)]


def test_a_renamed_file_is_read_under_its_new_name(shop: Shop) -> None:
    shop.put("b.csv", "1,2020-01-05,10,EUR")
    shop.ingest()
    (shop.landing / "b.csv").rename(shop.landing / "a.csv")
    result = shop.ingest()
    assert (result.read, result.removed) == (["a.csv"], ["b.csv"])
    assert shop.query("SELECT source_file FROM raw_transactions") == [("a.csv",)]


def test_rows_without_a_date_that_change_are_known(shop: Shop) -> None:
    shop.put("a.csv", "1,2020-01-05,10,EUR", "2,,10,EUR")
    assert shop.ingest().changed_periods == {JANUARY, None}
    shop.put("a.csv", "1,2020-01-05,10,EUR", "2,soon,10,EUR")
    assert shop.ingest().changed_periods == {None}
    assert len(shop.query("SELECT * FROM changed_periods")) == 2


def test_a_file_under_two_names_is_taken_in_once(shop: Shop) -> None:
    shop.put("b.csv", "1,2020-01-05,10,EUR")
    shop.ingest()
    shop.put("c.csv", "1,2020-01-05,10,EUR")
    result = shop.ingest()
    assert (result.copies, result.changed_periods) == ({"c.csv": "b.csv"}, set())
    assert shop.query("SELECT source_file, copy_of_source_file, row_count FROM source_files ORDER BY 1") == [
        ("b.csv", None, 1),
        ("c.csv", "b.csv", 0),
    ]
    assert len(shop.query("SELECT * FROM raw_transactions")) == 1
    # What stays does not depend on which came first.
    shop.put("a.csv", "1,2020-01-05,10,EUR")
    shop.ingest()
    assert shop.query("SELECT source_file FROM raw_transactions") == [("a.csv",)]
    # A copy that becomes a file of its own is read.
    shop.put("c.csv", "9,2020-01-05,10,EUR")
    assert shop.ingest().copies == {"b.csv": "a.csv"}
    assert len(shop.query("SELECT * FROM raw_transactions")) == 2


def test_a_file_is_read_again_where_the_config_says_otherwise_how(shop: Shop) -> None:
    (shop.landing / "a.csv").write_bytes("customer,date,paid,money\n\xa3,2020-01-05,10,EUR\n".encode("latin-1"))
    shop.ingest()
    assert shop.ingest(encoding="iso8859-2").read == ["a.csv"]
    assert shop.query("SELECT raw_customer_id FROM raw_transactions") == [("Ł",)]


def test_several_currencies_are_refused_unless_one_is_chosen(shop: Shop) -> None:
    shop.put("a.csv", "1,2020-01-05,10,EUR", "1,2020-01-06,10,EUR")
    shop.ingest(has_currency=True)
    shop.put("b.csv", "1,2020-01-07,10,USD")
    with pytest.raises(SourceError) as error:
        shop.ingest(has_currency=True)
    assert str(error.value) == (
        "column 'money' holds 2 currencies: EUR (rows: 2), USD (rows: 1); set source.currency to the one to count, and"
        " rows in the others are quarantined"
    )
    with shop.warehouse(has_currency=True) as database:
        assert database.con.execute("SELECT count(*) FROM raw_transactions").fetchall() == [(2,)]
    assert shop.ingest(has_currency=True, currency="EUR").row_count == 1


KEY = "0123456789abcdef0123456789abcdef"


def forget(shop: Shop, *names: str) -> None:
    """Mark them as forgotten, as `genome forget` does."""
    key = PrivacyKey(KEY)
    shop.privacy["key"] = KEY
    forgotten = Forgotten.beside(shop.home / "warehouse.duckdb")
    forgotten.path.parent.mkdir(exist_ok=True)
    forgotten.add(map(key.forgotten_mark, names), key.fingerprint)


def test_rows_of_forgotten_customers_are_left_out_and_counted_up_to_tens(shop: Shop) -> None:
    forget(shop, "17")
    shop.put("a.csv", "17,2020-01-05,10,EUR", "1,2020-01-05,10,EUR", " 17 ,,10,EUR", ",2020-02-05,10,EUR")
    shop.put("b.csv", "17,2020-02-05,10,EUR")
    result = shop.ingest()
    assert (result.row_count, result.suppressed_row_count) == (2, 20)
    assert result.changed_periods == {JANUARY, FEBRUARY}
    assert shop.query("SELECT source_row, raw_customer_id FROM raw_transactions ORDER BY 1") == [(2, "1"), (4, None)]
    assert shop.query("SELECT source_file, row_count, suppressed_row_count FROM source_files ORDER BY 1") == [
        ("a.csv", 2, 10),
        ("b.csv", 0, 10),
    ]


@pytest.mark.parametrize("key", [None, "another key of at least 32 characters"])
def test_nothing_is_taken_in_without_the_key_of_those_forgotten(shop: Shop, key: str | None) -> None:
    forget(shop, "17")
    shop.put("a.csv", "1,2020-01-05,10,EUR")
    shop.privacy = {"key": key}
    with pytest.raises(ConfigError, match=f"under the key {PrivacyKey(KEY).fingerprint}.*set GENOME_PRIVACY__KEY"):
        shop.ingest()


def test_pseudonyms_stand_in_the_place_of_ids_and_of_nothing_else(shop: Shop) -> None:
    shop.privacy = {"pseudonyms": True, "key": KEY}
    shop.put("a.csv", " 17 ,2020-01-05,10,EUR", "NULL,2020-01-05,10,EUR", ",2020-01-05,10,EUR", "17,2020-01-06,10,EUR")
    shop.ingest()
    pseudonym = PrivacyKey(KEY).pseudonym("17")
    assert shop.query("SELECT raw_customer_id FROM raw_transactions ORDER BY source_row") == [
        (pseudonym,),
        ("NULL",),
        (None,),
        (pseudonym,),
    ]
    assert shop.settings().stored_id("17 ") == pseudonym


def test_a_forgotten_customer_is_known_behind_a_pseudonym(shop: Shop) -> None:
    shop.privacy = {"pseudonyms": True, "key": KEY}
    forget(shop, "17")
    shop.put("a.csv", "17,2020-01-05,10,EUR", "1,2020-01-05,10,EUR")
    shop.ingest()
    assert shop.query("SELECT source_row, raw_customer_id FROM raw_transactions") == [
        (2, PrivacyKey(KEY).pseudonym("1"))
    ]


def test_a_warehouse_of_another_key_or_of_none_is_never_mixed(shop: Shop) -> None:
    shop.privacy = {"pseudonyms": True, "key": KEY}
    shop.put("a.csv", "1,2020-01-05,10,EUR")
    shop.ingest()
    ours = PrivacyKey(KEY).fingerprint
    shop.privacy = {"pseudonyms": True, "key": "another key of at least 32 characters"}
    with pytest.raises(WarehouseError, match=rf"made with privacy.pseudonyms = by key {ours}, the config now says by"):
        shop.ingest()
    shop.privacy = {}
    with pytest.raises(WarehouseError, match=rf"by key {ours}, the config now says \(none\)"):
        shop.ingest()


def test_ids_that_are_numbers_become_pseudonyms_of_their_text(shop: Shop) -> None:
    shop.privacy = {"pseudonyms": True, "key": KEY}
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT 17.0::DOUBLE AS customer, DATE '2020-01-05' AS date, 10.0 AS paid)"
            f" TO '{shop.landing / 'a.parquet'}' (FORMAT parquet)"
        )
    shop.ingest()
    assert shop.query("SELECT raw_customer_id FROM raw_transactions") == [(PrivacyKey(KEY).pseudonym("17"),)]


def test_an_export_without_rows_takes_none_away(shop: Shop) -> None:
    shop.put("log.csv", "1,2020-01-05,10,EUR", "2,2020-02-05,10,EUR")
    shop.put("old.csv", "1,2020-03-05,10,EUR")
    shop.ingest()
    shop.put("log.csv")
    with pytest.raises(SourceError, match=r"^log.csv has no row any more, where it had 2: export it again; if that is"):
        shop.ingest()
    assert shop.query("SELECT count(*) FROM raw_transactions") == [(3,)]
    shop.put("log.csv", "1,2020-01-05,10,EUR")
    assert shop.ingest().read == ["log.csv"]


@pytest.mark.parametrize("date_format", ["%d/%m/%Y", None])
def test_years_of_two_digits_are_named(shop: Shop, date_format: str | None) -> None:
    shop.put("log.csv", f"1,{'05/01/20' if date_format else '20-01-05'},10,EUR")
    with pytest.raises(
        SourceError, match=r"^log.csv: column 'date' holds years of two digits, such as in .*: write %y"
    ):
        shop.ingest(date_format=date_format)
    shop.put("log.csv", "1,05/01/20,10,EUR")
    assert shop.ingest(date_format="%d/%m/%y").changed_periods == {JANUARY}


def test_another_log_is_not_taken_into_the_same_warehouse_and_a_log_may_move(shop: Shop, tmp_path: Path) -> None:
    shop.put("log.csv", "1,2020-01-05,10,EUR")
    shop.ingest()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "log.csv").write_text(f"{HEADER}9,2020-01-06,10,EUR\n", encoding="utf-8")
    with pytest.raises(
        SourceError, match=r"holds the rows of .*landing, and .*elsewhere has no file of the same content"
    ):
        shop.ingest(path=str(elsewhere))
    assert shop.query("SELECT raw_customer_id FROM raw_transactions") == [("1",)]
    (shop.landing / "log.csv").rename(elsewhere / "log.csv")
    assert shop.ingest(path=str(elsewhere)).unchanged == ["log.csv"]
    # It stays where it is now, and may grow there.
    (elsewhere / "log.csv").write_text(f"{HEADER}9,2020-01-06,10,EUR\n", encoding="utf-8")
    assert shop.ingest(path=str(elsewhere)).read == ["log.csv"]
