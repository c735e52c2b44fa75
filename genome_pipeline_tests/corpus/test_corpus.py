from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from genome_pipeline.errors import ConfigError
from genome_pipeline.settings import Settings
from genome_pipeline_tests.corpus.cases import CASES, Case, Refused, Taken
from genome_pipeline_tests.landing import HEADER, ingest_and_validate, landing_settings, query

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
    path = tmp_path / "in" / case.file
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
                assert caplog.messages == ([taken.warning] if taken.warning else [])


def test_there_are_many_and_each_has_its_own_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 75


def _take_in(case: Case, folder: Path) -> Settings:
    settings = landing_settings(folder, case.file if case.is_alone else "*", **case.options)
    if case.is_alone:
        # It stands for the good one as it is now, not for another log.
        query(settings, "DELETE FROM warehouse_identity WHERE setting_name = 'source'")

    def meanwhile(_: str) -> None:
        case.meanwhile(folder / "in" / case.file)

    ingest_and_validate(settings, meanwhile)
    return settings


def _contents(settings: Settings) -> list[list[Any]]:
    return [query(settings, f"SELECT * FROM {table} ORDER BY ALL") for table in KEPT]


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
