"""The other sections: calendar, predictions, similarity, actions, quality, warehouse, privacy, servers, alerts."""

from __future__ import annotations

import math
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from genome_pipeline.calendar import FIRST_DAY, LAST_DAY, Period
from genome_pipeline.contracts.playbook import DEFAULT_PLAYBOOK, PlaybookRule, faults
from genome_pipeline.contracts.rules import OPTIONAL_RULES, REASONS
from genome_pipeline.privacy import HOW_TO_MAKE_A_KEY, LEAST_KEY_CHARACTERS, LEAST_KEY_LENGTH
from genome_pipeline.settings.section import Section, refuse_query, suggestion

_SHORTEST_SECRET = 12


class CalendarSettings(Section):
    """The steps into which time is divided."""

    period: Period = Field(default=Period.MONTH, description="month, week or day.")
    start: date | None = Field(default=None, description="First day of the first period.")
    end: date | None = Field(default=None, description="End of the last period, of a log that will not grow.")

    @field_validator("start", "end", mode="before")
    @classmethod
    def _written_as_a_date(cls, day: Any) -> Any:
        # Pydantic would read a bare number as seconds since 1970.
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
    """The steps into which time is divided; where the first begins is known."""

    start: date = Field(description="First day of the first period.")


_HorizonDays = Annotated[int, Field(ge=1, le=3650)]


class PredictSettings(Section):
    """The horizons and the intervals of predictions."""

    horizon_days: _HorizonDays = Field(default=90, description="The main horizon, which actions rest on.")
    horizons_days: tuple[_HorizonDays, ...] = Field(
        default=(), description="All horizons, the main one first; of one alone, `horizon_days` is enough."
    )
    interval_level: float = Field(
        default=0.8, gt=0.5, lt=1, description="Share of outcomes that prediction intervals are to hold."
    )
    discount_rate: float = Field(
        default=0.1, ge=0.001, le=1, description="By how much a year's delay lowers the lifetime value."
    )
    lifetime_years: int = Field(
        default=3, ge=1, le=50, description="The years from now on that a lifetime value is of."
    )
    seed: int = Field(default=0, ge=0, description="Of everything drawn by chance; the same one gives the same tables.")

    @property
    def further_horizons_days(self) -> tuple[int, ...]:
        """The horizons other than the main one, shortest first."""
        return tuple(sorted(self.horizons_days[1:]))

    @field_validator("horizons_days")
    @classmethod
    def _each_once(cls, horizons: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(horizons)) < len(horizons):
            raise ValueError("a horizon is named twice; name each once")
        return horizons

    @model_validator(mode="after")
    def _lifetime_holds_every_horizon(self) -> PredictSettings:
        longest = max(self.horizon_days, *self.horizons_days, 0)
        if longest > self.lifetime_years * 365.25:
            raise ValueError(
                f"a horizon of {longest} days is longer than lifetime_years = {self.lifetime_years}; give at least"
                f" {math.ceil(longest / 365.25)}, or a shorter horizon"
            )
        return self

    @model_validator(mode="after")
    def _one_main_horizon(self) -> PredictSettings:
        if self.horizons_days and self.horizon_days != self.horizons_days[0]:
            if "horizon_days" in self.model_fields_set:
                raise ValueError(
                    f"horizon_days = {self.horizon_days} is not the first of horizons_days; leave horizon_days out, as"
                    " the first horizon is the main one"
                )
            object.__setattr__(self, "horizon_days", self.horizons_days[0])
        return self


class BlockWeights(Section):
    """The weight of each block's genes in the cosine."""

    activity: float = Field(default=1, ge=0, description="Of the genes of how often and how lately a customer buys.")
    spend: float = Field(default=1, ge=0, description="Of the genes of what they spend.")
    duration: float = Field(default=1, ge=0, description="Of the genes of how long they have been a customer.")
    breadth: float = Field(default=1, ge=0, description="Of the genes of how many products and categories they buy.")
    rhythm: float = Field(default=1, ge=0, description="Of the genes of how regular their purchases are.")
    momentum: float = Field(default=1, ge=0, description="Of the genes of what has changed lately.")
    returns: float = Field(default=1, ge=0, description="Of the genes of what they bring back.")
    taste: float = Field(default=1, ge=0, description="Of the shares of spend over categories, all of them together.")

    @model_validator(mode="after")
    def _some_count(self) -> BlockWeights:
        # Taste alone compares nobody where no category is mapped, nor those who have bought nothing yet.
        if not any(self.model_dump(exclude={"taste"}).values()):
            raise ValueError("every weight but that of taste is 0; give at least one other block a weight above 0")
        return self


class SimilaritySettings(Section):
    """How customers are compared."""

    neighbors: int = Field(default=10, ge=1, le=100, description="Similar customers of each customer.")
    weights: BlockWeights = BlockWeights()


