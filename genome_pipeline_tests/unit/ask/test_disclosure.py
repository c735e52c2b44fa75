"""Groups of few customers are not told, nor what gives them away."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from random import Random
from typing import Any

import duckdb
import pytest

from genome_pipeline.ask.disclosure import LEAST_GROUP, hidden
from genome_pipeline_tests.unit.ask.asking import Ask, plain


def test_a_small_group_takes_the_next_one_with_it() -> None:
    assert hidden([("a",), ("b",), ("c",)], [40, 12, 9]) == {1, 2}
    assert hidden([("a",), ("b",), ("c",)], [40, 12, 10]) == set()


def test_two_small_groups_that_are_large_together_hide_no_third() -> None:
    assert hidden([("a",), ("b",), ("c",)], [40, 6, 4]) == {1, 2}
    assert hidden([("a",), ("b",), ("c",)], [40, 6, 3]) == {0, 1, 2}


def test_an_empty_group_has_nothing_to_hide() -> None:
    assert hidden([("a",), ("b",), ("c",)], [40, 12, 0]) == set()


def test_the_whole_is_hidden_where_it_is_small_itself() -> None:
    assert hidden([()], [9]) == {0}
    assert hidden([()], [10]) == set()


@pytest.mark.parametrize("seed", range(20))
def test_no_line_of_a_table_gives_a_small_group_away(seed: int) -> None:
    random = Random(seed)
    cells = [*product("abcd", "uvw", "xy")]
    counts = [random.choice((0, 1, 5, 9, 20, 40, 80)) for _ in cells]
    gone = hidden(cells, counts)
    assert {position for position, count in enumerate(counts) if 0 < count < LEAST_GROUP} <= gone
    lines = defaultdict(list)
    for position, cell in enumerate(cells):
        for column in range(3):
            lines[column, (*cell[:column], *cell[column + 1 :])].append(position)
    for line in lines.values():
        lost = [position for position in line if position in gone]
        shown = [position for position in line if position not in gone and counts[position]]
        assert not (lost and shown) or (len(lost) > 1 and sum(counts[each] for each in lost) >= LEAST_GROUP)


@pytest.mark.parametrize("seed", range(20))
def test_the_same_groups_are_hidden_in_any_order_of_the_rows(seed: int) -> None:
    random = Random(seed)
    table = [(cell, random.choice((1, 5, 9, 20, 20, 40))) for cell in product("abcd", "uvw")]
    mixed = random.sample(table, len(table))
    gone = [
        {rows[position][0] for position in hidden([cell for cell, _ in rows], [count for _, count in rows])}
        for rows in (table, mixed)
    ]
    assert gone[0] == gone[1]


def counts_of(answer: dict[str, Any]) -> dict[tuple[str | None, ...], int]:
    return {tuple(map(plain, group["of"].values())): group["customer_count"] for group in answer["groups"]}


def test_a_question_on_few_customers_is_refused(groups_only: Ask) -> None:
    few = [{"column": "spend_amount_band", "value": "under 10"}]
    answer = groups_only("measure", measures=["spend_amount"], filters=few)
    assert answer["groups"] == []
    assert answer["refusals"] == [
        {"what": "the group", "why": "fewer than 10 customers, or needed to hide a group of so few"}
    ]


def test_a_single_customer_is_told_where_that_is_configured(everything: Ask) -> None:
    few = [{"column": "spend_amount_band", "value": "under 10"}]
    assert everything("measure", measures=["customer_count"], filters=few)["groups"][0]["customer_count"] == 1


@pytest.mark.parametrize("column", ["action_rule", "risk_band", "is_overdue", "country", "spend_amount_band"])
def test_filters_tell_the_groups_that_grouping_tells_and_no_others(
    column: str, groups_only: Ask, everything: Ask
) -> None:
    """So that asking one by one, and subtracting, gives no more than the table does."""
    all_values = [
        value for (value,) in counts_of(everything("measure", measures=["customer_count"], group_by=[column]))
    ]
    shown = counts_of(groups_only("measure", measures=["customer_count"], group_by=[column]))
    total = groups_only("measure", measures=["customer_count"])["groups"][0]["customer_count"]
    assert total - sum(shown.values()) == 0 or total - sum(shown.values()) >= LEAST_GROUP
    for value in all_values:
        one = groups_only("measure", measures=["customer_count"], filters=[{"column": column, "value": value}])
        assert [group["customer_count"] for group in one["groups"]] == ([shown[value,]] if (value,) in shown else [])


def test_the_order_of_columns_changes_nothing(groups_only: Ask) -> None:
    """Or what one order hides, the other would tell."""
    columns = ["confidence_band", "days_since_last_order_band"]
    one, other = (
        counts_of(groups_only("measure", measures=["customer_count"], group_by=by)) for by in (columns, columns[::-1])
    )
    assert one
    assert one == {(second, first): count for (first, second), count in other.items()}


def test_a_sum_over_the_few_customers_who_have_a_forecast_is_refused(
    groups_only: Ask, everything: Ask, published_path: object
) -> None:
    """The group of those without a band is large enough in neither file; of those not overdue, all have a forecast."""
    arguments = {"measures": ["expected_spend_amount"], "group_by": ["is_overdue"]}
    with duckdb.connect(str(published_path), read_only=True) as connection:
        known = dict(
            connection.execute(
                "SELECT is_overdue::VARCHAR, count(expected_spend) FROM customer_genome GROUP BY 1"
            ).fetchall()
        )
    assert known == {"false": 215, "true": 77, None: 0}
    assert [*counts_of(groups_only("measure", **arguments))] == [("false",)]
    assert {*counts_of(everything("measure", **arguments))} == {("false",), ("true",), (None,)}


@pytest.mark.parametrize(("tool", "arguments"), [("customers", {}), ("customer", {"customer_id": "C0010"})])
def test_single_customers_are_refused_with_the_reason(groups_only: Ask, tool: str, arguments: dict[str, str]) -> None:
    answer = groups_only(tool, **arguments)
    assert "[mcp] single_customers = true" in answer["refusals"][0]["why"]
    assert not any(answer[part] for part in answer if part not in ("reading", "basis", "refusals"))


def test_it_is_not_told_whether_there_is_a_customer(groups_only: Ask) -> None:
    assert groups_only("customer", customer_id="C0010") == groups_only("customer", customer_id="nobody")
