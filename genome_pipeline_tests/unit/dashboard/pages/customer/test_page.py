"""The Customer page."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import quote

import duckdb

from genome_pipeline.dashboard.app import create_app
from genome_pipeline.dashboard.kit.formats import MINUS
from genome_pipeline_tests.support.published_file import ABSTAINED_ID, HOSTILE_ID, SNAPSHOTS
from genome_pipeline_tests.support.shown import show


def test_the_card_of_a_customer_shows_everything_known(published_path: Path) -> None:
    page, _ = show(published_path, "/customer", "?customer_id=C0010")
    for text in ("Expected spend, next 28 days", "80% interval", "Recommended: ", "Genome fingerprint", "C0011"):
        assert text in page


def test_the_card_says_why_and_what_changed(published_path: Path) -> None:
    page, _ = show(published_path, "/customer", "?customer_id=C0010")
    assert "Why: churn probability" in page
    assert "Why: expected spend" in page
    assert page.count("bought <b>lately</b>") == 2
    assert page.count(f"{MINUS}3.0 points") == 1
    assert page.count(f"{MINUS}$0.03") == 1
    assert f"{MINUS}2.0 points" in page
    first, _ = show(published_path, "/customer", f"?customer_id=C0010&as_of={SNAPSHOTS[0]}")
    assert "Why: churn probability" in first
    assert f"{MINUS}3.0 points" not in first
    assert "Why: " not in show(published_path, "/customer", f"?customer_id={ABSTAINED_ID}")[0].replace("Why: fewer", "")


def test_a_customer_without_prediction_is_told_why(published_path: Path) -> None:
    page, _ = show(published_path, "/customer", f"?customer_id={ABSTAINED_ID}")
    assert "No prediction" in page
    assert "fewer than two purchase days" in page


def test_the_card_says_when_the_next_order_is_likely(published_path: Path) -> None:
    with duckdb.connect(str(published_path), read_only=True) as connection:
        (soon,), (never,) = (
            connection.execute(
                f"SELECT min(customer_id) FROM customer_next_order WHERE {condition} AND customer_id LIKE 'C%'"
            ).fetchall()[0]
            for condition in ("next_order_date_upper IS NOT NULL", "is_overdue")
        )
    page, _ = show(published_path, "/customer", f"?customer_id={soon}")
    assert "15 Jan 2018 (80%: 10 Jan 2018 to 24 Jan 2018)" in page
    page, _ = show(published_path, "/customer", f"?customer_id={never}")
    assert "none likely: " in page
    assert "of their gaps are so long" in page


def test_the_lifetime_value_is_said_to_be_extrapolated(published_path: Path) -> None:
    page, _ = show(published_path, "/customer", "?customer_id=C0010")
    assert " over the next 3 years (80%: " in page
    assert "extrapolated from 84 days, discounted by 10% a year" in page
    page, _ = show(published_path, "/customer", f"?customer_id={ABSTAINED_ID}")
    assert "extrapolated from" not in page


def test_the_outlook_shows_every_horizon_and_what_it_rests_on(published_path: Path) -> None:
    page, _ = show(published_path, "/customer", "?customer_id=C0010")
    assert "Outlook: spend within each horizon" in page
    assert "Open marks: no snapshot has matured over this horizon" in page
    assert "Outlook" not in show(published_path, "/customer", f"?customer_id={ABSTAINED_ID}")[0]


def test_the_card_shows_what_they_buy_and_what_next(published_path: Path) -> None:
    page, _ = show(published_path, "/customer", "?customer_id=C0010")
    assert '"What they buy"' in page
    assert "as concentrated as 1.6 even ones. In the recent window 10% of the spend moved." in page
    assert "What they buy next, within 28 days" in page
    assert "7 Jan 2018" in page
    assert "never" in page
    without, _ = show(published_path, "/customer", f"?customer_id={ABSTAINED_ID}")
    assert "No probability: fewer than two purchase days." in without


def test_a_card_without_categories_says_what_to_map(published_path: Path, tmp_path: Path) -> None:
    file = shutil.copy(published_path, tmp_path / "without.duckdb")
    with duckdb.connect(str(file)) as connection:
        for table in ("customer_categories", "customer_taste", "customer_next_category"):
            connection.execute(f"DELETE FROM {table}_history")
    page, _ = show(Path(file), "/customer", "?customer_id=C0010")
    assert "No purchase of this customer has a category" in page
    assert "What they buy next" not in page


def test_an_unknown_customer_is_a_friendly_page_with_somewhere_to_go(published_path: Path) -> None:
    page, _ = show(published_path, "/customer", "?customer_id=nobody")
    assert "No such customer" in page
    assert "Where most is at stake" in page


def test_a_hostile_id_is_text_and_its_link_is_encoded(published_path: Path) -> None:
    page, _ = show(published_path, "/customer", f"?customer_id={quote(HOSTILE_ID)}")
    assert HOSTILE_ID in page
    for word in ("dangerously_allow_html", "DangerouslySetInnerHTML", "dangerously_allow_code"):
        assert word not in page


def test_links_keep_the_snapshot(published_path: Path) -> None:
    page, _ = show(published_path, "/customer", f"?customer_id=C0010&as_of={SNAPSHOTS[1]}")
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
