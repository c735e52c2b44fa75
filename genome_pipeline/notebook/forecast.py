"""The forecast on a frame of transactions in memory, in the manner of scikit-learn: fit, then predict."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, Literal, TypeVar

import pandas as pd
from pydantic import ValidationError

from genome_pipeline.calendar import FIRST_DAY, Calendar
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.errors import ConfigError, not_found
from genome_pipeline.models.forecast.risk import RiskModel, fit_risk_model
from genome_pipeline.models.forecast.value import ValueModel, fit_value_model
from genome_pipeline.models.not_enough_data import NotEnoughData
from genome_pipeline.notebook.frames import Frame, Library, columns_of, computed, day_of, library_of
from genome_pipeline.notebook.transactions import Reading, Transactions
from genome_pipeline.settings import SourceColumns
from genome_pipeline.settings.section import Section
from genome_pipeline.settings.sections import CalendarSettings, PredictSettings, RuleSettings

Checked = TypeVar("Checked", bound=Section)

_NEEDED = ("customer_id", "ordered_at")


@dataclass(frozen=True, repr=False)
class Forecast(Generic[Frame]):
    """A fitted forecast.

    Attributes:
        as_of: the snapshot: everything before it was known, and the horizon begins with it.
        horizon_days: the horizon.
        row_count: rows of the frame that it was fitted to.
        set_aside: number of rows that a rule set aside, by reason, most first, as `genome quarantine` has them.
        risk: the model of who buys.
        value: the model of orders and spend.
    """

    as_of: date
    horizon_days: int
    row_count: int
    set_aside: dict[str, int]
    risk: RiskModel
    value: ValueModel
    _features: pd.DataFrame
    _reading: Reading
    _library: Library

    def predict(self, frame: Frame | None = None) -> Frame:
        """What each customer will do within the horizon, in order of ``customer_id``; named as in ``customer_genome``.

        Columns: ``as_of``, ``customer_id``; ``expected_orders`` and ``expected_spend`` with ``_lower`` and ``_upper``,
        the bounds of a prediction interval; ``orders_if_retained``, ``spend_per_order_amount``; ``churn_probability``
        with its bounds, where 1 - ``churn_probability`` is P(buys); ``p_alive``, ``risk_band``; the naive baselines;
        ``value_abstain_reason`` and ``risk_abstain_reason``, which say why a number is missing.

        Args:
            frame: transactions of the customers to predict, in the form of those that were fitted; without it, all
                customers that were fitted. Only what they did before ``as_of`` counts, and customers without a purchase
                before it are left out.

        Raises:
            ConfigError: a column is missing or cannot be read.
        """
        features = self._features
        if frame is not None:
            with Transactions.of(frame, self._reading) as transactions:
                features = transactions.features(self.as_of)
        risk = self.risk.predict(features)
        value = self.value.predict(features.assign(churn_probability=risk["churn_probability"]))
        told = value.rename(columns={"abstain_reason": "value_abstain_reason"}).merge(
            risk.rename(columns={"abstain_reason": "risk_abstain_reason"}), on=["as_of", "customer_id"]
        )
        with connect() as connection:
            names = [name for name in TABLES["customer_genome"].columns if name in told]
            found: Frame = computed(connection, told[names], self._library if frame is None else library_of(frame))
        return found

    def __repr__(self) -> str:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.set_aside.items())
        return (
            f"Forecast(as_of={self.as_of}, horizon_days={self.horizon_days}, customers={len(self._features):,},"
            f" rows={self.row_count:,}, set aside: {reasons or 'none'})"
        )


def fit(
    frame: Frame,
    *,
    columns: Mapping[str, str] | None = None,
    as_of: date | str | None = None,
    horizon_days: int = 90,
    interval_level: float = 0.8,
    period: Literal["month", "week", "day"] = "month",
    disabled: Sequence[str] = (),
    seed: int = 0,
) -> Forecast[Frame]:
    """Fit the forecast to transactions in memory, as the pipeline does at one snapshot of the same log.

    Args:
        frame: a row per transaction line: a pandas or Polars DataFrame, or a pyarrow Table. Text is read as ISO dates
            and plain numbers, moments with an offset in UTC.
        columns: our names of columns -> the frame's, as ``[source.columns]`` of the config: ``customer_id`` and
            ``ordered_at``, and of ``order_id``, ``product_id``, ``category``, ``quantity``, ``unit_price``,
            ``amount``, ``country`` those there are. Without it, the frame's columns that have our names.
        as_of: the snapshot, the end of a period (exclusive). Without it, the latest one that the log reaches.
        horizon_days: how far to look ahead, 1 to 3650.
        interval_level: coverage of the intervals of orders and spend, in (0.5, 1).
        period: distance of the snapshots that the models learn from.
        disabled: row rules that are switched off, as ``[rules] disabled`` of the config.
        seed: seed of everything random.

    Raises:
        ConfigError: a column is missing, an option is wrong, or the frame is none.
        NotEnoughData: too few rows or customers, or too short a log; the message says which.
    """
    library = library_of(frame)
    predict = _checked(
        PredictSettings,
        horizon_days=horizon_days,
        interval_level=interval_level,
        seed=seed,
        lifetime_years=50,  # no lifetime value is made here, to which a horizon would have to be shorter
    )
    step = _checked(CalendarSettings, period=period).period
    reading = Reading(
        _checked(SourceColumns, **_columns(columns_of(frame), columns)).mapped,
        Calendar(step, step.start_of(FIRST_DAY)),  # rows of any date are read: the log says where it starts
        predict.horizon_days,
        _checked(RuleSettings, disabled=tuple(disabled)).disabled,
    )
    with Transactions.of(frame, reading) as transactions:
        day, features, risk, value = _fitted(transactions, as_of, predict)
        rows, set_aside = transactions.row_count, transactions.set_aside
    return Forecast(day, predict.horizon_days, rows, set_aside, risk, value, features, reading, library)


def _fitted(
    transactions: Transactions, as_of: date | str | None, predict: PredictSettings
) -> tuple[date, pd.DataFrame, RiskModel, ValueModel]:
    """The snapshot, the features of its customers and both models. Raises as :func:`fit` does."""
    if not transactions.order_days:
        raise NotEnoughData(f"no row can be used{_why(transactions)}")
    day = transactions.reached() if as_of is None else _snapshot(transactions.reading.calendar, day_of(as_of))
    features = transactions.features(day)
    if not len(features):
        raise NotEnoughData(f"nobody bought before {day}: give a later as_of, or more transactions")
    sample, labelled = transactions.learned_from(day, features, predict.seed)
    unobserved_days = (day - transactions.observed_until(day)).days
    risk = fit_risk_model(sample, labelled, predict.horizon_days, predict.seed, unobserved_days=unobserved_days)
    if not risk.experts:
        raise NotEnoughData(f"no forecast as of {day}: {risk.abstain_reason}")
    value = fit_value_model(
        sample, labelled, predict.horizon_days, predict.interval_level, predict.seed, unobserved_days=unobserved_days
    )
    return day, features, risk, value


def _checked(section: type[Checked], **values: Any) -> Checked:
    """A section of the settings, in one sentence where a value is wrong."""
    try:
        return section(**values)
    except ValidationError as error:
        raise ConfigError("; ".join(map(_sentence, error.errors()))) from None


def _columns(names: Collection[str], columns: Mapping[str, str] | None) -> dict[str, str]:
    """The columns to read, ours -> theirs. Raises :class:`ConfigError` for a name that is none of ours."""
    ours = [*SourceColumns.model_fields]
    given = {name: name for name in ours if name in names} if columns is None else {**columns}
    for name in given:
        if name not in ours:
            raise not_found("column", name, ours)
    # Those that must be there are looked for under our name, so that the error says which columns there are.
    return {**{name: name for name in _NEEDED}, **given}


def _snapshot(calendar: Calendar, as_of: date) -> date:
    try:
        calendar.period_start(as_of)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return as_of


def _why(transactions: Transactions) -> str:
    reasons = ", ".join(f"{count:,} for {reason}" for reason, count in transactions.set_aside.items())
    return f": of {transactions.row_count:,} rows, rules set aside {reasons}" if reasons else ": the frame holds none"


def _sentence(error: Any) -> str:
    name = ".".join(map(str, error["loc"]))
    if error["type"] == "value_error":
        return f"{f'{name}: ' if name else ''}{error['ctx']['error']}"
    return f"{name} = {error['input']!r} is wrong: {error['msg'].lower()}"
