"""``genome.toml`` and the environment become one frozen :class:`Settings`; every mistake is named, with its fix."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import tomllib
import zoneinfo
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin
from urllib.parse import unquote

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from genome_pipeline.calendar import FIRST_DAY, LAST_DAY, Calendar, Period
from genome_pipeline.contracts.formats import Formats
from genome_pipeline.contracts.names import as_name
from genome_pipeline.contracts.playbook import DEFAULT_PLAYBOOK, PlaybookRule, faults
from genome_pipeline.contracts.rules import OPTIONAL_RULES, REASONS
from genome_pipeline.errors import ConfigError
from genome_pipeline.privacy import HOW_TO_MAKE_A_KEY, KEY_VARIABLE, LEAST_KEY_CHARACTERS, LEAST_KEY_LENGTH, PrivacyKey

CONFIG_VARIABLE = "GENOME_CONFIG"
DEFAULT_CONFIG = Path("genome.toml")
DEFAULT_HOME = Path(".genome")
_USER_AND_PASSWORD = re.compile(r"(?P<before>[^/]+://[^/:@]*):(?P<password>.*)(?=@)", re.DOTALL)
_PASSWORD_IN_QUERY = re.compile(r"[?&]\w*password=", re.IGNORECASE)
_QUERY_OF_URL = re.compile(r"[?&][^?&/*=]+=")
_SECRETS_IN = ("privacy", "dashboard")
DEMO_CONFIG = Path(__file__).parent.parent / "examples" / "complete_journey.toml"
_GUESSED = (("source", "columns"), ("calendar",), ("calendar", "start"))
_SHORTEST_SECRET = 12
_PREFIX, _DELIMITER = "GENOME_", "__"
_FORMAT_CODES = "aAbBcdfgGHIjmMnpSuUVwWxXyYzZ%"


_M = TypeVar("_M", bound=BaseModel)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _a_number_is_no_truth_value(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation in (int, float, float | None):
            raise ValueError(f"{str(value).lower()} is no number; write one")
        return value


class SourceColumns(_Section):
    """Names of the source's columns: ours = theirs. Those of a source without a header are numbers, from 1."""

    customer_id: str | None = None
    ordered_at: str | None = None
    order_id: str | None = None
    product_id: str | None = None
    category: str | None = None
    quantity: str | None = None
    unit_price: str | None = None
    amount: str | None = None
    country: str | None = None
    currency: str | None = None

    @property
    def mapped(self) -> dict[str, str]:
        """The columns that are mapped: ours -> theirs."""
        return {ours: theirs for ours, theirs in self.model_dump().items() if theirs is not None}

    @property
    def has_amounts(self) -> bool:
        """Whether the source says what was paid."""
        return self.amount is not None or self.unit_price is not None

    @field_validator("*", mode="before")
    @classmethod
    def _by_number(cls, column: Any) -> Any:
        is_number = isinstance(column, int) and not isinstance(column, bool)
        return str(column) if is_number else column

    @model_validator(mode="after")
    def _each_once(self) -> SourceColumns:
        theirs = list(self.mapped.values())
        twice = sorted({name for name in theirs if theirs.count(name) > 1})
        if twice:
            raise ValueError(f"column {twice[0]!r} is mapped twice; map each column of the file once")
        return self


class CompleteColumns(SourceColumns):
    """The names without which nothing can be measured are there."""

    customer_id: str
    ordered_at: str


