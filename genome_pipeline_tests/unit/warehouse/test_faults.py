from pathlib import Path

import duckdb
import pytest

from genome_pipeline.errors import ConfigError
from genome_pipeline.sources import SourceError
from genome_pipeline.warehouse.faults import error_in_words, machine_fault

HOME = Path("home")


def test_memory_that_ran_out_is_named() -> None:
    with duckdb.connect(config={"memory_limit": "20MB", "max_temp_directory_size": "0KB"}) as connection:
        with pytest.raises(duckdb.Error) as raised:
            connection.execute("SELECT list(i) FROM range(100_000_000) t(i)").fetchall()
        assert "memory has run out" in str(machine_fault(raised.value, HOME))


def test_memory_that_does_not_hold_a_library_is_named() -> None:
    error = ImportError("libarrow.so.2600: failed to map segment from shared object")
    assert str(machine_fault(error, HOME)).startswith("memory has run out")


def test_a_cause_further_back_is_found() -> None:
    error = RuntimeError("a step failed")
    error.__cause__ = OSError(28, "No space left on device")
    assert str(machine_fault(error, HOME)).startswith("no space is left where home is")


def test_any_other_error_is_not_the_machine() -> None:
    assert machine_fault(ValueError("x"), HOME) is None


@pytest.mark.parametrize(
    "sentence",
    [
        "/in/a.csv cannot be read (permission denied): check it and its permissions",
        "a.ndjson, line 2: Malformed JSON at byte 74 of input",
        "a.parquet is corrupt",
    ],
)
def test_a_sentence_that_names_the_culprit_outranks_the_machine(sentence: str) -> None:
    def read() -> None:
        try:
            raise duckdb.InvalidInputException("Invalid Input Error: corrupt data")
        except duckdb.Error:
            raise SourceError(sentence) from None

    with pytest.raises(SourceError) as raised:
        read()
    assert error_in_words(raised.value, HOME) == sentence


def test_the_machine_outranks_the_stage_that_met_it() -> None:
    error = ConfigError("customer_features is as before: No space left on device")
    error.__cause__ = duckdb.IOException("IO Error: Could not write file: No space left on device")
    assert str(error_in_words(error, HOME)).startswith("no space is left where home is")
