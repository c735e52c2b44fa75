"""The example project of dbt, run on a published file in an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from genome_pipeline.settings import Settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "dbt"
# From 1.12 on, dbt-core's package fetches a part of itself from GitHub while it is built.
PACKAGES = ["dbt-duckdb", "dbt-core<1.12", "duckdb<2"]


def run_dbt(dbt: Path, project: Path, published: Path, *selected: str) -> tuple[int, dict[str, str]]:
    """Its exit code, and the status of each model and test."""
    environment = {**os.environ, "GENOME_PUBLISHED_FILE": str(published), "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [dbt, "--quiet", "build", "--profiles-dir", project, *selected],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    results = json.loads((project / "target" / "run_results.json").read_text(encoding="utf-8"))["results"]
    assert results, done.stdout
    return done.returncode, {each["unique_id"].split(".")[2]: each["status"] for each in results}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_example_builds_a_model_and_its_tests_can_fail(shop_run: Settings, tmp_path: Path) -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    assert uv, "uv comes with the development dependencies"
    theirs, project = tmp_path / "theirs", tmp_path / "project"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, theirs], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", theirs / "bin" / "python", *PACKAGES], check=True)
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("target", "logs"))

    code, statuses = run_dbt(theirs / "bin" / "dbt", project, shop_run.published_path)
    assert {name: status for name, status in statuses.items() if status not in ("pass", "success", "no-op")} == {}
    assert code == 0
    assert statuses["audience_totals"] == "success"
    with duckdb.connect(str(project / "target" / "genome_example.duckdb"), read_only=True) as connection:
        built = connection.execute("SELECT sum(customer_count) FROM audience_totals").fetchone()
    with duckdb.connect(str(shop_run.published_path), read_only=True) as connection:
        asked = "SELECT count(*) FROM customer_genome WHERE action_rule <> 'wait'"
        assert built == connection.execute(asked).fetchone()

    wrong = tmp_path / "wrong.duckdb"
    shutil.copyfile(shop_run.published_path, wrong)
    with duckdb.connect(str(wrong)) as connection:
        connection.execute("UPDATE customer_genome_history SET churn_probability = 1.5")
        connection.execute("INSERT INTO customer_actions_history FROM customer_actions_history LIMIT 1")
    selected = ("--select", "source:genome.customer_genome", "source:genome.customer_actions_history")
    code, statuses = run_dbt(theirs / "bin" / "dbt", project, wrong, *selected)
    failed = {name for name, status in statuses.items() if status == "fail"}
    assert code == 1
    assert {"customer_genome_within_bounds", "customer_actions_history_key_is_unique"} <= failed
