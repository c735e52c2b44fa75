"""What customers did after a snapshot: the truth that models are trained and judged on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import ibis
import ibis.expr.types as ir

from genome_pipeline.contracts.tables import TABLES


def realised_outcomes(lines: ir.Table, customers: ir.Table, horizon_days: int) -> ir.Table:
    """Outcomes of ``customers`` (``as_of``, ``customer_id``) within ``[as_of, as_of + horizon_days)``.

    Columns: ``as_of``, ``customer_id``, ``actual_orders`` (purchase days), ``actual_spend`` (purchases less returns,
    so possibly negative; null where the log has no amounts) and ``has_churned`` (no purchase).
    """
    keys = ["as_of", "customer_id"]
    days = customers.select("as_of").distinct()
    within = lines.inner_join(
        days,
        [
            lines.ordered_at >= days.as_of.cast("timestamp"),
            lines.ordered_at < days.as_of.cast("timestamp") + ibis.interval(days=horizon_days),
        ],
    )
    done = within.group_by(keys).agg(
        days=within.ordered_at.date().nunique(where=~within.is_return), spend=within.amount.sum()
    )
    # A log has amounts throughout or not at all; a customer without lines spent 0 only in a log with amounts.
    has_amounts = lines.aggregate(has_amounts=lines.amount.notnull().any())
    joined = customers.select(*keys).left_join(done, keys).drop("as_of_right", "customer_id_right")
    joined = joined.cross_join(has_amounts)
    return joined.select(
        *keys,
        actual_orders=joined.days.fill_null(0).cast("float64"),
        actual_spend=ibis.ifelse(joined.has_amounts, joined.spend.fill_null(0), ibis.null("decimal(38,2)")).cast(
            "decimal(18,2)"
        ),
        has_churned=joined.days.fill_null(0) == 0,
    )


def picked_outcomes(actions: ir.Table, outcomes: ir.Table, as_of: date) -> ir.Table:
    """Outcomes of the customers that each rule picked at snapshots that had matured by ``as_of``, summed up.

    Columns: ``as_of``, ``action_rule``, ``customer_count``, ``churned_count`` and ``actual_spend``, ordered by the
    first two.
    """
    keys = ["as_of", "customer_id"]
    known = outcomes.filter(outcomes.matured_as_of <= ibis.date(as_of)).select(*keys, "actual_spend", "has_churned")
    picked = known.inner_join(actions.select(*keys, "action_rule"), keys)
    return (
        picked.group_by(["as_of", "action_rule"])
        .agg(
            customer_count=picked.count(),
            churned_count=picked.has_churned.cast("int64").sum(),
            actual_spend=picked.actual_spend.sum(),
        )
        .order_by("as_of", "action_rule")
    )


def outlook_scores(matured: Mapping[date, date], outlook: ir.Table, outcomes: ir.Table) -> ir.Table:
    """Table ``outlook_performance``: how the forecast over one horizon turned out, a row a snapshot.

    ``matured`` maps the ``as_of`` of each snapshot to the snapshot by which the horizon had passed; ``outlook`` are
    rows of ``customer_outlook`` over that horizon, and ``outcomes`` those of :func:`realised_outcomes`.
    """
    told = outlook.filter(outlook.churn_probability.notnull())
    rows = told.inner_join(outcomes, ["as_of", "customer_id"])
    churn, has_churned = rows.churn_probability, rows.has_churned
    likelihood = ibis.ifelse(has_churned, churn, 1 - churn)
    scored = rows.group_by("as_of", "horizon_days").agg(
        customer_count=rows.count(),
        actual_churn_share=has_churned.cast("float64").mean(),
        mean_churn_probability=churn.mean(),
        expected_brier_score=(churn * (1 - churn)).mean(),
        log_loss=-ibis.greatest(likelihood, 1e-15).log().mean(),
        orders_total_ratio=rows.expected_orders.sum() / rows.actual_orders.sum().nullif(0),
        spend_total_ratio=ibis.ifelse(
            rows.actual_spend.sum() > 0, rows.expected_spend.sum() / rows.actual_spend.sum().cast("float64"), None
        ),
        orders_coverage_share=_covered(rows, "orders"),
        spend_coverage_share=_covered(rows, "spend"),
    )
    cases = [(scored.as_of == ibis.date(as_of), ibis.date(by)) for as_of, by in matured.items()]
    return scored.mutate(matured_as_of=ibis.cases(*cases)).select(*TABLES["outlook_performance"].columns)


def _covered(rows: ir.Table, target: str) -> ir.Value:
    """Share of customers within their interval; null where there are none."""
    actual = rows[f"actual_{target}"].cast("float64")
    return actual.between(rows[f"expected_{target}_lower"], rows[f"expected_{target}_upper"]).cast("float64").mean()


def matured_predictions(
    matured: Mapping[date, date],
    outcomes: ir.Table,
    features: ir.Table,
    segments: ir.Table,
    value: ir.Table,
    risk: ir.Table,
    confidence: ir.Table,
) -> ir.Table:
    """Table ``prediction_outcomes``: predictions of earlier snapshots beside their ``outcomes``.

    ``matured`` maps the ``as_of`` of each snapshot to the snapshot by which its horizon had passed.
    """
    keys = ["as_of", "customer_id"]
    rows = outcomes
    for part in (features, segments, value, risk, confidence):
        fresh = [name for name in part.columns if name not in rows.columns]
        rows = rows.inner_join(part.select(*keys, *fresh), keys)
    cases = [(rows.as_of == ibis.date(as_of), ibis.date(by)) for as_of, by in matured.items()]
    return rows.mutate(matured_as_of=ibis.cases(*cases)).select(*TABLES["prediction_outcomes"].columns)
