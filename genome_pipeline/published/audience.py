"""The audiences of the playbook's rules (`genome audience`): facts about each rule, and its customers."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from genome_pipeline.errors import ConfigError
from genome_pipeline.published.export import check_target, write_rows
from genome_pipeline.published.reader import Published
from genome_pipeline.settings import Settings
from genome_pipeline.sources.source import check_is_no_source

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


def audience_summary(settings: Settings) -> dict[str, Any]:
    """Every rule at the latest snapshot: its audience, and the outcomes of customers it picked before.

    Raises :class:`ConfigError` when nothing was published yet.
    """
    with Published(settings.published_path) as published:
        rows = published.rows("SELECT * FROM action_audiences ORDER BY rule_position")
        return {"as_of": published.latest(), "currency": settings.source.currency, "audiences": rows}


def write_audience(settings: Settings, rule: str, path: Path) -> dict[str, Any]:
    """Write the customers that ``rule`` picked at the latest snapshot to a CSV or Parquet file, most at stake first.

    Returns ``path`` and ``row_count``. Raises :class:`ConfigError` for a rule that is not in the playbook, for a path
    from which the source would read the file, and as :func:`genome_pipeline.published.export.write_rows` does.
    """
    check_target(path)
    check_is_no_source(path, settings.source)
    with Published(settings.published_path) as published:
        rules = [row["action_rule"] for row in published.rows("SELECT * FROM action_audiences ORDER BY rule_position")]
        if rule not in rules:
            close = difflib.get_close_matches(rule, rules, 1)
            raise ConfigError(
                f"there is no rule {rule!r}{f' (did you mean {close[0]!r}?)' if close else ''}; rules there are:"
                f" {', '.join(rules)}"
            )
        return write_rows(
            published.connection,
            f"SELECT {', '.join(_COLUMNS)} FROM customer_genome WHERE action_rule = ?"
            " ORDER BY round(revenue_at_stake_amount, 6) DESC NULLS LAST, customer_id",
            [rule],
            path,
        )
