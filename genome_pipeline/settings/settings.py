""":class:`Settings`, which a run depends on, with the paths of its files, and their :class:`Draft`."""

from __future__ import annotations

import hashlib
import json
import zoneinfo
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from genome_pipeline.calendar import Calendar
from genome_pipeline.contracts.names import as_name
from genome_pipeline.contracts.published import PUBLISHED_FILE
from genome_pipeline.privacy import PrivacyKey
from genome_pipeline.settings.acquisition import AcquisitionSettings
from genome_pipeline.settings.audiences import AudienceSettings
from genome_pipeline.settings.contacts import ContactSettings
from genome_pipeline.settings.section import expanded, suggestion
from genome_pipeline.settings.sections import (
    ActionSettings,
    AlertSettings,
    CalendarSettings,
    CompleteCalendar,
    DashboardSettings,
    McpSettings,
    PredictSettings,
    PrivacySettings,
    QualitySettings,
    RuleSettings,
    SimilaritySettings,
    SparkSettings,
    UiSettings,
    WarehouseSettings,
)
from genome_pipeline.settings.source import CompleteSource, SourceSettings

DEFAULT_HOME = Path(".genome")
PREFIX, DELIMITER = "GENOME_", "__"


class Draft(BaseSettings):
    """Settings in which columns and calendar may be missing; `genome check` completes them."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter=DELIMITER)

    home: Path = Field(default=DEFAULT_HOME, description="Where everything is kept, relative to this file.")
    engine: Literal["duckdb", "spark"] = Field(
        default="duckdb", description='"spark": row-level stages and scoring on the cluster of [spark].'
    )
    spark: SparkSettings = Field(default=SparkSettings(), validate_default=True)
    source: SourceSettings
    calendar: CalendarSettings = CalendarSettings()
    predict: PredictSettings = PredictSettings()
    similarity: SimilaritySettings = SimilaritySettings()
    actions: ActionSettings = ActionSettings()
    acquisition: AcquisitionSettings = AcquisitionSettings()
    contacts: ContactSettings | None = Field(default=None, description="Who was really reached, for experiments.")
    rules: RuleSettings = RuleSettings()
    quality: QualitySettings = QualitySettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    privacy: PrivacySettings = PrivacySettings()
    dashboard: DashboardSettings = DashboardSettings()
    ui: UiSettings = UiSettings()
    mcp: McpSettings = McpSettings()
    alerts: AlertSettings = AlertSettings()
    audiences: AudienceSettings = AudienceSettings()

    @field_validator("home", mode="before")
    @classmethod
    def _a_folder(cls, home: Any) -> Any:
        if home == "":
            raise ValueError("no folder is named; name one, or leave it out")
        return expanded(Path(home)) if isinstance(home, str) else home

    @field_validator("spark")
    @classmethod
    def _has_a_master(cls, spark: SparkSettings, info: ValidationInfo) -> SparkSettings:
        if info.data.get("engine") == "spark" and not spark.master:
            raise ValueError('engine = "spark" needs a cluster; set spark.master to its URL, as in "spark://host:7077"')
        return spark

    @field_validator("audiences")
    @classmethod
    def _of_known_rules(cls, audiences: AudienceSettings, info: ValidationInfo) -> AudienceSettings:
        rules = [rule.name for rule in info.data["actions"].rules] if "actions" in info.data else [*audiences.webhooks]
        for name in audiences.webhooks:
            if name not in rules:
                raise ValueError(
                    f"webhooks: no rule is called {name!r}{suggestion(name, rules)}; rules there are:"
                    f" {', '.join(rules)}"
                )
        return audiences

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take settings from the environment first, then from the file; from nowhere else."""
        return env_settings, init_settings


class Settings(Draft):
    """Everything a run depends on. Environment variables (``GENOME_HOME``, ``GENOME_SOURCE__PATH``) come first."""

    source: CompleteSource
    calendar: CompleteCalendar

    @property
    def time(self) -> Calendar:
        """The calendar of periods."""
        return Calendar(self.calendar.period, self.calendar.start, self.calendar.end)

    def today(self) -> date:
        """Today's date in the log's time zone."""
        return datetime.now(zoneinfo.ZoneInfo(self.source.time_zone)).date()

    @property
    def warehouse_path(self) -> Path:
        """The pipeline's own database."""
        return self.home / "warehouse.duckdb"

    @property
    def published_path(self) -> Path:
        """The file that BI tools and the dashboard read."""
        return self.home / PUBLISHED_FILE

    @property
    def report_path(self) -> Path:
        """The report of the latest snapshot."""
        return self.home / "reports" / "genome_report.html"

    @property
    def quality_path(self) -> Path:
        """Suites of Great Expectations, what they found last, and Data Docs."""
        return self.home / "quality"

    @property
    def data_docs_path(self) -> Path:
        """The pages of Data Docs."""
        return self.quality_path / "docs"

    @property
    def exports_path(self) -> Path:
        """The default folder of `genome export`."""
        return self.home / "exports"

    @property
    def audit_path(self) -> Path:
        """The log of who looked at what in the dashboard."""
        return self.home / "audit"

    @property
    def artifacts_path(self) -> Path:
        """Stored models and indexes."""
        return self.home / "artifacts"

    @property
    def exchange_path(self) -> Path:
        """The folder for rows of customers, as Parquet, while a model is applied to them."""
        return self.home / "exchange"

    @property
    def spark_exchange(self) -> str:
        """The folder for exchanging rows with a Spark cluster, as Parquet: an absolute path, or a URL."""
        given = self.spark.exchange
        if given and "://" in given:
            return given.rstrip("/")
        return str((Path(given) if given else self.exchange_path).absolute())

    @property
    def dagster_home(self) -> Path:
        """``DAGSTER_HOME`` if it is not set."""
        return self.home / "dagster"

    @property
    def identity(self) -> dict[str, str]:
        """The settings that a warehouse is bound to: rows made under another identity cannot be mixed with it."""
        mapped, key = self.source.columns.mapped, self.privacy_key
        return {
            "calendar.period": self.calendar.period.value,
            "calendar.start": self.calendar.start.isoformat(),
            **{f"source.columns.{ours}": theirs for ours, theirs in mapped.items()},
            **({"privacy.pseudonyms": f"by key {key.fingerprint}"} if key and self.privacy.pseudonyms else {}),
        }

    @property
    def privacy_key(self) -> PrivacyKey | None:
        """The key of pseudonyms and of the list of forgotten customers, if one is set."""
        return PrivacyKey(self.privacy.key.get_secret_value()) if self.privacy.key else None

    def stored_id(self, customer_id: str) -> str:
        """The id in the tables of a customer whom the source names ``customer_id``: the cleaned id, or a pseudonym."""
        key, name = self.privacy_key, as_name(customer_id)
        return key.pseudonym(name) if key and self.privacy.pseudonyms else name

    @property
    def results_hash(self) -> str:
        """Fingerprint of every setting that results depend on; a change makes all slices stale."""
        relevant = self.model_dump(
            mode="json", include={"source", "calendar", "predict", "similarity", "actions", "rules"}
        )
        for key in ("path", "table", "query"):
            relevant["source"].pop(key)
        if not self.predict.further_horizons_days:
            # One horizon is the same however it is written.
            relevant["predict"].pop("horizons_days")
        relevant["quality"] = {"drift_warning_psi": self.quality.drift_warning_psi}
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:16]
