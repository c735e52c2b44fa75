"""The contact log: its rows as contacts, and whom they reached for an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import ibis
import ibis.expr.types as ir

from genome_pipeline.contracts.formats import Formats
from genome_pipeline.transforms.formats import moment, text, written_number
from genome_pipeline.transforms.names import label

_BETWEEN = "\x1f"  # no label has it


@ibis.udf.scalar.builtin(name="sha256", signature=(("string",), "string"))  # type: ignore[untyped-decorator]
def _sha256(text: str) -> None:
    """DuckDB's SHA-256, in hex digits."""


def typed_contacts(raw: ir.Table, mapped: Sequence[str], formats: Formats) -> ir.Table:
    """Every row of a contact log as a contact; rows that cannot be read are kept, with null where nothing was read.

    Args:
        raw: ``source_row``, and ``raw_`` before the name of each mapped column.
        mapped: of ``customer_id``, ``contacted_at``, ``channel``, ``campaign`` and ``cost``, those that the log has.
        formats: of the source. Moments are ISO, or else as the source writes them, in wall time of its zone.

    Returns:
        ``source_row``, ``contact_id``, ``customer_id``, ``contacted_at``, ``channel``, ``campaign``, ``cost_amount``
        and ``is_cost_unread``: something is written there, and no number.
    """
    names = {
        name: label(raw[f"raw_{name}"]) if name in mapped else ibis.null("string")
        for name in ("customer_id", "channel", "campaign")
    }
    written = raw.raw_contacted_at
    contacted_at = ibis.coalesce(moment(written, replace(formats, date_formats=())), moment(written, formats))
    if "cost" in mapped:
        cost = written_number(raw.raw_cost, formats).try_cast("float64")
        cost_amount = ibis.ifelse(cost.isnan() | cost.isinf(), ibis.null("float64"), cost)
        has_cost = text(raw.raw_cost).notnull()
    else:
        cost_amount, has_cost = ibis.null("float64"), ibis.literal(False)
    rows = raw.select("source_row", **names, contacted_at=contacted_at, cost_amount=cost_amount, has_cost=has_cost)
    content = (rows.customer_id, rows.contacted_at, rows.channel, rows.campaign, rows.cost_amount)
    parts = [part.cast("string").fill_null("") for part in content]
    return rows.select(
        "source_row",
        "customer_id",
        "contacted_at",
        "channel",
        "campaign",
        "cost_amount",
        contact_id=_sha256(ibis.literal(_BETWEEN).join(parts)).left(32),
        is_cost_unread=rows.has_cost & rows.cost_amount.isnull(),
    )


def reached(
    contacts: ir.Table, members: ir.Table, start: date, until: date, campaigns: Sequence[str] | None
) -> ir.Table:
    """The members (``customer_id``) with a contact in [``start``, ``until``), in order.

    ``campaigns`` are the names of which a contact's campaign is to be one, in any case; None counts every contact.
    """
    within = contacts.filter(
        contacts.contacted_at >= ibis.date(start).cast("timestamp"),
        contacts.contacted_at < ibis.date(until).cast("timestamp"),
    )
    if campaigns is not None:
        within = within.filter(within.campaign.lower().isin([name.lower() for name in campaigns]))
    return within.semi_join(members, "customer_id").select("customer_id").distinct().order_by("customer_id")
