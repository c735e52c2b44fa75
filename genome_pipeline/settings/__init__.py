"""The settings of a run, from ``genome.toml`` and the environment."""

from genome_pipeline.settings.contacts import ContactSettings
from genome_pipeline.settings.load import (
    CONFIG_VARIABLE,
    DEFAULT_CONFIG,
    config_path,
    database_at,
    draft_of,
    load_draft,
    load_settings,
    load_settings_or_demo,
)
from genome_pipeline.settings.schema import SCHEMA_FILE, SCHEMA_LINE, settings_schema
from genome_pipeline.settings.sections import AlertSettings, BlockWeights, DashboardSettings
from genome_pipeline.settings.settings import DEFAULT_HOME, Draft, Settings
from genome_pipeline.settings.source import SourceColumns, SourceKind, SourceSettings

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_CONFIG",
    "DEFAULT_HOME",
    "SCHEMA_FILE",
    "SCHEMA_LINE",
    "AlertSettings",
    "BlockWeights",
    "ContactSettings",
    "DashboardSettings",
    "Draft",
    "Settings",
    "SourceColumns",
    "SourceKind",
    "SourceSettings",
    "config_path",
    "database_at",
    "draft_of",
    "load_draft",
    "load_settings",
    "load_settings_or_demo",
    "settings_schema",
]
