"""The checks of a table, derived from its contract.

A check is one named statement. Where Great Expectations has a kind for it, it is stated by that kind
(:class:`Standard`), else by SQL. :mod:`genome_pipeline.quality.suites` makes suites of Great Expectations from checks,
:mod:`genome_pipeline.quality.counting` counts the rows that violate them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genome_pipeline.contracts.column import Column
from genome_pipeline.contracts.columns.totals import FIRST_KINDS, TOTALS
from genome_pipeline.contracts.playbook import EVERYTHING_RULE, LEFT_ALONE_RULE, WAIT_RULE
from genome_pipeline.contracts.tables import Reference, Table
from genome_pipeline.sql import identifier, literal


@dataclass(frozen=True)
class Standard:
    """An expectation of a kind that Great Expectations has: its type and arguments, and what they mean in SQL.

    ``breach`` is true of a row that violates it, ``ignored`` of a row that it does not judge.
    """

    kind: str
    arguments: Mapping[str, Any]
    breach: str
    ignored: str = "false"


@dataclass(frozen=True)
class Check:
    """One statement about a table.

    ``description`` states what must hold, about ``columns``. ``breach`` is an SQL condition that is true of a row that
    violates it. If one row is not enough to tell, ``broken_rows`` is a query of the violating rows, from ``{batch}``
    and from other tables ``{within}`` the slices checked; it gives the key and the slice. ``standards`` are the
    expectations that say the same, all together, where Great Expectations has such.
    """

    name: str
    description: str
    columns: tuple[str, ...] = ()
    breach: str | None = None
    broken_rows: str | None = None
    standards: tuple[Standard, ...] = ()


def _stated(name: str, description: str, columns: tuple[str, ...], *standards: Standard) -> Check:
    breach = " OR ".join(standard.breach for standard in standards)
    return Check(name, description, columns, breach, standards=standards)


def _ordered(low: str, high: str, *, is_strict: bool = False) -> Standard:
    """That ``low`` is at most ``high``, or below it, where neither is null."""
    ours, theirs = identifier(low), identifier(high)
    return Standard(
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": high, "column_B": low, "or_equal": not is_strict, "ignore_row_if": "either_value_is_missing"},
        f"{ours} {'>=' if is_strict else '>'} {theirs}",
        f"{ours} IS NULL OR {theirs} IS NULL",
    )


COLUMNS_CHECK = Check("columns", "the columns are those of the contract, in its order")
TYPES_CHECK = Check("column_types", "every column has the type of the contract")
KEY_CHECK = "unique_key"
_GREATEST = sys.float_info.max

RELATIONS = (
    _stated(
        "first_order_by_last_order",
        "first_order_date is not after last_order_date",
        ("first_order_date", "last_order_date"),
        _ordered("first_order_date", "last_order_date"),
    ),
    _stated(
        "last_order_before_as_of",
        "last_order_date is before as_of",
        ("last_order_date", "as_of"),
        _ordered("last_order_date", "as_of", is_strict=True),
    ),
    _stated(
        "recency_within_t",
        "recency_days is at most t_days",
        ("recency_days", "t_days"),
        _ordered("recency_days", "t_days"),
    ),
    _stated(
        "matured_after_as_of",
        "matured_as_of is after as_of",
        ("matured_as_of", "as_of"),
        _ordered("as_of", "matured_as_of", is_strict=True),
    ),
    _stated(
        "selection_before_as_of",
        "selection_as_of is before as_of",
        ("selection_as_of", "as_of"),
        _ordered("selection_as_of", "as_of", is_strict=True),
    ),
    Check(
        "orders_agree_with_churn",
        "expected_orders is (1 - churn_probability) times orders_if_retained",
        ("churn_probability", "orders_if_retained", "expected_orders"),
        "abs(expected_orders - (1 - churn_probability) * orders_if_retained) > 1e-9 * greatest(1, expected_orders)",
    ),
    Check(
        "spend_agrees_with_orders",
        "expected_spend is expected_orders times spend_per_order_amount",
        ("expected_orders", "spend_per_order_amount", "expected_spend"),
        "abs(expected_spend - expected_orders * spend_per_order_amount) > 1e-9 * greatest(1, expected_spend)",
    ),
    Check(
        "stake_agrees_with_churn",
        "revenue_at_stake_amount is churn_probability times orders_if_retained times spend_per_order_amount",
        ("churn_probability", "orders_if_retained", "spend_per_order_amount", "revenue_at_stake_amount"),
        "abs(revenue_at_stake_amount - churn_probability * orders_if_retained * spend_per_order_amount)"
        " > 1e-9 * greatest(1, revenue_at_stake_amount)",
    ),
    _stated(
        "neighbor_before_as_of",
        "neighbor_as_of is before as_of",
        ("neighbor_as_of", "as_of"),
        _ordered("neighbor_as_of", "as_of", is_strict=True),
    ),
    Check(
        "neighbor_is_another",
        "neighbor_customer_id is not the customer",
        ("neighbor_customer_id", "customer_id"),
        "neighbor_customer_id = customer_id",
    ),
)
"""Relations between columns; they apply to every table that has all of them. A null satisfies each."""

ARRANGEMENTS = (
    Check(
        "neighbors_sorted",
        "similarity does not rise with neighbor_rank",
        ("customer_id", "neighbor_rank", "similarity"),
        broken_rows="SELECT * FROM (SELECT *, lag(similarity) OVER (PARTITION BY as_of, customer_id"
        " ORDER BY neighbor_rank) AS before FROM {batch}) WHERE similarity > before",
    ),
    Check(
        "neighbors_complete",
        "every customer has as many neighbors as any other",
        ("customer_id", "neighbor_rank"),
        broken_rows="SELECT * FROM (SELECT *, count(*) OVER (PARTITION BY as_of, customer_id) AS found,"
        " max(neighbor_rank) OVER (PARTITION BY as_of) AS wanted FROM {batch}) WHERE found <> wanted",
    ),
    Check(
        "shares_sum_to_one",
        "the shares of spend of every customer sum to 1, within 1e-9",
        ("as_of", "customer_id", "category_rank", "category_spend_share"),
        broken_rows="SELECT as_of, customer_id, 0 AS category_rank FROM {batch}"
        " GROUP BY ALL HAVING NOT abs(sum(category_spend_share) - 1) <= 1e-9",
    ),
    Check(
        "next_categories_sorted",
        "category_probability does not rise with next_category_rank",
        ("customer_id", "next_category_rank", "category_probability"),
        broken_rows="SELECT * FROM (SELECT *, lag(category_probability) OVER (PARTITION BY as_of, customer_id"
        " ORDER BY next_category_rank) AS before FROM {batch}) WHERE category_probability > before + 1e-9",
    ),
    Check(
        "category_within_purchase",
        "no category is likelier to be bought within the horizon than anything: category_probability is at most"
        " 1 - churn_probability of customer_risk",
        ("as_of", "customer_id", "next_category_rank", "category_probability"),
        broken_rows="SELECT own.* FROM {batch} AS own LEFT JOIN"
        " (SELECT as_of, customer_id, churn_probability FROM customer_risk WHERE {within}) USING (as_of, customer_id)"
        " WHERE category_probability > coalesce(1 - churn_probability, 0)",
    ),
    Check(
        "outlook_rises_with_horizon",
        "of no customer a longer horizon promises less: churn_probability falls, and expected_orders and expected_spend"
        " rise, or stay",
        ("customer_id", "horizon_days", "churn_probability", "expected_orders", "expected_spend"),
        broken_rows="SELECT * FROM (SELECT *, min(churn_probability) OVER shorter AS churn_before,"
        " max(expected_orders) OVER shorter AS orders_before, max(expected_spend) OVER shorter AS spend_before"
        " FROM {batch} WINDOW shorter AS (PARTITION BY as_of, customer_id ORDER BY horizon_days"
        " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))"
        " WHERE churn_probability > churn_before OR expected_orders < orders_before OR expected_spend < spend_before",
    ),
    Check(
        "outlook_holds_the_forecast",
        "every customer has the forecast of customer_risk and customer_value over one of the horizons, unchanged",
        ("as_of", "customer_id", "horizon_days", "churn_probability", "expected_orders", "expected_spend"),
        broken_rows="SELECT as_of, customer_id, 0 AS horizon_days FROM"
        " (SELECT as_of, customer_id, churn_probability FROM customer_risk WHERE {within})"
        " JOIN (SELECT as_of, customer_id, expected_orders, expected_spend FROM customer_value WHERE {within})"
        " USING (as_of, customer_id) LEFT JOIN (SELECT as_of, customer_id, list((churn_probability, expected_orders,"
        " expected_spend)) AS told FROM {batch} GROUP BY ALL) USING (as_of, customer_id)"
        " WHERE NOT coalesce(list_contains(told, (churn_probability, expected_orders, expected_spend)), false)",
    ),
    Check(
        "next_order_agrees_with_outlook",
        "the next order falls within a horizon if the customer is likelier than not to buy within it, and only then",
        # Where it is made: customer_genome, which repeats it, has no column of this name.
        ("as_of", "customer_id", "next_order_date", "abstain_reason"),
        broken_rows="SELECT own.* FROM {batch} AS own JOIN"
        " (SELECT as_of, customer_id, horizon_days, churn_probability FROM customer_outlook WHERE {within}) AS outlook"
        " USING (as_of, customer_id) WHERE abs(outlook.churn_probability - 0.5) > 1e-6"
        " AND (outlook.churn_probability < 0.5) <> coalesce(next_order_date < as_of + horizon_days::INTEGER, false)",
    ),
    Check(
        "lifetime_value_holds_the_outlook",
        "lifetime_value_amount is at least the spend expected over every horizon",
        ("as_of", "customer_id", "lifetime_value_amount", "lifetime_horizon_days"),
        broken_rows="SELECT own.* FROM {batch} AS own JOIN (SELECT as_of, customer_id, max(expected_spend) AS spend"
        " FROM customer_outlook WHERE {within} GROUP BY ALL) AS outlook USING (as_of, customer_id)"
        " WHERE lifetime_value_amount < (1 - 1e-9) * spend",
    ),
    Check(
        "totals_add_up",
        "every total is the sum over the customers of its group, within 1e-6, and no group is missing",
        ("as_of", "group_kind", "group_key", "horizon_days", "customer_count", "expected_buyer_count"),
        broken_rows="WITH own AS (SELECT * FROM {batch}), grouped AS (SELECT as_of, horizon_days, segment_id,"
        " first_day, 1 - churn_probability AS buys, expected_orders, expected_spend"
        " FROM (SELECT * FROM customer_outlook WHERE {within})"
        " JOIN (SELECT as_of, customer_id, segment_id FROM customer_segments WHERE {within}) USING (as_of, customer_id)"
        # The cohort of a customer is the last that began by the first order.
        " JOIN (SELECT as_of, customer_id, first_day FROM (SELECT * FROM customer_features WHERE {within}) AS customers"
        " ASOF LEFT JOIN (SELECT DISTINCT as_of AS day, try_cast(group_key AS DATE) AS first_day FROM own"
        " WHERE group_kind = 'cohort') AS cohorts ON as_of = day AND first_order_date >= first_day)"
        " USING (as_of, customer_id)),"
        " summed AS (SELECT as_of, group_kind, group_key, horizon_days, count(*) AS customers, sum(buys) AS buyers,"
        " sum(expected_orders) AS orders, sum(expected_spend) AS spend FROM (SELECT *, unnest(['company', 'segment',"
        " 'cohort']) AS group_kind, unnest(['all', segment_id::VARCHAR, first_day::VARCHAR]) AS group_key FROM grouped)"
        " GROUP BY ALL),"
        # Which customers are of a cohort by category or country is not known here, but that each is of one is.
        " together AS (SELECT as_of, group_kind, 'any' AS group_key, horizon_days, sum(customer_count)::BIGINT AS"
        f" customer_count, {', '.join(f'sum({total}) AS {total}' for total in TOTALS)} FROM own WHERE group_kind IN"
        f" ({', '.join(map(literal, FIRST_KINDS))}) GROUP BY ALL),"
        " judged AS (SELECT as_of, group_kind, group_key, horizon_days, customer_count,"
        f" {', '.join(TOTALS)} FROM own WHERE group_kind IN ('company', 'segment', 'cohort')"
        " UNION ALL BY NAME FROM together),"
        " wanted AS (FROM summed UNION ALL BY NAME SELECT summed.* REPLACE (together.group_kind AS group_kind,"
        " 'any' AS group_key) FROM together JOIN summed ON summed.as_of = together.as_of"
        " AND summed.horizon_days = together.horizon_days AND summed.group_kind = 'company')"
        " SELECT as_of, group_kind, group_key, horizon_days FROM wanted"
        " FULL JOIN judged USING (as_of, group_kind, group_key, horizon_days)"
        " WHERE customers IS DISTINCT FROM customer_count OR NOT ("
        + " AND ".join(
            f"coalesce(abs({total} - {added}) <= 1e-6 * greatest(1, abs({added})), {total} IS NULL AND {added} IS NULL)"
            for total, added in zip(TOTALS, ("buyers", "orders", "spend"), strict=True)
        )
        + ")",
    ),
    Check(
        "cohorts_hold_every_customer",
        "the cohorts of a snapshot have its customers and their spend, to the cent, and nobody twice",
        ("as_of", "cohort_start_date", "cohort_age_count", "cohort_customer_count", "cumulative_spend_amount"),
        broken_rows="SELECT as_of, NULL AS cohort_start_date FROM (SELECT as_of, sum(cohort_customer_count) AS found,"
        " sum(cumulative_spend_amount) AS spent FROM {batch} GROUP BY as_of) FULL JOIN (SELECT as_of,"
        " count(*) AS customers, sum(spend_amount) AS spend FROM customer_features WHERE {within} GROUP BY as_of)"
        " USING (as_of) WHERE found IS DISTINCT FROM customers OR spent IS DISTINCT FROM spend",
    ),
    Check(
        "first_purchase_cohorts_hold_every_customer",
        "the cohorts of each kind have the customers of the snapshot and their spend, to the cent, and nobody twice",
        ("as_of", "cohort_kind", "cohort", "cohort_customer_count", "cumulative_spend_amount"),
        broken_rows="SELECT as_of, cohort_kind, NULL AS cohort FROM (SELECT as_of, cohort_kind,"
        " sum(cohort_customer_count) AS found, sum(cumulative_spend_amount) AS spent FROM {batch} GROUP BY ALL) JOIN"
        " (SELECT as_of, count(*) AS customers, sum(spend_amount) AS spend FROM customer_features WHERE {within}"
        " GROUP BY as_of) USING (as_of) WHERE found IS DISTINCT FROM customers OR spent IS DISTINCT FROM spend",
    ),
    Check(
        "controls_are_left_alone",
        "nobody whom a running experiment leaves alone has its action",
        ("as_of", "customer_id", "action", "action_rule"),
        broken_rows="SELECT own.* FROM {batch} AS own JOIN experiment_members USING (customer_id)"
        " JOIN experiments USING (experiment_id) WHERE NOT is_treated AND (own.action = experiments.action"
        f" OR experiments.action_rule = '{EVERYTHING_RULE}' AND own.action_rule NOT IN ('{WAIT_RULE}',"
        f" '{LEFT_ALONE_RULE}'))"
        " AND own.as_of >= experiments.as_of"
        " AND own.as_of < least(until_date, coalesce(stopped_date, until_date))",
    ),
    Check(
        "contributions_add_up",
        "the contributions of every customer add up to the prediction, within 1e-6",
        ("as_of", "customer_id", "prediction", "driver_rank", "contribution"),
        broken_rows="SELECT as_of, customer_id, prediction, 0 AS driver_rank FROM"
        " (SELECT as_of, customer_id, prediction, sum(contribution) AS explained FROM {batch} GROUP BY ALL) FULL JOIN"
        " (SELECT as_of, customer_id, 'churn_probability' AS prediction, churn_probability AS predicted"
        " FROM customer_risk WHERE {within} UNION ALL SELECT as_of, customer_id,"
        " if(expected_spend IS NULL, 'expected_orders', 'expected_spend'), coalesce(expected_spend, expected_orders)"
        " FROM customer_value WHERE {within}) USING (as_of, customer_id, prediction)"
        # Large amounts have no more significant digits than these.
        " WHERE NOT coalesce(abs(explained - predicted) <= 1e-6 * greatest(1, abs(predicted)),"
        " explained IS NULL AND predicted IS NULL)",
    ),
)
"""Statements about several rows together; they apply to every table that has all the columns."""


def checks_of(table: Table) -> tuple[Check, ...]:
    """Every check of the table, in a stable order."""
    not_null = [_not_null(name) for name in table.columns if name not in table.nullable]
    bounds = [check for column in table.fields if (check := _bounds(column))]
    values = [_values(column, column.values) for column in table.fields if column.values]
    intervals = [_interval(name) for name in table.columns if {f"{name}_lower", f"{name}_upper"} <= set(table.columns)]
    relations = [check for check in (*RELATIONS, *ARRANGEMENTS) if set(check.columns) <= set(table.columns)]
    references = [check for reference in table.references for check in _references(reference)]
    key = Check(KEY_CHECK, f"{', '.join(table.key)} identify a row", table.key)
    return (COLUMNS_CHECK, TYPES_CHECK, *not_null, *bounds, *values, *intervals, *relations, *references, key)


def _bounds(column: Column) -> Check | None:
    name = identifier(column.name)
    is_double = column.type == "DOUBLE"
    low, high = column.minimum, column.maximum
    parts = [f"isfinite({name})"] * is_double
    words = ["finite"] * is_double
    if low is not None:
        parts.append(f"{name} >= {low}")
        words.append(f"at least {low:g}")
    if high is not None:
        parts.append(f"{name} <= {high}")
        words.append(f"at most {high:g}")
    if not parts:
        return None
    # DuckDB orders NaN above any number, so a lower bound alone would let it pass.
    breach = f"NOT ({' AND '.join(parts)})"
    if is_double:
        # What Great Expectations has for "finite".
        low, high = (-_GREATEST if low is None else low), (_GREATEST if high is None else high)
    between = Standard(
        "expect_column_values_to_be_between",
        {"column": column.name, "min_value": low, "max_value": high},
        breach,
        f"{name} IS NULL",
    )
    return _stated(f"range_{column.name}", f"{column.name} is {' and '.join(words)}", (column.name,), between)


def _not_null(name: str) -> Check:
    null = f"{identifier(name)} IS NULL"
    standard = Standard("expect_column_values_to_not_be_null", {"column": name}, null)
    return _stated(f"not_null_{name}", f"{name} is never null", (name,), standard)


def _values(column: Column, values: tuple[str, ...]) -> Check:
    name = identifier(column.name)
    in_set = Standard(
        "expect_column_values_to_be_in_set",
        {"column": column.name, "value_set": list(values)},
        f"{name} NOT IN ({', '.join(literal(value) for value in values)})",
        f"{name} IS NULL",
    )
    return _stated(f"values_{column.name}", f"{column.name} is one of {', '.join(values)}", (column.name,), in_set)


def _interval(name: str) -> Check:
    low, point, high = columns = (f"{name}_lower", name, f"{name}_upper")
    pairs = (_ordered(low, point), _ordered(point, high), _ordered(low, high))
    return _stated(f"interval_{name}", f"{name} is within {low} and {high}", columns, *pairs)


def _references(reference: Reference) -> list[Check]:
    ours, theirs = (", ".join(map(identifier, names)) for names in (reference.columns, reference.their_columns))
    matching = " AND ".join(
        f"own.{identifier(own)} IS NOT DISTINCT FROM other.{identifier(other)}"
        for own, other in zip(reference.columns, reference.their_columns, strict=True)
    )
    name, listed = reference.columns[-1], " and ".join(reference.columns)
    checks = [
        Check(
            f"{name}_in_{reference.table}",
            f"{listed} of every row are in {reference.table}",
            reference.columns,
            broken_rows=f"SELECT * FROM {{batch}} AS own ANTI JOIN {reference.table} AS other ON {matching}",
        )
    ]
    if reference.is_complete:
        checks.append(
            Check(
                f"every_{name}_of_{reference.table}",
                f"every {listed} of {reference.table} are here",
                reference.columns,
                broken_rows=f"SELECT DISTINCT {theirs} FROM {reference.table} AS other"
                f" ANTI JOIN (SELECT {ours} FROM {{batch}}) AS own ON {matching} WHERE {{within}}",
            )
        )
    return checks


def rows_of(table: Table, within: str) -> str:
    """The rows of the slices ``within`` which is checked, as an SQL table."""
    return f"(SELECT * FROM {table.name} WHERE {within})"


def violations(table: Table, check: Check, batch: str, within: str) -> str:
    """Query of the rows of ``batch`` that violate the check; ``within`` is the condition of the slices it holds."""
    if check.broken_rows:
        return check.broken_rows.replace("{within}", within).replace("{batch}", batch)
    if check.name == KEY_CHECK:
        key = ", ".join(map(identifier, table.key))
        return f"SELECT {key}, count(*) AS copies FROM {batch} GROUP BY ALL HAVING copies > 1"
    shown = ", ".join(map(identifier, dict.fromkeys((*table.key, *check.columns))))
    return f"SELECT {shown} FROM {batch} WHERE {check.breach}"
