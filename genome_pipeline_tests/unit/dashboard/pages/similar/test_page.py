"""The Similar page beside the model's own index."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from urllib.parse import urlencode

import duckdb
import pandas as pd
import plotly.utils
import pytest

from genome_pipeline.dashboard.app import render
from genome_pipeline.models.similarity.index import SimilarityIndex
from genome_pipeline.published.lookalikes import GROUP_LIMIT, lookalikes
from genome_pipeline.published.versions import PublishedFile, remembered
from genome_pipeline_tests.support.published_file import ABSTAINED_ID, HOSTILE_ID, LATEST, SNAPSHOTS


def _page(path: Path, ids: list[str], as_of: date = LATEST) -> str:
    search = "?" + urlencode([("as_of", as_of), *(("id", customer_id) for customer_id in ids)])
    return json.dumps(render(PublishedFile(path), "/similar", search, "light")[0], cls=plotly.utils.PlotlyJSONEncoder)


@pytest.mark.parametrize("ids", [["C0010"], ["C0001", "C0020", HOSTILE_ID], [f"C{n:04d}" for n in range(1, 60)]])
def test_lookalikes_are_those_of_the_pipelines_own_index(connection: duckdb.DuckDBPyConnection, ids: list[str]) -> None:
    features = connection.execute(
        "SELECT features.*, coalesce(food.category_spend_share, 0) AS category_share_1,"
        " coalesce(milk.category_spend_share, 0) AS category_share_2 FROM customer_features AS features"
        " LEFT JOIN customer_categories AS food ON food.customer_id = features.customer_id AND food.category_rank = 1"
        " LEFT JOIN customer_categories AS milk ON milk.customer_id = features.customer_id AND milk.category_rank = 2"
    ).df()
    index = SimilarityIndex.build(features, categories=["GROCERY", "<b>DAIRY</b>"])
    assert index.labels[-1] == "share of spend on <b>DAIRY</b>"
    expected = index.lookalikes(ids, 20)
    found, traits = lookalikes(connection, LATEST, ids)
    pd.testing.assert_frame_equal(found.astype(str), expected.astype(str))
    assert not set(found["customer_id"]) & set(ids)
    assert all(trait.startswith(("high ", "low ")) for trait in traits)


def test_what_is_costly_is_made_once_for_each_version_of_the_file(published_path: Path) -> None:
    published = PublishedFile(published_path)
    for made in ([1.5], [2]):
        with published.connect() as connection:
            assert remembered(connection, "a", lambda made=made: made) == [1.5]  # type: ignore[misc]
    with PublishedFile(published_path).connect() as connection:
        assert remembered(connection, "a", lambda: [2]) == [2]


def test_one_customer_is_shown_with_neighbors_and_compared_with_the_nearest(published_path: Path) -> None:
    page = _page(published_path, ["C0010"])
    for text in ("Who resembles this customer", "What became of customers who were like this", "Side by side", "C0011"):
        assert text in page


def test_a_group_is_shown_with_its_lookalikes_and_those_not_known(published_path: Path) -> None:
    page = _page(published_path, ["C0010", "C0020", "nobody"])
    for text in (
        "2 customers have in common",
        "Customers like the group",
        "Side by side",
        "nobody",
        "Then: what they did",
    ):
        assert text in page
    many = _page(published_path, [f"C{number:04d}" for number in range(1, 9)])
    assert "Customers like the group" in many
    assert "Side by side" not in many
    few = _page(published_path, ["C0010", *(f"nobody-{number}" for number in range(8))])
    assert "8 ids are of no customer" in few
    assert "Who resembles this customer" in few
    assert "no snapshot has matured" in _page(published_path, ["C0001", "C0010"], SNAPSHOTS[0])


def test_nobody_unknown_ones_and_too_many_are_friendly(published_path: Path) -> None:
    assert "Where most is at stake" in _page(published_path, [])
    assert "No such customer" in _page(published_path, ["nobody"])
    assert "A group may have 500 customers here" in _page(published_path, [str(n) for n in range(GROUP_LIMIT + 1)])


def test_hostile_and_abstained_customers_can_be_compared(published_path: Path) -> None:
    page = _page(published_path, [HOSTILE_ID, ABSTAINED_ID])
    assert "Side by side" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page  # in the figure, which reads tags
