"""The pages for people name what there is: files, links, words in their order."""

import builtins
import importlib
import re
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from docs.modules import PAGE, with_modules
from genome_pipeline import __version__

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "genome_pipeline"
GLOSSARY = ROOT / "docs" / "glossary.md"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def rows() -> list[list[str]]:
    lines = GLOSSARY.read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[2:]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_every_module_stands_in_the_architecture_as_its_docstring_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_modules(page) == page, "run `make docs`"
    listed = re.findall(r"^- `(\w+\.py)` \S", page, re.MULTILINE)
    assert len(listed) == sum(path.name != "__init__.py" for path in PACKAGE.rglob("*.py"))


def test_the_version_is_the_same_wherever_it_stands() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__


def test_every_dependency_is_justified() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.split(r"[\[<>=,;]", dependency)[0] for dependency in project["dependencies"]]
    page = PAGE.read_text(encoding="utf-8").casefold()
    table = page[page.index("## dependencies, and why") : page.index("## every module")]
    shown = {"ibis-framework": "ibis", "great-expectations": "great expectations"}
    assert [name for name in names if shown.get(name, name) not in table] == []


REFERENCE = re.compile(r":(?:func|class|meth|mod|data|attr):`~?([\w.]+)`")


def resolves(reference: str, module: ModuleType) -> bool:
    """Whether a name in a docstring is that of something: from the package's root, or as the module knows it."""
    if reference.startswith("."):
        package = module.__name__ if hasattr(module, "__path__") else module.__name__.rpartition(".")[0]
        reference = f"{package}{reference}"
    if reference.startswith("genome_pipeline."):
        found: object = sys.modules["genome_pipeline"]
        for part in reference.split(".")[1:]:
            is_package = isinstance(found, ModuleType) and hasattr(found, "__path__")
            inner = f"{found.__name__}.{part}" if is_package and isinstance(found, ModuleType) else ""
            found = importlib.import_module(inner) if inner and find_spec(inner) else getattr(found, part, None)
        return found is not None
    first, *others = reference.split(".")
    members = [value for value in vars(module).values() if isinstance(value, type)]
    starts = [
        vars(module).get(first),
        getattr(builtins, first, None),
        *(getattr(each, first, None) for each in members),
    ]
    return any(start is not None and all(hasattr(start, other) for other in others) for start in starts)


def test_references_in_docstrings_lead_somewhere() -> None:
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        references = set(REFERENCE.findall(path.read_text(encoding="utf-8")))
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if references and name != "genome_pipeline.warehouse.spark":  # needs what the lock leaves out
            module = importlib.import_module(name)
            wrong += [f"{name}: {reference}" for reference in references if not resolves(reference, module)]
    assert wrong == []


def test_the_glossary_says_where_each_word_is_defined() -> None:
    for word, meaning, places in rows():
        named = re.findall(r"`([^`]+)`", places)
        assert named or "](" in places, word
        assert [place for place in named if not (PACKAGE / place).exists()] == [], word
        assert meaning.endswith("."), word


def test_the_glossary_is_in_alphabetical_order() -> None:
    words = [re.sub(r"[`_]", "", row[0]).casefold() for row in rows()]
    assert words == sorted(words)


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_is_one_page_that_the_architecture_links_to(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Context",
        "Decision",
        "What it costs",
        "What would change it",
    ]
    assert f"(decisions/{page.name})" in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
