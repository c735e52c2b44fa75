"""The Audience page: what a link says, what DuckDB gives for it, and what is exported."""

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
from genome_pipeline.dashboard.pages.audience import exports, queries
from genome_pipeline.dashboard.pages.audience.selection import COLUMN_NAMES, Selection
from genome_pipeline.errors import ConfigError
from genome_pipeline.published.versions import PublishedFile
from genome_pipeline_tests.dashboard.published_file import HOSTILE_ID, SNAPSHOTS

LATEST = SNAPSHOTS[-1]


@pytest.fixture(scope="module")
def client(published_path: Path) -> FlaskClient:
    tested: FlaskClient = create_app(published_path).server.test_client()
    return tested


def _ids(connection: duckdb.DuckDBPyConnection, search: str, first: int = 0, last: int = 1_000) -> list[str]:
    rows, _ = queries.audience_rows(connection, LATEST, Selection.parse(search), first, last)
    return [row["customer_id"] for row in rows]


@pytest.mark.parametrize(
    "search",
    [
        "where=churn_probability:ge:0.5",
        "where=churn_probability:ge:0.5&where=segment_name:eq:Steady+regulars",
        'where=segment_name:in:"Steady, or not",Steady+regulars&sort=expected_spend:asc',
        "rule=win_back&top=2.5&columns=customer_id,country",
        "where=risk_band:in:medium,high&first=100",
        "where=last_order_date:le:2017-06-01&where=is_for_review:eq:false",
    ],
)
def test_a_link_is_the_same_after_it_was_read(search: str) -> None:
    selection = Selection.parse(f"?{search}")
    assert selection.faults == ()
    assert Selection.parse(urlencode(selection.parameters)) == selection


