"""One small shop, run once, for every test that only looks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from genome_pipeline.settings import Settings, load_settings
from genome_pipeline.warehouse.database import SOURCE_SETTING


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
    from genome_pipeline_tests.support.pipelines import make, shop

    settings, _ = make(shop(tmp_path_factory.mktemp("shop")))
    os.environ.pop("DAGSTER_HOME", None)
    return settings


@pytest.fixture(scope="session")
def _early_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop whose first two snapshots have been made and published."""
    from genome_pipeline_tests.support.pipelines import make, shop

    folder = tmp_path_factory.mktemp("early")
    make(shop(folder), None, "2020-03-01")
    os.environ.pop("DAGSTER_HOME", None)
    return folder


@pytest.fixture
def early_shop(_early_shop: Path, tmp_path: Path) -> Path:
    """The config of a shop of the test's own, with its first two snapshots made and published."""
    from genome_pipeline_tests.support.pipelines import shop_config

    shutil.copytree(_early_shop, tmp_path, dirs_exist_ok=True)
    config = shop_config(tmp_path)
    settings = load_settings(config)
    with duckdb.connect(str(settings.warehouse_path)) as warehouse:
        # It moved with its log, which the test may change before the next run takes it in.
        warehouse.execute(
            "UPDATE warehouse_identity SET setting_value = ? WHERE setting_name = ?",
            [settings.source.place, SOURCE_SETTING],
        )
    return config
