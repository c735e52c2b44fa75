"""What was drawn is kept whole, or not at all, and the warehouse gets a copy of it."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.warehouse.database import open_database
from genome_pipeline.warehouse.errors import WarehouseError
from genome_pipeline.warehouse.experiment_record import ExperimentRecord


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


def test_the_warehouse_has_a_copy_and_no_more(tmp_path: Path) -> None:
    record = ExperimentRecord(tmp_path / "experiments.duckdb")
    with open_database(tmp_path / "warehouse.duckdb") as warehouse:
        for name in ("experiments", "experiment_members"):
            warehouse.con.execute(TABLES[name].ddl())
        assert record.copy_to(warehouse) == {"experiments": 0, "experiment_members": 0}
        record.add(experiment(), members())
        for _ in range(2):
            assert record.copy_to(warehouse) == {"experiments": 1, "experiment_members": 2}
        found = warehouse.con.execute("FROM experiment_members ORDER BY customer_id").df()
        pd.testing.assert_frame_equal(found, members(), check_dtype=False)


def test_a_record_that_is_gone_is_made_anew_from_the_warehouse(tmp_path: Path) -> None:
    record = ExperimentRecord(tmp_path / "experiments.duckdb")
    record.add(experiment(), members())
    with open_database(tmp_path / "warehouse.duckdb") as warehouse:
        for name in ("experiments", "experiment_members"):
            warehouse.con.execute(TABLES[name].ddl())
        record.copy_to(warehouse)
        record.path.unlink()
        assert record.copy_to(warehouse) == {"experiments": 1, "experiment_members": 2}
    assert record.experiments() == [experiment()]


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
