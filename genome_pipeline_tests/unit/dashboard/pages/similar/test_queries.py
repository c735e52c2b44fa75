"""Values side by side, beside plain SQL."""

from __future__ import annotations

import duckdb
import pandas as pd

from genome_pipeline.dashboard.kit.customers import customer_genome
from genome_pipeline.dashboard.pages.customer import queries as customer_queries
from genome_pipeline.dashboard.pages.similar import queries
from genome_pipeline_tests.support.published_file import HOSTILE_ID, LATEST, SNAPSHOTS


def test_percentiles_are_those_of_the_fingerprint(connection: duckdb.DuckDBPyConnection) -> None:
    genes = queries.percentiles(connection, LATEST, queries.customers(connection, LATEST, ["C0010", "C0020"]))
    assert genes["customer_id"].unique().tolist() == ["C0010", "C0020"]
    for customer_id in ("C0010", "C0020"):
        genome = customer_genome(connection, LATEST, customer_id).iloc[0]
        single = customer_queries.fingerprint(connection, LATEST, genome).set_index("gene")["percentile"]
        several = genes[genes["customer_id"] == customer_id].set_index("gene")["percentile"]
        pd.testing.assert_series_equal(several, single, check_names=False, check_dtype=False)
    assert queries.percentiles(connection, LATEST, queries.customers(connection, LATEST, ["nobody"])).empty


def test_customers_come_in_the_order_asked_for(connection: duckdb.DuckDBPyConnection) -> None:
    ids = ["C0020", HOSTILE_ID, "C0001"]
    assert queries.customers(connection, LATEST, [*ids, "nobody", "C0020"])["customer_id"].tolist() == ids


def test_outcomes_are_of_the_last_matured_snapshot(connection: duckdb.DuckDBPyConnection) -> None:
    found = queries.latest_outcomes(connection, LATEST, ["C0010"])
    row = connection.execute(
        "SELECT as_of, actual_spend FROM prediction_outcomes_history WHERE customer_id = 'C0010' ORDER BY as_of DESC"
    ).fetchone()
    assert row is not None
    assert (found["as_of"].iloc[0].date(), found["actual_spend"].iloc[0]) == (row[0], float(row[1]))
    assert queries.latest_outcomes(connection, SNAPSHOTS[0], ["C0010"]).empty
