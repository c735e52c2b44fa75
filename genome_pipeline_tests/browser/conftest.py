from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genome_pipeline_tests.browser.watched import Watched, serve
from genome_pipeline_tests.support.published_file import build_published_file

_CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_DEMO = Path(__file__).parents[2] / ".genome/complete_journey/published/genome.duckdb"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    executable = shutil.which("chromium")
    if executable is None:  # Not a Python package, so the lock cannot bring it; `.ci/run` installs it.
        pytest.skip("chromium is not installed: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=executable, args=_CHROMIUM_ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def published_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small published file; tests read it and leave it as it is."""
    return build_published_file(tmp_path_factory.mktemp("published") / "genome.duckdb")


@pytest.fixture(scope="session")
def address(published_path: Path) -> Iterator[str]:
    yield from serve(published_path)


@pytest.fixture
def watched(browser: Any, address: str) -> Iterator[Watched]:
    tab = Watched(browser, address)
    yield tab
    tab.close()


@pytest.fixture(scope="session", params=["synthetic", "demo"])
def walked_path(request: pytest.FixtureRequest, published_path: Path) -> Path:
    """The published files that every page is walked on: a small one, and the demo's."""
    if request.param == "synthetic":
        return published_path
    if not _DEMO.exists():  # A minute and a half to make: `make test-all` makes it first.
        pytest.skip("the demo has not been made: make demo")
    return _DEMO


@pytest.fixture(scope="session")
def walked_address(walked_path: Path) -> Iterator[str]:
    yield from serve(walked_path)


@pytest.fixture
def walk(browser: Any, walked_address: str) -> Iterator[Watched]:
    """A tab on a file that is walked; nothing may have gone wrong in it by the end."""
    tab = Watched(browser, walked_address)
    yield tab
    assert tab.problems == []
    tab.close()
