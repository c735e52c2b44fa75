"""The list of all modules in ``docs/architecture.md``, made from their docstrings: ``python docs/modules.py``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "genome_pipeline"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- modules: written by `make docs` -->\n", "<!-- end of modules -->\n"


def purpose(module: Path) -> str:
    """The first sentence of a module's docstring, without marks that only Sphinx reads."""
    text = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    first = " ".join(text.split("\n\n")[0].split())
    return first.replace("``", "`").replace(":class:`~", "`").replace(":class:", "").replace(":mod:", "")


def modules() -> Iterator[str]:
    """A heading for each folder with what it is, and a line for each of its modules, in the order of their paths."""
    folders = sorted({path.parent for path in PACKAGE.rglob("*.py")})
    for folder in folders:
        name = folder.relative_to(PACKAGE.parent).as_posix()
        yield f"\n**`{name}/`** {purpose(folder / '__init__.py')}\n"
        lines = [
            f"- `{path.name}` {purpose(path)}\n" for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"
        ]
        yield "".join(["\n", *lines] if lines else lines)


def with_modules(page: str) -> str:
    """The page, with the list between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "".join(modules()) + "\n" + END + after


if __name__ == "__main__":
    PAGE.write_text(with_modules(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
