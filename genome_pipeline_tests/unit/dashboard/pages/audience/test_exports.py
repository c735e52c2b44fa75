"""What is exported."""

from __future__ import annotations

import csv
import shutil
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb
import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient

from genome_pipeline.dashboard.app import create_app
from genome_pipeline.dashboard.pages.audience import exports
from genome_pipeline.dashboard.pages.audience.selection import Selection
from genome_pipeline.errors import ConfigError
from genome_pipeline.published.versions import PublishedFile
from genome_pipeline_tests.support.published_file import LATEST

SEARCH = urlencode(
    [
        ("where", "segment_name:in:Steady regulars,Lapsing one-timers"),
        ("sort", "expected_spend:asc"),
        ("top", "50"),
        ("columns", "customer_id,segment_name,expected_spend,first_order_date,spend_amount"),
    ]
)


def test_a_csv_export_holds_the_filtered_rows_and_says_which(client: FlaskClient, published_path: Path) -> None:
    response = client.get(f"/export/audience.csv?{SEARCH}")
    lines = response.get_data(as_text=True).splitlines()
    notes = [line for line in lines if line.startswith("# ")]
    assert lines[: len(notes)] == notes
    assert notes[0] == f"# snapshot: {LATEST}"
    assert notes[2:5] == [
        "# selection 1: segment_name is one of Steady regulars%2CLapsing one-timers",
        "# selection 2: sorted by expected_spend%2C lowest first",
        "# selection 3: top 50%",
    ]
    rows = list(csv.DictReader(lines[len(notes) :]))
    with duckdb.connect(str(published_path), read_only=True) as connection:
        expected = connection.execute(
            "SELECT customer_id, segment_name, expected_spend, first_order_date::VARCHAR, spend_amount FROM"
            " customer_genome WHERE segment_id IN (2, 4) ORDER BY expected_spend NULLS LAST, customer_id"
        ).fetchall()
    expected = expected[: -(-len(expected) // 2)]
    assert notes[5] == f"# customers: {len(expected)}"
    assert [
        (row["customer_id"], row["segment_name"], float(row["expected_spend"]), row["first_order_date"]) for row in rows
    ] == [row[:4] for row in expected]
    assert [Decimal(row["spend_amount"]) for row in rows] == [row[4] for row in expected]
    assert response.headers["Content-Disposition"] == f"attachment; filename=audience-{LATEST}.csv"


def test_a_parquet_export_holds_the_same_and_says_so_in_its_metadata(client: FlaskClient, tmp_path: Path) -> None:
    path = tmp_path / "audience.parquet"
    path.write_bytes(client.get(f"/export/audience.parquet?{SEARCH}").data)
    table = pq.read_table(path)
    comma_separated = client.get(f"/export/audience.csv?{SEARCH}").get_data(as_text=True).splitlines()
    rows = list(csv.DictReader([line for line in comma_separated if not line.startswith("# ")]))
    assert table.column("customer_id").to_pylist() == [row["customer_id"] for row in rows]
    metadata = pq.read_metadata(path).metadata
    assert metadata[b"snapshot"] == str(LATEST).encode()
    assert metadata[b"selection 1"] == b"segment_name is one of Steady regulars,Lapsing one-timers"
    assert metadata[b"customers"] == str(len(rows)).encode()


def test_an_export_holds_no_formula(tmp_path: Path, published_path: Path) -> None:
    path = tmp_path / "genome.duckdb"
    shutil.copy(published_path, path)
    formula = "=HYPERLINK(1)"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "UPDATE customer_genome_history SET customer_id = ?, segment_name = '@x' WHERE customer_id = 'C0002'",
            [formula],
        )
    query = urlencode([("where", f"customer_id:in:{formula},=1+1"), ("columns", "customer_id,segment_name")])
    text = create_app(path).server.test_client().get(f"/export/audience.csv?{query}").get_data(as_text=True)
    assert '"\'=HYPERLINK(1)","\'@x"' in text
    cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell]


@pytest.mark.parametrize("path", ["/export/audience.exe", "/export/../genome.duckdb", "/export/%2e%2e/genome.duckdb"])
def test_nothing_else_can_be_downloaded(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code in (200, 404)
    assert b"DUCK" not in client.get(path).data


def test_an_export_of_a_link_that_is_not_understood_is_refused(client: FlaskClient) -> None:
    refused = client.get("/export/audience.csv?where=churn_probability:ge:high")
    assert refused.status_code == 400
    assert refused.text == (
        "Nothing is exported, as a part of the link is wrong: 'high' is no value of churn_probability: write a number."
    )


def test_an_export_that_is_too_large_is_refused(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MOST_CELLS", 100)
    assert client.get("/export/audience.csv?first=50&columns=customer_id,action").status_code == 200
    refused = client.get("/export/audience.csv?first=51&columns=customer_id,action")
    assert refused.status_code == 413
    assert "51 customers with 2 columns are more than can be downloaded at once" in refused.text


def test_so_many_exports_are_under_way_at_once(published_path: Path) -> None:
    making = exports.Exports(made_at_once=1, held_at_once=2)
    published = PublishedFile(published_path)

    def make(kind: str) -> Any:
        with making.turn() as place, published.connect_alone(60, exports.MEMORY) as (connection, folder):
            return exports.audience_file(connection, folder, LATEST, Selection.parse("first=5"), kind, place)

    first, size = make("csv")
    second, _ = make("parquet")
    assert size == 5
    with pytest.raises(exports.ExportRefused, match="Too many exports are under way"):
        make("csv")
    first.close()
    first.close()
    third, _ = make("csv")
    with pytest.raises(exports.ExportRefused):
        make("csv")
    # One that could not be made gives its place back.
    second.close()
    with pytest.raises(ConfigError):
        make("exe")
    make("csv")[0].close()
    third.close()


def test_a_visitor_is_told_to_wait(published_path: Path) -> None:
    client = create_app(published_path).server.test_client()
    downloads = [client.get("/export/audience.csv?first=5") for _ in range(exports.HELD_AT_ONCE)]
    refused = client.get("/export/audience.csv?first=5")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
    assert refused.text == "Too many exports are under way: try again in a minute."
    for download in downloads:
        download.close()
    assert client.get("/export/audience.csv?first=5").status_code == 200


def test_an_export_leaves_nothing_behind(published_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    client = create_app(published_path).server.test_client()
    for kind in ("csv", "parquet"):
        download = client.get(f"/export/audience.{kind}")
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        assert download.data
