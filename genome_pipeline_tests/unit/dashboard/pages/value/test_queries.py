"""The aggregates of the Value page beside literal queries, written the plainest way, on the same file."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

from genome_pipeline.dashboard.pages.value import queries
from genome_pipeline_tests.support.published_file import MATURED


def test_value_deciles_end_at_the_deciles_of_the_prediction(connection: duckdb.DuckDBPyConnection) -> None:
    outcomes = connection.execute(
        "SELECT expected_spend, actual_spend FROM prediction_outcomes_history"
        " WHERE as_of = ? AND expected_spend IS NOT NULL",
        [MATURED],
    ).df()
    ends = np.quantile(outcomes["expected_spend"], np.arange(1, 10) / 10, method="inverted_cdf")
    outcomes["decile"] = 1 + np.searchsorted(ends, outcomes["expected_spend"])
    deciles = queries.value_deciles(connection, MATURED).set_index("value_decile")
    expected = outcomes.groupby("decile").agg(n=("decile", "size"), actual=("actual_spend", "sum"))
    assert deciles.index.tolist() == list(range(10, 0, -1))
    assert deciles["customer_count"].sort_index().tolist() == expected["n"].tolist()
    assert deciles["actual_spend"].sort_index().tolist() == pytest.approx(expected["actual"].astype(float).tolist())


@pytest.mark.parametrize(("predictor", "column"), [("model", "expected_spend"), ("naive", "naive_expected_spend")])
def test_every_point_of_the_capture_curve_is_exact(
    connection: duckdb.DuckDBPyConnection, predictor: queries.Predictor, column: str
) -> None:
    curve = queries.capture_curve(connection, MATURED, predictor)
    outcomes = connection.execute(
        f"SELECT {column} AS predicted, actual_spend::DOUBLE AS actual FROM prediction_outcomes_history"
        f" WHERE as_of = ? AND expected_spend IS NOT NULL ORDER BY {column} DESC",
        [MATURED],
    ).df()
    counts = np.rint(curve["customer_share"] * len(outcomes)).astype(int)
    captured = np.concatenate([[0.0], outcomes["actual"].cumsum()]) / outcomes["actual"].sum()
    assert curve["spend_share"].tolist() == pytest.approx(captured[counts].tolist())
    assert (counts.iloc[0], counts.iloc[-1]) == (0, len(outcomes))
    assert len(curve) > 20