class SourceSettings(_Section):
    """Where the transactions are and how to read them.

    ``path`` is a file, a folder or a glob, local or in a bucket, or the URL of a PostgreSQL database. A password
    in that URL is kept apart, so that ``path`` can be shown.
    """

    path: str
    table: str | None = Field(default=None, description="Table of the database, with its schema: sales.lines.")
    query: str | None = Field(default=None, description="SELECT statement, in place of the table.")
    columns: SourceColumns = SourceColumns()
    currency: str = Field(default="", max_length=3, description="ISO code of the amounts, which are never converted.")
    date_format: str | tuple[str, ...] | None = Field(
        default=None, description="strptime format of ordered_at, where it is not ISO; of several, the first that fits."
    )
    time_zone: str = Field(default="UTC", description="IANA zone whose wall time counts.")
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", "'", " ", "_"] | None = None
    encoding: str | None = Field(default=None, description="Text encoding; detected when not given.")
    delimiter: str | None = Field(default=None, description="CSV delimiter; detected when not given.")
    header: bool = Field(default=True, description="Without one, columns are named by number: '1' is the first.")
    _password: SecretStr | None = PrivateAttr(default=None)

    @field_validator("path")
    @classmethod
    def _from_the_users_folder(cls, path: str) -> str:
        return str(_expanded(Path(path))) if path.startswith("~") else path

    @property
    def is_database(self) -> bool:
        """Whether the rows come from PostgreSQL."""
        return self.path.startswith(("postgresql://", "postgres://"))

    @property
    def place(self) -> str:
        """The path, with the table or the query of a database: what tells one log from another."""
        path = self.path if "://" in self.path else os.path.abspath(self.path)  # noqa: PTH100, links stay as named
        return " ".join([path, *(part for part in (self.table, self.query) if part)])

    @property
    def password(self) -> str | None:
        """The password that stood in the URL. Never to be shown or stored."""
        return self._password.get_secret_value() if self._password else None

    @model_validator(mode="wrap")
    @classmethod
    def _password_apart(cls, data: Any, handler: ModelWrapValidatorHandler[SourceSettings]) -> SourceSettings:
        if not isinstance(data, dict) or not isinstance(data.get("path"), str):
            return handler(data)
        path, password = _without_password(data["path"])
        source = handler(data | {"path": path})
        if password is not None:
            if not source.is_database:
                raise ValueError(
                    "path holds a password; take it out, credentials of a bucket come from its own variables"
                )
            source._password = SecretStr(password)
        return source

    @model_validator(mode="after")
    def _table_or_query(self) -> SourceSettings:
        given = [name for name in ("table", "query") if getattr(self, name) is not None]
        if self.is_database and len(given) != 1:
            raise ValueError(
                "a database needs either table or query; " + ("take one out" if given else "add one of them")
            )
        if self.is_database and not self.header:
            raise ValueError(
                "header = false is for text files and workbooks; take it out, a database names its columns"
            )
        if given and not self.is_database:
            raise ValueError(f"{given[0]} is for a database, which path does not name; take it out")
        if self.is_database and _PASSWORD_IN_QUERY.search(unquote(self.path)):
            raise ValueError("path holds a password; take it out, and set PGPASSWORD")
        if not self.is_database:
            _refuse_query("path", self.path)
        return self

    @property
    def formats(self) -> Formats:
        """How numbers and dates are written."""
        written = self.date_format or ()
        return Formats(
            date_formats=(written,) if isinstance(written, str) else written,
            time_zone=self.time_zone,
            decimal=self.decimal,
            thousands=self.thousands,
            currency=self.currency.upper(),
        )

    @field_validator("date_format")
    @classmethod
    def _of_known_codes(cls, formats: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for format_ in (formats,) if isinstance(formats, str) else formats or ():
            codes = re.findall("%-?(.?)", format_)
            unknown = [code for code in codes if code not in _FORMAT_CODES or not code]
            if unknown or not codes:
                fault = f"%{unknown[0]} is no strptime code" if unknown else "there is no strptime code in it"
                raise ValueError(f'{format_!r}: {fault}; write the format as in "%d/%m/%Y %H:%M"')
        return formats

    @field_validator("time_zone")
    @classmethod
    def _of_known_zone(cls, zone: str) -> str:
        known = zoneinfo.available_timezones()
        if zone not in known:
            raise ValueError(
                f"{zone!r} is no IANA time zone{_suggestion(zone, known)}; use a name such as 'Europe/London'"
            )
        return zone

    @model_validator(mode="after")
    def _marks_differ(self) -> SourceSettings:
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}; set source.decimal to the other mark")
        return self


class CompleteSource(SourceSettings):
    """The columns are named."""

    columns: CompleteColumns


