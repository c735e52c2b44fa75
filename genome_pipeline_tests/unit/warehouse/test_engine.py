import sys
from pathlib import Path

import pytest

from genome_pipeline.warehouse.spark import SparkEngine, SparkError
from genome_pipeline_tests.support.logs import engine


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
