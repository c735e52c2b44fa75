"""The candidates of the value and risk models, the choice between them, and the table that records it.

Candidates are made of parts:

- ``naive``: what the recent window alone says.
- ``btyd``: Pareto/NBD, fitted to the purchase histories of the snapshot itself; needs no outcomes.
- ``boosting``: gradient boosting over the genes, trained on earlier snapshots.
- ``regression`` (risk only): logistic regression over the genes in logarithms, trained on the same.

A candidate that joins parts by ``+`` predicts their mean, each brought to the same level first. Equal weights are hard
to beat where forecasts err differently (Bates, J. M. and Granger, C. W. J. (1969), "The Combination of Forecasts", OR
20(4), 451-468).

Candidates are compared on the last matured snapshot, each as it would have been fitted at that date: boosting trains
on what was known by then, BTYD on the histories known then. One snapshot is one season: the preferred candidate,
which has done best over the public logs of ``benchmarks/accuracy.py``, is passed over only for one that is clearly
better, by :data:`TOLERANCE`, and it is taken where boosting can be fitted now but could not have been then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.btyd import NotEnoughData
from genome_pipeline.models.snapshots import (
    MAXIMUM_TRAINING_ROWS,
    LabelledSnapshot,
    last_matured,
    snapshot_date,
    training_snapshots,
)

Floats = NDArray[np.float64]

_TRAINED = ("boosting", "regression")
"""Parts that learn from outcomes. They are the dear ones: of now, only those of the chosen candidate are fitted."""

TOLERANCE = 0.02
"""Share by which another candidate's loss must be lower to be chosen: losses differ as much from season to season."""


