"""Data Docs: what a page says, that it loads nothing from elsewhere, and who may read it."""

from __future__ import annotations

import json
import re
import shutil
import stat
from datetime import UTC, datetime
from pathlib import Path

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.quality.data_docs import DataDocs, Validated
from genome_pipeline.quality.expectations import checks_of
from genome_pipeline.quality.suites import expectations_of
from genome_pipeline.quality.validation import validate
from genome_pipeline_tests.support.contract_files import write

RISK = TABLES["customer_risk"]
RUN = ("run-1", datetime(2020, 2, 1, 9, tzinfo=UTC), "2020-01-01 to 2020-02-01")


def keep(docs: DataDocs, file: Path, name: str, *, is_own: bool = False) -> str:
    """The page of the contract of ``customer_risk``, kept under a name."""
    found = validate(file, RISK).expectations
    docs.keep(Validated(name, RISK.name, is_own, not is_own, *RUN, found))
    return (docs.folder / "docs" / f"{name}.html").read_text(encoding="utf-8")


def test_a_page_names_the_expectation_that_failed_and_loads_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "warehouse.duckdb", RISK, changes={"risk_band": "if(i < 2, 'k000007', 'low')"})
    docs = DataDocs(tmp_path / "quality")
    page = keep(docs, file, RISK.name)
    assert re.search(r"✗ 1 of \d+ expectations failed", page)
    assert "risk_band is one of" in page
    assert "2 unexpected values found. 10% of 20 total rows." in page
    assert "Checked at 2020-02-01 09:00 UTC over the periods 2020-01-01 to 2020-02-01" in page
    index = docs.index.read_text(encoding="utf-8")
    assert "✗ 1 failed" in index
    linked = re.findall(r'href="([^"]*)"', page + index)
    assert set(linked) == {"index.html", "customer_risk.html"}
    assert not re.search(r"https?://|<script|src=|@import|url\(", page + index)
    assert "k0000" not in page
    kept = json.loads((docs.folder / "results" / "customer_risk.json").read_text())
    assert (kept["success"], kept["statistics"]["unsuccessful_expectations"]) == (False, 1)
    assert "k0000" not in json.dumps(kept)


def test_a_suite_in_json_is_loaded_by_great_expectations_from_its_own_folder(tmp_path: Path) -> None:
    import great_expectations

    docs, file = DataDocs(tmp_path / "quality"), write(tmp_path / "warehouse.duckdb", RISK)
    keep(docs, file, RISK.name)
    project = great_expectations.get_context(mode="file", project_root_dir=tmp_path)
    shutil.copy(docs.folder / "suites" / "customer_risk.json", tmp_path / "gx" / "expectations")
    loaded = project.suites.get("customer_risk")
    assert loaded.meta["table"] == "customer_risk"
    made = [each for of_check in expectations_of(RISK, checks_of(RISK)).values() for each in of_check]
    assert [each.configuration.to_json_dict() for each in loaded.expectations] == [
        each.configuration.to_json_dict() for each in made
    ]


def test_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    docs = DataDocs(tmp_path / "quality")
    keep(docs, write(tmp_path / "warehouse.duckdb", RISK), RISK.name)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in docs.folder.rglob("*") if path.is_file()}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in (docs.folder, *docs.folder.iterdir()) if path.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})


def test_suites_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    docs, file = DataDocs(tmp_path / "quality"), write(tmp_path / "warehouse.duckdb", RISK)
    for name, is_own in (("customer_risk", False), ("own-bands", True), ("own-kept", True)):
        keep(docs, file, name, is_own=is_own)
    docs.forget("customer_value", [])
    docs.forget("customer_risk", ["own-kept"])
    left = sorted(path.name for path in docs.folder.rglob("*") if path.is_file())
    assert left == sorted(
        [
            "customer_risk.json",
            "customer_risk.json",
            "own-kept.json",
            "customer_risk.html",
            "own-kept.html",
            "index.html",
            "summary.json",
        ]
    )
    assert "own-bands" not in docs.index.read_text(encoding="utf-8")
    docs.clear()
    assert list(docs.folder.iterdir()) == []


def test_a_table_without_a_page_has_the_index(tmp_path: Path) -> None:
    docs = DataDocs(tmp_path / "quality")
    assert docs.page("published_genome") == docs.index
    assert "No table has been checked yet" in docs.index.read_text(encoding="utf-8")
