"""The contact log is taken in whole, or the table stays as it was."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.checks.bridge import Subject
from genome_pipeline.orchestration.checks.contacts import (
    contacts_are_of_customers,
    contacts_are_read,
    contacts_stand_once,
)
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.privacy import PrivacyKey
from genome_pipeline.settings import Settings
from genome_pipeline.sources import SourceError
from genome_pipeline.sources.source import check_may_be_written
from genome_pipeline.warehouse.contact_log import ContactCounts, take_in_contacts
from genome_pipeline.warehouse.corrections import correct_counts
from genome_pipeline.warehouse.erasure import rewrite_without
from genome_pipeline.warehouse.forgotten import Forgotten
from genome_pipeline.warehouse.ingestion import ingest

HEADER = "who,when,what\n"
KEY = "k" * 8 + "0123456789abcdef" * 2


class Log:
    """A log of orders and one of contacts, and the warehouse that takes both in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "contacts.csv"
        self.privacy: dict[str, Any] = {}
        self.has_contacts = True
        (folder / "orders.csv").write_text("c,d,a\n1,2020-01-05,10\n2,2020-02-05,10\n", encoding="utf-8")

    def put(self, *rows: str) -> None:
        self.path.write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")

    @property
    def settings(self) -> Settings:
        columns = {"customer_id": "who", "contacted_at": "when", "campaign": "what"}
        return Settings(
            home=self.folder / "home",
            source={
                "path": str(self.folder / "orders.csv"),
                "columns": {"customer_id": "c", "ordered_at": "d", "amount": "a"},
            },
            calendar={"start": date(2020, 1, 1)},
            privacy=self.privacy,
            contacts={"path": str(self.path), "columns": columns} if self.has_contacts else None,
        )

    def take_in(self, *rows: str) -> ContactCounts:
        if rows:
            self.put(*rows)
        with Pipeline.of(self.settings).warehouse.open() as database:
            return take_in_contacts(database, self.settings, "run")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with Pipeline.of(self.settings).warehouse.open() as database:
            found: list[tuple[Any, ...]] = database.con.execute(sql).fetchall()
            return found

    def checked(self) -> dict[str, tuple[str, bool, str]]:
        """By name of each check: its severity, whether it passed, and what was found."""
        with Pipeline.of(self.settings).warehouse.open() as database:
            ingest(database, self.settings)
            subject = Subject(database, self.settings, [], "run")
            found = [
                result
                for check in (contacts_are_read, contacts_stand_once, contacts_are_of_customers)
                for result in check.body(subject)
            ]
        return {result.check_name: (result.severity, result.is_passed, result.observed) for result in found}


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_contacts_are_replaced_whole(log: Log) -> None:
    assert log.take_in("1,2020-06-01,win", "2,2020-06-02,win").contact_count == 2
    log.take_in("2,2020-06-02,win")
    assert log.query("SELECT customer_id, source_row, contacted_at::DATE, campaign FROM contacts") == [
        ("2", 1, date(2020, 6, 2), "win")
    ]
    assert log.query("SELECT slice_key, row_count FROM written_slices WHERE table_name = 'contacts'") == [("all", 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"contacts.path = .*contacts.csv is no file: correct it, put the log of contacts there"),
        ("", "contacts.csv is empty"),
        ("who,at\n1,2020-06-01\n", "no column 'when' .contacts.columns.contacted_at."),
        (HEADER + "1,2020-06-01\n", "contacts.csv, line 2: the row has 2 fields where the header has 3"),
    ],
)
def test_a_log_that_cannot_be_read_leaves_the_contacts_as_they_were(log: Log, text: str | None, message: str) -> None:
    log.take_in("1,2020-06-01,win")
    before = log.query("FROM contacts"), log.query("FROM contact_changes"), log.query("FROM contact_files")
    if text is None:
        log.path.unlink()
    else:
        log.path.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=message):
        log.take_in()
    assert (log.query("FROM contacts"), log.query("FROM contact_changes"), log.query("FROM contact_files")) == before


def test_what_changed_is_known_by_its_earliest_day(log: Log) -> None:
    def changed() -> list[date]:
        return [day for (day,) in log.query("SELECT changed_from_date FROM contact_changes ORDER BY changed_at")]

    log.take_in("1,2020-06-01,win", "2,2020-07-02,win")
    assert changed() == [date.min]
    log.take_in("2,2020-07-02,win", "1,2020-06-01,win")  # in another order
    log.take_in("1,2020-06-01,win", "1,2020-06-01,win", "2,2020-07-02,win")  # twice
    assert changed() == [date.min]
    log.take_in("1,2020-06-01,win", "2,2020-07-02,other")
    assert changed() == [date.min, date(2020, 7, 2)]
    log.has_contacts = False
    log.take_in()
    assert changed() == [date.min, date(2020, 7, 2), date.min]
    assert log.query("SELECT count(*) FROM contacts") == log.query("SELECT count(*) FROM contact_files") == [(0,)]


