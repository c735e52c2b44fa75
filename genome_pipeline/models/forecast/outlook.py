"""The forecast over every horizon: that of the main one, and one like it over each further horizon.

The forecast over a further horizon is fitted as the main one is (:mod:`.risk`, :mod:`.value`), on outcomes over that
horizon. Two such fits may contradict each other: whoever buys within 90 days also buys within a year. The main horizon
is therefore left as it is, and from it outwards each longer horizon is raised to at least what the shorter one says,
and each shorter one lowered to at most what the longer one says; bounds alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.contracts.tables.risk import CHURN
from genome_pipeline.contracts.tables.value import ORDERS, SPEND
from genome_pipeline.models.forecast.candidates import FORECAST
from genome_pipeline.models.forecast.risk import RiskModel, fit_risk_model
from genome_pipeline.models.forecast.totals import TotalError, spreads_from_dict
from genome_pipeline.models.forecast.value import ValueModel, fit_value_model
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.snapshots import LabelledSnapshot

MAIN = "main_"
"""Prefix of the main horizon's forecast, where it stands beside a customer's features."""

MAIN_RISK = (*CHURN, "abstain_reason")
MAIN_VALUE = (*ORDERS, *SPEND, "abstain_reason")
"""Columns of ``customer_risk`` and ``customer_value`` that the outlook repeats."""

_FALLING = {name: name in CHURN for name in (*CHURN, *ORDERS, *SPEND)}
"""Numbers of the outlook, and whether each falls with the horizon."""


@dataclass(frozen=True)
class OutlookModel:
    """The fitted forecasts over the further horizons, shortest first, beside the length of the main one."""

    main_horizon_days: int
    risks: tuple[RiskModel, ...]
    values: tuple[ValueModel, ...]

    def candidates(self, as_of: date) -> pd.DataFrame:
        """Rows of contract table ``outlook_model``, without ``artifact_file``: one for each further horizon."""
        columns = [name for name in TABLES["outlook_model"].columns if name != "artifact_file"]
        records = []
        for risk, value in zip(self.risks, self.values, strict=True):
            of_risk, of_value = (
                next(row for row in model.rows if row.candidate == FORECAST) for model in (risk, value)
            )
            trained = next(row for row in risk.rows if row.candidate == "boosting")
            records.append(
                {
                    "as_of": as_of,
                    "horizon_days": risk.horizon_days,
                    "selection_as_of": of_risk.selection_as_of,
                    "training_snapshot_count": trained.training_snapshot_count,
                    "training_row_count": trained.training_row_count,
                    **of_risk.errors,
                    **of_value.errors,
                    "abstain_reason": _joined(value.abstain_reason, risk.abstain_reason),
                }
            )
        floats = [field.name for field in TABLES["outlook_model"].fields if field.type == "DOUBLE"]
        return pd.DataFrame(records).reindex(columns=columns).astype(dict.fromkeys(floats, "float64"))

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        """Rows of contract table ``customer_outlook``, sorted by customer and horizon.

        ``features`` are rows of ``customer_features``. Beside them stand, under names that begin with :data:`MAIN`,
        the forecast of the main horizon, and its reasons as ``main_risk_abstain_reason`` and
        ``main_value_abstain_reason``.
        """
        features = by_customer(features)
        told = {self.main_horizon_days: _main(features)}
        for risk, value in zip(self.risks, self.values, strict=True):
            told[risk.horizon_days] = _of_horizon(features, risk, value)
        rows = [
            pd.DataFrame(
                {
                    "as_of": features["as_of"],
                    "customer_id": features["customer_id"],
                    "horizon_days": days,
                    **frame,
                    "is_extrapolated": np.isfinite(numbers(frame["churn_probability"]))
                    & np.isnan(numbers(frame["churn_probability_lower"])),
                },
                columns=list(TABLES["customer_outlook"].columns),
            )
            for days, frame in sorted(coherent(told, self.main_horizon_days).items())
        ]
        return pd.concat(rows).sort_values(["customer_id", "horizon_days"], ignore_index=True)

    def to_bytes(self) -> bytes:
        """The model as bytes; :meth:`from_bytes` restores a model with identical predictions."""
        plain = {
            "main_horizon_days": self.main_horizon_days,
            "risks": [risk.to_dict() for risk in self.risks],
            "values": [value.to_dict() for value in self.values],
        }
        return json.dumps(plain).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> OutlookModel:
        """Inverse of :meth:`to_bytes`."""
        plain = json.loads(data)
        return cls(
            plain["main_horizon_days"],
            tuple(map(RiskModel.from_dict, plain["risks"])),
            tuple(map(ValueModel.from_dict, plain["values"])),
        )


def fit_outlook_model(
    current: pd.DataFrame,
    labelled: Mapping[int, Sequence[LabelledSnapshot]],
    main_horizon_days: int,
    interval_level: float,
    seed: int,
    unobserved_days: int = 0,
) -> OutlookModel:
    """Fit the forecasts over the further horizons at one snapshot; one that the data cannot carry abstains.

    Args:
        current: ``customer_features`` of the snapshot.
        labelled: for each further horizon, in days, the earlier snapshots that its forecast learns from:
            :func:`genome_pipeline.models.snapshots.snapshots_to_learn_from` lists them.
        main_horizon_days: length of the main horizon.
        interval_level: coverage of the prediction intervals, in (0, 1).
        seed: seed of everything random.
        unobserved_days: days before the snapshot for which the log has no data yet.

    Raises:
        ValueError: the outcomes of a labelled snapshot are not known yet.
    """
    risks, values = [], []
    for days, known in sorted(labelled.items()):
        risks.append(fit_risk_model(current, known, days, seed, unobserved_days=unobserved_days))
        values.append(fit_value_model(current, known, days, interval_level, seed, unobserved_days=unobserved_days))
    return OutlookModel(main_horizon_days, tuple(risks), tuple(values))


def stored_errors(value: bytes, outlook: bytes | None) -> dict[int, dict[str, TotalError]] | None:
    """How far totals are off over each horizon in days, from a stored value model and, of several horizons, outlook.

    The experts of the models, which take most of the time, are not loaded. None of a model made before totals were
    learned of.
    """
    models = [json.loads(value), *(json.loads(outlook)["values"] if outlook is not None else ())]
    if any("spreads" not in model for model in models):
        return None
    return {
        model["horizon_days"]: {
            target: spread.error(target) for target, spread in spreads_from_dict(model["spreads"]).items()
        }
        for model in models
    }


def coherent(told: Mapping[int, pd.DataFrame], main_horizon_days: int) -> dict[int, pd.DataFrame]:
    """Forecasts by horizon, changed where a longer horizon says less than a shorter one; the main one's stays.

    The frames are of the same customers in the same order. Nulls stay null, and hold back no other horizon.
    """
    found = {days: frame.copy() for days, frame in told.items()}
    down_from_main = sorted((days for days in told if days <= main_horizon_days), reverse=True)
    for name, falls in _FALLING.items():
        # The shorter ones are lowered first, so that nothing is left to raise up to the main one.
        for order, is_upwards in ((down_from_main, False), (sorted(told), True)):
            # Of a longer horizon no less, so of what falls with it no more.
            limit, limited = (np.fmin, np.minimum) if is_upwards == falls else (np.fmax, np.maximum)
            bound = np.full(len(found[main_horizon_days]), np.nan)
            for days in order:
                values = numbers(found[days][name])
                found[days][name] = np.where(np.isnan(bound), values, limited(values, bound))
                bound = limit(values, bound)
    for frame in found.values():
        # Where one horizon has no bounds, the forecast may have moved further than they did.
        for name in ("churn_probability", "expected_orders", "expected_spend"):
            frame[f"{name}_lower"] = np.minimum(frame[f"{name}_lower"], frame[name])
            frame[f"{name}_upper"] = np.maximum(frame[f"{name}_upper"], frame[name])
    return found


def _main(features: pd.DataFrame) -> pd.DataFrame:
    """The main horizon's forecast, from the columns beside the features."""
    frame = features[[f"{MAIN}{name}" for name in _FALLING]].rename(columns=lambda name: name.removeprefix(MAIN))
    reasons = (features[f"{MAIN}{model}_abstain_reason"] for model in ("value", "risk"))
    frame["abstain_reason"] = pd.Series([_joined(*pair) for pair in zip(*reasons, strict=True)], dtype="object")
    return frame


def _of_horizon(features: pd.DataFrame, risk: RiskModel, value: ValueModel) -> pd.DataFrame:
    """The forecast over one further horizon, of customers in the order of ``features``."""
    of_risk = risk.predict(features)
    of_value = value.predict(features.assign(churn_probability=of_risk["churn_probability"]))
    reason = _joined(value.abstain_reason, risk.abstain_reason)
    return pd.concat([of_risk[[*CHURN]], of_value[[*ORDERS, *SPEND]]], axis=1).assign(
        abstain_reason=pd.Series([reason] * len(features), dtype="object")
    )


def _joined(*reasons: str | None) -> str | None:
    """The reasons, each once; None where there is none."""
    known = [reason for reason in reasons if isinstance(reason, str)]
    return "; ".join(dict.fromkeys(known)) or None
