"""The wheel in an environment of its own, as somebody has it who never saw the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT], check=True)
    (built,) = folder.glob("*.whl")
    return built


def genome(wheel: Path, folder: Path, *arguments: str) -> tuple[int, str, str]:
    """`uvx --from WHEEL genome` in the folder, with the versions of the lock: exit code, and both streams."""
    done = subprocess.run(
        [
            UV,
            "tool",
            "run",
            "--quiet",
            "--constraints",
            ROOT / "requirements.lock",
            "--from",
            wheel,
            "genome",
            *arguments,
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": "", "COLUMNS": "120"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    code, out, err = genome(wheel, tmp_path, "demo")
    assert (code, "Made 18 snapshots" in out, "genome check PATH" in out) == (0, True, True), err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".genome",
        "genome.schema.json",
        "genome.toml",
        "landing",
    ]
    assert "Published as of 1998-07-01" in out
    assert genome(wheel, tmp_path, "audience")[0] == 0

    (tmp_path / "wrong.toml").write_text("[calendar]\n", encoding="utf-8")
    code, _, err = genome(wheel, tmp_path, "run", "--config", "wrong.toml")
    (cited,) = re.findall(r"every setting stands in (\S+)\)", err)
    assert (code, Path(cited).exists()) == (2, True)
    assert not Path(cited).is_relative_to(ROOT)


@pytest.mark.slow
def test_the_wheel_holds_what_it_names(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name.removeprefix("genome_pipeline/") for name in archive.namelist()}
    assert {
        "examples/genome.toml",
        "examples/complete_journey.toml",
        "examples/cdnow.toml",
        "examples/data/cdnow.csv.gz",
        "docs/data_dictionary.md",
    } <= names