class CalendarSettings(_Section):
    """The steps in which time is cut."""

    period: Period = Period.MONTH
    start: date | None = None
    end: date | None = None

    @field_validator("start", "end", mode="before")
    @classmethod
    def _written_as_a_date(cls, day: Any) -> Any:
        # Pydantic would take a bare number for seconds since 1970.
        if isinstance(day, int | float) or (isinstance(day, str) and day.strip().isdigit()):
            raise ValueError(f"{day} is no date; write it as 2024-01-31")
        return day

    @field_validator("start", "end")
    @classmethod
    def _within_reach(cls, day: date | None) -> date | None:
        if day is not None and not FIRST_DAY <= day <= LAST_DAY:
            raise ValueError(f"{day} is not between {FIRST_DAY} and {LAST_DAY}; correct the year")
        return day

    @model_validator(mode="after")
    def _on_boundaries(self) -> CalendarSettings:
        for name in ("start", "end"):
            day = getattr(self, name)
            if day is not None and self.period.start_of(day) != day:
                raise ValueError(f"{name} = {day} is not the start of a {self.period}; use {self.period.start_of(day)}")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(f"end = {self.end} is not after start = {self.start}; give a later end, or none")
        return self


class CompleteCalendar(CalendarSettings):
    """The first period is known."""

    start: date


class PredictSettings(_Section):
    """What is predicted."""

    horizon_days: int = Field(default=90, ge=1, le=3650)
    interval_level: float = Field(default=0.8, gt=0.5, lt=1)
    seed: int = Field(default=0, ge=0)


class BlockWeights(_Section):
    """What the genes of each block count in the cosine."""

    activity: float = Field(default=1, ge=0)
    spend: float = Field(default=1, ge=0)
    duration: float = Field(default=1, ge=0)
    breadth: float = Field(default=1, ge=0)
    rhythm: float = Field(default=1, ge=0)
    momentum: float = Field(default=1, ge=0)
    returns: float = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _some_count(self) -> BlockWeights:
        if not any(self.model_dump().values()):
            raise ValueError("every weight is 0; give at least one block a weight above 0")
        return self


class SimilaritySettings(_Section):
    """How customers are compared."""

    neighbors: int = Field(default=10, ge=1, le=100, description="Similar customers of each customer.")
    weights: BlockWeights = BlockWeights()


class ActionSettings(_Section):
    """The playbook, and when a person should look before anything is done."""

    rules: tuple[PlaybookRule, ...] = DEFAULT_PLAYBOOK
    review_confidence: float = Field(default=1 / 3, ge=0, le=1)

    @field_validator("rules")
    @classmethod
    def _without_faults(cls, rules: tuple[PlaybookRule, ...]) -> tuple[PlaybookRule, ...]:
        found = faults(rules)
        if found:
            raise ValueError("; ".join(found))
        return rules


class RuleSettings(_Section):
    """Row rules that are off, and what some of them look for."""

    disabled: tuple[str, ...] = ()
    non_product_codes: tuple[str, ...] = Field(default=(), description="Codes, or patterns with * and ?; any case.")
    outlier_amount: float = Field(default=100_000, gt=0, description="Line totals from here on are warned of.")

    @field_validator("disabled")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in OPTIONAL_RULES:
                raise ValueError(
                    f"no rule {name!r} can be switched off{_suggestion(name, OPTIONAL_RULES)};"
                    f" those that can: {', '.join(OPTIONAL_RULES)}"
                )
        return names


class QualitySettings(_Section):
    """How much of the source may be lost, and when a change of the customers is reported, or stops the run."""

    max_quarantined_share: float = Field(
        default=0.5, ge=0, le=1, description="Of a period's rows, set aside for one reason."
    )
    max_quarantined_share_by_reason: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default={}, description="The same for some reasons."
    )
    max_removed_share: float = Field(
        default=0.2, ge=0, le=1, description="Of the rows published last, gone with their files."
    )
    drift_warning_psi: float = Field(default=0.25, gt=0, description="A gene that moved by more than this has drifted.")
    drift_error_psi: float | None = Field(default=None, gt=0, description="Beyond this, nothing is published.")

    @field_validator("max_quarantined_share_by_reason")
    @classmethod
    def _of_known_reasons(cls, shares: dict[str, float]) -> dict[str, float]:
        for name in shares:
            if name not in REASONS:
                raise ValueError(
                    f"no row is set aside for {name!r}{_suggestion(name, REASONS)}; reasons there are:"
                    f" {', '.join(REASONS)}"
                )
        return shares

    @model_validator(mode="after")
    def _error_above_warning(self) -> QualitySettings:
        if self.drift_error_psi is not None and self.drift_error_psi < self.drift_warning_psi:
            raise ValueError(
                f"drift_error_psi = {self.drift_error_psi} is below drift_warning_psi = {self.drift_warning_psi};"
                " raise the first or lower the second"
            )
        return self


