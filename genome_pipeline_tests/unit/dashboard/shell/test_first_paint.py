from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import dash_mantine_components as dmc
import duckdb
import plotly.graph_objects as go
import pytest
from dash import dcc, html
from dash.development.base_component import Component

from genome_pipeline.dashboard.app import PAGES, create_app
from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.shell.first_paint import as_html
from genome_pipeline_tests.support.published_file import HOSTILE_ID


def _first_answer(path: Path, url: str, scheme: str = "light") -> str:
    client = create_app(path).server.test_client()
    client.set_cookie("color_scheme", scheme)
    answer = client.get(url)
    assert answer.status_code == 200
    return str(answer.text)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, ""),
        ("a < b", "a &lt; b"),
        (3, "3"),
        ([html.P("a"), None, "b"], "<p>a</p>b"),
        (html.Div(html.Br(), className="x", id="not-kept"), '<div class="x"><br></div>'),
        (html.Div(style={"--columns": "1fr 2fr"}), '<div style="--columns:1fr 2fr"></div>'),
        (html.Span("a", title='"><script>'), '<span title="&#34;&gt;&lt;script&gt;">a</span>'),
        (dcc.Link("Segments", href="/segments?a=1&b=2"), '<a href="/segments?a=1&amp;b=2">Segments</a>'),
        (dmc.Tooltip(html.Span("i"), label="why"), "<div><span>i</span></div>"),
        (
            dmc.NavLink(label="Risk", href="/risk", leftSection=html.Span()),
            '<a href="/risk"><span></span><span>Risk</span></a>',
        ),
        (
            dcc.Graph(figure=go.Figure(), className="graph", style={"height": "300px"}),
            '<div class="graph" style="height:300px"></div>',
        ),
        (dcc.Store(id="kept", data="not shown"), ""),
        (dmc.Select(data=["not", "shown"]), ""),
    ],
)
def test_texts_and_links_are_written_and_what_takes_a_script_gets_its_room(
    content: Component | str | None, expected: str
) -> None:
    assert as_html(content) == expected


@pytest.mark.parametrize("path", PAGES)
def test_the_first_answer_holds_the_page(published_path: Path, path: str) -> None:
    answer = _first_answer(published_path, path)
    title = PAGES[path].TITLE
    assert f"<title>{title} \u00b7 Customer Genome</title>" in answer
    assert f'<h1 class="page-title">{title}</h1>' in answer
    plain = answer.split('<div id="first-paint">')[1].split('<div id="react-entry-point">')[0]
    assert not re.search(r"\sid=|<script", plain)


def test_the_first_answer_holds_the_headline_numbers(published_path: Path) -> None:
    with duckdb.connect(str(published_path), read_only=True) as connection:
        spend = connection.execute("SELECT sum(expected_spend) FROM customer_genome").fetchall()[0][0]
        currency = connection.execute("SELECT parameters ->> 'currency' FROM pipeline_runs").fetchall()[0][0]
    assert f'<div class="kpi-value">{formats.compact_money(spend, currency)}</div>' in _first_answer(
        published_path, "/"
    )


def test_the_first_answer_has_the_chosen_colours(published_path: Path) -> None:
    assert 'data-mantine-color-scheme="light"' in _first_answer(published_path, "/")
    assert 'data-mantine-color-scheme="dark"' in _first_answer(published_path, "/", "dark")
    assert 'data-mantine-color-scheme="light"' in _first_answer(published_path, "/", '"><script>')


def test_an_id_is_text_in_the_first_answer(published_path: Path) -> None:
    plain = _first_answer(published_path, "/")
    for asked in (f"customer_id={quote(HOSTILE_ID)}", f"customer_id={quote('<img src=x onerror=alert(1)>')}"):
        answer = _first_answer(published_path, f"/customer?{asked}")
        assert answer.count("<script") == plain.count("<script")
        assert "<img" not in answer


def test_the_first_answer_says_what_to_do_while_nothing_is_published(tmp_path: Path) -> None:
    assert "Nothing has been published yet" in _first_answer(tmp_path / "genome.duckdb", "/")
