"""`genome demo` begins in an empty folder, and harms no other."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from genome_pipeline.command import demo
from genome_pipeline.command.demo import CDNOW, COMPLETE_JOURNEY, prepare, write_complete_journey
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.errors import ConfigError
from genome_pipeline.settings import load_settings


@pytest.fixture
def _without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


@pytest.mark.usefixtures("_without_the_extra")
def test_what_is_bundled_is_written_where_the_package_of_the_other_log_is_absent(tmp_path: Path) -> None:
    assert prepare(tmp_path) == CDNOW
    settings = load_settings(tmp_path / "genome.toml")
    assert settings.home == tmp_path / ".genome"
    assert settings.source.path == str(tmp_path / "landing" / "cdnow.csv")
    header, *lines = (tmp_path / "landing" / "cdnow.csv").read_text(encoding="utf-8").splitlines()
    assert header == "customer_id,order_date,cds,amount"
    assert len(lines) == 6_919
    assert len({line.split(",")[0] for line in lines}) == 2_357


@pytest.mark.usefixtures("_without_the_extra")
def test_a_second_call_goes_on_with_what_is_there(tmp_path: Path) -> None:
    prepare(tmp_path)
    (tmp_path / "landing" / "cdnow.csv").write_text("kept", encoding="utf-8")
    prepare(tmp_path)
    assert (tmp_path / "landing" / "cdnow.csv").read_text(encoding="utf-8") == "kept"


def test_the_larger_log_is_taken_where_its_package_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = dataclasses.replace(COMPLETE_JOURNEY, write=lambda path: 0)
    monkeypatch.setattr(demo, "COMPLETE_JOURNEY", quick)
    assert prepare(tmp_path) == quick
    assert load_settings(tmp_path / "genome.toml").source.columns.category == "department"


def test_another_config_stays(tmp_path: Path) -> None:
    (tmp_path / "genome.toml").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="is not that of this version's demo: call `genome demo` in an empty folder"):
        prepare(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["genome.toml"]
    assert (tmp_path / "genome.toml").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("variable", ["GENOME_CONFIG", "GENOME_HOME", "GENOME_SOURCE__PATH"])
def test_no_other_home_is_touched(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "/somewhere/else")
    with pytest.raises(ConfigError, match=f"{variable} is set: unset it"):
        prepare(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_shell_completes_commands() -> None:
    command = "import sys; sys.argv[0] = 'genome'; from genome_pipeline.command.cli import main; main()"
    asked = {"_GENOME_COMPLETE": "complete_bash", "COMP_WORDS": "genome sta", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", command], env=os.environ | asked, stdout=subprocess.PIPE, check=False)
    assert re.findall(r"\w+", done.stdout.decode()) == ["status"]


def test_the_complete_journey_is_written_with_the_departments_of_its_products(tmp_path: Path) -> None:
    target = tmp_path / "landing" / "complete_journey.parquet"
    assert write_complete_journey(target) == 1_469_307
    with connect() as connection:
        ((count, without),) = connection.execute(
            "SELECT count(*), count(*) FILTER (department IS NULL) FROM read_parquet(?)", [str(target)]
        ).fetchall()
    assert (count, without) == (1_469_307, 4_836)  # of products that the package does not know
    assert [path.name for path in target.parent.iterdir()] == ["complete_journey.parquet"]
