"""What was drawn is kept whole, or not at all, and the warehouse gets a copy of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from ibis.backends.duckdb import Backend

from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.warehouse.database import open_database
from genome_pipeline.warehouse.errors import WarehouseError
from genome_pipeline.warehouse.experiment_record import ExperimentRecord
from genome_pipeline_tests.support.landing import landing_settings


def experiment(name: str = "win_back-2020-06-01", started: int = 1) -> dict[str, Any]:
    return {
        "experiment_id": name,
        "action_rule": "win_back",
        "action": "Write",
        "rule_condition": "everyone",
        "as_of": date(2020, 6, 1),
        "until_date": date(2020, 8, 1),
        "started_at": datetime(2020, 6, started),
        "stopped_date": None,
        "stopped_at": None,
        "horizon_days": 28,
        "control_share": 0.5,
        "draw_key": "0f" * 32,
        "outcome_name": "orders",
        "wished_lift_share": None,
        "treated_count": 1,
        "control_count": 1,
    }


def members(name: str = "win_back-2020-06-01", ids: tuple[str, ...] = ("a", "b")) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "experiment_id": name,
            "customer_id": ids,
            "is_treated": [number % 2 == 0 for number in range(len(ids))],
            "stratum_id": 0,
            "expected_orders": 1.0,
            "expected_spend": float("nan"),
            "churn_probability": 0.5,
            "segment_name": "Regulars",
            "days_since_last_order": 3,
        }
    )


def test_experiments_come_back_as_they_were_kept_oldest_first(tmp_path: Path) -> None:
    record = ExperimentRecord.beside(tmp_path / "warehouse.duckdb")
    assert record.experiments() == []
    assert not record.path.exists()
    record.add(experiment("later", 2), members("later"))
    record.add(experiment("earlier", 1), members("earlier"))
    assert record.experiments() == [experiment("earlier", 1), experiment("later", 2)]


def test_an_experiment_whose_members_do_not_fit_is_not_kept(tmp_path: Path) -> None:
    record = ExperimentRecord(tmp_path / "experiments.duckdb")
    with pytest.raises(duckdb.ConstraintException):
        record.add(experiment(), members().assign(segment_name=None))
    assert record.experiments() == []


def test_a_stop_is_noted(tmp_path: Path) -> None:
    record = ExperimentRecord(tmp_path / "experiments.duckdb")
    record.add(experiment(), members())
    record.add(experiment("other"), members("other"))
    record.stop("other", date(2020, 7, 1), datetime(2020, 7, 2))
    stopped = {each["experiment_id"]: each["stopped_date"] for each in record.experiments()}
    assert stopped == {"win_back-2020-06-01": None, "other": date(2020, 7, 1)}


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Backend]:
    with Pipeline.of(landing_settings(tmp_path)).warehouse.open() as database:
        yield database


@pytest.fixture
def record(tmp_path: Path) -> ExperimentRecord:
    return ExperimentRecord(tmp_path / "experiments.duckdb")


def copy(record: ExperimentRecord, warehouse: Backend) -> list[int]:
    return [*record.copy_to(warehouse, "run", "hash").values()]


def written(warehouse: Backend) -> list[tuple[str, int]]:
    """Tables that count as written since the last call, with their rows."""
    found: list[tuple[str, int]] = warehouse.con.execute(
        "SELECT table_name, row_count FROM written_slices ORDER BY 1"
    ).fetchall()
    warehouse.con.execute("DELETE FROM written_slices")
    return found


def test_the_warehouse_has_a_copy_and_counts_it_as_written_when_it_changes(
    record: ExperimentRecord, warehouse: Backend
) -> None:
    assert copy(record, warehouse) == [0, 0]
    assert written(warehouse) == []
    record.add(experiment(), members())
    assert copy(record, warehouse) == [1, 2]
    found = warehouse.con.execute("FROM experiment_members ORDER BY customer_id").df()
    pd.testing.assert_frame_equal(found, members(), check_dtype=False)
    assert written(warehouse) == [("experiment_members", 2), ("experiments", 1)]
    assert copy(record, warehouse) == [1, 2]
    assert written(warehouse) == []


def test_actions_since_the_draw_of_an_experiment_that_is_gone_were_never_made(
    record: ExperimentRecord, warehouse: Backend
) -> None:
    record.add(experiment(), members())
    copy(record, warehouse)
    for day in ("2020-05-01", "2020-06-01", "2020-07-01"):
        warehouse.con.execute(
            "INSERT INTO written_slices VALUES ('customer_actions', ?, 1, 'run', 'hash', TIMESTAMP '2020-07-02')", [day]
        )
    record.remove(experiment()["experiment_id"])
    assert copy(record, warehouse) == [0, 0]
    made = warehouse.con.execute(
        "SELECT slice_key FROM written_slices WHERE table_name = 'customer_actions' AND settings_hash = 'hash'"
    ).fetchall()
    assert made == [("2020-05-01",)]


def test_a_record_that_is_gone_is_made_anew_from_the_warehouse(record: ExperimentRecord, warehouse: Backend) -> None:
    record.add(experiment(), members())
    copy(record, warehouse)
    record.path.unlink()
    assert copy(record, warehouse) == [1, 2]
    assert record.experiments() == [experiment()]


def test_a_record_that_cannot_be_made_anew_leaves_what_there_is(
    record: ExperimentRecord, warehouse: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.add(experiment(), members())
    copy(record, warehouse)
    record.path.unlink()

    def full_disk(*_: object) -> None:
        raise OSError(28, "no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full_disk)
        with pytest.raises(OSError, match="no space left"):
            copy(record, warehouse)
    assert not record.path.exists()
    assert copy(record, warehouse) == [1, 2]


def test_a_damaged_record_says_what_to_do(tmp_path: Path) -> None:
    record = ExperimentRecord(tmp_path / "experiments.duckdb")
    record.path.write_bytes(b"no database" * 1_000)
    with pytest.raises(WarehouseError, match="or remove it: the next run makes it anew from the warehouse"):
        record.experiments()


def test_an_experiment_that_was_never_told_of_is_taken_out_whole(tmp_path: Path) -> None:
    record = ExperimentRecord(tmp_path / "experiments.duckdb")
    record.add(experiment(), members())
    record.add(experiment("other"), members("other"))
    record.remove("other")
    with open_database(record.path, read_only=True) as database:
        assert database.con.execute("SELECT DISTINCT experiment_id FROM experiment_members").fetchall() == [
            ("win_back-2020-06-01",)
        ]
    assert record.experiments() == [experiment()]


def test_a_record_of_which_blocks_are_damaged_says_so_too(record: ExperimentRecord) -> None:
    record.add(experiment(), members(ids=tuple(f"c{number}" for number in range(50_000))))
    with record.path.open("r+b") as file:
        file.seek(20_000)
        file.write(b"\xff" * 400_000)
    with pytest.raises(
        WarehouseError, match=r"experiments\.duckdb cannot be (read|opened).*or remove it: the next run"
    ):
        record.experiments()
