"""Raw rows -> typed lines -> the valid ones, and the others with every reason."""

from __future__ import annotations

import re
from collections.abc import Sequence

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.contracts.formats import Formats
from genome_pipeline.contracts.names import AROUND, BLANK, UNSEEN, WHOLE
from genome_pipeline.contracts.rules import ABSURD, NOTHING_MARKS, Rule, quarantining
from genome_pipeline.contracts.tables import RAW_COLUMNS, TABLES
from genome_pipeline.transforms.amounts import FACTOR, MONEY, amount_columns, is_miscounted, line_total
from genome_pipeline.transforms.formats import composed, moment, text, wall_time, written_number

_ISO = Formats()
_REPEATED = "exact_duplicate"
_SAMPLED = 5
_COUNTED = ("reason", "row_count", "cents")
_PLACE = ["source_file", "source_row"]
_TYPED = TABLES["validated_transactions"].columns
# Visible ASCII without a blank at either end that cannot be a mark for nothing: by its first character, or its length.
_NO_MARK = "".join(
    re.escape(chr(code)) for code in range(33, 127) if chr(code) not in {mark[0] for mark in NOTHING_MARKS}
)
_PLAIN = f"^(?:[{_NO_MARK}](?:[ -~]*[!-~])?|[!-~][ -~]{{{max(map(len, NOTHING_MARKS)) - 1},}}[!-~])\\z"

NAMES = ("customer_id", "order_id", "product_id", "category", "country", "currency")
"""Columns of ids and names, which are taken by the rule of :mod:`genome_pipeline.contracts.names`."""

_NUMBERS = ("quantity", "unit_price", "amount")


def period_start(moment: ir.TimestampValue, period: Period) -> ir.DateValue:
    """First day of the period of each moment."""
    unit = {Period.MONTH: "M", Period.WEEK: "W", Period.DAY: "D"}[period]
    return moment.truncate(unit).date()


def typed_lines(
    raw: ir.Table,
    *,
    mapped: Sequence[str],
    calendar: Calendar,
    formats: Formats = _ISO,
    non_product_codes: Sequence[str] = (),
) -> ir.Table:
    """Every raw row with its typed columns beside it, whatever is wrong with them; nothing is dropped.

    Adds ``customer_id``, ``order_id``, ``ordered_at``, ``product_id``, ``category``, ``country``, ``currency``,
    ``quantity``, ``unit_price``, ``amount`` (null where unreadable or absurd), ``is_return``, ``period_start_date``
    (null where no usable date), and the flags that rules read. ``amount`` is the mapped one, else the exact quantity x
    the exact price, rounded once, half away from zero, to cents; it is negative in a return.
    """
    lines = raw.mutate(
        **{name: label(raw[f"raw_{name}"]) for name in NAMES},
        ordered_at=moment(raw.raw_ordered_at, formats),
        raw_ordered_at=text(raw.raw_ordered_at) if raw.raw_ordered_at.type().is_string() else raw.raw_ordered_at,
        **{f"written_{name}": written_number(raw[f"raw_{name}"], formats) for name in _NUMBERS},
    )
    quantity, price = (lines[f"written_{name}"].try_cast(FACTOR) for name in ("quantity", "unit_price"))
    parts = amount_columns(mapped)
    lines = lines.mutate(
        quantity=lines.written_quantity.try_cast(dt.Decimal(18, 3)),
        unit_price=lines.written_unit_price.try_cast(dt.Decimal(18, 4)),
        total=line_total(lines, mapped),
        has_amount_text=ibis.and_(*(_is_written(lines[f"raw_{name}"]) for name in parts)),
        is_zero_quantity=(quantity == 0).fill_null(False),
        is_negative_quantity=(quantity < 0).fill_null(False),
        is_negative_price=(price < 0).fill_null(False),
    )
    sizes = [lines.quantity, *(lines[name] for name in parts if name == "unit_price"), lines.total]
    is_absurd = ibis.or_(*(size.abs() >= ABSURD for size in sizes)).fill_null(False)
    is_return = lines.is_negative_quantity | (lines.total < 0).fill_null(False)
    amount = ibis.ifelse(is_absurd, ibis.null(MONEY), lines.total.try_cast(MONEY))
    is_outside = lines.ordered_at < ibis.date(calendar.start)
    if calendar.end is not None:
        is_outside = is_outside | (lines.ordered_at >= ibis.date(calendar.end))
    # When a file was read is kept in UTC, orders in the source's wall time.
    is_future = lines.ordered_at > wall_time(lines.ingested_at.cast(dt.Timestamp(timezone="UTC")), formats)
    return lines.mutate(
        is_absurd=is_absurd,
        is_return=is_return,
        amount=ibis.ifelse(is_return, -amount.abs(), amount).cast(MONEY),
        is_outside_calendar=is_outside,
        is_in_future=is_future,
        is_non_product=lines.product_id.re_search(_any_of(non_product_codes)) if non_product_codes else False,
        is_other_currency=((lines.currency.upper() != formats.currency).fill_null(True) if formats.currency else False),
        period_start_date=ibis.ifelse(
            is_outside | is_future, ibis.null(dt.date), period_start(lines.ordered_at, calendar.period)
        ),
    ).drop("total", "is_negative_quantity", *(f"written_{name}" for name in _NUMBERS))


