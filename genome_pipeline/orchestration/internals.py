"""What is imported from Dagster that has no public name: a newer version that takes it away fails here first."""

from __future__ import annotations

import importlib
from typing import Any

from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata
from dagster._core.events.log import EventLogEntry
from dagster._core.instance import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, RUN_KEY_TAG
from dagster._core.utils import make_new_run_id

__all__ = [
    "PARENT_RUN_ID_TAG",
    "RUN_KEY_TAG",
    "AssetCheckEvaluationTargetMaterializationData",
    "DagsterEvent",
    "DagsterEventBatchMetadata",
    "DagsterExecutionInterruptedError",
    "EventLogEntry",
    "InstanceRef",
    "SqliteEventLogStorage",
    "UnresolvedAssetJobDefinition",
    "dev_module",
    "make_new_run_id",
    "sqlite_event_log",
    "webserver_module",
]


def dev_module() -> Any:
    """The module behind ``dagster dev``; loaded on demand, as it takes a second."""
    return importlib.import_module("dagster._cli.dev")


def webserver_module() -> Any:
    """The module behind ``dagster-webserver``."""
    return importlib.import_module("dagster_webserver.cli")
