"""The audiences of the playbook's rules (`genome audience`): facts about each rule, and its customers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genome_pipeline.contracts.columns.totals import TOTALS
from genome_pipeline.errors import not_found
from genome_pipeline.published.experiments import check_draws_are_published
from genome_pipeline.published.export import check_target, write_rows
from genome_pipeline.published.reader import Published
from genome_pipeline.published.totals import total_sums, with_bounds
from genome_pipeline.settings import Settings
from genome_pipeline.sources.source import check_may_be_written

_COLUMNS = (
    "as_of",
    "customer_id",
    "action",
    "action_rule",
    "action_reason",
    "is_for_review",
    "revenue_at_stake_amount",
    "revenue_at_stake_amount_lower",
    "revenue_at_stake_amount_upper",
    "churn_probability",
    "expected_spend",
    "confidence",
    "segment_name",
)

AUDIENCES = "SELECT * FROM action_audiences ORDER BY rule_position"
"""Query of every rule at the latest snapshot."""

CUSTOMERS_OF_RULE = (
    f"SELECT {', '.join(_COLUMNS)} FROM customer_genome WHERE action_rule = ?"
    " ORDER BY round(revenue_at_stake_amount, 6) DESC NULLS LAST, customer_id"
)
"""Query of the customers that a rule picked at the latest snapshot, most at stake first."""

_TOTALS = [*(f"{name}{end}" for name in TOTALS for end in ("", "_lower", "_upper")), "abstain_reason"]


def audience_summary(settings: Settings) -> dict[str, Any]:
    """Every rule at the latest snapshot: its audience, and the outcomes of customers it picked before.

    Beside each stand the totals that its customers are expected to reach over the main horizon, with their intervals,
    null for an audience of nobody; ``proofs`` are what experiments on the rules have shown. Raises
    :class:`~genome_pipeline.errors.ConfigError` when nothing was published yet.
    """
    with Published(settings.published_path) as published:
        rows = published.rows(AUDIENCES)
        as_of, parameters = published.latest(), published.parameters()
        sums = published.connection.execute(
            f"SELECT action_rule, {total_sums()} FROM customer_genome GROUP BY action_rule"
        ).df()
        days, level = parameters["horizon_days"], parameters["interval_level"]
        totals = with_bounds(published.connection, as_of, days, level, sums).set_index("action_rule")[_TOTALS]
        proofs = published.rows(
            "SELECT action_rule, outcome_name, run_count, verdict, verdict_reason FROM rule_proofs_history"
            " WHERE as_of = ? ORDER BY action_rule, outcome_name",
            [as_of],
        )
        known = totals.astype(object).where(totals.notna(), None).to_dict("index")
        nobody = dict.fromkeys(_TOTALS)
        return {
            "as_of": as_of,
            "currency": parameters["currency"],
            "horizon_days": days,
            "interval_level": level,
            "audiences": [{**row, **known.get(row["action_rule"], nobody)} for row in rows],
            "proofs": proofs,
        }


def write_audience(settings: Settings, rule: str, path: Path) -> dict[str, Any]:
    """Write the customers that ``rule`` picked at the latest snapshot to a CSV or Parquet file, most at stake first.

    Returns ``path`` and ``row_count``. Raises :class:`~genome_pipeline.errors.ConfigError` for a rule
    that is not in the playbook, for a path from which the source would read the file, and as
    :func:`genome_pipeline.published.export.write_rows` does.
    """
    check_target(path)
    check_may_be_written(path, settings)
    check_draws_are_published(settings)
    with Published(settings.published_path) as published:
        check_rule(published, rule)
        return write_rows(published.connection, CUSTOMERS_OF_RULE, [rule], path)


def check_rule(published: Published, rule: str) -> None:
    """Raises :class:`~genome_pipeline.errors.ConfigError` for a rule that is not in the playbook."""
    rules = [row["action_rule"] for row in published.rows(AUDIENCES)]
    if rule not in rules:
        raise not_found("rule", rule, rules)
