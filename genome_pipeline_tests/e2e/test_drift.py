"""A month in which everything costs five times as much, seen through Dagster and in ``data_quality``."""

import csv
from datetime import date

import dagster as dg
import duckdb
import pytest

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline_tests.support.pipelines import measure, shop_config, write_shop_log

LAST = date(2020, 7, 1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("dear")
    write_shop_log(folder / "log.csv", customers=400)
    rows = list(csv.DictReader((folder / "log.csv").open(encoding="utf-8")))
    for row in rows:
        if row["date"].startswith("2020-07"):
            row |= {"price": f"{float(row['price']) * 5:.2f}", "department": ""}
    with (folder / "log.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return load_settings(shop_config(folder))


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {found.check_name: found for found in result.get_asset_check_evaluations()}


def test_the_checks_say_what_moved_and_by_how_much(settings: Settings) -> None:
    found = evaluations(measure(settings, date(2020, 1, 1), LAST))
    drift = found["drift"]
    assert (drift.passed, drift.severity) == (False, dg.AssetCheckSeverity.WARN)
    details = drift.metadata["details"]
    assert isinstance(details, dg.TableMetadataValue)
    assert {"spend_amount", "recent_spend_amount"} <= {str(row.data["gene"]) for row in details.records}
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        rows = connection.execute(
            "SELECT check_name, observed FROM data_quality WHERE NOT is_passed AND period_start_date = ?", [LAST]
        ).fetchall()
        kinds = connection.execute(
            "SELECT count(*), count(*) FILTER (as_of < '2020-05-01'), count(*) FILTER (has_drifted IS NULL AND"
            " unjudged_reason IS NULL) FROM gene_drift"
        ).fetchone()
    said = dict(rows)
    assert set(said) == {"drift_previous", "drift_training", "missing_share", "volume"}
    assert said["drift_previous"].startswith("2020-08-01 against the previous snapshot, 2020-07-01: ")
    assert "spend_amount added in the period: " in said["drift_previous"]
    assert " revenue, " in said["volume"]
    assert "category: missing in 100.0% of " in said["missing_share"]
    # Six previous snapshots and six training ones; those before May are too young to be judged.
    assert kinds == (12 * len(GENES), 4 * len(GENES), 0)


def test_beyond_the_error_bound_the_run_stops(settings: Settings) -> None:
    bounded = settings.model_copy(update={"quality": settings.quality.model_copy(update={"drift_error_psi": 0.3})})
    result = measure(bounded, LAST, LAST)
    assert not result.success
    assert evaluations(result)["drift"].severity is dg.AssetCheckSeverity.ERROR
