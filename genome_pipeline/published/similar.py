"""Customers who resemble a customer, or a group (`genome similar`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genome_pipeline.errors import ConfigError
from genome_pipeline.published.lookalikes import lookalikes
from genome_pipeline.published.reader import Published
from genome_pipeline.settings import Settings


def similar_customers(settings: Settings, customer_id: str) -> dict[str, Any]:
    """The customers most similar to this one at the latest snapshot, and outcomes of similar customers of the past.

    Raises :class:`ConfigError` if nothing was published yet, or the customer is unknown.
    """
    with Published(settings.published_path) as published:
        as_of = published.latest()
        published.genome(customer_id, as_of)
        of_customer = "WHERE customer_id = ?"
        return {
            "as_of": as_of,
            "customer_id": customer_id,
            "currency": settings.source.currency,
            "horizon_days": settings.predict.horizon_days,
            "neighbors": published.rows(
                "SELECT * EXCLUDE (as_of, customer_id), segment_name FROM customer_neighbors n JOIN (SELECT"
                " customer_id AS neighbor_customer_id, segment_name FROM customer_genome) USING (neighbor_customer_id)"
                f" {of_customer} ORDER BY neighbor_rank",
                [customer_id],
            ),
            "matured_neighbors": published.rows(
                f"SELECT * EXCLUDE (as_of, customer_id) FROM matured_neighbors {of_customer} ORDER BY neighbor_rank",
                [customer_id],
            ),
            "estimate": published.row(
                "SELECT e.* EXCLUDE (as_of, customer_id), expected_orders, expected_spend, churn_probability FROM"
                " neighbor_estimates e JOIN customer_genome USING (as_of, customer_id) WHERE e.customer_id = ?",
                [customer_id],
            ),
        }


def similar_to_group(settings: Settings, customer_ids: Sequence[str], count: int) -> dict[str, Any]:
    """The ``count`` customers nearest to the group at the latest snapshot, best first, and the group's common traits.

    Raises :class:`ConfigError` if nothing was published yet, or an id is unknown.
    """
    with Published(settings.published_path) as published:
        as_of = published.latest()
        found, traits = lookalikes(published.connection, as_of, customer_ids, count)
    return {
        "as_of": as_of,
        "group_size": len(set(customer_ids)),
        "group_traits": traits,
        "lookalikes": found.to_dict("records"),
    }


def ids_in(path: Path) -> list[str]:
    """The ids in a text file, one per line; surrounding blanks and empty lines are ignored.

    Raises :class:`ConfigError` if the file cannot be read or holds no id.
    """
    try:
        ids = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}): name a text file with one customer id a line") from None
    if not ids:
        raise ConfigError(f"{path} holds no customer id: write one a line")
    return ids
