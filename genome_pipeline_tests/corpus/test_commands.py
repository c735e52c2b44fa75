from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genome_pipeline_tests.corpus.commands import COMMANDS, NEED_A_USER, Command
from genome_pipeline_tests.support.landing import HEADER, ingest_and_validate, landing_settings


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose one good file has been taken in."""
    folder = tmp_path_factory.mktemp("before")
    (folder / "in").mkdir()
    (folder / "in" / "good.csv").write_text(HEADER + "1,G1,2020-01-05,10\n2,G2,2020-02-05,20\n", encoding="utf-8")
    ingest_and_validate(landing_settings(folder))
    return folder


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name.replace(" ", "_")) for case in COMMANDS])
def test_the_command_says_what_is_wrong_and_harms_nothing(case: Command, before: Path, tmp_path: Path) -> None:
    if case.name in NEED_A_USER:
        pytest.skip("root may do it")
    shutil.copytree(before, tmp_path, dirs_exist_ok=True)
    landing_settings(tmp_path)  # whose paths are of this folder
    case.prepare(tmp_path)
    kept = _contents(tmp_path)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "genome_pipeline.command.cli",
            *case.arguments.split(),
            "--config",
            tmp_path / "genome.toml",
        ],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "COLUMNS": "400", **case.environment},
        cwd=before,
        check=False,
    )
    *_, last = (done.stderr if case.code else done.stdout).splitlines() or [""]
    assert (last.removeprefix("genome: "), done.returncode) == (
        case.sentence.replace("FOLDER", str(tmp_path)),
        case.code,
    ), done.stderr
    assert "Traceback" not in done.stderr
    assert _contents(tmp_path) == kept


def _contents(folder: Path) -> dict[str, bytes]:
    """The databases, and what they hold."""
    return {str(path): path.read_bytes() for path in folder.rglob("*.duckdb") if path.exists()}
