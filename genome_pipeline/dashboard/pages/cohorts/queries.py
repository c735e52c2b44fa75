"""What the Cohorts page asks of the published file."""

from __future__ import annotations

from datetime import date

import duckdb
import pandas as pd

from genome_pipeline.contracts.columns.totals import ALL_OTHERS, FIRST_KINDS, NOT_KNOWN
from genome_pipeline.published.versions import remembered_rows


def cohorts_by_age(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per cohort and age, by the last snapshot up to ``as_of`` at which it was of that age."""
    return remembered_rows(
        connection,
        """
        SELECT
            cohort_start_date,
            cohort_age_count,
            max(as_of) AS known_at,
            arg_max(cohort_customer_count, as_of) AS cohort_customer_count,
            arg_max(active_customer_count, as_of) AS active_customer_count,
            arg_max(retention_share, as_of) AS retention_share,
            arg_max(cumulative_spend_amount, as_of)::DOUBLE AS cumulative_spend_amount
        FROM cohorts_history
        WHERE as_of <= $as_of
        GROUP BY cohort_start_date, cohort_age_count
        ORDER BY cohort_start_date, cohort_age_count
        """,
        {"as_of": as_of},
    )


def cohort_forecasts(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per cohort and horizon: what its customers are expected to spend from the snapshot on."""
    return remembered_rows(
        connection,
        """
        SELECT
            group_key::DATE AS cohort_start_date,
            horizon_days,
            customer_count,
            expected_spend_amount,
            expected_spend_amount_lower,
            expected_spend_amount_upper,
            coalesce(abstain_reason, '') AS abstain_reason
        FROM forecast_totals_history
        WHERE as_of = $as_of AND group_kind = 'cohort'
        ORDER BY cohort_start_date, horizon_days
        """,
        {"as_of": as_of},
    )


def first_purchase_kinds(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[str]:
    """The kinds of cohorts by a fact of the first purchase that the snapshot has, in the contract's order."""
    found = connection.execute(
        "SELECT DISTINCT cohort_kind FROM first_purchase_cohorts_history WHERE as_of = ?", [as_of]
    ).fetchall()
    return [kind for kind in FIRST_KINDS if (kind,) in found]


def first_purchase_cohorts(connection: duckdb.DuckDBPyConnection, as_of: date, kind: str) -> pd.DataFrame:
    """One row per cohort of a kind, the largest first, those of the rest and of the unknown last."""
    return remembered_rows(
        connection,
        """
        SELECT
            cohort,
            cohort_customer_count,
            active_customer_count,
            retention_share,
            cumulative_spend_amount::DOUBLE AS cumulative_spend_amount
        FROM first_purchase_cohorts_history
        WHERE as_of = $as_of AND cohort_kind = $kind
        ORDER BY cohort IN ($others, $unknown), cohort = $unknown, cohort_customer_count DESC, cohort
        """,
        {"as_of": as_of, "kind": kind, "others": ALL_OTHERS, "unknown": NOT_KNOWN},
    )


def spend_of_cohort(connection: duckdb.DuckDBPyConnection, as_of: date, kind: str, cohort: str) -> pd.DataFrame:
    """One row per snapshot up to ``as_of``: customers of a cohort of a kind by then, and what they had spent."""
    return connection.execute(
        "SELECT as_of, cohort_customer_count, cumulative_spend_amount::DOUBLE AS cumulative_spend_amount"
        " FROM first_purchase_cohorts_history WHERE as_of <= ? AND cohort_kind = ? AND cohort = ? ORDER BY as_of",
        [as_of, kind, cohort],
    ).df()


def payback(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per cohort, latest first: what it cost, what it spent, and when it pays back."""
    return remembered_rows(
        connection,
        "SELECT * EXCLUDE (as_of, payback_reason), cumulative_spend_amount::DOUBLE AS spent_amount,"
        " coalesce(payback_reason, '') AS payback_reason"
        " FROM cohort_payback WHERE as_of = $as_of ORDER BY cohort_start_date DESC",
        {"as_of": as_of},
    )
