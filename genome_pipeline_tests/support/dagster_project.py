"""The Dagster project of docs/dagster.md, made from the page: its files, and the commands that it tells to enter."""

from __future__ import annotations

import re
from pathlib import Path

from genome_pipeline_tests.support.pipelines import SHOP_CONFIG

PAGE = Path(__file__).parents[2] / "docs" / "dagster.md"

_PROJECT = """
[tool.dg]
directory_type = "project"
[tool.dg.cli]
suppress_warnings = ["project_and_activated_venv_mismatch"]
[tool.dg.project]
root_module = "crm"
"""


def files_of_page() -> dict[str, str]:
    """The files that the page shows, by the path on their first line."""
    blocks = re.findall(r"```(?:yaml|python)\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return dict(blocks)


def commands_of_page() -> list[list[str]]:
    """The commands that the page tells to enter."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [line.removeprefix("$ ").split() for block in blocks for line in block.splitlines()]


def write_project(root: Path, logs: dict[str, Path]) -> Path:
    """The project with a shop for each log, by name; returns its folder."""
    (root / "shops").mkdir(parents=True)
    for name, log in logs.items():
        config = SHOP_CONFIG.format(home=f"../homes/{name}", path=log)
        (root / "shops" / f"{name}.toml").write_text(config, encoding="utf-8")
    (root / "pyproject.toml").write_text(_PROJECT, encoding="utf-8")
    for path, text in files_of_page().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    for folder in ("crm", "crm/defs"):
        (root / "src" / folder / "__init__.py").touch()
    (root / "src/crm/definitions.py").write_text(
        "from pathlib import Path\n\nimport dagster as dg\n\n\n@dg.definitions\ndef defs() -> dg.Definitions:\n"
        "    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)\n",
        encoding="utf-8",
    )
    return root
