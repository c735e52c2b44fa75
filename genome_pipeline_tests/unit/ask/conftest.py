from __future__ import annotations

from pathlib import Path

import pytest

from genome_pipeline_tests.unit.ask.asking import Ask, asking


@pytest.fixture(scope="session")
def groups_only(published_path: Path) -> Ask:
    """As configured by default: no single customers."""
    return asking(published_path)


@pytest.fixture(scope="session")
def everything(published_path: Path) -> Ask:
    """With ``[mcp] single_customers = true``."""
    return asking(published_path, lambda _tool, _ids: None)
