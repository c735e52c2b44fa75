"""Reading ids and names."""

from __future__ import annotations

import re

import ibis
import ibis.expr.types as ir

from genome_pipeline.contracts.names import AROUND, BLANK, UNSEEN, WHOLE
from genome_pipeline.contracts.rules import NOTHING_MARKS
from genome_pipeline.transforms.formats import composed, text

# Visible ASCII, without a blank at either end, that cannot mean "nothing", judging by first character or length.
_NO_MARK = "".join(
    re.escape(chr(code)) for code in range(33, 127) if chr(code) not in {mark[0] for mark in NOTHING_MARKS}
)
_PLAIN = f"^(?:[{_NO_MARK}](?:[ -~]*[!-~])?|[!-~][ -~]{{{max(map(len, NOTHING_MARKS)) - 1},}}[!-~])\\z"


def label(column: ir.Value) -> ir.StringValue:
    """An id or name as lines hold it, by the rule of :mod:`genome_pipeline.contracts.names`; null for nothing."""
    if not column.type().is_string():
        return text(column)
    seen = composed(column.re_replace(UNSEEN, "")).re_replace(BLANK, " ")
    name = seen.re_replace(AROUND, "").re_replace(WHOLE, r"\1").nullif("")
    # An array, since DuckDB turns a long IN list into a join and runs it even if the column is not needed.
    cleaned = ibis.ifelse(ibis.array(list(NOTHING_MARKS)).contains(name), ibis.null("string"), name)
    # Most ids are plain already, and testing this costs a tenth of cleaning them.
    return ibis.ifelse(_is_plain(column), column, cleaned)


def _is_plain(column: ir.StringValue) -> ir.BooleanValue:
    """Whether the column certainly equals its own :func:`label`."""
    return column.re_search(_PLAIN) & ~column.endswith(".0")


def names_changed(raw: ir.Table, name: str) -> ir.Table:
    """Rows whose name is read as another than is written, per file: ``source_file``, ``row_count``, ``first_row``.

    ``name`` is a column of ids or names, such as ``customer_id``. Plain blanks around a name, and marks for nothing, do
    not count as changes; columns that are not text are skipped.
    """
    column = raw[f"raw_{name}"]
    if not column.type().is_string():
        raw, column = raw.limit(0), column.cast("string")
    odd = raw.filter(~_is_plain(column)).select(
        "source_file", "source_row", written=column.strip(), taken=label(column)
    )
    odd = odd.filter((odd.written != odd.taken).fill_null(False))
    return odd.group_by("source_file").agg(row_count=odd.count(), first_row=odd.source_row.min())
