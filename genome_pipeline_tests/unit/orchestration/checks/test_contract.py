"""The contract check runs users' suites as well: one that blocks stops what follows, another is a warning."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.checks.contract import contract_check
from genome_pipeline.orchestration.checks.declared import gate
from genome_pipeline.orchestration.place import ALONE
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.orchestration.runs.run import run
from genome_pipeline.orchestration.runs.staleness import Span
from genome_pipeline.settings import Settings
from genome_pipeline.settings.sections import QualitySettings
from genome_pipeline_tests.support.landing import HEADER, ingest_and_validate, landing_settings


@dg.asset
def raw_transactions() -> int:
    return 1


@dg.asset(deps=[raw_transactions])
def afterwards() -> int:
    return 2


def settings_with_a_suite(folder: Path, *, blocking: bool, column: str = "raw_customer_id") -> Settings:
    """Two lines of two customers, and a suite that wants customer "1" alone."""
    (folder / "in").mkdir()
    (folder / "in" / "log.csv").write_text(f"{HEADER}1,a,2020-01-05,10.00\nk000007,b,2020-01-06,20.00\n")
    in_set = {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": column, "value_set": ["1"]}}
    (folder / "expectations").mkdir()
    (folder / "expectations" / "raw_transactions.json").write_text(
        json.dumps({"name": "ours", "expectations": [in_set], "meta": {"blocking": blocking}})
    )
    settings = landing_settings(folder)
    return settings.model_copy(update={"quality": QualitySettings(suites=folder / "expectations")})


def check(settings: Settings) -> tuple[bool, dg.AssetCheckEvaluation]:
    """Whether what follows was made, and what the check found."""
    ingest_and_validate(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [raw_transactions, afterwards, contract_check(TABLES["raw_transactions"]).build(None, ALONE)],
            resources={"pipeline": Pipeline.of(settings)},
            instance=instance,
            raise_on_error=False,
        )
    (found,) = result.get_asset_check_evaluations()
    made = {event.asset_key for event in result.get_asset_materialization_events()}
    return dg.AssetKey("afterwards") in made, found


WHY = "column_values_to_be_in_set of raw_customer_id (suite raw_transactions): broken by 1 of 2 rows"


@pytest.mark.parametrize("blocking", [True, False])
def test_a_suite_that_blocks_stops_what_follows_and_another_is_a_warning(tmp_path: Path, blocking: bool) -> None:
    settings = settings_with_a_suite(tmp_path, blocking=blocking)
    follows, found = check(settings)
    severity = dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN
    assert (follows, found.passed, found.severity, found.description) == (not blocking, False, severity, WHY)
    with Pipeline.of(settings).warehouse.open() as database:
        obstacles = [str(each) for each in gate().obstacles(database.con, settings.time)]
    assert (f"check contract of raw_transactions failed: {WHY}" in obstacles) == blocking
    linked = Path(str(found.metadata["data_docs"].value))
    assert linked == settings.data_docs_path.absolute() / "raw_transactions.html"
    assert linked.is_file()
    page = (settings.data_docs_path / "own-raw_transactions.html").read_text(encoding="utf-8")
    assert "✗ 1 of 1 expectations failed" in page
    assert ("what fails stops the publication" in page) == blocking
    everything = "".join(path.read_text(encoding="utf-8") for path in settings.quality_path.rglob("*.*"))
    assert "k000007" not in everything


def test_a_bad_suite_is_told_before_anything_runs(tmp_path: Path) -> None:
    settings = settings_with_a_suite(tmp_path, blocking=True, column="raw_customer")
    with pytest.raises(ConfigError, match="raw_transactions has no column 'raw_customer' \\(did you mean"):
        run(settings, Span(), lambda *_: None)
    assert not settings.warehouse_path.exists()
