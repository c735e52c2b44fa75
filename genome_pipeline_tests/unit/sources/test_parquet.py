from __future__ import annotations

import os
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genome_pipeline.sources.source import SourceError, find_files, read_file, sniff
from genome_pipeline_tests.unit.sources.conftest import COLUMNS, Landing

ROW = """7 AS "Customer ID", TIMESTAMP '2020-01-01 10:00' AS "When", 1.25::DECIMAL(9,2) AS "Paid" """


def write(landing: Landing, select: str, name: str = "a.parquet") -> None:
    landing.connection.execute(f"COPY (SELECT {select}) TO '{landing.folder / name}'")


def test_types_are_kept(landing: Landing) -> None:
    write(landing, ROW)
    assert landing.read("a.parquet") == [(1, 7, datetime(2020, 1, 1, 10), Decimal("1.25"))]
    source = landing.source("a.parquet")
    (file,) = find_files(source)
    with read_file(landing.connection, file, source) as rows:
        types = dict(zip(rows.columns, map(str, rows.types), strict=True))
    assert types["raw_ordered_at"] == "TIMESTAMP"
    assert types["raw_country"] == "VARCHAR"
    assert sniff(file, source) == (("Customer ID", "When", "Paid"), ("INTEGER", "TIMESTAMP", "DECIMAL(9,2)"))


def test_rows_are_numbered_in_the_order_of_the_file(landing: Landing) -> None:
    write(landing, 'i AS "Customer ID", i AS "When", i AS "Paid" FROM range(1, 600001) AS t(i)')
    assert landing.read("a.parquet", "raw_customer_id") == [(number, number) for number in range(1, 600_001)]


def test_a_column_named_like_the_row_number_is_a_column(landing: Landing) -> None:
    write(landing, ROW + ", 99 AS file_row_number")
    assert landing.read("a.parquet", "raw_customer_id") == [(1, 7)]


def test_nested_and_similar_columns_do_not_confuse(landing: Landing) -> None:
    landing.connection.execute("CREATE TABLE t AS SELECT {'Customer ID': 0, 'x': [{'When': 1}]} AS s, " + ROW)
    landing.connection.execute(f"COPY t TO '{landing.folder / 'a.parquet'}'")
    assert landing.read("a.parquet", "raw_customer_id") == [(1, 7)]


def test_names_that_differ_by_case_only_are_two_columns(landing: Landing) -> None:
    table = pa.table({"customer id": [0], "Customer ID": [7], "When": [1], "Paid": [1]})
    pq.write_table(table, landing.folder / "a.parquet")
    assert landing.read("a.parquet", "raw_customer_id") == [(1, 7)]


def test_two_columns_of_one_name_are_refused_where_mapped(landing: Landing) -> None:
    table = pa.Table.from_arrays([pa.array([1])] * 4, names=["Customer ID", "When", "Paid", "Paid"])
    pq.write_table(table, landing.folder / "a.parquet")
    with pytest.raises(SourceError, match=r"2 columns named 'Paid' \(source.columns.amount\), number 3 and 4"):
        landing.read("a.parquet")


def test_partition_folders_are_columns_of_text(landing: Landing) -> None:
    for folder in (
        "sales/year=2020/month=01",
        "sales/year=2021/month=x%20y",
        "sales/year=2022/month=__HIVE_DEFAULT_PARTITION__",
    ):
        (landing.folder / folder).mkdir(parents=True)
        write(landing, '7 AS "Customer ID", \'2020-01-01\' AS "When"', f"{folder}/a.parquet")
    columns = COLUMNS.model_copy(update={"amount": "month", "country": "year"})
    for pattern in ("sales", "sales/**/*.parquet"):
        found = landing.read_source(landing.source(pattern, columns=columns), "raw_amount, raw_country")
        assert found == [(1, "01", "2020"), (1, "x y", "2021"), (1, None, "2022")]
    file, *others = find_files(landing.source("sales"))
    assert (len(others), file.content_hash in [other.content_hash for other in others]) == (2, False)
    assert sniff(file, landing.source("sales", columns=columns)) == (
        ("Customer ID", "When", "month", "year"),
        ("INTEGER", "VARCHAR", "VARCHAR", "VARCHAR"),
    )


def test_what_is_no_whole_parquet_file_is_said(landing: Landing) -> None:
    write(landing, ROW)
    whole = (landing.folder / "a.parquet").read_bytes()
    for data in (b"", b"Customer ID,When\n", whole[:-9]):
        landing.put("a.parquet", data)
        with pytest.raises(SourceError) as raised:
            landing.read("a.parquet")
        assert str(raised.value) == (
            "a.parquet is not a whole Parquet file: it was cut off, or is something else; copy or export it again"
        )


def test_damage_inside_is_said_when_it_is_met(landing: Landing) -> None:
    write(landing, 'md5(i::VARCHAR) AS "Customer ID", i AS "When", i AS "Paid" FROM range(100000) AS t(i)')
    data = bytearray((landing.folder / "a.parquet").read_bytes())
    data[:4000] = data[:4] + os.urandom(3996)
    landing.put("a.parquet", bytes(data))
    source = landing.source("a.parquet")
    (file,) = find_files(source)
    with (
        pytest.raises(SourceError, match=r"a.parquet is not a whole Parquet file"),
        read_file(landing.connection, file, source) as rows,
    ):
        rows.fetchall()


def test_a_missing_column_is_said(landing: Landing) -> None:
    write(landing, '1 AS customer_id, 2 AS "When", 3 AS "Paid"')
    with pytest.raises(SourceError) as raised:
        landing.read("a.parquet")
    assert str(raised.value) == (
        "a.parquet has no column 'Customer ID' (source.columns.customer_id); did you mean 'customer_id'? It has:"
        " 'customer_id', 'When', 'Paid'"
    )
