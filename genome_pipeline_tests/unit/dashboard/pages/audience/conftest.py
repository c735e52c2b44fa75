from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from genome_pipeline.dashboard.app import create_app


@pytest.fixture(scope="module")
def client(published_path: Path) -> FlaskClient:
    tested: FlaskClient = create_app(published_path).server.test_client()
    return tested