def test_a_parquet_file_is_read_too(log: Log, tmp_path: Path) -> None:
    log.path = tmp_path / "contacts.parquet"
    pd.DataFrame({"who": [1.0, 2.0], "when": pd.to_datetime(["2020-06-01", "2020-06-02"]), "what": "x"}).to_parquet(
        log.path
    )
    log.take_in()
    assert log.query("SELECT customer_id FROM contacts ORDER BY 1") == [("1",), ("2",)]


def test_no_command_writes_over_the_log(log: Log, tmp_path: Path) -> None:
    log.put("1,2020-06-01,win")
    settings = log.settings
    check_may_be_written(tmp_path / "treated.csv", settings)
    with pytest.raises(SourceError, match=r"contacts.csv is the contact log, contacts.path: it would be lost"):
        check_may_be_written(tmp_path / "home" / ".." / "contacts.csv", settings)
    with pytest.raises(SourceError, match=r"forgotten_customers.csv is the list of forgotten customers: it would be"):
        check_may_be_written(settings.home / "forgotten_customers.csv", settings)


def test_ids_are_pseudonyms_where_those_of_the_source_are(log: Log) -> None:
    log.privacy = {"pseudonyms": True, "key": KEY}
    log.take_in("1 ,2020-06-01,win", ",2020-06-01,win")
    assert log.query("SELECT customer_id FROM contacts") == [(PrivacyKey(KEY).pseudonym("1"),)]
    assert log.checked()["contacts_are_of_customers"][1]


def test_forgotten_customers_are_left_out(log: Log) -> None:
    log.privacy = {"key": KEY}
    log.take_in("1,2020-06-01,win")
    Forgotten.beside(log.settings.warehouse_path).add(
        [PrivacyKey(KEY).forgotten_mark("2")], PrivacyKey(KEY).fingerprint
    )
    found = log.take_in("1,2020-06-01,win", "2,2020-06-02,win")
    assert found == ContactCounts(1, 0, 0, None, 0, 10)
    log.privacy = {}
    with pytest.raises(ConfigError, match=r"customers were forgotten in .* and none is set"):
        log.take_in()


def test_who_is_forgotten_leaves_the_contacts_and_does_not_come_back(log: Log) -> None:
    log.privacy = {"key": KEY}
    assert log.take_in("1,2020-06-01,win", "stranger,2020-06-02,win").contact_count == 2
    log.checked()
    path, key = log.settings.warehouse_path, PrivacyKey(KEY)
    assert rewrite_without(path, ["stranger"], correct_counts)["contacts"] == 1
    Forgotten.beside(path).add([key.forgotten_mark("stranger")], key.fingerprint)
    changes = log.query("FROM contact_changes")
    for _ in range(2):
        assert log.query("SELECT customer_id FROM contacts") == [("1",)]
        assert log.query("SELECT row_count FROM written_slices WHERE table_name = 'contacts'") == [(1,)]
        log.take_in()
    assert log.query("FROM contact_changes") == changes


def test_a_sound_log_passes_its_checks(log: Log) -> None:
    log.take_in("1,2020-06-01,win", "2,2020-06-02,win")
    assert {name: told for name, (_, is_passed, told) in log.checked().items() if is_passed} == {
        "contacts_are_read": "all 2 rows of contacts.csv are contacts",
        "contacts_stand_once": "all 2 contacts differ",
        "contacts_are_of_customers": "all 2 contacts are of customers, after their first order",
    }


def test_without_a_log_every_check_passes(log: Log) -> None:
    log.has_contacts = False
    log.take_in()
    assert all(is_passed for _, is_passed, _ in log.checked().values())


def test_rows_that_are_no_contacts_are_told_and_over_a_quarter_stop_the_run(log: Log) -> None:
    sound = ["1,2020-06-01,a", "1,2020-06-02,a", "1,2020-06-03,a"]
    log.take_in(*sound, "1,soon,a")
    assert log.checked()["contacts_are_read"] == (
        "WARN",
        False,
        "1 of 4 rows of contacts.csv have no customer, or no moment that can be read, and are left out, the first of"
        " them row 4: write moments as ISO (2026-01-31 18:30), or as in the source",
    )
    log.take_in(*sound, "1,soon,a", ",2020-06-01,a")
    severity, is_passed, observed = log.checked()["contacts_are_read"]
    assert (severity, is_passed) == ("ERROR", False)
    assert observed.startswith("2 of 5 rows")


def test_duplicates_count_once_and_are_told(log: Log) -> None:
    assert log.take_in("1,2020-06-01,a", "1,2020-06-01 00:00:00,a ", "1,2020-06-02,a").contact_count == 2
    assert log.checked()["contacts_stand_once"] == (
        "WARN",
        False,
        "1 rows of the contact log say the same as one before, and count once with it",
    )


def test_contacts_of_strangers_and_before_the_first_order_are_told_without_ids(log: Log) -> None:
    log.take_in("1,2020-06-01,a", "2,2020-02-04,a", "stranger,2020-06-01,a", "007,2020-06-01,a")
    assert log.checked()["contacts_are_of_customers"] == (
        "WARN",
        False,
        "2 of 4 contacts are of customers whom the source does not know, the first of them row 3: ids are to be as in"
        " the source, with leading zeros; 1 of 4 contacts are before the customer's first order, the first of them row"
        " 2: moments without an offset are taken for those of source.time_zone",
    )