def test_conditions_order_and_top_equal_plain_sql(connection: duckdb.DuckDBPyConnection) -> None:
    expected = connection.execute(
        "SELECT customer_id FROM customer_genome WHERE churn_probability >= 0.3 AND segment_name IN"
        " ('Steady regulars', 'Lapsing one-timers') AND last_order_date >= '2017-03-01'"
        " ORDER BY expected_spend NULLS LAST, customer_id"
    ).fetchall()
    search = (
        "where=churn_probability:ge:0.3&where=segment_name:in:Steady+regulars,Lapsing+one-timers"
        "&where=last_order_date:ge:2017-03-01&sort=expected_spend:asc"
    )
    ids = [row[0] for row in expected]
    assert len(ids) > 20
    assert _ids(connection, search) == ids
    assert _ids(connection, search, 5, 12) == ids[5:12]
    tenth = -(-len(ids) // 10)
    assert _ids(connection, f"{search}&top=10") == ids[:tenth]
    assert _ids(connection, f"{search}&top=10", tenth - 1, tenth + 50) == ids[tenth - 1 : tenth]
    assert _ids(connection, f"{search}&first=7") == ids[:7]
    assert _ids(connection, f"{search}&first=100000") == ids
    assert _ids(connection, f"{search}&top=10&first=1") == ids[:1]


def test_totals_are_those_of_the_top_percent(connection: duckdb.DuckDBPyConnection) -> None:
    selection = Selection.parse("where=risk_band:eq:high&top=20&sort=churn_probability:desc")
    totals = queries.audience_totals(connection, LATEST, selection)
    size = -(-totals.matching_count // 5)
    row = connection.execute(
        "SELECT count(*), sum(revenue_at_stake_amount), sum(expected_spend), avg(churn_probability), avg(confidence)"
        " FROM (FROM customer_genome WHERE risk_band = 'high' ORDER BY churn_probability DESC, customer_id LIMIT ?)",
        [size],
    ).fetchone()
    assert row is not None
    assert 0 < totals.customer_count == row[0] == size < totals.matching_count
    assert totals.revenue_at_stake_amount == pytest.approx(row[1])
    assert totals.expected_spend == pytest.approx(row[2])
    assert totals.mean_churn_probability == pytest.approx(row[3])
    assert totals.mean_confidence == pytest.approx(row[4])


def test_everyone_is_in_without_a_filter(connection: duckdb.DuckDBPyConnection) -> None:
    assert len(_ids(connection, "")) == 300
    assert queries.audience_totals(connection, LATEST, Selection()).matching_count == 300


@pytest.mark.parametrize(
    ("search", "fault"),
    [
        ("where=password:eq:1", "there is no column 'password' to filter by: choose one from the list"),
        ("where=as_of:eq:2017-01-01", "there is no column 'as_of' to filter by: choose one from the list"),
        (
            "where=customer_id) OR (1:eq:1",
            "there is no column 'customer_id) OR (1' to filter by: choose one from the list",
        ),
        ("where=confidence:OR:1", "confidence cannot be filtered by 'OR': use one of ge, le, eq, in"),
        ("where=segment_name:ge:A", "segment_name cannot be filtered by 'ge': use one of eq, in"),
        ("where=confidence:ge:1 OR 1=1", "'1 OR 1=1' is no value of confidence: write a number"),
        ("where=confidence:ge:nan", "'nan' is no value of confidence: write a number"),
        ("where=last_order_date:ge:soon", "'soon' is no value of last_order_date: write a date such as 2017-03-01"),
        ("where=has_moved:eq:maybe", "'maybe' is no value of has_moved: write true or false"),
        ("where=confidence:ge:", "the filter on confidence has no value: write one after 'at least'"),
        ("sort=1;DROP:asc", "cannot sort by '1;DROP', 'asc': name a column, and asc or desc"),
        ("sort=confidence:sideways", "cannot sort by 'confidence', 'sideways': name a column, and asc or desc"),
        ("top=0", "top '0' is no share of customers: write a percentage from 0.01 to 100"),
        ("top=NaN", "top 'NaN' is no share of customers: write a percentage from 0.01 to 100"),
        ("first=0", "first '0' is no number of customers: write a whole number from 1 on"),
        ("first=-1", "first '-1' is no number of customers: write a whole number from 1 on"),
        ("first=9999999999", "first '9999999999' is no number of customers: write a whole number from 1 on"),
        ("columns=*", "there is no column '*' to show: choose from the list"),
    ],
)
def test_what_cannot_be_understood_is_said_and_left_out(search: str, fault: str) -> None:
    selection = Selection.parse(f"{search}&where=churn_probability:ge:0.5")
    assert selection.faults == (fault,)
    assert selection == Selection.parse("where=churn_probability:ge:0.5")


def test_text_is_bound_never_sql(connection: duckdb.DuckDBPyConnection) -> None:
    for text in ("' OR 1=1 --", "x'; DROP TABLE source_files; --", "%"):
        query = urlencode({"where": f"segment_name:eq:{text}"})
        assert _ids(connection, query) == []
        assert _ids(connection, urlencode({"rule": text})) == []
    assert _ids(connection, urlencode({"where": f"customer_id:eq:{HOSTILE_ID}"})) == [HOSTILE_ID]
    assert _ids(connection, "where=spend_amount:le:1e300&top=1") != []


def test_every_column_can_be_shown_sorted_and_filtered(connection: duckdb.DuckDBPyConnection) -> None:
    for column in COLUMN_NAMES:
        rows, size = queries.audience_rows(
            connection, LATEST, Selection.parse(f"sort={column}:desc&columns={column}"), 0, 3
        )
        assert size == 300
        assert column in rows[0]
        value = rows[0][column]
        if value is not None:
            text = value if not isinstance(value, bool) else str(value).lower()
            found = Selection.parse(urlencode({"where": f"{column}:eq:{text}"}))
            assert found.faults == ()
            assert queries.audience_totals(connection, LATEST, found).matching_count >= 1


def test_actions_are_offered_with_their_backtest(connection: duckdb.DuckDBPyConnection) -> None:
    audiences = queries.audiences(connection, LATEST)
    assert audiences["rule_position"].is_monotonic_increasing
    for rule, count in zip(audiences["action_rule"], audiences["customer_count"], strict=True):
        assert queries.audience_totals(connection, LATEST, Selection(rule=rule)).matching_count == count


def _rows_request(client: FlaskClient, search: str, request: dict[str, Any]) -> dict[str, Any]:
    response = client.post(
        "/_dash-update-component",
        json={
            "output": "audience-grid.getRowsResponse",
            "outputs": {"id": "audience-grid", "property": "getRowsResponse"},
            "inputs": [{"id": "audience-grid", "property": "getRowsRequest", "value": request}],
            "state": [{"id": "url", "property": "search", "value": search}],
            "changedPropIds": ["audience-grid.getRowsRequest"],
        },
    )
    assert response.status_code == 200
    found: dict[str, Any] = response.get_json()["response"]["audience-grid"]["getRowsResponse"]
    return found


def test_the_grid_gets_the_rows_of_the_link_in_the_order_of_its_heading(
    client: FlaskClient, connection: duckdb.DuckDBPyConnection
) -> None:
    request = {"startRow": 0, "endRow": 100, "sortModel": [{"colId": "spend_amount", "sort": "asc"}]}
    found = _rows_request(client, f"?as_of={SNAPSHOTS[1]}&where=risk_band:eq:high", request)
    expected = connection.execute(
        "SELECT customer_id FROM customer_genome_history WHERE as_of = ? AND risk_band = 'high'"
        " ORDER BY spend_amount, customer_id",
        [SNAPSHOTS[1]],
    ).fetchall()
    assert found["rowCount"] == len(expected) > 5
    assert [row["customer_id"] for row in found["rowData"]] == [row[0] for row in expected][:100]


def test_a_request_for_all_rows_at_once_gives_a_block_of_them(client: FlaskClient) -> None:
    found = _rows_request(client, "", {"startRow": 50, "endRow": 10**18, "sortModel": []})
    assert (len(found["rowData"]), found["rowCount"]) == (100, 300)


@pytest.mark.parametrize("order", [{"colId": "1; DROP TABLE x", "sort": "asc"}, {"colId": "confidence", "sort": ","}])
def test_an_order_nobody_offered_gives_no_rows(client: FlaskClient, order: dict[str, str]) -> None:
    found = _rows_request(client, "", {"startRow": 0, "endRow": 10, "sortModel": [order]})
    assert found == {"rowData": [], "rowCount": 0}


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


# What a link, or all links at once, may ask for


def test_a_link_has_so_many_filters_values_and_characters() -> None:
    twenty = "&".join(["where=churn_probability:ge:0.1"] * 20)
    assert len(Selection.parse(twenty).conditions) == 20
    assert Selection.parse(twenty).faults == ()
    more = Selection.parse(f"{twenty}&{twenty}")
    assert len(more.conditions) == 20
    assert set(more.faults) == {"there are more than 20 filters: leave some out"}
    assert Selection.parse(f"where=customer_id:in:{','.join(map(str, range(1_000)))}").faults == ()
    values = Selection.parse(f"where=customer_id:in:{','.join(map(str, range(1_001)))}")
    assert values.conditions == ()
    assert values.faults[0].startswith("the filter on customer_id has 1,001 values: give no more than 1,000")
    long = Selection.parse(f"where=customer_id:eq:{'x' * 60_000}")
    assert (long.conditions, long.faults) == ((), ("the link has more than 60,000 characters: make a shorter one",))


def test_no_link_makes_a_large_answer(client: FlaskClient) -> None:
    many = "&".join(f"where=spend_amount:ge:{number}" for number in range(1_200))
    assert len(client.get(f"/audience?{many}").data) < 1_000_000
    assert "This link is too long" in client.get(f"/audience?{'where=customer_id:eq:x&' * 5_000}").text


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
