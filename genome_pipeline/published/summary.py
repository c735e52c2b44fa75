"""Summaries of the published file for the terminal: of a run, and of one customer."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from genome_pipeline.published.reader import LATEST_CHECKS, Published, Reader
from genome_pipeline.settings import Settings

OF_CUSTOMER = {
    "outlook": "SELECT * EXCLUDE (as_of, customer_id) FROM customer_outlook_history"
    " WHERE as_of = ? AND customer_id = ? ORDER BY horizon_days",
    "lifetime_value": "SELECT * EXCLUDE (as_of, customer_id) FROM customer_lifetime_value_history"
    " WHERE as_of = ? AND customer_id = ?",
    "categories": "SELECT category, category_spend_share FROM customer_categories_history"
    " WHERE as_of = ? AND customer_id = ? ORDER BY category_spend_share DESC, category_rank",
    "next_categories": "SELECT * EXCLUDE (as_of, customer_id) FROM customer_next_category_history"
    " WHERE as_of = ? AND customer_id = ? ORDER BY next_category_rank",
    "drivers": "SELECT prediction, driver_rank, driver, contribution, contribution_change, explanation"
    " FROM customer_drivers_history WHERE as_of = ? AND customer_id = ? ORDER BY prediction, driver_rank",
    "neighbors": "SELECT neighbor_rank, neighbor_customer_id, similarity, shared_traits"
    " FROM customer_neighbors_history WHERE as_of = ? AND customer_id = ? ORDER BY neighbor_rank",
}
"""Queries of what is told of one customer beside the genome, at a snapshot."""

_QUALITY = {"orders": ("mae", "rmse"), "spend": ("mae", "gini"), "churn": ("brier", "auc")}


def summarise(settings: Settings) -> dict[str, Any]:
    """The latest snapshot in numbers: rows, customers, segments, accuracy beside the naive baseline, checks, paths.

    Raises :class:`~genome_pipeline.errors.ConfigError` when nothing was published yet.
    """
    with Published(settings.published_path) as published:
        latest = published.row("SELECT * FROM pipeline_runs ORDER BY published_at DESC LIMIT 1")
        parameters = json.loads(latest["parameters"])
        quarantine = published.rows(
            "SELECT reason, sum(row_count)::BIGINT AS row_count FROM quarantine_reasons GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        segments = published.rows(
            "SELECT segment_name, customer_count, customer_share, spend_share FROM segment_profiles"
            " ORDER BY customer_count DESC, segment_name"
        )
        totals = published.row(
            "SELECT count(*) AS customers, sum(expected_spend) AS expected_spend,"
            " sum(revenue_at_stake_amount) FILTER (risk_band IN ('medium', 'high')) AS revenue_at_risk,"
            " avg(churn_probability) AS churn_probability,"
            " avg(confidence) AS confidence, bool_or(is_provisional) AS is_provisional,"
            " any_value(ends) AS expected_spend_interval FROM customer_genome LEFT JOIN (SELECT as_of,"
            " (expected_spend_amount_lower, expected_spend_amount_upper) AS ends FROM forecast_totals"
            " WHERE group_kind = 'company' AND horizon_days = ?) USING (as_of)",
            [parameters["horizon_days"]],
        )
        abstentions = published.rows(
            "SELECT reason, count(*) AS customers FROM (SELECT unnest([value_abstain_reason, risk_abstain_reason]) AS"
            " reason FROM customer_genome) WHERE reason IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        quality = published.rows(
            "SELECT as_of, target, metric, max(metric_value) FILTER (predictor = 'model') AS model,"
            " max(metric_value) FILTER (predictor = 'naive') AS naive FROM model_performance WHERE slice_name = 'all'"
            " AND as_of = (SELECT max(as_of) FROM model_performance) GROUP BY ALL ORDER BY ALL"
        )
        checks = published.row(f"SELECT count(*) FILTER (is_passed) AS passed, count(*) AS run FROM ({LATEST_CHECKS})")
        warnings = published.rows(
            f"SELECT table_name, check_name, observed FROM ({LATEST_CHECKS}) WHERE NOT is_passed ORDER BY ALL"
        )
    return {
        "as_of": latest["as_of"],
        "forced_past": latest["forced_past"],
        "horizon_days": parameters["horizon_days"],
        "currency": parameters["currency"],
        "raw_rows": parameters["raw_row_count"],
        "validated_rows": parameters["validated_row_count"],
        "quarantined_rows": parameters["quarantined_row_count"],
        "pending_rows": parameters["raw_row_count"]
        - parameters["validated_row_count"]
        - parameters["quarantined_row_count"],
        "quarantine": quarantine,
        **totals,
        "segments": segments,
        "abstentions": abstentions,
        "quality": [row for row in quality if row["metric"] in _QUALITY[row["target"]]],
        "checks": checks,
        "failed_checks": warnings,
        "published_file": str(settings.published_path),
        "report_file": str(settings.report_path),
    }


def customer_card(settings: Settings, customer_id: str, as_of: date | None = None) -> dict[str, Any]:
    """All published facts about one customer at the latest snapshot (or at ``as_of``).

    They are the genome, the outlook, the lifetime value, what they buy and will buy, the drivers and the neighbours.

    Raises :class:`~genome_pipeline.errors.ConfigError` for an unknown customer, with close ids where there are some.
    """
    with Published(settings.published_path) as published:
        return card_of(published, customer_id, as_of or published.latest())


def card_of(published: Reader, customer_id: str, day: date) -> dict[str, Any]:
    """As :func:`customer_card`, of a file that is open."""
    genome = published.genome(customer_id, day)
    facts: dict[str, Any] = {name: published.rows(query, [day, customer_id]) for name, query in OF_CUSTOMER.items()}
    (facts["lifetime_value"],) = facts["lifetime_value"] or [{}]
    parameters = published.parameters()
    return {"genome": genome, **facts, **{k: parameters[k] for k in ("horizon_days", "currency")}}
