"""The pages of Data Docs, served as the files that a run has written, to whom the dashboard lets in."""

from __future__ import annotations

import re
from pathlib import Path

import flask
from werkzeug.wrappers import Response

from genome_pipeline.dashboard.kit import paths
from genome_pipeline.dashboard.security import Visits

_PAGE = re.compile(r"[A-Za-z0-9_-]+\.html")


def register(server: flask.Flask, folder: Path | None, visits: Visits) -> None:
    """Serve the pages of ``folder``, and nothing else that lies there or beyond."""

    def show(name: str) -> Response:
        page = folder / name if folder is not None and _PAGE.fullmatch(name) else None
        if folder is None or page is None or page.is_symlink() or not page.is_file():
            return flask.Response(
                "There is no such page of Data Docs here: the next `genome run` writes them, beside the warehouse.",
                404,
                mimetype="text/plain",
            )
        visits.record("page", page=f"{paths.DATA_DOCS}/{name}")
        return flask.send_from_directory(folder.absolute(), name)

    server.add_url_rule(f"{paths.DATA_DOCS}/<name>", "data_docs", show)
