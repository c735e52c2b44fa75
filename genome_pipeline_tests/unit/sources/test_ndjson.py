from __future__ import annotations

import gzip

import pytest

from genome_pipeline.sources.source import SourceError, find_files, sniff
from genome_pipeline_tests.unit.sources.conftest import Landing

ROW = '{"Customer ID": "007", "When": "2020-01-01", "Paid": 1.25}\n'


def test_values_are_text(landing: Landing) -> None:
    landing.put(
        "a.ndjson",
        ROW + '\n{"Paid": 12345678901234567890123, "Customer ID": 7, "other": {"x": 1}}\r\n{"When": null, "Paid": ""}',
    )
    assert landing.read("a.ndjson") == [
        (1, "007", "2020-01-01", "1.25"),
        (2, "7", None, "12345678901234567890123"),
        (3, None, None, ""),
    ]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json.gz", gzip.compress(ROW.encode(), mtime=0)),
        ("a.jsonl", ROW.encode("utf-8-sig")),
        ("a.json", ROW.encode("utf-16")),
    ],
)
def test_encodings_and_compression(landing: Landing, name: str, data: bytes) -> None:
    landing.put(name, data)
    assert landing.read(name) == [(1, "007", "2020-01-01", "1.25")]


def test_a_key_may_appear_late(landing: Landing) -> None:
    landing.put("a.ndjson", '{"Customer ID": 1, "When": 2}\n' * 2_000 + ROW)
    assert landing.read("a.ndjson")[-1] == (2_001, "007", "2020-01-01", "1.25")


def test_rows_are_numbered_in_the_order_of_the_file(landing: Landing) -> None:
    landing.connection.execute(
        """COPY (SELECT i AS "Customer ID", 'x' AS "When", 1 AS "Paid" FROM range(1, 600001) AS t(i)) TO '"""
        + str(landing.folder / "a.ndjson")
        + "' (FORMAT json)"
    )
    rows = landing.read("a.ndjson", "raw_customer_id::BIGINT")
    assert rows == [(number, number) for number in range(1, 600_001)]


def test_sniff_gives_the_keys(landing: Landing) -> None:
    landing.put("a.ndjson", ROW + '{"more": 1}\n')
    source = landing.source("a.ndjson")
    (file,) = find_files(source)
    assert sniff(file, source) == (("Customer ID", "When", "Paid", "more"), ("VARCHAR",) * 4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("\n \n", "a.json is empty: remove it, or export it again with one JSON object a line"),
        ("[" + ROW.strip() + "]", "a.json, line 1: a JSON array, not an object; write one object on each line"),
        (
            "[\n" + ROW + "]",
            "a.json, line 1: not one whole JSON object (expecting value at column 2); write one object on each line",
        ),
        (
            '{\n"Customer ID": 1}',
            "a.json, line 1: not one whole JSON object (expecting property name enclosed in double quotes at column 2);"
            " write one object on each line",
        ),
        (ROW * 2_000 + "42\n", "a.json, line 2,001: a JSON number, not an object; write one object on each line"),
        (
            ROW * 2_000 + ROW[:-3],
            "a.json, line 2,001: not one whole JSON object (expecting ',' delimiter at column 57); write one object on"
            " each line",
        ),
        (
            ROW * 1_500 + '{"Paid": 1, "Paid": 2}\n',
            "a.json, line 1,501: key 'Paid' stands twice in the object; write it once",
        ),
        (
            '{"customer id": 1}',
            "a.json has no column 'Customer ID' (source.columns.customer_id); did you mean 'customer id'? It has:"
            " 'customer id'",
        ),
    ],
)
def test_faults_are_said(landing: Landing, data: str, message: str) -> None:
    landing.put("a.json", data)
    with pytest.raises(SourceError) as raised:
        landing.read("a.json")
    assert str(raised.value) == message
