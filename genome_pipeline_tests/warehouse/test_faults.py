from pathlib import Path

import duckdb
import pytest

from genome_pipeline.warehouse.faults import machine_fault

HOME = Path("home")


def test_memory_that_ran_out_is_named() -> None:
    with duckdb.connect(config={"memory_limit": "20MB", "max_temp_directory_size": "0KB"}) as connection:
        with pytest.raises(duckdb.Error) as raised:
            connection.execute("SELECT list(i) FROM range(100_000_000) t(i)").fetchall()
        assert "memory has run out" in str(machine_fault(raised.value, HOME))


def test_a_cause_further_back_is_found() -> None:
    error = RuntimeError("a step failed")
    error.__cause__ = OSError(28, "No space left on device")
    assert str(machine_fault(error, HOME)).startswith("no space is left where home is")


def test_any_other_error_is_not_the_machine() -> None:
    assert machine_fault(ValueError("x"), HOME) is None
