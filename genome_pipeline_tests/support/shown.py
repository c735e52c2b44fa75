"""Pages as a browser gets them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import plotly.utils

from genome_pipeline.dashboard.app import render
from genome_pipeline.published.versions import PublishedFile


def show(path: Path, pathname: str, search: str = "", scheme: str = "light") -> tuple[str, str]:
    """A page as the JSON the browser gets, and its window title."""
    content, navigation, tools, title = render(PublishedFile(path), pathname, search, scheme)
    return json.dumps([content, navigation, tools], cls=plotly.utils.PlotlyJSONEncoder, ensure_ascii=False), title


def changed(path: Path, published_path: Path, *statements: str) -> Path:
    shutil.copy(published_path, path)
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)
    return path
