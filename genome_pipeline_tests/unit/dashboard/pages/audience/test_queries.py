"""What DuckDB gives for a selection, beside plain SQL."""

from __future__ import annotations

from urllib.parse import urlencode

import duckdb
import pandas as pd
import pytest

from genome_pipeline.contracts.columns.totals import TOTALS
from genome_pipeline.dashboard.pages.audience import queries
from genome_pipeline.dashboard.pages.audience.selection import COLUMN_NAMES, Selection
from genome_pipeline_tests.support.published_file import ABSTAINED_ID, HORIZON_DAYS, HOSTILE_ID, LATEST


def _ids(connection: duckdb.DuckDBPyConnection, search: str, first: int = 0, last: int = 1_000) -> list[str]:
    rows, _ = queries.audience_rows(connection, LATEST, Selection.parse(search), first, last)
    return [row["customer_id"] for row in rows]


def test_conditions_order_and_top_equal_plain_sql(connection: duckdb.DuckDBPyConnection) -> None:
    expected = connection.execute(
        "SELECT customer_id FROM customer_genome WHERE churn_probability >= 0.3 AND segment_name IN"
        " ('Steady regulars', 'Lapsing one-timers') AND last_order_date >= '2017-03-01'"
        " ORDER BY expected_spend NULLS LAST, customer_id"
    ).fetchall()
    search = (
        "where=churn_probability:ge:0.3&where=segment_name:in:Steady+regulars,Lapsing+one-timers"
        "&where=last_order_date:ge:2017-03-01&sort=expected_spend:asc"
    )
    ids = [row[0] for row in expected]
    assert len(ids) > 20
    assert _ids(connection, search) == ids
    assert _ids(connection, search, 5, 12) == ids[5:12]
    tenth = -(-len(ids) // 10)
    assert _ids(connection, f"{search}&top=10") == ids[:tenth]
    assert _ids(connection, f"{search}&top=10", tenth - 1, tenth + 50) == ids[tenth - 1 : tenth]
    assert _ids(connection, f"{search}&first=7") == ids[:7]
    assert _ids(connection, f"{search}&first=100000") == ids
    assert _ids(connection, f"{search}&top=10&first=1") == ids[:1]


def test_totals_are_those_of_the_top_percent(connection: duckdb.DuckDBPyConnection) -> None:
    selection = Selection.parse("where=risk_band:eq:high&top=20&sort=churn_probability:desc")
    totals = queries.audience_totals(connection, LATEST, selection)
    size = -(-totals.matching_count // 5)
    row = connection.execute(
        "SELECT count(*), sum(revenue_at_stake_amount), sum(expected_spend), avg(churn_probability), avg(confidence)"
        " FROM (FROM customer_genome WHERE risk_band = 'high' ORDER BY churn_probability DESC, customer_id LIMIT ?)",
        [size],
    ).fetchone()
    assert row is not None
    assert 0 < totals.customer_count == row[0] == size < totals.matching_count
    assert totals.revenue_at_stake_amount == pytest.approx(row[1])
    assert totals.expected["expected_spend_amount"] == pytest.approx(row[2])
    assert totals.mean_churn_probability == pytest.approx(row[3])
    assert totals.mean_confidence == pytest.approx(row[4])


@pytest.mark.parametrize(
    ("search", "kind", "key"), [("", "company", "all"), *(("segment_id", "segment", str(n)) for n in (1, 2, 3, 4))]
)
def test_an_audience_has_the_total_and_the_interval_of_the_group_that_it_is(
    connection: duckdb.DuckDBPyConnection, search: str, kind: str, key: str
) -> None:
    selection = Selection.parse(urlencode({"where": f"{search}:eq:{key}"}) if search else "")
    found = queries.audience_totals(connection, LATEST, selection).expected
    group = connection.execute(
        "SELECT * FROM forecast_totals WHERE group_kind = ? AND group_key = ? AND horizon_days = ?",
        [kind, key, HORIZON_DAYS],
    ).df()
    assert len(group) == 1
    for name in TOTALS:
        for end in ("", "_lower", "_upper"):
            assert found[f"{name}{end}"] == pytest.approx(group[f"{name}{end}"][0], rel=1e-9)
    assert found["expected_spend_amount_lower"] < found["expected_spend_amount"] < found["expected_spend_amount_upper"]
    assert found["abstain_reason"] is None


@pytest.mark.parametrize(
    ("search", "reason"),
    [
        ("first=1", "1 customer: bounds of a total need 4"),
        ("first=3", "3 customers: bounds of a total need 4"),
        ("first=4", None),
        (f"where=customer_id:eq:{ABSTAINED_ID}", "none of them has a prediction"),
        ("where=spend_amount:ge:1e9", None),
    ],
)
def test_the_total_of_few_or_nobody_has_no_interval_and_says_why(
    connection: duckdb.DuckDBPyConnection, search: str, reason: str | None
) -> None:
    found = queries.audience_totals(connection, LATEST, Selection.parse(search)).expected
    assert found["abstain_reason"] == reason
    assert pd.notna(found["expected_spend_amount_lower"]) == (search == "first=4")


def test_everyone_is_in_without_a_filter(connection: duckdb.DuckDBPyConnection) -> None:
    assert len(_ids(connection, "")) == 300
    assert queries.audience_totals(connection, LATEST, Selection()).matching_count == 300


def test_text_is_bound_never_sql(connection: duckdb.DuckDBPyConnection) -> None:
    for text in ("' OR 1=1 --", "x'; DROP TABLE source_files; --", "%"):
        query = urlencode({"where": f"segment_name:eq:{text}"})
        assert _ids(connection, query) == []
        assert _ids(connection, urlencode({"rule": text})) == []
    assert _ids(connection, urlencode({"where": f"customer_id:eq:{HOSTILE_ID}"})) == [HOSTILE_ID]
    assert _ids(connection, "where=spend_amount:le:1e300&top=1") != []


def test_every_column_can_be_shown_sorted_and_filtered(connection: duckdb.DuckDBPyConnection) -> None:
    for column in COLUMN_NAMES:
        rows, size = queries.audience_rows(
            connection, LATEST, Selection.parse(f"sort={column}:desc&columns={column}"), 0, 3
        )
        assert size == 300
        assert column in rows[0]
        value = rows[0][column]
        if value is not None:
            text = value if not isinstance(value, bool) else str(value).lower()
            found = Selection.parse(urlencode({"where": f"{column}:eq:{text}"}))
            assert found.faults == ()
            assert queries.audience_totals(connection, LATEST, found).matching_count >= 1


def test_who_is_about_to_buy_a_category_comes_likeliest_first(connection: duckdb.DuckDBPyConnection) -> None:
    search = urlencode([("buys", "<b>PASTRY</b>"), ("where", "category_probability:ge:0.2")])
    selection = Selection.parse(search)
    rows, size = queries.audience_rows(connection, LATEST, selection, 0, 1_000)
    expected = connection.execute(
        "SELECT customer_id, category_probability, reorder_date FROM customer_next_category"
        " WHERE category = '<b>PASTRY</b>' AND category_probability >= 0.2"
        " ORDER BY round(category_probability, 6) DESC, customer_id"
    ).fetchall()
    assert 10 < size == len(expected) < 300
    assert [(row["customer_id"], row["category_probability"], row["reorder_date"]) for row in rows] == expected
    totals = queries.audience_totals(connection, LATEST, selection)
    assert totals.customer_count == size
    assert totals.mean_churn_probability == pytest.approx(1 - sum(row[1] for row in expected) / 0.3 / size)
    nobody = Selection.parse(urlencode([("buys", "' OR 1=1 --")]))
    assert queries.audience_size(connection, LATEST, nobody) == (0, 0)


def test_the_categories_that_somebody_may_buy_are_offered(connection: duckdb.DuckDBPyConnection) -> None:
    assert queries.next_categories(connection, LATEST) == ["<b>PASTRY</b>", "GROCERY"]
    assert queries.next_categories(connection, LATEST, 1) == ["<b>PASTRY</b>"]


def test_actions_are_offered_with_their_backtest(connection: duckdb.DuckDBPyConnection) -> None:
    audiences = queries.audiences(connection, LATEST)
    assert audiences["rule_position"].is_monotonic_increasing
    for rule, count in zip(audiences["action_rule"], audiences["customer_count"], strict=True):
        assert queries.audience_totals(connection, LATEST, Selection(rule=rule)).matching_count == count
