"""What holds customers is for its owner alone, whatever the umask of who started the program."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from genome_pipeline_tests.support.dagster_server import BIN, ROOT, environment
from genome_pipeline_tests.support.pipelines import shop

KEY = "0123456789abcdef0123456789abcdef"


def open_to_others(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.stat().st_mode & 0o077)


def genome(config: Path, *arguments: str) -> None:
    subprocess.run(
        [BIN / "genome", *arguments, "--config", str(config)],
        env=environment(GENOME_PRIVACY__KEY=KEY),
        cwd=config.parent,
        umask=0o022,
        capture_output=True,
        check=True,
    )


@pytest.mark.slow
def test_every_file_a_command_writes_is_for_its_owner_alone(tmp_path: Path) -> None:
    # Commands that ran in this process may have changed it.
    found = os.umask(0o022)
    config = shop(tmp_path / "shop")
    written = tmp_path / "written"
    written.mkdir()
    os.umask(found)
    before = open_to_others(tmp_path)
    assert before != [], "the test's own files are open: this can fail"
    genome(config, "run", "--as-of", "2020-02-01", "--quiet")
    genome(config, "export")
    genome(config, "export", "--csv", "--to", str(written / "tables"))
    genome(config, "audience", "win_back", "--to", str(written / "audience.csv"))
    genome(config, "quarantine", "--to", str(written / "rows.parquet"))
    genome(config, "forget", "c0000", "--yes")
    genome(config, "rebuild", "--quiet")
    assert {path.name for path in written.iterdir()} == {"tables", "audience.csv", "rows.parquet"}
    assert (tmp_path / "shop/home/forgotten_customers.csv").exists()
    assert open_to_others(tmp_path) == before


def test_a_process_of_dagster_writes_for_its_owner_alone(tmp_path: Path) -> None:
    code = (
        "from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext as Load,"
        " DefinitionsLoadType as Type\n"
        "from pathlib import Path\nfrom genome_pipeline.definitions import defs\n"
        "Path('before').touch()\ndefs(Load(Type.INITIALIZATION))\nPath('after').touch()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(GENOME_CONFIG=str(shop(tmp_path / "shop")), PYTHONPATH=str(ROOT)),
        cwd=tmp_path,
        umask=0o022,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("before", "after")] == [0o644, 0o600]


def test_an_image_gets_nothing_but_what_the_package_is_built_from() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    taken = {line[1:] for line in lines if line.startswith("!")}
    assert lines[0] == "*"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    with_the_package = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    built_from = {"genome_pipeline", "pyproject.toml", "requirements.runtime.lock", "README.md", "LICENSE"}
    assert taken == built_from | with_the_package.keys()
    assert all((ROOT / name).exists() for name in taken)