def judges_repeats(rules: Sequence[Rule]) -> bool:
    """Whether lines that repeat another are among what the rules set aside."""
    return any(rule.name == _REPEATED for rule in quarantining(rules))


def judged_lines(lines: ir.Table, rules: Sequence[Rule], repeats: ir.Table | None = None) -> ir.Table:
    """Typed lines with ``reasons``: the names of the rules each one fails, null for a valid line.

    Rules that only warn take no part. ``repeats`` are the :func:`repeated_places` of the lines, where they have been
    computed before.
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
    """``row_hash`` of all rows that may repeat another, and of hardly any other."""
    rows = lines.select(row_hash=_row_hash(lines))
    counted = rows.group_by("row_hash").agg(row_count=rows.count())
    return counted.filter(counted.row_count > 1).select("row_hash")


def repeated_places(lines: ir.Table, hashes: ir.Table | None = None) -> ir.Table:
    """``source_file`` and ``source_row`` of each line that an earlier one (by file and position) is the same as.

    The same in every raw column; ``is_repeated`` is true. Rows are compared in full only where their hashes meet,
    which spares a sort of the whole log. ``hashes`` are the :func:`repeated_hashes` of the lines, where they have been
    computed before: within one query DuckDB keeps every column of every row for the second use.
    """
    # Within a period: the same row may lie in the future for one file, and no more for a later one.
    key = ["period_start_date", *RAW_COLUMNS]
    rows = lines.select(*_PLACE, *key, row_hash=_row_hash(lines))
    alike = rows.semi_join(repeated_hashes(lines) if hashes is None else hashes, "row_hash")
    copies = ibis.window(group_by=key, order_by=[alike.source_file, alike.source_row])
    numbered = alike.select(*_PLACE, copy_number=ibis.row_number().over(copies))
    return numbered.filter(numbered.copy_number > 0).select(*_PLACE, is_repeated=True)


def rejections(judged: ir.Table) -> ir.Table:
    """Of the judged lines that fail a rule the place, period, amount and ``reasons``: few columns of few rows."""
    return judged.filter(judged.reasons.notnull()).select(*_PLACE, "period_start_date", "amount", "reasons")


def valid_lines(lines: ir.Table, rejected: ir.Table) -> ir.Table:
    """Table ``validated_transactions`` from typed lines, less those of which there are :func:`rejections`.

    Without an order id, one order per customer and day.
    """
    valid = lines.anti_join(rejected, _PLACE)
    valid = valid.mutate(order_id=valid.order_id.fill_null(valid.ordered_at.date().cast("string")))
    return valid.select(*TABLES["validated_transactions"].columns)


def rejected_lines(rejected: ir.Table, raw: ir.Table) -> ir.Table:
    """Table ``quarantined_transactions`` from :func:`rejections`: the raw rows as they came, as text, with reasons."""
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


def row_and_cent_totals(lines: ir.Table, amount: str) -> ir.Table:
    """Rows and integer cents per period and source file, the two quantities that must reconcile."""
    return lines.group_by(["period_start_date", "source_file"]).agg(
        row_count=lines.count(), cents=_cents(lines[amount]).sum().fill_null(0)
    )


def source_totals(lines: ir.Table, *, mapped: Sequence[str], formats: Formats) -> ir.Table:
    """The same of typed lines, with ``miscounted_row_count``: those whose amount is not what is written."""
    return lines.group_by(["period_start_date", "source_file"]).agg(
        row_count=lines.count(),
        cents=_cents(lines.amount).sum().fill_null(0),
        miscounted_row_count=is_miscounted(lines, mapped, formats).sum().fill_null(0),
    )


def recounted_by_reason(lines: ir.Table, rules: Sequence[Rule]) -> ir.Table:
    """Rows and integer cents per period and reason, counted from typed lines without judging each row.

    A second way to what :func:`rejected_by_reason` tells. Repeats are :func:`recounted_repeats`.
    """
    cents = _cents(lines.amount)
    failures = {rule.name: rule.fails(lines) for rule in quarantining(rules) if rule.name != _REPEATED}
    wide = lines.group_by("period_start_date").agg(
        **{f"rows_{name}": failed.sum() for name, failed in failures.items()},
        **{f"cents_{name}": cents.sum(where=failed) for name, failed in failures.items()},
    )
    each = ibis.array([_counted(name, wide[f"rows_{name}"], wide[f"cents_{name}"]) for name in failures]).unnest()
    return _tallies(wide.select("period_start_date", found=each))


def recounted_repeats(lines: ir.Table, hashes: ir.Table) -> ir.Table:
    """The same of repeats: what a group of equal rows has beyond one.

    ``hashes`` are the :func:`repeated_hashes` of the lines: to group all of them takes several times as long.
    """
    rows = lines.select("period_start_date", cents=_cents(lines.amount), row_hash=_row_hash(lines))
    rows = rows.semi_join(hashes, "row_hash").select(*rows.columns)
    groups = rows.group_by(["period_start_date", "row_hash"]).agg(copies=rows.count() - 1, cents=rows.cents.max())
    beyond_one = groups.group_by("period_start_date").agg(
        row_count=groups.copies.sum(), cents=(groups.copies * groups.cents).sum()
    )
    found = _counted(_REPEATED, beyond_one.row_count, beyond_one.cents)
    return _tallies(beyond_one.select("period_start_date", found=found))


def _tallies(counts: ir.Table) -> ir.Table:
    counted = counts.select("period_start_date", *(counts.found[name].name(name) for name in _COUNTED))
    return counted.filter(counted.row_count > 0)


def _counted(reason: str, row_count: ir.Value, cents: ir.Value) -> ir.StructValue:
    values = (ibis.literal(reason), row_count.cast("int64"), cents.fill_null(0).cast("int64"))
    return ibis.struct(dict(zip(_COUNTED, values, strict=True)))


def _row_hash(rows: ir.Table) -> ir.IntegerValue:
    return ibis.struct({name: rows[name] for name in RAW_COLUMNS}).hash()


def _cents(amount: ir.DecimalValue) -> ir.IntegerValue:
    return (amount * 100).cast("int64")


def _any_of(patterns: Sequence[str]) -> str:
    """A regular expression, of any engine, for the texts that match one of the patterns, in any case."""
    marks = {"*": ".*", "?": "."}
    return f"(?is)^({'|'.join(''.join(marks.get(c) or re.escape(c) for c in pattern) for pattern in patterns)})$"


def _is_written(column: ir.Value) -> ir.BooleanValue:
    """Whether anything stands in the column; told without making text of numbers."""
    is_there = column.notnull()
    if column.type().is_floating():
        return is_there & ~column.isnan().fill_null(False)
    return text(column).notnull() if column.type().is_string() else is_there


def label(column: ir.Value) -> ir.StringValue:
    """An id or a name as lines have it, by the rule of :mod:`genome_pipeline.contracts.names`; null for nothing."""
    if not column.type().is_string():
        return text(column)
    seen = composed(column.re_replace(UNSEEN, "")).re_replace(BLANK, " ")
    name = seen.re_replace(AROUND, "").re_replace(WHOLE, r"\1").nullif("")
    # An array, as DuckDB makes a join of a long IN list, and runs it even where the column is not asked for.
    cleaned = ibis.ifelse(ibis.array(list(NOTHING_MARKS)).contains(name), ibis.null("string"), name)
    # Most ids are plain already, and to tell so costs a tenth of cleaning them.
    return ibis.ifelse(_is_plain(column), column, cleaned)


def _is_plain(column: ir.StringValue) -> ir.BooleanValue:
    """Whether the column is its own :func:`label` beyond doubt."""
    return column.re_search(_PLAIN) & ~column.endswith(".0")


def names_changed(raw: ir.Table, name: str) -> ir.Table:
    """Rows in which another name is taken than is written, per file: ``source_file``, ``row_count``, ``first_row``.

    ``name`` is a column of ids or names, as ``customer_id``. Plain blanks around a name, and marks for nothing, do not
    count, nor do columns that are no text.
    """
    column = raw[f"raw_{name}"]
    if not column.type().is_string():
        raw, column = raw.limit(0), column.cast("string")
    odd = raw.filter(~_is_plain(column)).select(
        "source_file", "source_row", written=column.strip(), taken=label(column)
    )
    odd = odd.filter((odd.written != odd.taken).fill_null(False))
    return odd.group_by("source_file").agg(row_count=odd.count(), first_row=odd.source_row.min())