class WarehouseSettings(_Section):
    """How much memory DuckDB may take, in a run; beyond it, it puts rows aside in files beside the warehouse."""

    memory_limit: str | None = Field(default=None, description="80 % of the machine's memory where none is given.")

    @field_validator("memory_limit")
    @classmethod
    def _an_amount(cls, limit: str | None) -> str | None:
        if limit is not None and not re.fullmatch(r"[1-9]\d{0,5} ?[MGT]i?B", limit):
            raise ValueError(f"{limit!r} is no amount of memory; write it as '4GB' or '500MB'")
        return limit


class SparkSettings(_Section):
    """The cluster of ``engine = "spark"``; everything else about it stands in Spark's own spark-defaults.conf."""

    master: str = Field(default="", pattern=r"^$|^(spark|k8s|local|local-cluster|yarn)\b", description="Master URL.")
    exchange: str | None = Field(
        default=None,
        description="Folder that driver and workers see under the same path, or the URL of one in a bucket; by default"
        " in home.",
    )

    @field_validator("exchange")
    @classmethod
    def _without_secrets(cls, exchange: str | None) -> str | None:
        _refuse_query("exchange", exchange or "")
        return exchange


class PrivacySettings(_Section):
    """Whether ids are stored, and the key of the hashes in their place, which comes from the environment alone."""

    pseudonyms: bool = False
    key: SecretStr | None = None

    @field_validator("key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < LEAST_KEY_LENGTH:
            raise ValueError(f"the key is shorter than {LEAST_KEY_LENGTH} characters; {HOW_TO_MAKE_A_KEY}")
        if key is not None and len(set(key.get_secret_value())) < LEAST_KEY_CHARACTERS:
            raise ValueError(
                f"the key has fewer than {LEAST_KEY_CHARACTERS} different characters, and could be guessed;"
                f" {HOW_TO_MAKE_A_KEY}"
            )
        return key

    @model_validator(mode="after")
    def _keyed(self) -> PrivacySettings:
        if self.pseudonyms and self.key is None:
            raise ValueError(f"pseudonyms = true needs a key in the environment; {HOW_TO_MAKE_A_KEY}")
        return self


class DashboardSettings(_Section):
    """What the dashboard asks of a visitor; from the environment only."""

    password: SecretStr | None = None
    token: SecretStr | None = None

    @field_validator("password", "token")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < _SHORTEST_SECRET:
            raise ValueError(f"is shorter than {_SHORTEST_SECRET} characters; choose a longer one, or unset it")
        return secret


class UiSettings(_Section):
    """The Dagster UI."""

    hosts: tuple[str, ...] = Field(default=(), description="Names by which a proxy in front of it is reached.")


class AlertSettings(_Section):
    """Who is told of a failed run, and by choice of warnings. Webhook and mail password come from the environment."""

    command: tuple[str, ...] = Field(default=(), description="Program and arguments; the message is its input.")
    mail_to: str = ""
    mail_from: str = "customer-genome@localhost"
    smtp_host: str = "localhost"
    smtp_port: int = Field(default=25, ge=1, le=65535)
    smtp_user: str = ""
    warnings: bool = Field(default=False, description="Tell of what is published with warnings, too.")


class Draft(BaseSettings):
    """Settings in which columns and calendar may still be unnamed: what `genome check` takes, and completes."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=_PREFIX, env_nested_delimiter=_DELIMITER)

    home: Path = DEFAULT_HOME
    engine: Literal["duckdb", "spark"] = "duckdb"
    spark: SparkSettings = Field(default=SparkSettings(), validate_default=True)
    source: SourceSettings
    calendar: CalendarSettings = CalendarSettings()
    predict: PredictSettings = PredictSettings()
    similarity: SimilaritySettings = SimilaritySettings()
    actions: ActionSettings = ActionSettings()
    rules: RuleSettings = RuleSettings()
    quality: QualitySettings = QualitySettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    privacy: PrivacySettings = PrivacySettings()
    dashboard: DashboardSettings = DashboardSettings()
    ui: UiSettings = UiSettings()
    alerts: AlertSettings = AlertSettings()

    @field_validator("home", mode="before")
    @classmethod
    def _a_folder(cls, home: Any) -> Any:
        if home == "":
            raise ValueError("no folder is named; name one, or leave it out")
        return _expanded(Path(home)) if isinstance(home, str) else home

    @field_validator("spark")
    @classmethod
    def _has_a_master(cls, spark: SparkSettings, info: ValidationInfo) -> SparkSettings:
        if info.data.get("engine") == "spark" and not spark.master:
            raise ValueError('engine = "spark" needs a cluster; set spark.master to its URL, as in "spark://host:7077"')
        return spark

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file; no other source."""
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
        """The day it is where the log's clock is."""
        return datetime.now(zoneinfo.ZoneInfo(self.source.time_zone)).date()

    @property
    def warehouse_path(self) -> Path:
        """The pipeline's own database."""
        return self.home / "warehouse.duckdb"

    @property
    def published_path(self) -> Path:
        """The file that BI tools and the dashboard read."""
        return self.home / "published" / "genome.duckdb"

    @property
    def report_path(self) -> Path:
        """The report of the latest snapshot."""
        return self.home / "reports" / "genome_report.html"

    @property
    def exports_path(self) -> Path:
        """Where `genome export` writes when it is not told."""
        return self.home / "exports"

    @property
    def audit_path(self) -> Path:
        """Who looked at what in the dashboard."""
        return self.home / "audit"

    @property
    def artifacts_path(self) -> Path:
        """Stored models and indexes."""
        return self.home / "artifacts"

    @property
    def exchange_path(self) -> Path:
        """Where rows of customers wait, as Parquet, while a model is applied to them."""
        return self.home / "exchange"

    @property
    def spark_exchange(self) -> str:
        """Where rows are exchanged with a Spark cluster, as Parquet: an absolute path, or a URL."""
        given = self.spark.exchange
        if given and "://" in given:
            return given.rstrip("/")
        return str((Path(given) if given else self.exchange_path).absolute())

    @property
    def dagster_home(self) -> Path:
        """``DAGSTER_HOME`` where none is set."""
        return self.home / "dagster"

    @property
    def identity(self) -> dict[str, str]:
        """What a warehouse is bound to: rows and slices made under another identity cannot be mixed with it."""
        mapped, key = self.source.columns.mapped, self.privacy_key
        return {
            "calendar.period": self.calendar.period.value,
            "calendar.start": self.calendar.start.isoformat(),
            **{f"source.columns.{ours}": theirs for ours, theirs in mapped.items()},
            **({"privacy.pseudonyms": f"by key {key.fingerprint}"} if key and self.privacy.pseudonyms else {}),
        }

    @property
    def privacy_key(self) -> PrivacyKey | None:
        """The key of pseudonyms and of the list of forgotten customers, where one is set."""
        return PrivacyKey(self.privacy.key.get_secret_value()) if self.privacy.key else None

    def stored_id(self, customer_id: str) -> str:
        """What stands in the tables for a customer whom the source names so: the id as it is taken, or a pseudonym."""
        key, name = self.privacy_key, as_name(customer_id)
        return key.pseudonym(name) if key and self.privacy.pseudonyms else name

    @property
    def results_hash(self) -> str:
        """Fingerprint of every setting that results depend on; another one makes all slices stale."""
        relevant = self.model_dump(
            mode="json", include={"source", "calendar", "predict", "similarity", "actions", "rules"}
        )
        for key in ("path", "table", "query"):
            relevant["source"].pop(key)
        relevant["quality"] = {"drift_warning_psi": self.quality.drift_warning_psi}
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:16]


