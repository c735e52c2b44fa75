"""Which periods are summed up together."""

from datetime import date

import pytest

from genome_pipeline.assets import activity
from genome_pipeline.assets.activity import periods_together
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline_tests.logs import engine

PERIODS = [date(2024, month, 1) for month in range(1, 6)]


def test_as_many_as_fit_in_memory_and_every_one_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "TOGETHER_LINES", 10)
    database = engine()
    database.con.execute(TABLES["written_slices"].ddl())
    for period, lines in zip(PERIODS, (6, 4, 1, 25, 3), strict=True):
        database.con.execute(
            "INSERT INTO written_slices VALUES ('validated_transactions', ?, ?, 'run', 'settings', now())",
            [str(period), lines],
        )
    assert [[day.month for day in each] for each in periods_together(database, PERIODS)] == [[1, 2], [3], [4], [5]]
    assert [*periods_together(database, PERIODS[4:])] == [PERIODS[4:]]
