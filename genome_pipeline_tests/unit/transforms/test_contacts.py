"""Rows of a contact log become contacts, and reach those members of an experiment whom they are about."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import ibis.expr.types as ir
import pandas as pd
import pytest

from genome_pipeline.contracts.formats import Formats
from genome_pipeline.transforms.contacts import reached, typed_contacts
from genome_pipeline_tests.support.logs import engine

DATABASE = engine()
COLUMNS = ("customer_id", "contacted_at", "channel", "campaign", "cost")
PARIS = Formats(("%d/%m/%Y %H:%M",), "Europe/Paris", decimal=",")


def table(name: str, rows: list[dict[str, Any]]) -> ir.Table:
    DATABASE.con.register("given", pd.DataFrame(rows))
    DATABASE.con.execute(f"CREATE OR REPLACE TABLE {name} AS FROM given")
    return DATABASE.table(name)


def typed(*rows: tuple[str | None, ...], formats: Formats = PARIS) -> pd.DataFrame:
    given = [
        {"source_row": number} | {f"raw_{name}": row[place] for place, name in enumerate(COLUMNS)}
        for number, row in enumerate(rows, 1)
    ]
    contacts = typed_contacts(table("raw_contacts", given), COLUMNS, formats).order_by("source_row")
    found: pd.DataFrame = contacts.to_pandas()
    return found


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2020-06-01 10:00", datetime(2020, 6, 1, 10)),
        ("2020-06-01T10:00:00Z", datetime(2020, 6, 1, 12)),  # another zone than the source's: summer in Paris
        ("2020-06-01T10:00:00-07:00", datetime(2020, 6, 1, 19)),
        ("01/06/2020 10:00", datetime(2020, 6, 1, 10)),  # as the source writes it
        ("June", None),
        (None, None),
    ],
)
def test_moments_are_iso_or_as_in_the_source_and_in_its_zone(written: str | None, read: datetime | None) -> None:
    found = typed(("a", written, "mail", "x", "1"), ("b", "2020-01-01", None, None, None))["contacted_at"][0]
    assert (None if pd.isna(found) else found.to_pydatetime()) == read


def test_ids_are_cleaned_and_the_same_contact_has_one_id() -> None:
    one = ("7", "2020-06-01 10:00", "mail", "Win", "0,5")
    found = typed(one, (" 7.0 ", "2020-06-01T08:00:00Z", "mail ", "Win", ",50"), ("7", *one[1:4], "0,6"))
    assert list(found["customer_id"]) == ["7", "7", "7"]
    ids = list(found["contact_id"])
    assert ids[0] == ids[1] != ids[2]
    assert len(ids[0]) == 32


def test_what_is_no_cost_is_told_apart_from_no_cost() -> None:
    found = typed(("a", "2020-06-01", None, None, "dear"), ("a", "2020-06-01", None, None, None))
    assert list(found["is_cost_unread"]) == [True, False]
    assert found["cost_amount"].isna().all()


def test_columns_that_are_not_mapped_are_null() -> None:
    raw = table("raw_contacts", [{"source_row": 1, "raw_customer_id": "a", "raw_contacted_at": "2020-06-01"}])
    row = typed_contacts(raw, ["customer_id", "contacted_at"], Formats()).to_pandas().iloc[0]
    assert row[["channel", "campaign", "cost_amount"]].isna().all()
    assert not row["is_cost_unread"]


def whom(campaigns: list[str] | None) -> list[str]:
    rows = [
        ("before", "2020-05-31 23:59:59", "write"),
        ("first", "2020-06-01 00:00:00", "Write"),
        ("again", "2020-06-01 00:00:00", "WRITE TO EVERYONE"),
        ("again", "2020-06-05 00:00:00", "write"),
        ("other", "2020-06-05 00:00:00", "newsletter"),
        ("blank", "2020-06-05 00:00:00", None),
        ("after", "2020-07-01 00:00:00", "write"),
        ("stranger", "2020-06-05 00:00:00", "write"),
    ]
    contacts = table(
        "contacts", [{"customer_id": who, "contacted_at": pd.Timestamp(at), "campaign": name} for who, at, name in rows]
    )
    members = table("mine", [{"customer_id": name} for name in ("before", "first", "again", "other", "blank", "after")])
    found = reached(contacts, members, date(2020, 6, 1), date(2020, 7, 1), campaigns).to_pandas()
    return list(found["customer_id"])


def test_a_contact_reaches_a_member_within_the_run_by_its_campaign() -> None:
    assert whom(["write", "write-2020-06-01", "Write to everyone"]) == ["again", "first"]


def test_without_campaigns_every_contact_within_the_run_counts() -> None:
    assert whom(None) == ["again", "blank", "first", "other"]
