"""Which slices are taken together."""

from datetime import date

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets.batches import cut_by_rows
from genome_pipeline_tests.support.logs import engine

PERIODS = [date(2024, month, 1) for month in range(1, 6)]
TABLE = "validated_transactions"


def test_as_many_as_fit_in_memory_and_every_one_once() -> None:
    database = engine()
    database.con.execute(TABLES["written_slices"].ddl())
    for period, lines in zip(PERIODS, (6, 4, 1, 25, 3), strict=True):
        database.con.execute(
            "INSERT INTO written_slices VALUES (?, ?, ?, 'run', 'settings', now())", [TABLE, str(period), lines]
        )
    cut = cut_by_rows(database, TABLE, PERIODS, 10)
    assert [[day.month for day in each] for each in cut] == [[1, 2], [3], [4], [5]]
    assert cut_by_rows(database, TABLE, PERIODS[4:], 10) == [PERIODS[4:]]
    # Of a table never written, nothing is known to be large.
    assert cut_by_rows(database, "customer_features", PERIODS, 10) == [PERIODS]
