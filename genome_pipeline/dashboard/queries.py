"""Every question the pages and the report ask of the published file.

Each function takes a connection on the file (see :mod:`genome_pipeline.published.versions`) and returns a small
frame: DuckDB aggregates, values are bound as parameters, and identifiers put into SQL come from this module or the
contracts only. A question about a snapshot sees only what was known at that snapshot.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast

import duckdb
import numpy as np
import pandas as pd

from genome_pipeline.contracts.genes import FINGERPRINT_GENES
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.dashboard.selection import Selection
from genome_pipeline.published.reader import LATEST_CHECKS
from genome_pipeline.published.versions import remembered, remembered_rows

_QUANTILE_STEPS = 1_000
_PERIOD_STEPS = {"month": "1 month", "week": "7 days", "day": "1 day"}


@dataclass(frozen=True)
class Run:
    """The run that made the file."""

    run_id: str
    as_of: date
    version: str
    published_at: datetime
    horizon_days: int
    interval_level: float
    currency: str | None
    period: str
    raw_row_count: int
    validated_row_count: int
    quarantined_row_count: int
    source_name: str
    forced_past: str | None


def run(connection: duckdb.DuckDBPyConnection) -> Run:
    """The run that made the file, with the parameters it was given."""
    row = connection.execute(
        "SELECT run_id, as_of, version, published_at, parameters, forced_past FROM pipeline_runs"
        " ORDER BY published_at DESC LIMIT 1"
    ).fetchone()
    if row is None:
        raise LookupError("the published file has no row in pipeline_runs")
    parameters = json.loads(row[4])
    return Run(
        run_id=row[0],
        as_of=row[1],
        version=row[2],
        published_at=row[3],
        horizon_days=int(parameters["horizon_days"]),
        interval_level=float(parameters["interval_level"]),
        currency=parameters["currency"],
        period=parameters["period"],
        raw_row_count=int(parameters["raw_row_count"]),
        validated_row_count=int(parameters["validated_row_count"]),
        quarantined_row_count=int(parameters["quarantined_row_count"]),
        source_name=parameters["source_name"],
        forced_past=row[5],
    )


def snapshots(connection: duckdb.DuckDBPyConnection) -> list[date]:
    """Every snapshot in the file, latest first."""
    return [as_of for as_of, _ in _snapshots(connection)]


def provisional_snapshots(connection: duckdb.DuckDBPyConnection) -> frozenset[date]:
    """The snapshots that were made before their period had ended."""
    return frozenset(as_of for as_of, is_provisional in _snapshots(connection) if is_provisional)


def _snapshots(connection: duckdb.DuckDBPyConnection) -> list[tuple[date, bool]]:
    def find() -> list[Any]:
        return connection.execute(
            "SELECT as_of::VARCHAR, bool_or(is_provisional) FROM customer_genome_history GROUP BY as_of ORDER BY 1 DESC"
        ).fetchall()

    return [(date.fromisoformat(as_of), flag) for as_of, flag in remembered(connection, "snapshots", find)]


def up_to(trend: pd.DataFrame, as_of: date, column: str = "as_of") -> pd.DataFrame:
    """The rows of a trend over all snapshots that were known at ``as_of``."""
    return trend[trend[column] <= pd.Timestamp(as_of)].reset_index(drop=True)


# Overview


def snapshot_trend(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per snapshot up to ``as_of``: the headline figures.

    Customers at risk are those of medium and high risk, whose churn probability is a third or more.
    """

    def find() -> dict[str, list[Any]]:
        found = connection.execute(
            """
            SELECT
                as_of::VARCHAR AS as_of,
                count(*) AS customer_count,
                count(*) FILTER (recent_purchase_day_count > 0) AS active_customer_count,
                sum(recent_spend_amount)::DOUBLE AS recent_spend_amount,
                sum(expected_spend) AS expected_spend,
                sum(revenue_at_stake_amount) FILTER (risk_band IN ('medium', 'high')) AS revenue_at_risk_amount,
                count(*) FILTER (risk_band IN ('medium', 'high')) AS customer_at_risk_count,
                avg(confidence) AS mean_confidence,
                approx_quantile(confidence, [0.25, 0.75]) AS quartiles
            FROM customer_genome_history
            GROUP BY as_of
            ORDER BY as_of
            """
        )
        names = [column[0] for column in found.description]
        return dict(zip(names, map(list, zip(*found.fetchall(), strict=True)), strict=True))

    # All customers of all snapshots are behind it: once for each version of the file.
    trend = pd.DataFrame(remembered(connection, "snapshot trend", find))
    quartiles = [pair or (None, None) for pair in trend.pop("quartiles")]
    trend = trend.assign(
        as_of=pd.to_datetime(trend["as_of"]),
        confidence_lower_quartile=pd.Series([pair[0] for pair in quartiles], dtype=float),
        confidence_upper_quartile=pd.Series([pair[1] for pair in quartiles], dtype=float),
    )
    measures = [name for name in trend.columns if not name.endswith(("_count", "as_of"))]
    return up_to(trend, as_of).astype(dict.fromkeys(measures, float))


