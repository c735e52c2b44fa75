import os
import sys
import time
from pathlib import Path

import pytest

from genome_pipeline.warehouse.engine import DuckDBEngine
from genome_pipeline.warehouse.spark import SparkEngine, SparkError
from genome_pipeline_tests.logs import engine


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in ("py4j", "pyspark.errors"):
        monkeypatch.setitem(sys.modules, module, None)
    with (
        pytest.raises(SparkError, match=r'needs an extra .*: pip install "genome-pipeline\[spark\]"'),
        SparkEngine("local[1]", str(tmp_path)).work(engine()),
    ):
        pass


def test_without_java_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="needs pyspark: the extra spark")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SparkError, match="needs Java 17"), SparkEngine("local[1]", str(tmp_path)).work(engine()):
        pass


def test_an_exchange_leaves_nothing_and_removes_what_a_run_that_died_left_the_day_before(tmp_path: Path) -> None:
    for name, age_hours in (("of a run that died", 25), ("of another run", 23)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.parquet").touch()
        os.utime(tmp_path / name, (time.time() - age_hours * 3600,) * 2)
    with DuckDBEngine(tmp_path).exchange():
        assert len(list(tmp_path.iterdir())) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["of another run"]