class Part(Protocol):
    """What candidates are made of."""

    def predict(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Predictions, shape (..., customers)."""
        ...

    def terms(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """What adds up to the prediction, on the scale on which it does: shape (..., customers, terms + 1).

        Columns are :data:`genome_pipeline.models.drivers.TERMS` and a constant. Churn adds up in log-odds, orders and
        spend in their logarithm.
        """
        ...

    def parameters(self) -> dict[str, Any] | None:
        """What was fitted, as JSON can hold it."""
        ...


def parts_of(candidate: str) -> list[str]:
    """Names of the parts a candidate is made of."""
    return candidate.split("+")


Fits = Mapping[str, Callable[[], Part]]
"""How to fit each part; a call may raise :class:`NotEnoughData`."""


@dataclass(frozen=True)
class Trial:
    """What a candidate achieved on the selection snapshot.

    Candidates are chosen by the mean of ``losses``, one a customer, shape (customers,). ``summary`` says it in words;
    ``errors`` are the error columns of the model table, None where not defined.
    """

    losses: Floats
    summary: str
    errors: dict[str, float | None]


@dataclass(frozen=True)
class CandidateRow:
    """One candidate of a model table; ``parameters`` is None where none were fitted."""

    candidate: str
    is_chosen: bool
    choice_reason: str
    selection_as_of: date | None
    training_snapshot_count: int
    training_row_count: int
    errors: dict[str, float | None]
    parameters: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that JSON can hold."""
        day = self.selection_as_of
        return {**vars(self), "selection_as_of": None if day is None else day.isoformat()}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> CandidateRow:
        """Inverse of :meth:`to_dict`."""
        day = state["selection_as_of"]
        return cls(**{**state, "selection_as_of": None if day is None else date.fromisoformat(day)})


@dataclass(frozen=True)
class Choice:
    """The outcome of :func:`choose`.

    Attributes:
        parts: the chosen candidate's, fitted on everything known now; none where no candidate can be used.
        fitted: all parts that were fitted on the current snapshot, used or not.
        trial_parts: the chosen candidate's, as they would have been at the selection snapshot; without boosting where
            it could not have been fitted then.
        selection: the snapshot on which candidates were compared; None where none has matured.
        abstain_reason: why no candidate can be used; None where one is.
        rows: the rows of the model table.
    """

    parts: dict[str, Part]
    fitted: dict[str, Part]
    trial_parts: dict[str, Part]
    selection: LabelledSnapshot | None
    abstain_reason: str | None
    rows: tuple[CandidateRow, ...]


def choose(
    candidates: Sequence[str],
    preferred: str,
    current: pd.DataFrame,
    snapshots: Sequence[LabelledSnapshot],
    horizon_days: int,
    fits: Callable[[pd.DataFrame, Sequence[LabelledSnapshot]], Fits],
    try_out: Callable[[LabelledSnapshot, Sequence[Floats]], Trial],
) -> Choice:
    """Compare candidates on the last matured snapshot, and fit the best of them on everything known now.

    Without a matured snapshot the preferred one is chosen or, without boosting, BTYD.

    Args:
        candidates: names, simplest first, among them ``naive``, which can always be used.
        preferred: the candidate to take unless another is clearly better.
        current: ``customer_features`` of the snapshot to predict at.
        snapshots: labelled snapshots, their outcomes known by then.
        horizon_days: length of the horizon.
        fits: how to fit parts, given the features to predict and the snapshots to train on.
        try_out: how to judge a candidate, given what each of its parts predicts at the selection snapshot.
    """
    selection = last_matured(snapshots, horizon_days)
    training: Sequence[LabelledSnapshot] = ()
    then: dict[str, Part] = {}
    not_compared = dict.fromkeys(candidates, "no snapshot has matured yet")
    trials: dict[str, Trial] = {}
    if selection is not None:
        training = training_snapshots(snapshots, selection.as_of, horizon_days)
        then, missing = _fit_parts(fits(selection.features, training))
        not_compared = _unavailable(candidates, missing)
        predicted = {name: part.predict(selection.features, horizon_days) for name, part in then.items()}
        for candidate in candidates:
            if candidate not in not_compared:
                trials[candidate] = try_out(selection, [predicted[name] for name in parts_of(candidate)])

    training_now = training_snapshots(snapshots, snapshot_date(current), horizon_days)
    fits_now = fits(current, training_now)
    now, missing = _fit_parts({name: fit for name, fit in fits_now.items() if name not in _TRAINED})
    unfit = _unavailable(candidates, missing)
    chosen = _best(trials, preferred, unfit)
    if preferred not in trials and chosen in (None, "btyd") and "btyd" in now:
        chosen = preferred
    if chosen is not None:
        trained, missing_now = _fit_parts({name: fits_now[name] for name in parts_of(chosen) if name in _TRAINED})
        now |= trained
        if missing_now:
            # They learn from the same outcomes: where one cannot, none can.
            unfit = _unavailable(candidates, {**missing, **dict.fromkeys(_TRAINED, min(missing_now.values()))})
            chosen = _best(trials, preferred, unfit) or "btyd"
    chosen_names = [] if chosen is None else parts_of(chosen)
    parts = {name: now[name] for name in chosen_names}

    def row(candidate: str) -> CandidateRow:
        is_chosen = candidate == chosen
        trained_on = training_now if is_chosen else training
        names = parts_of(candidate)
        is_trained = not set(_TRAINED).isdisjoint(names) and (is_chosen or candidate in trials)
        row_count = min(sum(len(snapshot.features) for snapshot in trained_on), MAXIMUM_TRAINING_ROWS)
        latest = {**then, **now}
        fitted = {name: latest[name].parameters() for name in names if name in latest}
        parameters = {name: values for name, values in fitted.items() if values}
        return CandidateRow(
            candidate,
            is_chosen,
            _reason(candidate, chosen, preferred, trials, not_compared, unfit, selection),
            None if selection is None else selection.as_of,
            len(trained_on) if is_trained else 0,
            row_count if is_trained else len(current) if "btyd" in names and "btyd" in now else 0,
            trials[candidate].errors if candidate in trials else {},
            parameters or None,
        )

    trial_parts = {name: then[name] for name in chosen_names if name in then}
    abstain_reason = unfit["btyd"] if chosen is None else None
    rows = tuple(row(candidate) for candidate in candidates)
    return Choice(parts, now, trial_parts, selection, abstain_reason, rows)


def abstention(candidates: Sequence[str], reason: str) -> tuple[CandidateRow, ...]:
    """Rows of a model table where nothing was tried, for one reason."""
    return tuple(CandidateRow(name, False, f"Not tried: {reason}.", None, 0, 0, {}, None) for name in candidates)


def candidate_table(table_name: str, as_of: date, rows: Sequence[CandidateRow]) -> pd.DataFrame:
    """The rows as contract table ``table_name``, a model table, without ``artifact_file``; unknown errors are null."""
    columns = [name for name in TABLES[table_name].columns if name != "artifact_file"]
    records = [
        {
            "as_of": as_of,
            **vars(row),
            **row.errors,
            "parameters": None if row.parameters is None else json.dumps(row.parameters),
        }
        for row in rows
    ]
    floats = [field.name for field in TABLES[table_name].fields if field.type == "DOUBLE"]
    return pd.DataFrame(records).reindex(columns=columns).astype(dict.fromkeys(floats, "float64"))


def _fit_parts(fits: Fits) -> tuple[dict[str, Part], dict[str, str]]:
    """The parts that could be fitted, and for each that could not, why."""
    parts, missing = {}, {}
    for name, fit in fits.items():
        try:
            parts[name] = fit()
        except NotEnoughData as reason:
            missing[name] = str(reason)
    return parts, missing


def _unavailable(candidates: Sequence[str], missing_parts: Mapping[str, str]) -> dict[str, str]:
    """Candidates that lack a part, with why."""
    return {
        candidate: "; ".join(missing_parts[part] for part in parts_of(candidate) if part in missing_parts)
        for candidate in candidates
        if not missing_parts.keys().isdisjoint(parts_of(candidate))
    }


def _best(trials: Mapping[str, Trial], preferred: str, excluded: Collection[str]) -> str | None:
    """The candidate of least mean loss, the simplest among equals; the preferred one if about as good.

    None where nothing was compared. The naive baseline is never excluded.
    """
    losses = {candidate: trial.losses for candidate, trial in trials.items() if candidate not in excluded}
    if not losses:
        return None
    best = min(losses, key=lambda candidate: float(losses[candidate].mean()))
    if preferred in losses and losses[preferred].mean() <= (1 + TOLERANCE) * losses[best].mean():
        return preferred
    return best


def _reason(
    candidate: str,
    chosen: str | None,
    preferred: str,
    trials: Mapping[str, Trial],
    not_compared: Mapping[str, str],
    unfit: Mapping[str, str],
    selection: LabelledSnapshot | None,
) -> str:
    """Why the candidate was chosen or passed over, in a plain sentence."""
    if candidate == chosen and candidate not in trials:
        if candidate == preferred:
            return "Boosting could not be compared yet: joined with BTYD, as neither is known to be better."
        return "No snapshot has matured yet, and this candidate needs none."
    if selection is None or candidate not in trials:
        return f"Not compared: {unfit.get(candidate) or not_compared[candidate]}."
    loss = {name: float(trial.losses.mean()) for name, trial in trials.items() if name not in unfit}
    if candidate in unfit:
        verdict = f", but cannot be fitted now: {unfit[candidate]}."
    elif candidate == chosen:
        is_least = loss[candidate] <= min(loss.values())
        verdict = f": {'the best' if is_least else 'about as good as the best'} of {len(loss)} candidates."
    elif chosen not in loss:
        verdict = f": passed over for {chosen}, which could not be compared yet."
    elif loss[candidate] < loss[chosen]:
        verdict = f": better than {chosen}, but by less than {TOLERANCE:.0%}."
    else:
        verdict = f": no better than {chosen}."
    return f"{trials[candidate].summary} on {selection.as_of}, out of time{verdict}"
