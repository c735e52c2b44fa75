"""The rows the grid asks for."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from flask.testing import FlaskClient

from genome_pipeline_tests.support.published_file import SNAPSHOTS


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


def test_no_link_makes_a_large_answer(client: FlaskClient) -> None:
    many = "&".join(f"where=spend_amount:ge:{number}" for number in range(1_200))
    assert len(client.get(f"/audience?{many}").data) < 1_000_000
    assert "This link is too long" in client.get(f"/audience?{'where=customer_id:eq:x&' * 5_000}").text
