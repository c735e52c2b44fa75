"""The documented questions, asked by the tools that people have: each in an environment of its own, equal answers."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from genome_pipeline.settings import Settings

DOCUMENTED = Path(__file__).parents[2] / "docs" / "bi.md"
QUESTIONS = re.findall(r"```sql\n(.*?)```", DOCUMENTED.read_text(encoding="utf-8"), re.DOTALL)

_PLAIN = """
import datetime, decimal, json, math, sys

def plain(value):
    if value is None or value != value:
        return None
    if isinstance(value, datetime.date):
        return value.isoformat()[:10]
    if isinstance(value, (bool, str)):
        return value
    return round(float(value), 6)

def told(answers, **more):
    rows = [[[plain(value) for value in row] for row in answer] for answer in answers]
    print("ANSWERS" + json.dumps({"answers": rows, **more}))

path, questions = sys.argv[1], json.loads(sys.argv[2])
"""
_DUCKDB = """
import duckdb

with duckdb.connect(path, read_only=True) as connection:
    told([connection.execute(question).fetchall() for question in questions], version=duckdb.__version__)
"""
_SQLALCHEMY = """
from sqlalchemy import create_engine, text

engine = create_engine("duckdb:///" + path, connect_args={"read_only": True})
with engine.connect() as connection:
    told([connection.execute(text(question)).all() for question in questions])
"""
_SUPERSET = """
from superset.app import create_app

with create_app().app_context():
    from superset import db
    from superset.connectors.sqla.models import SqlaTable
    from superset.models.core import Database

    Database.metadata.create_all(db.engine)
    database = Database(
        database_name="genome",
        sqlalchemy_uri="duckdb:///" + path,
        extra=json.dumps({"engine_params": {"connect_args": {"read_only": True}}}),
    )
    db.session.add(database)
    found = database.get_all_table_names_in_schema(None, "main") | database.get_all_view_names_in_schema(None, "main")
    dataset = SqlaTable(table_name="segment_summary", schema="main", database=database)
    db.session.add(dataset)
    db.session.flush()
    dataset.fetch_metadata()
    metric = {
        "expressionType": "SIMPLE", "aggregate": "SUM", "label": "customers",
        "column": {"column_name": "customer_count"},
    }
    chart = dataset.query(
        {
            "columns": ["segment_name"], "metrics": [metric], "granularity": None, "from_dttm": None, "to_dttm": None,
            "filter": [], "is_timeseries": False, "row_limit": 100, "extras": {}, "orderby": [["segment_name", True]],
        }
    )
    told(
        [database.get_df(question).itertuples(index=False) for question in questions],
        tables=sorted(table for table, *_ in found),
        chart=[[plain(value) for value in row] for row in chart.df.itertuples(index=False)],
    )
"""
ROUTES = {
    "duckdb-1.1.3": (_DUCKDB, ["duckdb==1.1.3"]),
    "duckdb-1.5.6": (_DUCKDB, ["duckdb==1.5.6"]),
    "sqlalchemy": (_SQLALCHEMY, ["duckdb<2", "duckdb-engine", "sqlalchemy>=2"]),
    "superset": (
        _SUPERSET,
        [
            "apache-superset==6.1.*",
            "rich",
            "cachetools",
            "cachelib<0.14",
            "flask-caching<2.4",
            "duckdb-engine",
            "duckdb<2",
        ],
    ),
}


def asked(python: str | Path, script: str, path: Path, folder: Path) -> dict[str, Any]:
    """What a script that asks the documented questions tells."""
    (folder / "superset_config.py").write_text(
        f'SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/superset.db"\n', encoding="utf-8"
    )
    done = subprocess.run(
        [python, "-c", _PLAIN + script, str(path), json.dumps(QUESTIONS)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "SUPERSET_SECRET_KEY": "0" * 42, "PYTHONPATH": str(folder), "SUPERSET_HOME": str(folder)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("ANSWERS"))
    found: dict[str, Any] = json.loads(line.removeprefix("ANSWERS"))
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("route", ROUTES)
def test_each_route_answers_the_documented_questions_alike(shop_run: Settings, tmp_path: Path, route: str) -> None:
    script, packages = ROUTES[route]
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    assert uv, "uv comes with the development dependencies"
    python = tmp_path / "theirs" / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "theirs"], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *packages], check=True)
    ours = asked(sys.executable, _DUCKDB, shop_run.published_path, tmp_path)
    theirs = asked(python, script, shop_run.published_path, tmp_path)
    assert len(ours["answers"]) == len(QUESTIONS)
    # The shop has no experiments, and no costs by which cohorts pay back.
    without = [question for question, answer in zip(QUESTIONS, ours["answers"], strict=True) if not answer]
    assert all("experiment_verdicts" in question or "cohort_payback" in question for question in without)
    assert theirs["answers"] == ours["answers"]
    if route.startswith("duckdb"):
        assert theirs["version"] == route.removeprefix("duckdb-")
    if route == "superset":
        assert {"customer_genome", "customer_genome_history", "segment_summary"} <= set(theirs["tables"])
        assert theirs["chart"] == sorted([row[0], row[1]] for row in ours["answers"][0])