def load_settings(config: Path | None = None) -> Settings:
    """Read ``config`` (default: ``$GENOME_CONFIG``, else ``genome.toml`` here) and the environment.

    Paths in the file are relative to the file, the home's too; those in the environment to the working directory.
    Raises :class:`ConfigError` naming what is wrong, where, and the fix.
    """
    return _load(Settings, config)


def load_draft(config: Path | None = None) -> Draft:
    """As :func:`load_settings`, of a config in which columns and calendar may be missing."""
    return _load(Draft, config)


def draft_of(path: str, config: Path | None = None) -> Draft:
    """A draft for the transactions at ``path``: all else as in ``config``, or nothing else where there is none."""
    draft = _load(Draft, config) if config else _validated(Draft, {"source": {"path": path}}, None)
    said = draft.source.model_dump(exclude_unset=True) | {"path": path}
    return draft.model_copy(update={"source": _validated(SourceSettings, said, config)})


def config_path(config: Path | None) -> Path:
    """The config file: the one given, else ``$GENOME_CONFIG``, else ``genome.toml`` here."""
    return config or Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG))


def _load(model: type[_M], chosen: Path | None) -> _M:
    config = config_path(chosen)
    try:
        text = config.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise ConfigError(
            f"no config file {config}: `genome check PATH` prints one for the log at PATH, to be saved and passed with"
            " --config"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config} cannot be read ({error}): it must be a UTF-8 text file you may read") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{config} is not valid TOML: {error}") from None
    if isinstance(data.get("privacy"), dict) and "key" in data["privacy"]:
        raise ConfigError(f"{config}: privacy.key is a secret; take it out, and set {KEY_VARIABLE}")
    folder = config.parent.resolve()
    data["home"] = _beside(folder, data.get("home", str(DEFAULT_HOME)))
    source = data.get("source")
    if isinstance(source, dict) and isinstance(source.get("path"), str) and "://" not in source["path"]:
        source["path"] = _beside(folder, source["path"])
    elif isinstance(source, dict) and _without_password(str(source.get("path")))[1] is not None:
        raise ConfigError(
            f"{config}: source.path holds a password; take it out, and set PGPASSWORD, or GENOME_SOURCE__PATH to the"
            " whole URL"
        )
    if "dashboard" in data:
        raise ConfigError(
            f"{config}: [dashboard] is not for the file, which others may read; take it out, and set"
            " GENOME_DASHBOARD__PASSWORD or GENOME_DASHBOARD__TOKEN"
        )
    return _validated(model, data, config)


