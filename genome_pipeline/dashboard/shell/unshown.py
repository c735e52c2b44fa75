"""What stands where a page cannot be shown, and says what to do."""

from __future__ import annotations

from pathlib import Path

import duckdb
from dash import html
from dash.development.base_component import Component

from genome_pipeline import __version__
from genome_pipeline.dashboard.kit.components import empty_state
from genome_pipeline.dashboard.kit.request import LONGEST_LINK
from genome_pipeline.dashboard.security import log_failure
from genome_pipeline.published.reader import PublishedFileMissing, PublishedFileUnreadable


def too_long() -> tuple[Component, str]:
    """What stands in place of the page of too long a link, and the title of the window."""
    content = empty_state(
        "This link is too long",
        f"A link may have {LONGEST_LINK:,} characters: take some customers or filters out.",
    )
    return content, "Too long a link"


def unshown(error: Exception, path: Path) -> tuple[Component, str]:
    """What stands in place of a page whose making ended in ``error``, and the title of the window.

    ``path`` is of the published file. What a visitor is not told in full is logged.
    """
    match error:
        case PublishedFileMissing():
            content = empty_state(
                "Nothing has been published yet",
                ["Run ", html.Code("genome run"), " to make the first snapshot; this page shows it once it is there."],
                ["It will be read from ", html.Code(str(path)), "."],
            )
            return content, "No snapshot yet"
        case PublishedFileUnreadable():
            log_failure(error)
            return empty_state("The published file cannot be read", f"{error}."), "Unreadable file"
        case duckdb.InterruptException():
            content = empty_state(
                "This page took too long", "The machine may be busy with other work: open the page again."
            )
            return content, "Took too long"
        case duckdb.CatalogException() | duckdb.BinderException():
            log_failure(error)
            content = empty_state(
                "The published file is of another version",
                "It lacks something that this page shows: another version of the program has published it.",
                ["Run ", html.Code("genome run"), f" with this one ({__version__}) to publish it anew."],
            )
            return content, "Another version"
        case _:
            log_failure(error)
            content = empty_state(
                "The published file cannot be shown",
                "It may be damaged, or this page may have met something it does not expect.",
                ["Run ", html.Code("genome run"), " to publish it anew; the log says what went wrong, and where."],
            )
            return content, "Unreadable file"
