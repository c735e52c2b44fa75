"""Typed lines -> valid lines, and rejected lines with every reason."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from genome_pipeline.contracts.rules import Rule, quarantining
from genome_pipeline.contracts.tables import RAW_COLUMNS, TABLES
from genome_pipeline.transforms.amounts import MONEY

REPEATED = "exact_duplicate"
_SAMPLED = 5
_PLACE = ["source_file", "source_row"]
_TYPED = TABLES["validated_transactions"].columns


def judges_repeats(rules: Sequence[Rule]) -> bool:
    """Whether the rules set aside lines that repeat another."""
    return any(rule.name == REPEATED for rule in quarantining(rules))


def judged_lines(lines: ir.Table, rules: Sequence[Rule], repeats: ir.Table | None = None) -> ir.Table:
    """Typed lines with ``reasons``: the names of the rules that a line fails, null for a valid line.

    Rules that only warn are not applied. ``repeats`` are the :func:`repeated_places` of the lines, if already computed.
    """
    rules = quarantining(rules)
    if judges_repeats(rules):
        marked = lines.left_join(repeated_places(lines) if repeats is None else repeats, _PLACE)
        marked = marked.drop("source_file_right", "source_row_right")
        lines = marked.mutate(is_repeated=marked.is_repeated.fill_null(False))
    lines = lines.mutate(**{f"fails_{rule.name}": rule.fails(lines) for rule in rules})
    failures = {rule.name: lines[f"fails_{rule.name}"] for rule in rules}
    names = [ibis.ifelse(failed, name, ibis.null("string")) for name, failed in failures.items()]
    judged = lines.mutate(
        reasons=ibis.ifelse(
            ibis.or_(*failures.values()),
            ibis.array(names).filter(lambda name: name.notnull()),
            ibis.null("array<string>"),
        )
    )
    return judged.select(*_TYPED, "reasons")


def repeated_hashes(lines: ir.Table) -> ir.Table:
    """``row_hash`` of all rows that may repeat another, and of hardly any other rows."""
    rows = lines.select(row_hash=row_hash(lines))
    counted = rows.group_by("row_hash").agg(row_count=rows.count())
    return counted.filter(counted.row_count > 1).select("row_hash")


def repeated_places(lines: ir.Table, hashes: ir.Table | None = None) -> ir.Table:
    """``source_file`` and ``source_row`` of each line that equals an earlier line (by file and position).

    Lines are equal if all raw columns are; ``is_repeated`` is true. Rows are compared in full only where their hashes
    are equal, which avoids sorting the whole log. ``hashes`` are the :func:`repeated_hashes` of the lines, if already
    computed: within one query DuckDB would keep every column of every row for the second use.
    """
    # Within a period: a row may be in the future for one file, and past for a file read later.
    key = ["period_start_date", *RAW_COLUMNS]
    rows = lines.select(*_PLACE, *key, row_hash=row_hash(lines))
    alike = rows.semi_join(repeated_hashes(lines) if hashes is None else hashes, "row_hash")
    copies = ibis.window(group_by=key, order_by=[alike.source_file, alike.source_row])
    numbered = alike.select(*_PLACE, copy_number=ibis.row_number().over(copies))
    return numbered.filter(numbered.copy_number > 0).select(*_PLACE, is_repeated=True)


def rejections(judged: ir.Table) -> ir.Table:
    """Place, period, amount and ``reasons`` of the judged lines that fail a rule: few columns of few rows."""
    return judged.filter(judged.reasons.notnull()).select(*_PLACE, "period_start_date", "amount", "reasons")


def valid_lines(lines: ir.Table, rejected: ir.Table) -> ir.Table:
    """Table ``validated_transactions`` from typed lines, without the :func:`rejections`.

    If there is no order id, a customer has one order per day.
    """
    valid = lines.anti_join(rejected, _PLACE)
    valid = valid.mutate(order_id=valid.order_id.fill_null(valid.ordered_at.date().cast("string")))
    return valid.select(*TABLES["validated_transactions"].columns)


def rejected_lines(rejected: ir.Table, raw: ir.Table) -> ir.Table:
    """Table ``quarantined_transactions`` from :func:`rejections`: the raw rows as text, with reasons."""
    rejected = rejected.rename(line_amount="amount").inner_join(raw, _PLACE)
    rejected = rejected.mutate(**{name: rejected[name].cast("string") for name in RAW_COLUMNS})
    return rejected.select(*TABLES["quarantined_transactions"].columns)


def rejected_by_reason(quarantined: ir.Table) -> ir.Table:
    """Table ``quarantine_reasons``: rows and amounts per period and reason."""
    each = quarantined.select("period_start_date", "line_amount", reason=quarantined.reasons.unnest())
    return each.group_by(["period_start_date", "reason"]).agg(
        row_count=each.count(), amount_sum=each.line_amount.sum().cast(MONEY)
    )


def samples_by_reason(quarantined: ir.Table) -> ir.Table:
    """Table ``quarantine_samples``: the first rows of each reason, in order of their place in the source."""
    each = quarantined.mutate(reason=quarantined.reasons.unnest())
    place = ibis.row_number().over(ibis.window(group_by="reason", order_by=["source_file", "source_row"]))
    samples = each.mutate(place=place)
    return samples.filter(samples.place < _SAMPLED).select(*TABLES["quarantine_samples"].columns)


def row_hash(rows: ir.Table) -> ir.IntegerValue:
    """A hash of all raw columns of each row."""
    return ibis.struct({name: rows[name] for name in RAW_COLUMNS}).hash()
