from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import duckdb
import plotly.utils
import pytest

from genome_pipeline.dashboard.app import PAGES, create_app, render
from genome_pipeline.dashboard.formats import MINUS
from genome_pipeline.dashboard.published import PublishedFile
from genome_pipeline_tests.dashboard.published_file import ABSTAINED_ID, HOSTILE_ID, SNAPSHOTS, build_published_file


def _show(path: Path, pathname: str, search: str = "", scheme: str = "light") -> tuple[str, str]:
    """A page as the JSON the browser gets, and its window title."""
    content, navigation, tools, title = render(PublishedFile(path), pathname, search, scheme)
    return json.dumps([content, navigation, tools], cls=plotly.utils.PlotlyJSONEncoder, ensure_ascii=False), title


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("pathname", PAGES)
def test_every_page_renders_at_the_latest_and_the_first_snapshot(
    published_path: Path, pathname: str, scheme: str
) -> None:
    for search in ("", f"?as_of={SNAPSHOTS[0]}"):
        page, title = _show(published_path, pathname, search, scheme)
        assert title == PAGES[pathname].TITLE
        assert "Synthetic shop" in page


@pytest.mark.parametrize("pathname", PAGES)
def test_every_page_says_what_to_do_while_nothing_is_published(tmp_path: Path, pathname: str) -> None:
    page, title = _show(tmp_path / "genome.duckdb", pathname)
    assert title == "No snapshot yet"
    assert "genome run" in page


def test_an_unreadable_file_is_a_friendly_page(tmp_path: Path) -> None:
    path = tmp_path / "genome.duckdb"
    path.write_text("not a database")
    page, title = _show(path, "/")
    assert title == "Unreadable file"
    assert "genome run" in page


def test_a_file_of_another_schema_is_a_friendly_page(tmp_path: Path) -> None:
    path = tmp_path / "genome.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE pipeline_runs (run_id VARCHAR)")
    page, title = _show(path, "/")
    assert title == "Another version"
    assert "genome run" in page


def test_a_file_with_one_snapshot_renders_on_every_page(tmp_path: Path) -> None:
    path = build_published_file(tmp_path / "genome.duckdb", customer_count=30, as_of=SNAPSHOTS[0])
    for pathname, page in PAGES.items():
        assert _show(path, pathname)[1] == page.TITLE
    assert "no previous snapshot" in _show(path, "/")[0]


def test_an_unknown_page_and_an_unknown_snapshot_are_said_to_be_so(published_path: Path) -> None:
    assert "There is no such page" in _show(published_path, "/nowhere")[0]
    assert "There is no snapshot of" in _show(published_path, "/", "?as_of=2031-01-01")[0]
    assert "There is no snapshot of" in _show(published_path, "/", "?as_of=<b>")[0]


@pytest.mark.parametrize(
    "search", ["?path=/&as_of=", "?customer_id=' OR 1=1 --", "?%00=%00", "?as_of[]=1&parameters=x"]
)
def test_any_parameters_are_survived(published_path: Path, search: str) -> None:
    for pathname, page in PAGES.items():
        assert _show(published_path, pathname, search)[1] == page.TITLE


def test_the_card_of_a_customer_shows_everything_known(published_path: Path) -> None:
    page, _ = _show(published_path, "/customer", "?customer_id=C0010")
    for text in ("Expected spend, next 28 days", "80% interval", "Recommended: ", "Genome fingerprint", "C0011"):
        assert text in page


def test_the_card_says_why_and_what_changed(published_path: Path) -> None:
    page, _ = _show(published_path, "/customer", "?customer_id=C0010")
    assert "Why: churn probability" in page
    assert "Why: expected spend" in page
    assert page.count("bought <b>lately</b>") == 2
    assert page.count(f"{MINUS}3.0 points") == 1
    assert page.count(f"{MINUS}$0.03") == 1
    assert f"{MINUS}2.0 points" in page
    first, _ = _show(published_path, "/customer", f"?customer_id=C0010&as_of={SNAPSHOTS[0]}")
    assert "Why: churn probability" in first
    assert f"{MINUS}3.0 points" not in first
    assert "Why: " not in _show(published_path, "/customer", f"?customer_id={ABSTAINED_ID}")[0].replace(
        "Why: fewer", ""
    )


def test_a_customer_without_prediction_is_told_why(published_path: Path) -> None:
    page, _ = _show(published_path, "/customer", f"?customer_id={ABSTAINED_ID}")
    assert "No prediction" in page
    assert "fewer than two purchase days" in page


def test_an_unknown_customer_is_a_friendly_page_with_somewhere_to_go(published_path: Path) -> None:
    page, _ = _show(published_path, "/customer", "?customer_id=nobody")
    assert "No such customer" in page
    assert "Where most is at stake" in page


def test_a_hostile_id_is_text_and_its_link_is_encoded(published_path: Path) -> None:
    page, _ = _show(published_path, "/customer", f"?customer_id={quote(HOSTILE_ID)}")
    assert HOSTILE_ID in page
    for word in ("dangerously_allow_html", "DangerouslySetInnerHTML", "dangerously_allow_code"):
        assert word not in page


def test_links_keep_the_snapshot(published_path: Path) -> None:
    page, _ = _show(published_path, "/customer", f"?customer_id=C0010&as_of={SNAPSHOTS[1]}")
    assert f'"href": "/customer?as_of={SNAPSHOTS[1]}&customer_id=C0011"' in page
    assert f'"href": "/segments?as_of={SNAPSHOTS[1]}"' in page


def test_the_search_looks_at_the_snapshot_of_the_url(published_path: Path) -> None:
    response = (
        create_app(published_path)
        .server.test_client()
        .post(
            "/_dash-update-component",
            json={
                "output": "customer-search.data",
                "outputs": {"id": "customer-search", "property": "data"},
                "inputs": [{"id": "customer-search", "property": "searchValue", "value": "c000"}],
                "state": [{"id": "url", "property": "search", "value": "?as_of=2017-11-01"}],
                "changedPropIds": ["customer-search.searchValue"],
            },
        )
    )
    found = response.get_json()["response"]["customer-search"]["data"]
    assert found == [f"C000{digit}" for digit in range(1, 10)]


def test_the_shell_is_served_with_local_assets_only(published_path: Path) -> None:
    client = create_app(published_path).server.test_client()
    shell = client.get("/").get_data(as_text=True)
    assert "http://" not in shell
    assert "https://" not in shell
    assert '<html lang="en">' in shell
    assert client.get("/assets/favicon.svg").status_code == 200
    client.set_cookie("color_scheme", "dark")
    assert '"forceColorScheme":"dark"' in client.get("/_dash-layout").get_data(as_text=True)
