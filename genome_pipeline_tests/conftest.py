"""One small shop, run once, for every test that only looks."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from genome_pipeline.settings import Settings


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees, or leaves, settings in the environment."""
    for name in [name for name in os.environ if name.startswith("GENOME_") or name == "DAGSTER_HOME"]:
        monkeypatch.delenv(name)
    yield
    for name in [name for name in os.environ if name.startswith("GENOME_") or name == "DAGSTER_HOME"]:
        os.environ.pop(name)


@pytest.fixture(scope="session")
def shop_run(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of a shop whose seven snapshots have been made and published."""
    from genome_pipeline_tests.pipelines import make, shop

    settings, _ = make(shop(tmp_path_factory.mktemp("shop")))
    os.environ.pop("DAGSTER_HOME", None)
    return settings
