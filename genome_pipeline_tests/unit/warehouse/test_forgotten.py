"""The list of who was forgotten, which outlives the warehouse."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from genome_pipeline.errors import ConfigError
from genome_pipeline.privacy import PrivacyKey
from genome_pipeline.warehouse.database import Warehouse
from genome_pipeline.warehouse.forgotten import Forgotten, up_to_tens

KEY = PrivacyKey("0123456789abcdef0123456789abcdef")


@pytest.fixture
def forgotten(tmp_path: Path) -> Forgotten:
    return Forgotten.beside(tmp_path / "warehouse.duckdb")


def test_a_customer_stands_on_the_list_once(forgotten: Forgotten) -> None:
    assert forgotten.marks() == set()
    forgotten.add(["a", "b", "a"], KEY.fingerprint)
    forgotten.add(["b", "c"], KEY.fingerprint)
    assert len(forgotten.path.read_text().splitlines()) == 4
    assert forgotten.marks() == {"a", "b", "c"}


def test_the_key_they_were_forgotten_under_is_asked_for(forgotten: Forgotten) -> None:
    forgotten.check_key(None)
    forgotten.add(["a"], KEY.fingerprint)
    forgotten.check_key(KEY)
    with pytest.raises(
        ConfigError, match=rf"under the key {KEY.fingerprint}, and none is set: set GENOME_PRIVACY__KEY"
    ):
        forgotten.check_key(None)
    with pytest.raises(ConfigError, match="and the one set is"):
        forgotten.check_key(PrivacyKey("fedcba9876543210fedcba9876543210"))


def test_a_damaged_list_is_named_and_nobody_comes_back(forgotten: Forgotten) -> None:
    forgotten.path.write_text("customer_hash,key_fingerprint\nabc\n")
    with pytest.raises(ConfigError, match=r"forgotten_customers.csv, who was forgotten, is not as it was written"):
        forgotten.check_key(KEY)


def test_the_list_of_an_older_warehouse_is_brought_in(tmp_path: Path, forgotten: Forgotten) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb", "hash", {"calendar.period": "month"})
    with warehouse.open():
        pass
    with duckdb.connect(warehouse.path) as connection:
        connection.execute(
            "CREATE TABLE forgotten_customers (customer_hash VARCHAR, key_fingerprint VARCHAR, forgotten_at TIMESTAMP)"
        )
        connection.execute("INSERT INTO forgotten_customers VALUES ('mark', 'f00', '2020-01-01 10:00')")
    with Warehouse(warehouse.path, "hash", {"calendar.period": "month"}).open() as database:
        assert "forgotten_customers" not in database.list_tables()
    assert forgotten.path.read_text().splitlines()[1].startswith("mark,f00,2020-01-01,")


def test_a_number_of_rows_is_told_up_to_tens() -> None:
    assert [up_to_tens(count) for count in (0, 1, 10, 11)] == [0, 10, 10, 20]
