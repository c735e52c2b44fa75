"""The house rules a reader relies on."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "genome_pipeline"

# A room imports from rooms of lower floors, and from itself.
FLOORS = (
    ("calendar", "duckdb_connection", "errors", "privacy", "sql"),
    ("contracts", "settings"),
    ("models", "sources", "transforms"),
    ("published", "quality", "warehouse"),
    ("ask", "dashboard", "notebook", "orchestration"),
    ("command", "components", "definitions"),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

# What a room may import of others on its own floor, and of what stands above it.
NEIGHBOURS = {
    "settings": {"contracts"},
    "sources": {"transforms"},
    "published": {"warehouse"},
    "quality": {"warehouse"},
    "orchestration": {"dashboard"},
    "components": {"definitions"},
}

# Libraries that a room does without.
BARRED_LIBRARIES = {
    "ask": {"dagster", "dash", "ibis"},
    "contracts": {"dagster", "duckdb"},
    "transforms": {"dagster", "duckdb"},
    "models": {"dagster", "duckdb", "ibis"},
    "sources": {"dagster"},
    "published": {"dagster"},
    "quality": {"dagster"},
    "warehouse": {"dagster"},
    "dashboard": {"dagster"},
    "notebook": {"dagster", "dash", "great_expectations", "plotly"},
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in MODULES}


def room_of(module: str) -> str:
    """The first name under the package; empty for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def imports(path: Path) -> Iterator[str]:
    """Modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in NAMES else node.module


def test_every_module_has_its_floor() -> None:
    assert {room_of(name) for name in NAMES} - {""} == set(FLOOR)


def test_few_modules_are_loose() -> None:
    assert len([path for path in PACKAGE.glob("*.py") if path.name != "__init__.py"]) <= 6


@pytest.mark.parametrize("room", FLOOR)
def test_imports_point_down(room: str) -> None:
    wrong = [
        f"{name} imports {other}"
        for name, path in NAMES.items()
        if room_of(name) == room
        for other in imports(path)
        if other.startswith("genome_pipeline.")
        and (theirs := room_of(other)) not in {room} | NEIGHBOURS.get(room, set())
        and FLOOR[theirs] >= FLOOR[room]
    ]
    assert wrong == []


@pytest.mark.parametrize("room", BARRED_LIBRARIES)
def test_a_room_does_without_libraries_of_others(room: str) -> None:
    wrong = [
        f"{name} imports {library}"
        for name, path in NAMES.items()
        if room_of(name) == room
        for library in {other.partition(".")[0] for other in imports(path)} & BARRED_LIBRARIES[room]
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    # The package itself is loaded before all others, and imports what it offers once it is asked for.
    modules = set(NAMES) - {PACKAGE.name}
    left = {name: set(imports(NAMES[name])) & modules - {name} for name in modules}
    while free := {name for name, needed in left.items() if not needed & set(left)}:
        left = {name: needed for name, needed in left.items() if name not in free}
    assert sorted(left) == []


DASHBOARD = "genome_pipeline.dashboard"


def page_of(module: str) -> str:
    """The folder of the page that a module of the dashboard belongs to; empty for what belongs to none."""
    return (
        module.removeprefix(f"{DASHBOARD}.pages.").partition(".")[0] if module.startswith(f"{DASHBOARD}.pages.") else ""
    )


def test_no_page_imports_another_and_the_kit_none() -> None:
    rooms = ("pages", "kit", "shell")
    wrong = [
        f"{name} imports {other}"
        for name, path in NAMES.items()
        if name.startswith(tuple(f"{DASHBOARD}.{room}." for room in rooms))
        for other in imports(path)
        if page_of(other) and page_of(other) != page_of(name)
    ]
    assert wrong == []


def texts(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_each_path_of_a_page_is_written_once() -> None:
    written_in = PACKAGE / "dashboard" / "kit" / "paths.py"
    paths = {text for text in texts(written_in) if text.startswith("/")} - {"/"}
    assert "/segments" in paths
    others = set((PACKAGE / "dashboard").rglob("*.py")) - {written_in}
    assert [f"{path.name}: {paths & texts(path)}" for path in others if paths & texts(path)] == []


def test_no_file_of_the_dashboard_is_long() -> None:
    counts = {path: path.read_text(encoding="utf-8").count("\n") for path in (PACKAGE / "dashboard").rglob("*.py")}
    assert [f"{path}: {count}" for path, count in counts.items() if count > 400] == []


def called(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield (node.func.id if isinstance(node.func, ast.Name) else node.func.attr), node


def test_duckdb_is_opened_in_one_way() -> None:
    """Without extensions that it would fetch: ``duckdb_connection`` says how."""
    opening = [
        path.name
        for path in MODULES
        for name, call in called(path)
        if name == "connect" and isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "duckdb"
    ]
    assert opening == ["duckdb_connection.py"]


def test_results_are_read_to_their_end() -> None:
    """DuckDB 2.0 refuses other work on a connection of whose last result rows are left."""
    reading = [(path.name, name) for path in MODULES for name, _ in called(path)]
    assert ("versions.py", "fetchall") in reading
    assert [path for path, name in reading if name in ("fetchone", "fetchmany")] == []


# Great Expectations has to open the warehouse as the process does that writes it: DuckDB refuses both ways at once.
READS_AS_A_WRITER = {"quality.dialect", "quality.own_suites", "quality.validation"}


def test_only_the_warehouse_opens_a_file_for_writing() -> None:
    opening = {
        name.partition(".")[2]
        for name, path in NAMES.items()
        if room_of(name) != "warehouse" and "genome_pipeline.duckdb_connection" in imports(path)
        for function, call in called(path)
        if function == "connect" and isinstance(call.func, ast.Name) and call.args
        if not any(keyword.arg == "read_only" for keyword in call.keywords)
    }
    assert opening == READS_AS_A_WRITER


def test_files_beside_the_warehouse_are_opened_by_it_alone() -> None:
    """But for the list of forgotten customers, which stood in older warehouses: a rebuild takes it from there."""
    opening = {
        name.partition(".")[2]
        for name, path in NAMES.items()
        if room_of(name) != "warehouse"
        for function, call in called(path)
        if function == "open_database" and not any(keyword.arg == "read_only" for keyword in call.keywords)
    }
    assert opening == {"orchestration.runs.rebuild"}


# Statements on other databases: Dagster's own log, and a sample in memory.
WRITES_ELSEWHERE = {"command.event_logs", "command.inspection"}


def test_only_the_warehouse_writes_its_tables() -> None:
    change = re.compile(r"\b(INSERT INTO|DELETE FROM|UPDATE \S+ (AS \w+ )?SET)\b")
    rooms = {"command", "dashboard", "definitions", "models", "orchestration", "quality", "transforms"}
    writing = {
        name.partition(".")[2]
        for name, path in NAMES.items()
        if room_of(name) in rooms
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant | ast.JoinedStr) and change.search(ast.unparse(node))
    }
    assert writing == WRITES_ELSEWHERE


def test_what_dagster_keeps_to_itself_is_used_in_one_module() -> None:
    private = re.compile(r"dagster(\w*\._|_shared\b)")
    assert [bool(private.match(name)) for name in ("dagster._core.events", "dagster_shared.check", "dagster")] == [
        True,
        True,
        False,
    ]
    using = {name for name, path in NAMES.items() if any(private.match(other) for other in imports(path))}
    assert using == {"genome_pipeline.orchestration.internals"}


def test_no_file_is_long() -> None:
    counts = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in NAMES.items()}
    assert [f"{name}: {count}" for name, count in counts.items() if count > 500] == []


def test_no_function_is_long() -> None:
    assert [
        f"{name}.{node.name}"
        for name, path in NAMES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.lineno >= 60
    ] == []


def undeclared(imported: Iterable[str], declared: Iterable[str]) -> set[str]:
    """The top-level modules, of other packages, that no declared requirement brings."""
    packages = packages_distributions()
    known = {re.split(r"[\[<>=;, ]", requirement)[0].lower() for requirement in declared}
    tops = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names - {"genome_pipeline", ""}
    return {top for top in tops if not {each.lower().replace("_", "-") for each in packages.get(top, [top])} & known}


def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    imported = {other for path in MODULES for other in imports(path)}
    assert undeclared(imported, declared) == set()
    assert undeclared({"pandas", "sklearn.ensemble", "yaml", "os.path"}, ["pandas>=3", "scikit-learn>=1.9"]) == {"yaml"}


@pytest.mark.parametrize("room", ["transforms", "models"])
def test_logic_opens_nothing(room: str) -> None:
    opening = {"open", "connect", "read_text", "read_bytes", "write_text", "write_bytes"}
    assert [
        f"{path.name}: {name}" for path in (PACKAGE / room).rglob("*.py") for name, _ in called(path) if name in opening
    ] == []


def test_nothing_is_pickled() -> None:
    assert [path for path in MODULES if {"pickle", "joblib", "cloudpickle"} & set(imports(path))] == []


def test_nothing_of_spark_is_imported_for_duckdb() -> None:
    code = (
        "import sys, genome_pipeline.orchestration.assets.flow;"
        " print([name for name in ('pyspark', 'py4j') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_starts_without_heavy_libraries() -> None:
    heavy = "dagster", "pandas", "sklearn", "ibis", "dash", "plotly", "great_expectations", "pydantic", "rich"
    code = f"import sys, genome_pipeline.command.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
