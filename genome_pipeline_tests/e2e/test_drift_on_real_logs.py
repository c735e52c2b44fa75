"""Drift and volume on two real logs: silent on steady months, and what they say of a Christmas trade."""

import os
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from genome_pipeline.settings import Settings, load_settings
from genome_pipeline_tests.e2e.test_real_logs import ONLINE_RETAIL, complete_journey, needs_online_retail
from genome_pipeline_tests.support.pipelines import EXAMPLES, measure

pytestmark = pytest.mark.slow


def measured(name: str, home: Path, source: Path) -> Settings:
    """An example run up to ``gene_drift``, over its whole calendar."""
    os.environ |= {"GENOME_HOME": str(home), "GENOME_SOURCE__PATH": str(source)}
    settings = load_settings(EXAMPLES / name)
    assert settings.calendar.end is not None
    assert measure(settings, settings.calendar.start, settings.time.period_start(settings.calendar.end)).success
    return settings


def drifted(settings: Settings) -> Counter[str]:
    """How many genes drifted, by month of the snapshot."""
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        rows = connection.execute("SELECT strftime(as_of, '%Y-%m') FROM gene_drift WHERE has_drifted").fetchall()
        judged = connection.execute("SELECT count(DISTINCT as_of) FROM gene_drift WHERE has_drifted IS NOT NULL")
        assert judged.fetchall()[0][0] >= 9
    return Counter(month for (month,) in rows)


def warnings(settings: Settings) -> set[str]:
    """Checks of volume and missing shares that failed."""
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        rows = connection.execute(
            "SELECT check_name FROM data_quality WHERE check_name IN ('volume', 'missing_share') AND NOT is_passed"
        ).fetchall()
    return {name for (name,) in rows}


def test_a_year_of_groceries_is_steady(tmp_path: Path) -> None:
    settings = measured("complete_journey.toml", tmp_path / "home", complete_journey(tmp_path))
    assert (drifted(settings), warnings(settings)) == (Counter(), set())


@needs_online_retail
def test_two_years_of_gifts_drift_at_christmas_only(tmp_path: Path) -> None:
    settings = measured("online_retail_ii.toml", tmp_path / "home", ONLINE_RETAIL)
    months = drifted(settings)
    # From the January after a Christmas on, until the models have left that Christmas behind.
    assert set(months) == {"2011-01", "2011-02", "2011-03", "2011-04", "2011-05", "2011-06", "2011-07", "2012-01"}
    assert months.total() <= 2 * 18
    assert warnings(settings) == set()
