"""Example configs and pages that come with the program: beside the code in a wheel, above it in a clone."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_FOLDER = _PACKAGE if (_PACKAGE / "examples").exists() else _PACKAGE.parent

EXAMPLES = _FOLDER / "examples"
EVERY_SETTING = EXAMPLES / "genome.toml"
"""The config that lists every setting."""

EVERY_COLUMN = _FOLDER / "docs" / "data_dictionary.md"
"""The page that lists every published column."""
