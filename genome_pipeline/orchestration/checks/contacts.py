"""Whether the contact log can be read, and whether its contacts are of customers."""

from __future__ import annotations

from collections.abc import Sequence

import ibis

from genome_pipeline.orchestration.checks.bridge import Subject, check
from genome_pipeline.quality.validation import CheckResult, Severity
from genome_pipeline.warehouse.ingestion import typed_raw

MOST_UNUSABLE = 0.25
"""Share of the log's rows beyond which it is taken for another file, or for one of another format."""


@check(
    "contacts",
    description="Every row of the contact log has a customer, a moment that can be read, and a number for its cost or"
    " none. Stops the run only where over a quarter have no customer or no moment.",
    is_blocking=True,
)
def contacts_are_read(subject: Subject) -> Sequence[CheckResult]:
    """Count the rows that are no contact, and the costs that are no number."""
    found = subject.database.con.execute(
        "SELECT source_file, unusable_row_count, first_unusable_row, unread_cost_count, unusable_row_count +"
        " duplicate_row_count + (SELECT count(*) FROM contacts) FROM contact_files"
    ).fetchall()
    results = []
    for file, unusable, first, unread, row_count in found:
        severity: Severity = "ERROR" if unusable > MOST_UNUSABLE * row_count else "WARN"
        observed = (
            f"{unusable:,} of {row_count:,} rows of {file} have no customer, or no moment that can be read, and are"
            f" left out, the first of them row {first:,}: write moments as ISO (2026-01-31 18:30), or as in the source"
            if unusable
            else f"all {row_count:,} rows of {file} are contacts"
        )
        results.append(_result("contacts_are_read", severity, not unusable, observed, row_count))
        if unread:
            observed = f"{unread:,} contacts of {file} have a cost that is no number, and count as of unknown cost"
            results.append(_result("costs_are_read", "WARN", False, observed, row_count))
    return results or [_result("contacts_are_read", "WARN", True, "the config names no contact log", 0)]


@check(
    "contacts",
    description="No contact stands twice in the contact log; one that does counts once.",
    is_blocking=False,
)
def contacts_stand_once(subject: Subject) -> Sequence[CheckResult]:
    """Count the rows that say the same as one before."""
    ((count, twice),) = subject.database.con.execute(
        "SELECT (SELECT count(*) FROM contacts), coalesce((SELECT sum(duplicate_row_count)::BIGINT FROM contact_files),"
        " 0)"
    ).fetchall()
    observed = (
        f"{twice:,} rows of the contact log say the same as one before, and count once with it"
        if twice
        else f"all {count:,} contacts differ"
    )
    return [_result("contacts_stand_once", "WARN", not twice, observed, count)]


@check(
    "contacts",
    description="Contacts are of customers whom the source knows, and not before their first order.",
    is_blocking=False,
)
def contacts_are_of_customers(subject: Subject) -> Sequence[CheckResult]:
    """Count the contacts of unknown customers, and those before the first order."""
    database = subject.database
    contacts = database.table("contacts")
    count = int(contacts.count().execute())
    if not count:
        return [_result("contacts_are_of_customers", "WARN", True, "there are no contacts", 0)]
    lines = typed_raw(database, subject.settings).semi_join(contacts, "customer_id")
    known = lines.group_by("customer_id").agg(first_ordered_at=lines.ordered_at.min(), is_known=ibis.literal(True))
    joined = contacts.left_join(known, "customer_id")
    is_unknown = joined.is_known.isnull()
    is_early = (joined.contacted_at < joined.first_ordered_at).fill_null(False)
    row = joined.aggregate(
        unknown=is_unknown.sum(),
        first_unknown=joined.source_row.min(where=is_unknown),
        early=is_early.sum(),
        first_early=joined.source_row.min(where=is_early),
    )
    (found,) = row.to_pyarrow().to_pylist()
    observed = []
    if found["unknown"]:
        observed.append(
            f"{found['unknown']:,} of {count:,} contacts are of customers whom the source does not know, the first of"
            f" them row {found['first_unknown']:,}: ids are to be as in the source, with leading zeros"
        )
    if found["early"]:
        observed.append(
            f"{found['early']:,} of {count:,} contacts are before the customer's first order, the first of them row"
            f" {found['first_early']:,}: moments without an offset are taken for those of source.time_zone"
        )
    rows = "SELECT * FROM contacts ANTI JOIN validated_transactions USING (customer_id)" if found["unknown"] else ""
    words = "; ".join(observed) or f"all {count:,} contacts are of customers, after their first order"
    return [_result("contacts_are_of_customers", "WARN", not observed, words, count, rows)]


def _result(
    name: str, severity: Severity, is_passed: bool, observed: str, row_count: int, rows: str = ""
) -> CheckResult:
    return CheckResult("contacts", name, severity, is_passed, observed, row_count, rows=rows)


CHECKS = (contacts_are_read, contacts_stand_once, contacts_are_of_customers)
