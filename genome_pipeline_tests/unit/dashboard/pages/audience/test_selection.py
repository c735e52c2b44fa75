"""What a link says."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from genome_pipeline.dashboard.pages.audience.selection import Selection


@pytest.mark.parametrize(
    "search",
    [
        "where=churn_probability:ge:0.5",
        "where=churn_probability:ge:0.5&where=segment_name:eq:Steady+regulars",
        'where=segment_name:in:"Steady, or not",Steady+regulars&sort=expected_spend:asc',
        "rule=win_back&top=2.5&columns=customer_id,country",
        "where=risk_band:in:medium,high&first=100",
        "where=last_order_date:le:2017-06-01&where=is_for_review:eq:false",
        "buys=MEAT+%26+FISH",
        "buys=MEAT&where=category_probability:ge:0.2&where=reorder_date:le:2017-06-01&sort=reorder_date:asc&rule=nudge",
    ],
)
def test_a_link_is_the_same_after_it_was_read(search: str) -> None:
    selection = Selection.parse(f"?{search}")
    assert selection.faults == ()
    assert Selection.parse(urlencode(selection.parameters)) == selection


@pytest.mark.parametrize(
    ("search", "fault"),
    [
        ("where=password:eq:1", "there is no column 'password' to filter by: choose one from the list"),
        ("where=as_of:eq:2017-01-01", "there is no column 'as_of' to filter by: choose one from the list"),
        (
            "where=customer_id) OR (1:eq:1",
            "there is no column 'customer_id) OR (1' to filter by: choose one from the list",
        ),
        ("where=confidence:OR:1", "confidence cannot be filtered by 'OR': use one of ge, le, eq, in"),
        ("where=segment_name:ge:A", "segment_name cannot be filtered by 'ge': use one of eq, in"),
        ("where=confidence:ge:1 OR 1=1", "'1 OR 1=1' is no value of confidence: write a number"),
        ("where=confidence:ge:nan", "'nan' is no value of confidence: write a number"),
        ("where=last_order_date:ge:soon", "'soon' is no value of last_order_date: write a date such as 2017-03-01"),
        ("where=has_moved:eq:maybe", "'maybe' is no value of has_moved: write true or false"),
        ("where=confidence:ge:", "the filter on confidence has no value: write one after 'at least'"),
        ("sort=1;DROP:asc", "cannot sort by '1;DROP', 'asc': name a column, and asc or desc"),
        ("sort=confidence:sideways", "cannot sort by 'confidence', 'sideways': name a column, and asc or desc"),
        ("top=0", "top '0' is no share of customers: write a percentage from 0.01 to 100"),
        ("top=NaN", "top 'NaN' is no share of customers: write a percentage from 0.01 to 100"),
        ("first=0", "first '0' is no number of customers: write a whole number from 1 on"),
        ("first=-1", "first '-1' is no number of customers: write a whole number from 1 on"),
        ("first=9999999999", "first '9999999999' is no number of customers: write a whole number from 1 on"),
        (
            "where=category_probability:ge:0.2&sort=reorder_date:asc",
            "category_probability is known only of a category: choose one that customers are about to buy, or leave it"
            " out",
        ),
        ("columns=*", "there is no column '*' to show: choose from the list"),
    ],
)
def test_what_cannot_be_understood_is_said_and_left_out(search: str, fault: str) -> None:
    selection = Selection.parse(f"{search}&where=churn_probability:ge:0.5")
    assert selection.faults == (fault,)
    assert selection == Selection.parse("where=churn_probability:ge:0.5")


def test_without_its_category_a_selection_keeps_what_is_known_of_everybody() -> None:
    link = "buys=MEAT&where=category_probability:ge:0.2&where=confidence:ge:0.5&rule=nudge"
    assert Selection.parse(link).columns[2:4] == ("category_probability", "reorder_date")
    assert Selection.parse(link).sort == ("category_probability", "desc")
    assert Selection.parse(link).without_category() == Selection.parse("where=confidence:ge:0.5&rule=nudge")


def test_a_link_has_so_many_filters_values_and_characters() -> None:
    twenty = "&".join(["where=churn_probability:ge:0.1"] * 20)
    assert len(Selection.parse(twenty).conditions) == 20
    assert Selection.parse(twenty).faults == ()
    more = Selection.parse(f"{twenty}&{twenty}")
    assert len(more.conditions) == 20
    assert set(more.faults) == {"there are more than 20 filters: leave some out"}
    assert Selection.parse(f"where=customer_id:in:{','.join(map(str, range(1_000)))}").faults == ()
    values = Selection.parse(f"where=customer_id:in:{','.join(map(str, range(1_001)))}")
    assert values.conditions == ()
    assert values.faults[0].startswith("the filter on customer_id has 1,001 values: give no more than 1,000")
    long = Selection.parse(f"where=customer_id:eq:{'x' * 60_000}")
    assert (long.conditions, long.faults) == ((), ("the link has more than 60,000 characters: make a shorter one",))
