"""The published file as other clients see it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.settings import Settings
from genome_pipeline_tests.support.pipelines import is_empty_in_the_shop

_READ_ALL = """
import duckdb, json, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
names = [row[0] for row in connection.execute("SELECT table_name FROM information_schema.tables").fetchall()]
counts = {name: len(connection.execute(f'SELECT * FROM "{name}"').fetchall()) for name in names}
comments = connection.execute(
    "SELECT (SELECT count(comment) FROM duckdb_tables()),"
    " (SELECT count(comment) FROM duckdb_views() WHERE NOT internal),"
    " (SELECT count(comment) FROM duckdb_columns() WHERE NOT internal)"
).fetchone()
print(json.dumps({"version": duckdb.__version__, "counts": counts, "comments": comments}))
"""


def read_all(python: str, path: Path) -> dict[str, object]:
    done = subprocess.run([python, "-c", _READ_ALL, str(path)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_a_client_of_duckdb_1_1_3_reads_every_table_and_comment(shop_run: Settings, tmp_path: Path) -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    assert uv, "uv comes with the development dependencies"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "old"], check=True)
    old = str(tmp_path / "old" / "bin" / "python")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", old, "duckdb==1.1.3"], check=True)
    theirs, ours = read_all(old, shop_run.published_path), read_all(sys.executable, shop_run.published_path)
    assert theirs["version"] == "1.1.3"
    assert theirs["counts"] == ours["counts"]
    assert theirs["comments"] == ours["comments"]


def test_every_table_view_and_column_carries_a_comment(shop_run: Settings) -> None:
    with duckdb.connect(str(shop_run.published_path), read_only=True) as connection:
        bare = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE comment IS NULL"
            " UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL"
            " UNION ALL SELECT table_name || '.' || column_name FROM duckdb_columns()"
            " WHERE NOT internal AND comment IS NULL"
        ).fetchall()
    assert bare == []


@pytest.mark.parametrize(
    "table", [t for t in TABLES.values() if t.is_published and t.is_snapshot], ids=lambda t: t.name
)
def test_the_plain_name_is_the_latest_snapshot(shop_run: Settings, table: object) -> None:
    name, slice_by = table.name, table.slice_by  # type: ignore[attr-defined]
    with duckdb.connect(str(shop_run.published_path), read_only=True) as connection:
        latest = connection.execute(f"SELECT DISTINCT {slice_by} FROM {name}").fetchall()
        newest = connection.execute(f"SELECT max({slice_by}) FROM {name}_history").fetchone()
    assert latest == ([] if is_empty_in_the_shop(name) else [newest])


def test_no_path_of_the_machine_is_in_the_published_file(shop_run: Settings) -> None:
    assert str(shop_run.home).encode() not in shop_run.published_path.read_bytes()


def test_nothing_unfinished_is_left_beside_it(shop_run: Settings) -> None:
    assert [path.name for path in shop_run.published_path.parent.iterdir()] == ["genome.duckdb"]
