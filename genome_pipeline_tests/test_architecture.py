"""The house rules a reader relies on."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "genome_pipeline"

# A room imports only from rooms named after it, and from the modules that belong to all.
FORBIDDEN = {
    "contracts": (
        "dagster",
        "duckdb",
        "genome_pipeline.transforms",
        "genome_pipeline.models",
        "genome_pipeline.assets",
        "genome_pipeline.warehouse",
        "genome_pipeline.settings",
    ),
    "transforms": (
        "dagster",
        "duckdb",
        "genome_pipeline.models",
        "genome_pipeline.warehouse",
        "genome_pipeline.assets",
    ),
    "models": (
        "dagster",
        "duckdb",
        "ibis",
        "genome_pipeline.transforms",
        "genome_pipeline.warehouse",
        "genome_pipeline.assets",
    ),
    "sources": ("dagster", "genome_pipeline.warehouse", "genome_pipeline.assets", "genome_pipeline.models"),
    "quality": ("dagster", "genome_pipeline.assets", "genome_pipeline.checks", "genome_pipeline.models"),
    "warehouse": ("dagster", "genome_pipeline.assets", "genome_pipeline.checks", "genome_pipeline.models"),
    "dashboard": ("dagster", "genome_pipeline.assets", "genome_pipeline.checks", "genome_pipeline.warehouse"),
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("room", FORBIDDEN)
def test_imports_point_one_way(room: str) -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in (PACKAGE / room).rglob("*.py")
        for name in imports(path)
        if any(name == barred or name.startswith(f"{barred}.") for barred in FORBIDDEN[room])
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ["transforms", "models"])
def test_logic_opens_nothing(room: str) -> None:
    calls = [
        f"{path.name}: {node.func.id if isinstance(node.func, ast.Name) else node.func.attr}"
        for path in (PACKAGE / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id == "open")
            or (isinstance(node.func, ast.Attribute) and node.func.attr in ("read_text", "read_bytes", "write_bytes"))
        )
    ]
    assert calls == []


def test_nothing_is_pickled() -> None:
    assert [path for path in PACKAGE.rglob("*.py") if {"pickle", "joblib", "cloudpickle"} & set(imports(path))] == []


def test_nothing_of_spark_is_imported_for_duckdb() -> None:
    code = "import sys, genome_pipeline.assets; print([m for m in ('pyspark', 'py4j') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_starts_without_heavy_libraries() -> None:
    heavy = "dagster", "pandas", "sklearn", "ibis", "dash", "plotly", "great_expectations", "pydantic", "rich"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, genome_pipeline.cli; print([m for m in {heavy} if m in sys.modules])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
