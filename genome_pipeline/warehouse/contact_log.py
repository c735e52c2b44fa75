"""The contact log -> ``contacts``: read whole, and replaced whole or not at all."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import NamedTuple

import ibis
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.settings import ContactSettings, Settings
from genome_pipeline.sources.source import read_contacts
from genome_pipeline.transforms.contacts import typed_contacts
from genome_pipeline.warehouse.database import WHOLE, record_time
from genome_pipeline.warehouse.forgotten import Forgotten, up_to_tens
from genome_pipeline.warehouse.ingestion import without_forgotten
from genome_pipeline.warehouse.transaction import transaction

_CONTACTS, _FILE = TABLES["contacts"], TABLES["contact_files"]


class ContactCounts(NamedTuple):
    """What was found in the contact log, in rows.

    Attributes:
        contact_count: contacts taken in.
        duplicate_row_count: rows with the same content as an earlier one.
        unusable_row_count: rows without a customer, or without a moment that can be read.
        first_unusable_row: the first of those, from 1 after the header; None if there is none.
        unread_cost_count: contacts whose cost is written and no number.
        suppressed_row_count: rows of forgotten customers, rounded up to tens.
    """

    contact_count: int
    duplicate_row_count: int
    unusable_row_count: int
    first_unusable_row: int | None
    unread_cost_count: int
    suppressed_row_count: int


_NONE = ContactCounts(0, 0, 0, None, 0, 0)


def take_in_contacts(database: Backend, settings: Settings, run_id: str) -> ContactCounts:
    """Bring ``contacts`` in line with the contact log; without one in the config there are none.

    Raises:
        SourceError: with the warehouse unchanged, for a file that cannot be read.
        ConfigError: customers were forgotten, but their key is not set.
    """
    log = settings.contacts
    mapped = {} if log is None else log.columns.mapped
    known = database.con.execute("SELECT mapped_columns FROM contact_files LIMIT 1").fetchall()
    with transaction(database) as connection:
        connection.execute("CREATE OR REPLACE TEMP TABLE incoming_contacts AS FROM main.contacts LIMIT 0")
        counts = _NONE if log is None else _read(database, settings, log)
        is_read_otherwise = known != ([(json.dumps(mapped),)] if mapped else [])
        ((count, earliest),) = connection.execute(
            "SELECT count(*), min(contacted_on) FROM (SELECT any_value(contacted_at)::DATE AS contacted_on FROM"
            " (SELECT contact_id, contacted_at FROM main.contacts UNION ALL"
            " SELECT contact_id, contacted_at FROM temp.incoming_contacts) GROUP BY contact_id HAVING count(*) = 1)"
        ).fetchall()
        if count or is_read_otherwise:
            now = record_time(connection)
            connection.execute(
                "INSERT INTO contact_changes VALUES (?, ?)", [now, date.min if is_read_otherwise else earliest]
            )
            connection.execute("DELETE FROM written_slices WHERE table_name = ?", [_CONTACTS.name])
            connection.execute(
                "INSERT INTO written_slices BY NAME SELECT ? AS table_name, ? AS slice_key, ? AS row_count,"
                " ? AS run_id, ? AS settings_hash, ? AS written_at",
                [_CONTACTS.name, WHOLE, counts.contact_count, run_id, settings.results_hash, now],
            )
        # Row numbers may have changed although no contact has.
        connection.execute("DELETE FROM main.contacts")
        connection.execute("INSERT INTO main.contacts BY NAME FROM temp.incoming_contacts")
        connection.execute("DROP TABLE temp.incoming_contacts")
        connection.execute("DELETE FROM contact_files")
        if log is not None:
            marks = ", ".join("?" * len(_FILE.columns))
            connection.execute(
                f"INSERT INTO contact_files VALUES ({marks})", [Path(log.path).name, json.dumps(mapped), *counts[1:]]
            )
    return counts


def _read(database: Backend, settings: Settings, log: ContactSettings) -> ContactCounts:
    """Put the contacts of the log into ``temp.incoming_contacts``."""
    forgotten = Forgotten.beside(settings.warehouse_path)
    forgotten.check_key(settings.privacy_key)
    connection, mapped = database.con, [*log.columns.mapped]
    with read_contacts(connection, log) as rows:
        rows.create_view("incoming", replace=True)
        query, values = without_forgotten(database, settings, forgotten.marks(), [f"raw_{name}" for name in mapped])
        connection.execute(f"CREATE OR REPLACE TEMP TABLE raw_contacts AS {query}", values)
        connection.execute("DROP VIEW incoming")
    raw = database.table("raw_contacts", database=("temp", "main"))
    typed = typed_contacts(raw.filter(raw.source_row > 0), mapped, settings.source.formats)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE typed_contacts AS {ibis.to_sql(typed, dialect='duckdb')}")
    connection.execute(
        f"INSERT INTO temp.incoming_contacts BY NAME SELECT {', '.join(_CONTACTS.columns)} FROM temp.typed_contacts"
        " WHERE customer_id IS NOT NULL AND contacted_at IS NOT NULL"
        " QUALIFY row_number() OVER (PARTITION BY contact_id ORDER BY source_row) = 1"
    )
    ((row_count, unusable, first, unread),) = connection.execute(
        "SELECT count(*), count(*) FILTER (is_unusable), min(source_row) FILTER (is_unusable),"
        " count(DISTINCT contact_id) FILTER (is_cost_unread AND NOT is_unusable) FROM"
        " (SELECT *, customer_id IS NULL OR contacted_at IS NULL AS is_unusable FROM temp.typed_contacts)"
    ).fetchall()
    ((kept,),) = connection.execute("SELECT count(*) FROM temp.incoming_contacts").fetchall()
    ((left_out,),) = connection.execute("SELECT count(*) FROM temp.raw_contacts WHERE source_row < 0").fetchall()
    for name in ("raw_contacts", "typed_contacts"):
        connection.execute(f"DROP TABLE temp.{name}")
    return ContactCounts(kept, row_count - unusable - kept, unusable, first, unread, up_to_tens(left_out))
