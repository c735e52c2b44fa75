"""Data Docs: what each suite says and what was last found, as pages of HTML that load nothing from elsewhere.

Great Expectations renders the statements and findings; the page around them is our own, as its page loads styles and
scripts from the internet. Suites and results stand beside the pages, in Great Expectations' JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genome_pipeline.quality.suites import suite_result

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Validated:
    """The latest validation of a suite; ``name`` is that of its files.

    ``periods`` are the first and the last of those checked, in words; empty where the table was checked whole.
    """

    name: str
    table: str
    is_own: bool
    is_blocking: bool
    run_id: str
    at: datetime
    periods: str
    results: list[ExpectationValidationResult]


@dataclass(frozen=True)
class DataDocs:
    """A folder, for its owner only: ``suites`` of contracts, the latest ``results`` of each suite, and ``docs``."""

    folder: Path

    @property
    def index(self) -> Path:
        """The page that lists the suites."""
        return self.folder / "docs" / "index.html"

    def page(self, table: str) -> Path:
        """The page of the table's contract; the index where the table has none. Either is there."""
        if not self.index.exists():
            self._write_index({})
        page = self._page(table)
        return page if page.exists() else self.index

    def keep(self, validated: Validated) -> None:
        """Write a suite, its results and its page in place of the former ones."""
        failed = sum(not result.success for result in validated.results)
        facts: dict[str, Any] = {
            "table": validated.table,
            "own": validated.is_own,
            "blocking": validated.is_blocking,
            "run_id": validated.run_id,
            "at": f"{validated.at:%Y-%m-%d %H:%M} UTC",
            "periods": validated.periods,
            "expectations": len(validated.results),
            "failed": failed,
        }
        result = suite_result(validated.name, validated.results, facts)
        found = result.to_json_dict()  # type: ignore[no-untyped-call]
        self._write(self.folder / "results" / f"{validated.name}.json", json.dumps(found, indent=1))
        if not validated.is_own:  # users have theirs
            self._write(self._suite(validated.name), _suite_of(validated, found))
        self._write(self._page(validated.name), _rendered(validated.name, result, facts))
        self._write_index({**self._summary(), validated.name: facts})

    def forget(self, table: str, kept: list[str]) -> None:
        """Remove what was kept of users' suites of the table other than those named."""
        summary = self._summary()
        gone = [
            name for name, facts in summary.items() if facts["own"] and facts["table"] == table and name not in kept
        ]
        for name in gone:
            for path in (self.folder / "results" / f"{name}.json", self._page(name)):
                path.unlink(missing_ok=True)
        if gone:
            self._write_index({name: facts for name, facts in summary.items() if name not in gone})

    def _suite(self, name: str) -> Path:
        return self.folder / "suites" / f"{name}.json"

    def _page(self, name: str) -> Path:
        return self.folder / "docs" / f"{name}.html"

    def clear(self) -> None:
        """Remove what was kept."""
        for name in ("suites", "results", "docs"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self._summary_file.unlink(missing_ok=True)

    @property
    def _summary_file(self) -> Path:
        return self.folder / "summary.json"

    def _summary(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._summary_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    def _write_index(self, summary: Mapping[str, Mapping[str, Any]]) -> None:
        self._write(self._summary_file, json.dumps(summary, indent=1))
        self._write(self.index, _view().env.get_template("data_docs_index.j2").render(suites=summary))

    def _write(self, path: Path, text: str) -> None:
        """Replace the file whole, so that a reader never finds half of it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent)  # readable by its owner only
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(beside, path)


def _suite_of(validated: Validated, found: Mapping[str, Any]) -> str:
    """The suite of a result, as Great Expectations loads it."""
    meta = {"table": validated.table, "blocking": validated.is_blocking}
    expectations = [result["expectation_config"] for result in found["results"]]
    return json.dumps({"name": validated.name, "expectations": expectations, "meta": meta}, indent=2)


@cache
def _view() -> Any:
    from great_expectations.render.view.view import DefaultJinjaPageView

    return DefaultJinjaPageView(custom_views_directory=str(_TEMPLATES))


def _rendered(name: str, result: Any, facts: Mapping[str, Any]) -> str:
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

    document = ValidationResultsPageRenderer().render(result)
    # The first section is an overview of run ids, which the page says in words.
    page: str = _view().render(document, template="data_docs_page.j2", name=name, facts=facts, first_section=1)
    return page