def database_at(url: str, table: str) -> SourceSettings:
    """A table of a database that a command names. Raises :class:`ConfigError`, without the URL, as a config does."""
    try:
        return SourceSettings(path=url, table=table)
    except ValidationError as error:
        raise ConfigError("; ".join(str(item["ctx"]["error"]) for item in error.errors() if "ctx" in item)) from None


def _validated(model: type[_M], data: dict[str, Any], config: Path | None) -> _M:
    try:
        return model(**data)
    except SettingsError:
        raise ConfigError(_not_json()) from None
    except ValidationError as error:
        sentences = [_sentence(config, item) for item in error.errors() if not _is_guessable(item)]
        missing = [".".join(map(str, item["loc"])) for item in error.errors() if _is_guessable(item)]
        missing = ["calendar.start" if name == "calendar" else name for name in missing]
        if missing:
            option = "" if config in (None, DEFAULT_CONFIG) else f" --config {config}"
            sentences.append(
                f"{config} does not say {' and '.join(missing)}: `genome check{option}` looks at the source and prints"
                " what to add"
            )
        raise ConfigError("; ".join(sentences)) from None


def load_settings_or_demo() -> Settings:
    """As :func:`load_settings`; where nothing says which config, the demo's, so that a first look shows something."""
    is_chosen = CONFIG_VARIABLE in os.environ or DEFAULT_CONFIG.exists()
    return load_settings(None if is_chosen or not DEMO_CONFIG.exists() else DEMO_CONFIG)