def realised_spend(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per snapshot that had matured by ``as_of``: spend predicted, by the baseline too, and realised."""
    realised = remembered_rows(
        connection,
        """
        SELECT
            as_of,
            matured_as_of,
            count(*) AS customer_count,
            sum(expected_spend) AS expected_spend,
            sum(naive_expected_spend) AS naive_expected_spend,
            sum(actual_spend) AS actual_spend
        FROM prediction_outcomes_history
        WHERE expected_spend IS NOT NULL
        GROUP BY as_of, matured_as_of
        ORDER BY as_of
        """,
    )
    return up_to(realised, as_of, "matured_as_of").drop(columns="matured_as_of")


def risk_band_trend(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per snapshot up to ``as_of`` and risk band: customers and what they are expected to spend."""
    bands = remembered_rows(
        connection,
        """
        SELECT as_of, risk_band, count(*) AS customer_count, sum(expected_spend) AS expected_spend
        FROM customer_genome_history
        WHERE risk_band IS NOT NULL
        GROUP BY as_of, risk_band
        ORDER BY as_of, risk_band
        """,
    )
    return up_to(bands, as_of)


def performance(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per target and metric, over all customers of the last snapshot that had matured by ``as_of``."""
    return connection.execute(
        """
        WITH matured AS (
            SELECT * FROM model_performance_history WHERE matured_as_of <= ? AND slice_name = 'all'
        )
        SELECT
            as_of,
            target,
            metric,
            any_value(metric_value) FILTER (predictor = 'model') AS model,
            any_value(metric_value) FILTER (predictor = 'naive') AS naive,
            max(customer_count) AS customer_count
        FROM matured
        WHERE as_of = (SELECT max(as_of) FROM matured)
        GROUP BY as_of, target, metric
        ORDER BY target, metric
        """,
        [as_of],
    ).df()


def segment_mix(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per snapshot up to ``as_of`` and segment: its name then, its customers and their share."""
    return connection.execute(
        """
        SELECT as_of, segment_id, segment_name, customer_count, customer_share
        FROM segment_profiles_history
        WHERE as_of <= ?
        ORDER BY as_of, segment_id
        """,
        [as_of],
    ).df()


def moved_genes(connection: duckdb.DuckDBPyConnection, as_of: date, limit: int = 4) -> pd.DataFrame:
    """The genes whose distribution moved most since the previous snapshot, those that the calendar moves left out."""
    return connection.execute(
        """
        SELECT gene, measure, psi, median, baseline_median, mean, baseline_mean, has_drifted
        FROM gene_drift_history
        WHERE as_of = ? AND baseline = 'previous' AND unjudged_reason IS NULL AND psi IS NOT NULL
        ORDER BY psi DESC, gene
        LIMIT ?
        """,
        [as_of, limit],
    ).df()


def actions(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per recommended action: customers and revenue at stake, most at stake first."""
    return remembered_rows(
        connection,
        """
        SELECT action, count(*) AS customer_count, sum(revenue_at_stake_amount) AS revenue_at_stake_amount
        FROM customer_genome_history
        WHERE as_of = ?
        GROUP BY action
        ORDER BY revenue_at_stake_amount DESC NULLS LAST, customer_count DESC, action
        """,
        [as_of],
    )


def abstentions(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per model and reason: customers for whom no prediction, or no interval, is offered."""
    return remembered_rows(
        connection,
        """
        SELECT 'value' AS target, value_abstain_reason AS reason, count(*) AS customer_count
        FROM customer_genome_history WHERE as_of = $as_of AND value_abstain_reason IS NOT NULL GROUP BY ALL
        UNION ALL
        SELECT 'risk', risk_abstain_reason, count(*)
        FROM customer_genome_history WHERE as_of = $as_of AND risk_abstain_reason IS NOT NULL GROUP BY ALL
        ORDER BY customer_count DESC, target, reason
        """,
        {"as_of": as_of},
    )


def confidence_distribution(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """Customers by confidence, in twenty steps of 0.05."""
    return remembered_rows(
        connection,
        """
        SELECT least(floor(confidence * 20), 19) / 20 AS lower_bound, count(*) AS customer_count
        FROM customer_genome_history
        WHERE as_of = ? AND confidence IS NOT NULL
        GROUP BY lower_bound
        ORDER BY lower_bound
        """,
        [as_of],
    )


# Segments


def segment_profiles(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per segment: its profile, and what its customers are expected to do."""
    return remembered_rows(
        connection,
        """
        WITH prediction AS (
            SELECT
                segment_id,
                sum(expected_spend) AS expected_spend,
                quantile_cont(expected_spend, [0.1, 0.5, 0.9]) AS expected_spend_deciles,
                avg(churn_probability) AS churn_probability,
                avg(confidence) AS confidence
            FROM customer_genome_history
            WHERE as_of = $as_of
            GROUP BY segment_id
        )
        SELECT
            profile.* EXCLUDE (as_of),
            prediction.expected_spend,
            prediction.expected_spend_deciles[1] AS expected_spend_first_decile,
            prediction.expected_spend_deciles[2] AS expected_spend_median,
            prediction.expected_spend_deciles[3] AS expected_spend_last_decile,
            prediction.churn_probability,
            prediction.confidence
        FROM segment_profiles_history AS profile
        LEFT JOIN prediction USING (segment_id)
        WHERE profile.as_of = $as_of
        ORDER BY profile.spend_share DESC NULLS LAST, profile.customer_count DESC, segment_id
        """,
        {"as_of": as_of},
    )


def segment_migrations(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per pair of segments: customers who were in the first at the previous snapshot, in the second now."""
    return connection.execute(
        """
        SELECT from_segment_id, from_segment_name, to_segment_id, to_segment_name, customer_count, recent_spend_amount
        FROM segment_migrations_history
        WHERE as_of = ?
        ORDER BY from_segment_id, to_segment_id
        """,
        [as_of],
    ).df()


def migrations_between(connection: duckdb.DuckDBPyConnection, since: date, as_of: date) -> pd.DataFrame:
    """As :func:`segment_migrations`, but from any earlier snapshot; who was not yet a customer comes from segment 0."""
    return remembered_rows(
        connection,
        """
        SELECT
            coalesce(earlier.segment_id, 0) AS from_segment_id,
            coalesce(any_value(earlier.segment_name), 'New customers') AS from_segment_name,
            later.segment_id AS to_segment_id,
            any_value(later.segment_name) AS to_segment_name,
            count(*) AS customer_count,
            sum(later.recent_spend_amount) AS recent_spend_amount
        FROM customer_genome_history AS later
        LEFT JOIN customer_genome_history AS earlier
            ON earlier.as_of = $since AND earlier.customer_id = later.customer_id
        WHERE later.as_of = $as_of
        GROUP BY earlier.segment_id, later.segment_id
        ORDER BY from_segment_id, to_segment_id
        """,
        {"since": since, "as_of": as_of},
    )


def gene_by_segment(connection: duckdb.DuckDBPyConnection, as_of: date, gene: str) -> pd.DataFrame:
    """One row per segment: how a gene is spread over its customers (5%, quartiles, 95%), without those it is null for.

    ``gene`` is one of :data:`FINGERPRINT_GENES`. Raises :class:`KeyError` for any other.
    """
    if gene not in FINGERPRINT_GENES:
        raise KeyError(gene)
    return remembered_rows(
        connection,
        f"""
        WITH spread AS (
            SELECT
                segment_id,
                any_value(segment_name) AS segment_name,
                count({gene}) AS customer_count,
                quantile_cont({gene}::DOUBLE, [0.05, 0.25, 0.5, 0.75, 0.95]) AS levels
            FROM customer_genome_history
            WHERE as_of = ? AND {gene} IS NOT NULL
            GROUP BY segment_id
        )
        SELECT
            segment_id, segment_name, customer_count, levels[1] AS low, levels[2] AS first_quartile,
            levels[3] AS median, levels[4] AS third_quartile, levels[5] AS high
        FROM spread
        ORDER BY segment_id
        """,
        [as_of],
    )


def customer_sample(
    connection: duckdb.DuckDBPyConnection, as_of: date, columns: Sequence[str], size: int = 2000
) -> pd.DataFrame:
    """About ``size`` customers of the snapshot with their segment and ``columns``; the same ones each time.

    Chosen by a hash of the id, so that every customer is as likely to be among them as any other. ``columns`` are of
    the contract.
    """
    return remembered_rows(
        connection,
        f"""
        SELECT customer_id, segment_id, segment_name, {", ".join(columns)}
        FROM customer_genome_history
        WHERE as_of = $as_of AND hash(customer_id) % 1000000 < 1000000 * $size::BIGINT
            / (SELECT count(*) FROM customer_genome_history WHERE as_of = $as_of)
        ORDER BY customer_id
        """,
        {"as_of": as_of, "size": size},
    )


def segment_events(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """What happened to the segments since the previous snapshot, one row per event."""
    return connection.execute(
        """
        SELECT segment_id, event, segment_name, previous_segment_name, related_segment_name, event_reason
        FROM segment_events_history
        WHERE as_of = ?
        ORDER BY segment_id, event
        """,
        [as_of],
    ).df()


def segment_candidates(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per segment model tried at the snapshot, the chosen one first, then by silhouette."""
    return connection.execute(
        """
        SELECT candidate, is_chosen, choice_reason, silhouette_score, smallest_share, stability_score,
            smallest_jaccard_score
        FROM segment_model_history
        WHERE as_of = ?
        ORDER BY is_chosen DESC, silhouette_score DESC NULLS LAST, candidate
        """,
        [as_of],
    ).df()


# Customer


def customer_ids(connection: duckdb.DuckDBPyConnection, as_of: date, prefix: str, limit: int = 20) -> list[str]:
    """Customers of the snapshot whose id starts with ``prefix``, whatever the case."""
    rows = connection.execute(
        """
        SELECT customer_id FROM customer_genome_history
        WHERE as_of = ? AND starts_with(lower(customer_id), lower(?))
        ORDER BY customer_id
        LIMIT ?
        """,
        [as_of, prefix, limit],
    ).fetchall()
    return [row[0] for row in rows]


def most_at_stake(connection: duckdb.DuckDBPyConnection, as_of: date, limit: int = 8) -> pd.DataFrame:
    """The customers with the most revenue at stake."""
    return remembered_rows(
        connection,
        """
        SELECT customer_id, segment_name, expected_spend, churn_probability, confidence, action, revenue_at_stake_amount
        FROM customer_genome_history
        WHERE as_of = ? AND revenue_at_stake_amount IS NOT NULL
        ORDER BY round(revenue_at_stake_amount, 6) DESC, customer_id
        LIMIT ?
        """,
        [as_of, limit],
    )


def customer(
    connection: duckdb.DuckDBPyConnection,
    as_of: date,
    customer_id: str,
    columns: Sequence[str] = TABLES["customer_genome"].columns,
) -> pd.DataFrame:
    """The customer's genome: one row, or none."""
    return connection.execute(
        f"SELECT {', '.join(columns)} FROM customer_genome_history WHERE as_of = ? AND customer_id = ?",
        [as_of, customer_id],
    ).df()


def customers(
    connection: duckdb.DuckDBPyConnection,
    as_of: date,
    customer_ids: Sequence[str],
    columns: Sequence[str] = TABLES["customer_genome"].columns,
) -> pd.DataFrame:
    """The genomes of several customers, in the order asked for; an unknown one has no row."""
    return connection.execute(
        f"""
        SELECT {", ".join(f"genome.{column}" for column in columns)}
        FROM customer_genome_history AS genome
        JOIN (
            SELECT unnest($ids::VARCHAR[]) AS customer_id, generate_subscripts($ids::VARCHAR[], 1) AS position
        ) AS asked USING (customer_id)
        WHERE genome.as_of = $as_of
        ORDER BY asked.position
        """,
        {"as_of": as_of, "ids": list(dict.fromkeys(customer_ids))},
    ).df()


def latest_outcomes(connection: duckdb.DuckDBPyConnection, as_of: date, customer_ids: Sequence[str]) -> pd.DataFrame:
    """What the customers did in the horizon of the last snapshot that had matured by ``as_of``; those known then."""
    return connection.execute(
        """
        SELECT as_of, customer_id, actual_orders, actual_spend, has_churned
        FROM prediction_outcomes_history
        WHERE as_of = (SELECT max(as_of) FROM prediction_outcomes_history WHERE matured_as_of <= $as_of)
            AND customer_id IN (SELECT unnest($ids::VARCHAR[]))
        ORDER BY customer_id
        """,
        {"as_of": as_of, "ids": list(customer_ids)},
    ).df()


def percentiles(connection: duckdb.DuckDBPyConnection, as_of: date, genomes: pd.DataFrame) -> pd.DataFrame:
    """One row per gene and row of :func:`customers`: the value, and where it stands among all customers.

    Percentiles as of :func:`fingerprint`. A gene that is null for a customer has no row.
    """
    grid = _gene_levels(connection, as_of)["quantiles"]
    rows = [
        (gene, genome["customer_id"], genome[gene], _percentile(grid[gene], genome[gene]))
        for gene in FINGERPRINT_GENES
        for _, genome in genomes.iterrows()
    ]
    found = pd.DataFrame(rows, columns=["gene", "customer_id", "value", "percentile"])
    return found.dropna(subset=["value"]).reset_index(drop=True)


def customer_predictions(connection: duckdb.DuckDBPyConnection, as_of: date, customer_id: str) -> pd.DataFrame:
    """One row per snapshot up to ``as_of``: what was predicted for the customer, and what had happened by then."""
    return connection.execute(
        """
        SELECT
            genome.as_of,
            genome.segment_name,
            genome.expected_spend, genome.expected_spend_lower, genome.expected_spend_upper,
            genome.churn_probability, genome.churn_probability_lower, genome.churn_probability_upper,
            genome.confidence,
            outcome.actual_spend,
            outcome.has_churned
        FROM customer_genome_history AS genome
        LEFT JOIN prediction_outcomes_history AS outcome
            ON outcome.as_of = genome.as_of
            AND outcome.customer_id = genome.customer_id
            AND outcome.matured_as_of <= $as_of
        WHERE genome.as_of <= $as_of AND genome.customer_id = $customer_id
        ORDER BY genome.as_of
        """,
        {"as_of": as_of, "customer_id": customer_id},
    ).df()


def customer_activity(
    connection: duckdb.DuckDBPyConnection, as_of: date, customer_id: str, period: str
) -> pd.DataFrame:
    """One row per period from the customer's first one up to ``as_of``, silent periods included."""
    step = _PERIOD_STEPS[period]
    return connection.execute(
        f"""
        WITH activity AS (
            SELECT * FROM customer_activity WHERE customer_id = $customer_id AND period_start_date < $as_of
        ),
        calendar AS (
            SELECT unnest(generate_series(
                (SELECT min(period_start_date) FROM activity)::TIMESTAMP,
                $as_of::TIMESTAMP - INTERVAL 1 DAY,
                INTERVAL {step}
            ))::DATE AS period_start_date
        )
        SELECT
            period_start_date,
            coalesce(purchase_day_count, 0) AS purchase_day_count,
            coalesce(order_count, 0) AS order_count,
            coalesce(gross_amount, 0) AS gross_amount,
            coalesce(return_amount, 0) AS return_amount
        FROM calendar
        LEFT JOIN activity USING (period_start_date)
        ORDER BY period_start_date
        """,
        {"as_of": as_of, "customer_id": customer_id},
    ).df()


def fingerprint(connection: duckdb.DuckDBPyConnection, as_of: date, genome: pd.Series) -> pd.DataFrame:
    """One row per gene: the customer's value and the segment's median, and where both stand among all customers.

    ``genome`` is the row of :func:`customer`. A percentile is the share of customers with a smaller value, plus half of
    those with the same one, to a thousandth. A gene that is null for the customer has no row.
    """
    levels = _gene_levels(connection, as_of)
    grid, medians = levels["quantiles"], levels["medians"][str(genome["segment_id"])]
    rows = [
        (gene, genome[gene], median, _percentile(grid[gene], genome[gene]), _percentile(grid[gene], median))
        for gene, median in zip(FINGERPRINT_GENES, medians, strict=True)
    ]
    columns = ["gene", "value", "segment_median", "percentile", "segment_percentile"]
    return pd.DataFrame(rows, columns=columns).dropna(subset=["value"]).reset_index(drop=True)


def _gene_levels(connection: duckdb.DuckDBPyConnection, as_of: date) -> dict[str, Any]:
    """Where customers stand among all: made once for each version of the file, and costly for many customers.

    ``quantiles``: by gene, those of all customers, a thousandth apart; none where it is null for everyone. ``medians``:
    by segment number, those of each gene in the order of :data:`FINGERPRINT_GENES`.
    """

    def find() -> dict[str, Any]:
        quantiles: dict[str, list[float]] = {}
        medians: dict[str, list[float | None]] = {}
        # Gene by gene, so that never more than one is in memory. DuckDB takes minutes for a thousand quantiles.
        for position, gene in enumerate(FINGERPRINT_GENES):
            found = connection.execute(
                f"SELECT {gene}::DOUBLE AS value, segment_id FROM customer_genome_history"
                f" WHERE as_of = ? AND {gene} IS NOT NULL",
                [as_of],
            ).fetchnumpy()
            values, segments = np.asarray(found["value"]), np.asarray(found["segment_id"])
            for segment in np.unique(segments).tolist():
                none: list[float | None] = [None] * len(FINGERPRINT_GENES)
                medians.setdefault(str(segment), none)[position] = float(np.median(values[segments == segment]))
            # The smallest value that at least this share of customers does not exceed.
            counts = -(-np.arange(_QUANTILE_STEPS + 1) * len(values) // _QUANTILE_STEPS)
            quantiles[gene] = np.sort(values)[np.maximum(counts - 1, 0)].tolist() if len(values) else []
        return {"quantiles": quantiles, "medians": medians}

    return cast(dict[str, Any], remembered(connection, f"gene levels {as_of}", find))


def _percentile(quantiles: list[float], value: float | None) -> float | None:
    if value is None or pd.isna(value) or not quantiles:
        return None
    return (bisect_left(quantiles, float(value)) + bisect_right(quantiles, float(value))) / 2 / len(quantiles)


def drivers(connection: duckdb.DuckDBPyConnection, as_of: date, customer_id: str) -> pd.DataFrame:
    """What adds up to each of the customer's predictions, in order of rank."""
    return connection.execute(
        """
        SELECT prediction, driver_rank, driver, contribution, contribution_change, explanation
        FROM customer_drivers_history
        WHERE as_of = ? AND customer_id = ?
        ORDER BY prediction, driver_rank
        """,
        [as_of, customer_id],
    ).df()


def neighbors(connection: duckdb.DuckDBPyConnection, as_of: date, customer_id: str) -> pd.DataFrame:
    """The customers most like this one, with what is expected of them."""
    return connection.execute(
        """
        SELECT
            neighbor.neighbor_rank,
            neighbor.neighbor_customer_id,
            neighbor.similarity,
            neighbor.shared_traits,
            neighbor.different_traits,
            genome.segment_name,
            genome.expected_spend,
            genome.churn_probability,
            genome.action
        FROM customer_neighbors_history AS neighbor
        LEFT JOIN customer_genome_history AS genome
            ON genome.as_of = neighbor.as_of AND genome.customer_id = neighbor.neighbor_customer_id
        WHERE neighbor.as_of = ? AND neighbor.customer_id = ?
        ORDER BY neighbor.neighbor_rank
        """,
        [as_of, customer_id],
    ).df()


def matured_neighbors(connection: duckdb.DuckDBPyConnection, as_of: date, customer_id: str) -> pd.DataFrame:
    """The customers who were most like this one when the latest matured snapshot was made, and what they did then."""
    return connection.execute(
        "SELECT * FROM matured_neighbors_history WHERE as_of = ? AND customer_id = ? ORDER BY neighbor_rank",
        [as_of, customer_id],
    ).df()


# Audience


def audiences(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per rule of the playbook: whom it picked, and what became of those it picked before."""
    return connection.execute(
        "SELECT * EXCLUDE (as_of) FROM action_audiences_history WHERE as_of = ? ORDER BY rule_position", [as_of]
    ).df()


@dataclass(frozen=True)
class AudienceTotals:
    """A selection in numbers.

    ``matching_count`` fulfil its conditions; the rest is of the ``customer_count`` of them within its top percent.
    Sums and means leave out customers without a value, and are null where nobody has one.
    """

    matching_count: int
    customer_count: int
    revenue_at_stake_amount: float | None
    expected_spend: float | None
    mean_churn_probability: float | None
    mean_confidence: float | None


def audience_size(connection: duckdb.DuckDBPyConnection, as_of: date, selection: Selection) -> tuple[int, int]:
    """How many customers fulfil the conditions, and how many of these are within the top percent."""
    condition, values = selection.where(as_of)
    matching = connection.execute(f"SELECT count(*) FROM customer_genome_history WHERE {condition}", values)
    count = int(matching.fetchall()[0][0])
    return count, selection.size(count)


def audience_totals(connection: duckdb.DuckDBPyConnection, as_of: date, selection: Selection) -> AudienceTotals:
    """The selection in numbers."""
    matching, size = audience_size(connection, as_of, selection)
    condition, values = selection.where(as_of)
    # Only a part of them has to be put in order to be told apart.
    part = f"ORDER BY {selection.order} LIMIT {size}" if size < matching else ""
    row = connection.execute(
        f"""
        SELECT sum(revenue_at_stake_amount), sum(expected_spend), avg(churn_probability), avg(confidence)
        FROM (SELECT * FROM customer_genome_history WHERE {condition} {part})
        """,
        values,
    ).fetchall()[0]
    return AudienceTotals(matching, size, *row)


def audience_query(as_of: date, selection: Selection, size: int, first: int = 0) -> tuple[str, list[Any]]:
    """The customers of a selection from the one at ``first`` on, up to ``size`` from its start: SQL, and its values."""
    condition, values = selection.where(as_of)
    return (
        f"SELECT {', '.join(selection.columns)} FROM customer_genome_history WHERE {condition}"
        f" ORDER BY {selection.order} LIMIT ? OFFSET ?",
        [*values, max(size - first, 0), first],
    )


def audience_rows(
    connection: duckdb.DuckDBPyConnection, as_of: date, selection: Selection, first: int, last: int
) -> tuple[list[dict[str, Any]], int]:
    """The selection's customers from ``first`` to before ``last``, and the number of all."""
    _, size = audience_size(connection, as_of, selection)
    found = connection.execute(*audience_query(as_of, selection, min(size, last), first)).fetchall()
    return [dict(zip(selection.columns, row, strict=True)) for row in found], size


def column_values(connection: duckdb.DuckDBPyConnection, as_of: date, column: str, limit: int = 50) -> list[str]:
    """The most frequent values of a text column at the snapshot. ``column`` is one of the contract's."""
    rows = connection.execute(
        f"SELECT {column} FROM customer_genome_history WHERE as_of = ? AND {column} IS NOT NULL GROUP BY {column}"
        f" ORDER BY count(*) DESC, {column} LIMIT ?",
        [as_of, limit],
    ).fetchall()
    return [str(row[0]) for row in rows]


# Data quality


def quarantine_by_reason(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """One row per reason, over all periods; a row with two reasons counts under both."""
    return connection.execute(
        """
        SELECT reason, sum(row_count)::BIGINT AS row_count, sum(amount_sum) AS amount_sum
        FROM quarantine_reasons
        GROUP BY reason
        ORDER BY row_count DESC, reason
        """
    ).df()


def quarantine_by_period(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """One row per period and reason; rows without a readable date have no period."""
    return connection.execute(
        """
        SELECT period_start_date, reason, row_count, amount_sum
        FROM quarantine_reasons
        ORDER BY period_start_date NULLS LAST, reason
        """
    ).df()


def quarantine_samples(connection: duckdb.DuckDBPyConnection, reason: str) -> pd.DataFrame:
    """The first rows that were set aside for a reason, as they came."""
    return connection.execute(
        "SELECT * EXCLUDE (reason) FROM quarantine_samples WHERE reason = ? ORDER BY source_file, source_row", [reason]
    ).df()


def checks(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The checks of what was published last, failures first."""
    return connection.execute(
        f"""
        SELECT table_name, check_name, severity, is_passed, observed, period_start_date
        FROM ({LATEST_CHECKS})
        ORDER BY is_passed, severity, table_name, check_name, period_start_date
        """
    ).df()


def check_summary(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """One row per severity: checks of what was published last, and how many passed."""
    return connection.execute(
        f"""
        SELECT severity, count(*) AS check_count, count(*) FILTER (is_passed) AS passed_check_count
        FROM ({LATEST_CHECKS})
        GROUP BY severity
        ORDER BY severity
        """
    ).df()


def checks_by_period(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """One row per period: the latest result of each of its checks, counted. Checks of whole tables have no period."""
    return connection.execute(
        """
        WITH latest AS (
            SELECT
                period_start_date,
                arg_max(severity, checked_at) AS severity,
                arg_max(is_passed, checked_at) AS is_passed
            FROM data_quality
            WHERE period_start_date IS NOT NULL
            GROUP BY period_start_date, table_name, check_name
        )
        SELECT
            period_start_date,
            count(*) AS check_count,
            count(*) FILTER (NOT is_passed AND severity = 'ERROR') AS failed_error_count,
            count(*) FILTER (NOT is_passed AND severity = 'WARN') AS failed_warn_count
        FROM latest
        GROUP BY period_start_date
        ORDER BY period_start_date
        """
    ).df()


def check_runs(connection: duckdb.DuckDBPyConnection, limit: int = 12) -> pd.DataFrame:
    """The last runs that checked anything, latest first: checks and how many failed."""
    return connection.execute(
        """
        SELECT run_id, max(checked_at) AS checked_at, count(*) AS check_count,
            count(*) FILTER (NOT is_passed) AS failed_check_count
        FROM data_quality
        GROUP BY run_id
        ORDER BY checked_at DESC
        LIMIT ?
        """,
        [limit],
    ).df()


def reconciliation(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The latest results of the checks that every source row is kept or set aside, by period, the newest first."""
    return connection.execute(
        """
        SELECT period_start_date, check_name, arg_max(is_passed, checked_at) AS is_passed,
            arg_max(observed, checked_at) AS observed
        FROM data_quality
        WHERE check_name IN ('nothing_lost', 'rows_counted')
        GROUP BY period_start_date, table_name, check_name
        ORDER BY period_start_date DESC NULLS FIRST, check_name
        """
    ).df()


def gene_drift(connection: duckdb.DuckDBPyConnection, as_of: date, baseline: str) -> pd.DataFrame:
    """One row per snapshot up to ``as_of`` and gene: how far its distribution moved since the baseline's snapshot."""
    return connection.execute(
        """
        SELECT as_of, baseline_as_of, gene, measure, psi, ks_statistic, median, baseline_median, has_drifted,
            unjudged_reason
        FROM gene_drift_history
        WHERE as_of <= ? AND baseline = ?
        ORDER BY as_of, gene
        """,
        [as_of, baseline],
    ).df()


def forced_publications(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The publications that were forced past a blocking check, the latest first."""
    return connection.execute(
        "SELECT run_id, as_of, published_at, forced_past FROM pipeline_runs WHERE forced_past IS NOT NULL"
        " ORDER BY published_at DESC"
    ).df()


def source_files(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The files taken in."""
    return connection.execute(
        "SELECT source_file, row_count, ingested_at, content_hash FROM source_files ORDER BY source_file"
    ).df()
