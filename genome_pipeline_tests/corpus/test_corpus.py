from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from genome_pipeline.errors import ConfigError
from genome_pipeline.settings import Settings
from genome_pipeline.transforms.names import names_changed
from genome_pipeline.warehouse.database import open_database
from genome_pipeline_tests.corpus.cases import CASES, Case, Refused, Taken
from genome_pipeline_tests.support.landing import HEADER, ingest_and_validate, landing_settings, query

KEPT = ("raw_transactions", "source_files", "changed_periods", "validated_transactions", "quarantined_transactions")
# Every raw row must stand in exactly one of the two: a pair missing or double leaves something here.
UNBALANCED = """
    SELECT source_file, source_row FROM raw_transactions
    EXCEPT ALL (
        SELECT source_file, source_row FROM validated_transactions
        UNION ALL SELECT source_file, source_row FROM quarantined_transactions
    )
    UNION ALL (
        (SELECT source_file, source_row FROM validated_transactions
        UNION ALL SELECT source_file, source_row FROM quarantined_transactions)
        EXCEPT ALL SELECT source_file, source_row FROM raw_transactions
    )
"""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose one good file has been taken in."""
    folder = tmp_path_factory.mktemp("before")
    (folder / "in").mkdir()
    (folder / "in" / "good.csv").write_text(HEADER + "1,G1,2020-01-05,10\n,G2,2020-02-05,20\n", encoding="utf-8")
    ingest_and_validate(landing_settings(folder))
    return folder


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name.replace(" ", "_")) for case in CASES])
def test_the_outcome_is_as_stated(case: Case, before: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if not case.needs:
        pytest.skip("cannot be made here")
    shutil.copytree(before, tmp_path, dirs_exist_ok=True)
    if case.is_first:
        (tmp_path / "warehouse.duckdb").unlink()
    path = tmp_path / "in" / case.file
    for name, content in case.beside.items():
        path.with_name(name).write_bytes(content)
    if callable(case.content):
        case.content(path)
    else:
        path.write_bytes(case.content.encode() if isinstance(case.content, str) else case.content)

    with caplog.at_level(logging.WARNING):
        match case.outcome:
            case Refused(sentence):
                kept = _contents(landing_settings(tmp_path))
                with pytest.raises(ConfigError) as raised:
                    _take_in(case, tmp_path)
                assert str(raised.value) == sentence.replace("FOLDER", str(tmp_path))
                assert _contents(landing_settings(tmp_path)) == kept
            case Taken() as taken:
                settings = _take_in(case, tmp_path)
                assert _outcome(settings) == taken.valid, taken.quarantined
                assert _reasons(settings) == taken.quarantined
                assert query(settings, UNBALANCED) == []
                assert _renamed(settings) == taken.renamed
                assert caplog.messages == ([taken.warning] if taken.warning else [])


def test_an_order_in_the_future_is_judged_again_when_its_moment_has_come(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(f"{HEADER}7,A1,2020-01-03,1\n8,A2,2020-02-03,1\n", encoding="utf-8")
    (tmp_path / "in" / "b.csv").write_text(f"{HEADER}7,B1,2020-02-03,1\n8,B2,2999-02-03,1\n", encoding="utf-8")
    settings = landing_settings(tmp_path)
    ingest_and_validate(settings)
    read: list[str] = []
    # As if the first file had been read before the second of its orders.
    with open_database(settings.warehouse_path) as database:
        database.con.execute("UPDATE raw_transactions SET ingested_at = '2020-01-10' WHERE source_file = 'a.csv'")
    ingest_and_validate(settings, read.append)
    set_aside = "SELECT source_file, source_row FROM quarantined_transactions ORDER BY ALL"
    assert (read, query(settings, set_aside)) == ([], [("a.csv", 2), ("b.csv", 2)])

    ingest_and_validate(settings, read.append)
    assert (read, query(settings, set_aside)) == (["a.csv"], [("b.csv", 2)])
    ingest_and_validate(settings, read.append)
    assert (read, query(settings, UNBALANCED)) == (["a.csv"], [])


def test_there_are_many_and_each_has_its_own_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 75


def _take_in(case: Case, folder: Path) -> Settings:
    settings = landing_settings(folder, "[!g]*" if case.is_alone or case.is_first else "*", **case.options)
    if case.is_alone:
        # It stands for the good one as it is now, not for another log.
        query(settings, "DELETE FROM warehouse_identity WHERE setting_name = 'source'")

    def meanwhile(_: str) -> None:
        case.meanwhile(folder / "in" / case.file)

    ingest_and_validate(settings, meanwhile)
    return settings


def _contents(settings: Settings) -> list[list[Any]]:
    there = [name for (name,) in query(settings, "SELECT table_name FROM duckdb_tables()") if name in KEPT]
    return [rows for name in sorted(there) if (rows := query(settings, f"SELECT * FROM {name} ORDER BY ALL"))]


def _outcome(settings: Settings) -> tuple[str, ...]:
    found = query(
        settings,
        "SELECT concat_ws('|', customer_id, ordered_at, amount) FROM validated_transactions"
        " WHERE source_file <> 'good.csv' ORDER BY source_file, source_row",
    )
    return tuple(row for (row,) in found)


def _reasons(settings: Settings) -> dict[int, str]:
    found = query(
        settings,
        "SELECT source_row, array_to_string(reasons, ' ') FROM quarantined_transactions"
        " WHERE source_file <> 'good.csv'",
    )
    return dict(found)


def _renamed(settings: Settings) -> int:
    with open_database(settings.warehouse_path, read_only=True) as database:
        raw = database.table("raw_transactions")
        changed = [names_changed(raw, name).to_pyarrow().to_pylist() for name in ("customer_id", "order_id")]
    return sum(file["row_count"] for files in changed for file in files)