def _expanded(path: Path) -> Path:
    """The path, with ``~`` for a user's folder taken as the shell does."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError(f"'{path}' names a user of whom no home is known; write the whole path") from None


def _beside(folder: Path, path: Any) -> Any:
    """The path as seen from the folder; what is none is left for the validation to name."""
    if not isinstance(path, str) or not path or path.startswith("~"):
        return path
    return os.path.normpath(folder / path)


def _without_password(path: str) -> tuple[str, str | None]:
    """The URL without its password, and the password: all between the user's name and the last "@"."""
    found = _USER_AND_PASSWORD.match(path)
    return (found["before"] + path[found.end() :], unquote(found["password"])) if found else (path, None)


def _refuse_query(name: str, path: str) -> None:
    if "://" in path and _QUERY_OF_URL.search(path):
        raise ValueError(
            f"{name} holds a query, such as a signature; take it out, credentials of a bucket come from its own"
            " variables"
        )


def _is_guessable(error: Any) -> bool:
    return bool(error["type"] == "missing" and error["loc"][:2] in _GUESSED)


def _sentence(config: Path | None, error: Any) -> str:
    """One mistake of the config or of the environment, in words."""
    location = ".".join(str(part) for part in error["loc"])
    place = _place(config, error["loc"])
    match error["type"]:
        case "extra_forbidden":
            known = _keys_beside(error["loc"])
            return f"{place}: unknown key {location!r}{_suggestion(str(error['loc'][-1]), known)}; known here: " + (
                ", ".join(known)
            )
        case "missing":
            return f"{place}: {location} is missing; add it (see examples/genome.toml)"
        case "model_type":
            return f"{place}: {location} is one value; it is a section, so give each of its settings by name"
        case "value_error":
            return f"{place}: {location}: {error['ctx']['error']}"
        case _:
            # Of the whole of a section, or of what holds secrets, the value is not for a log.
            is_shown = error["loc"][0] not in _SECRETS_IN and "://" not in str(error["input"])
            value = f" = {error['input']!r}" if is_shown else ""
            return f"{place}: {location}{value} is wrong: {error['msg'].lower()}"


def _place(config: Path | None, location: tuple[Any, ...]) -> str:
    """Where the setting, or what a section holds, was said: the variables of the environment, else the config."""
    said = [name for name in _variables() if location[: len(_parts(name))] == _parts(name)]
    within = [name for name in _variables() if _parts(name)[: len(location)] == location]
    file = str(config or "without a config")
    return said[-1] if said else " with ".join([file, *within])


def _not_json() -> str:
    """What is wrong with the first variable that has to hold JSON, and does not."""
    for name in _variables():
        annotation = _annotation(_parts(name))
        is_section = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        if is_section or get_origin(annotation) is tuple:
            try:
                json.loads(os.environ[name])
            except ValueError:
                advice = (
                    f"set {name}{_DELIMITER}{next(iter(annotation.model_fields)).upper()} and the like"
                    if is_section
                    else 'write a list as ["a", "b"]'
                )
                return f"{name} is not valid JSON: {advice}, or unset it"
    return f"a variable that begins with {_PREFIX} is not valid JSON: correct it, or unset it"


def _variables() -> list[str]:
    """Names of the variables of the environment that are settings, in order."""
    return sorted(
        name for name in os.environ if name.upper().startswith(_PREFIX) and _parts(name)[0] in Settings.model_fields
    )


def _parts(variable: str) -> tuple[str, ...]:
    """The place of the setting that a variable of the environment is."""
    return tuple(variable.lower().removeprefix(_PREFIX.lower()).split(_DELIMITER))


def _annotation(location: tuple[Any, ...]) -> Any:
    """The type of the setting at that place; None where there is none."""
    found: Any = Settings
    for part in location:
        fields = getattr(found, "model_fields", {})
        # The members of a list are numbered, and all of one kind.
        found = get_args(found)[0] if isinstance(part, int) else fields[part].annotation if part in fields else None
    return found


def _keys_beside(location: tuple[Any, ...]) -> list[str]:
    return [field.alias or name for name, field in _annotation(location[:-1]).model_fields.items()]


def _suggestion(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""
