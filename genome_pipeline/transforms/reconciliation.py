"""Rows and cents of lines, counted so that raw, validated and quarantined rows can be reconciled."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from genome_pipeline.contracts.formats import Formats
from genome_pipeline.contracts.rules import Rule, quarantining
from genome_pipeline.transforms.amounts import is_miscounted
from genome_pipeline.transforms.validation import REPEATED, row_hash

_COUNTED = ("reason", "row_count", "cents")


def row_and_cent_totals(lines: ir.Table, amount: str) -> ir.Table:
    """Rows and integer cents per period and source file, the two quantities that must reconcile."""
    return lines.group_by(["period_start_date", "source_file"]).agg(
        row_count=lines.count(), cents=_cents(lines[amount]).sum().fill_null(0)
    )


def source_totals(lines: ir.Table, *, mapped: Sequence[str], formats: Formats) -> ir.Table:
    """The same for typed lines, with ``miscounted_row_count``: lines whose amount is not what is written."""
    return lines.group_by(["period_start_date", "source_file"]).agg(
        row_count=lines.count(),
        cents=_cents(lines.amount).sum().fill_null(0),
        miscounted_row_count=is_miscounted(lines, mapped, formats).sum().fill_null(0),
    )


def recounted_by_reason(lines: ir.Table, rules: Sequence[Rule]) -> ir.Table:
    """Rows and integer cents per period and reason, counted from typed lines without judging each row.

    They are counted in another way than :func:`~genome_pipeline.transforms.validation.rejected_by_reason` does. Repeats
    are counted by :func:`recounted_repeats`.
    """
    cents = _cents(lines.amount)
    failures = {rule.name: rule.fails(lines) for rule in quarantining(rules) if rule.name != REPEATED}
    wide = lines.group_by("period_start_date").agg(
        **{f"rows_{name}": failed.sum() for name, failed in failures.items()},
        **{f"cents_{name}": cents.sum(where=failed) for name, failed in failures.items()},
    )
    each = ibis.array([_counted(name, wide[f"rows_{name}"], wide[f"cents_{name}"]) for name in failures]).unnest()
    return _tallies(wide.select("period_start_date", found=each))


def recounted_repeats(lines: ir.Table, hashes: ir.Table) -> ir.Table:
    """The same for repeats: the rows beyond the first in each group of equal rows.

    ``hashes`` are the :func:`~genome_pipeline.transforms.validation.repeated_hashes` of the lines: to group all of them
    takes several times as long.
    """
    rows = lines.select("period_start_date", cents=_cents(lines.amount), row_hash=row_hash(lines))
    rows = rows.semi_join(hashes, "row_hash").select(*rows.columns)
    groups = rows.group_by(["period_start_date", "row_hash"]).agg(copies=rows.count() - 1, cents=rows.cents.max())
    beyond_one = groups.group_by("period_start_date").agg(
        row_count=groups.copies.sum(), cents=(groups.copies * groups.cents).sum()
    )
    found = _counted(REPEATED, beyond_one.row_count, beyond_one.cents)
    return _tallies(beyond_one.select("period_start_date", found=found))


def _tallies(counts: ir.Table) -> ir.Table:
    counted = counts.select("period_start_date", *(counts.found[name].name(name) for name in _COUNTED))
    return counted.filter(counted.row_count > 0)


def _counted(reason: str, row_count: ir.Value, cents: ir.Value) -> ir.StructValue:
    values = (ibis.literal(reason), row_count.cast("int64"), cents.fill_null(0).cast("int64"))
    return ibis.struct(dict(zip(_COUNTED, values, strict=True)))


def _cents(amount: ir.DecimalValue) -> ir.IntegerValue:
    return (amount * 100).cast("int64")
