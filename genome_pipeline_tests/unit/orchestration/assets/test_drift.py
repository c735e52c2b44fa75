"""What of each gene is compared, worked out by hand."""

from datetime import date

import pytest

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets.drift import comparable_genes
from genome_pipeline_tests.support.logs import engine
from genome_pipeline_tests.support.populations import customers

BEFORE, NOW = date(2024, 6, 1), date(2024, 7, 1)


@pytest.fixture(scope="module")
def genes() -> dict[str, list[float]]:
    database = engine()
    database.con.execute(TABLES["customer_features"].ddl())
    for frame in (
        customers(["ann", "bob"], as_of=BEFORE, order_count=[4, 9], spend_amount=[None, 90.0], t_days=[30, 60]),
        customers(
            ["ann", "bob", "new"], as_of=NOW, order_count=[6, 9, 2], spend_amount=[None, 70, 8], t_days=[60, 90, 5]
        ),
    ):
        database.con.register("rows", frame)
        database.con.execute("INSERT INTO customer_features BY NAME SELECT * FROM rows")
    found = comparable_genes(database, NOW, BEFORE)
    assert list(found.columns) == list(GENES)
    return {gene: found[gene].tolist() for gene in GENES}


def test_of_a_running_total_what_was_added(genes: dict[str, list[float]]) -> None:
    assert genes["order_count"] == [2, 0, 2]
    assert genes["spend_amount"] == [pytest.approx(float("nan"), nan_ok=True), -20, 8]


def test_of_other_genes_the_value(genes: dict[str, list[float]]) -> None:
    assert genes["t_days"] == [60, 90, 5]
    assert all(genes[gene] != [0, 0, 0] for gene in GENES if not GENES[gene].is_cumulative and "return" not in gene)