class ActionSettings(Section):
    """The playbook, and the confidence below which a person should review an action first."""

    rules: tuple[PlaybookRule, ...] = Field(
        default=DEFAULT_PLAYBOOK, description="In order: the first that fits is taken, the last has no `when`."
    )
    review_confidence: float = Field(
        default=1 / 3, ge=0, le=1, description="Below this confidence a person is asked to look first."
    )

    @field_validator("rules")
    @classmethod
    def _without_faults(cls, rules: tuple[PlaybookRule, ...]) -> tuple[PlaybookRule, ...]:
        found = faults(rules)
        if found:
            raise ValueError("; ".join(found))
        return rules


class RuleSettings(Section):
    """Row rules that are switched off, and the codes and limits that some rules use."""

    disabled: tuple[str, ...] = Field(default=(), description="Row rules to switch off.")
    non_product_codes: tuple[str, ...] = Field(default=(), description="Codes, or patterns with * and ?; any case.")
    outlier_amount: float = Field(default=100_000, gt=0, description="Line totals from here on are warned of.")

    @field_validator("disabled")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in OPTIONAL_RULES:
                raise ValueError(
                    f"no rule {name!r} can be switched off{suggestion(name, OPTIONAL_RULES)};"
                    f" those that can: {', '.join(OPTIONAL_RULES)}"
                )
        return names


class QualitySettings(Section):
    """How much of the source may be lost, and which changes of customers are reported or stop the run."""

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
    suites: Path | None = Field(default=None, description="A folder of your own suites of Great Expectations, in JSON.")

    @field_validator("max_quarantined_share_by_reason")
    @classmethod
    def _of_known_reasons(cls, shares: dict[str, float]) -> dict[str, float]:
        for name in shares:
            if name not in REASONS:
                raise ValueError(
                    f"no row is set aside for {name!r}{suggestion(name, REASONS)}; reasons there are:"
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


class WarehouseSettings(Section):
    """How much memory DuckDB may use in a run; beyond it, rows are put aside in files beside the warehouse."""

    memory_limit: str | None = Field(default=None, description="80 % of the machine's memory where none is given.")

    @field_validator("memory_limit")
    @classmethod
    def _an_amount(cls, limit: str | None) -> str | None:
        if limit is not None and not re.fullmatch(r"[1-9]\d{0,5} ?[MGT]i?B", limit):
            raise ValueError(f"{limit!r} is no amount of memory; write it as '4GB' or '500MB'")
        return limit


class SparkSettings(Section):
    """The cluster for ``engine = "spark"``; everything else about it is in Spark's own spark-defaults.conf."""

    master: str = Field(default="", pattern=r"^$|^(spark|k8s|local|local-cluster|yarn)\b", description="Master URL.")
    exchange: str | None = Field(
        default=None,
        description="Folder that driver and workers see under the same path, or the URL of one in a bucket; by default"
        " in home.",
    )

    @field_validator("exchange")
    @classmethod
    def _without_secrets(cls, exchange: str | None) -> str | None:
        refuse_query("exchange", exchange or "")
        return exchange


class PrivacySettings(Section):
    """Whether ids are stored, and the key of the hashes that replace them; the key comes from the environment only."""

    pseudonyms: bool = Field(
        default=False, description="No raw customer id is stored; needs GENOME_PRIVACY__KEY in the environment."
    )
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


class DashboardSettings(Section):
    """The credentials that the dashboard asks for; from the environment only."""

    password: SecretStr | None = None
    token: SecretStr | None = None

    @field_validator("password", "token")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < _SHORTEST_SECRET:
            raise ValueError(f"is shorter than {_SHORTEST_SECRET} characters; choose a longer one, or unset it")
        return secret


class UiSettings(Section):
    """The Dagster UI."""

    hosts: tuple[str, ...] = Field(default=(), description="Names by which a proxy in front of it is reached.")


class McpSettings(Section):
    """What `genome mcp` may tell an assistant."""

    single_customers: bool = Field(default=False, description="Single customers and groups of any size, too.")


class AlertSettings(Section):
    """Who is told of a failed run and, if wanted, of warnings. Webhook and mail password come from the environment."""

    command: tuple[str, ...] = Field(default=(), description="Program and arguments; the message is its input.")
    mail_to: str = Field(default="", description="Address to write to; without one, no mail is sent.")
    mail_from: str = Field(default="customer-genome@localhost", description="The sender's address.")
    smtp_host: str = Field(default="localhost", description="Mail server.")
    smtp_port: int = Field(default=25, ge=1, le=65535, description="Its port.")
    smtp_user: str = Field(default="", description="User there; GENOME_SMTP_PASSWORD is the password.")
    warnings: bool = Field(default=False, description="Tell of what is published with warnings, too.")
