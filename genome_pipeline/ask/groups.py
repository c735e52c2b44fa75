"""Measures of groups of customers: one query over the table of all columns that a question names, then its groups."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from genome_pipeline.ask.answers import FromData, Group, Measured, Refusal, Text, from_data, number, quoted
from genome_pipeline.ask.disclosure import LEAST_GROUP, hidden
from genome_pipeline.ask.measures import DIMENSIONS, MEASURES, Measure
from genome_pipeline.errors import ConfigError, not_found
from genome_pipeline.published.reader import Reader
from genome_pipeline.published.totals import total_sums, with_bounds

MOST_GROUPS = 100
"""Groups in an answer; those with the most customers come first."""

_MOST_CELLS = 5_000
_NEAREST = 3
_ALWAYS = "mean_confidence"
TOO_SMALL = f"fewer than {LEAST_GROUP} customers, or needed to hide a group of so few"
NO_INTERVAL = "no interval: the bounds of single customers do not add up, and no error of such a total was measured"


Filters = tuple[tuple[str, str | None], ...]
"""Columns of :data:`DIMENSIONS`, each with its only value; None: not known."""


@dataclass(frozen=True)
class Question:
    """Names out of :data:`MEASURES` and :data:`DIMENSIONS`."""

    measures: tuple[str, ...]
    group_by: tuple[str, ...] = ()
    filters: Filters = ()

    def __post_init__(self) -> None:
        """Raises :class:`ConfigError` for names that there are not, or that are given twice."""
        for kind, names, known in (
            ("measure", self.measures, MEASURES),
            ("column", self.group_by, DIMENSIONS),
            ("column", [name for name, _ in self.filters], DIMENSIONS),
        ):
            for name in names:
                if name not in known:
                    raise not_found(kind, quoted(name), [*known])
            if len(set(names)) < len(names):
                raise ConfigError(f"a {kind} is named twice: name each once")
        if not self.measures:
            raise ConfigError(f"no measure is named: name one or more of {', '.join(MEASURES)}")

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns named, each once, in an order that is not the asker's: what is hidden hangs on it."""
        return tuple(sorted({*self.group_by, *(name for name, _ in self.filters)}))


@dataclass(frozen=True)
class Found:
    """The groups of a question, and what is not told of them."""

    groups: list[Group]
    refusals: list[Refusal]


def groups_of(published: Reader, as_of: date, question: Question, least: int) -> Found:
    """The groups at a snapshot. Groups of fewer than ``least`` customers, and those that give them away, are hidden.

    Raises :class:`ConfigError` for a value that a column does not have, and for too fine a table.
    """
    cells = _cells(published, as_of, question)
    keys = [tuple(key) for key in cells[_keys(question)].to_numpy(object).tolist()]
    filters = {question.columns.index(name): value for name, value in exact(published, as_of, question.filters)}
    counts = [int(count) for count in cells["customer_count"]]
    wanted = [
        position
        for position, key in enumerate(keys)
        if counts[position] and all(key[place] == value for place, value in filters.items())
    ]
    small = hidden(keys, counts, least)
    names = dict.fromkeys([*question.measures, _ALWAYS])
    unknown = {name: hidden(keys, [int(count) for count in cells[_known(name)]], least) for name in names}
    shown = sorted(
        (position for position in wanted if position not in small),
        key=lambda position: (-counts[position], str(keys[position])),
    )
    told = shown[:MOST_GROUPS]
    numbers = cells.iloc[told]
    if any(MEASURES[name].target for name in question.measures):
        parameters = published.parameters()
        numbers = with_bounds(
            published.connection, as_of, parameters["horizon_days"], parameters["interval_level"], numbers
        )
    groups = [
        _group(
            question, keys[position], numbers.iloc[row].to_dict(), {name: position in unknown[name] for name in names}
        )
        for row, position in enumerate(told)
    ]
    refusals = _refused(len(wanted), len(shown), single=not question.group_by)
    return Found(groups, refusals + _abstained(published, as_of, groups))


def values_of(published: Reader, as_of: date, column: str, least: int) -> list[Text]:
    """The values of a column that are shown, the most common first."""
    found = groups_of(published, as_of, Question((_ALWAYS,), (column,)), least)
    return [value for group in found.groups if (value := group.of[column]) is not None]


def _keys(question: Question) -> list[str]:
    return [f"key_{position}" for position in range(len(question.columns))]


def _known(name: str) -> str:
    return f"known_{name}"


def _cells(published: Reader, as_of: date, question: Question) -> pd.DataFrame:
    measures = {name: MEASURES[name] for name in dict.fromkeys([*question.measures, _ALWAYS])}
    chosen = [
        *(f"{DIMENSIONS[name].sql} AS {key}" for name, key in zip(question.columns, _keys(question), strict=True)),
        total_sums(),
        *(
            f"{measure.sql} AS value_{name}, count({measure.column}) AS known_{name}"
            for name, measure in measures.items()
        ),
    ]
    cells: pd.DataFrame = published.connection.execute(
        f"SELECT {', '.join(chosen)} FROM customer_genome_history WHERE as_of = ? GROUP BY ALL LIMIT {_MOST_CELLS + 1}",
        [as_of],
    ).df()
    if len(cells) > _MOST_CELLS:
        raise ConfigError(
            f"{' x '.join(question.columns)} makes more than {_MOST_CELLS:,} groups: name fewer or coarser columns"
        )
    keys = _keys(question)
    cells[keys] = cells[keys].astype(object).where(cells[keys].notna(), None)
    return cells


def exact(published: Reader, as_of: date, filters: Filters) -> Filters:
    """The filters with values as the data have them. Raises :class:`ConfigError` for a value that a column lacks."""
    return tuple((name, None if value is None else _exact(published, as_of, name, value)) for name, value in filters)


def _exact(published: Reader, as_of: date, name: str, value: str) -> str:
    column = DIMENSIONS[name]
    if column.values is not None:
        if value not in column.values:
            raise not_found(name, quoted(value), column.values)
        return value
    rows = published.rows(
        f"SELECT DISTINCT {column.sql} AS known FROM customer_genome_history WHERE as_of = ?", [as_of]
    )
    return named(name, value, [row["known"] for row in rows if row["known"] is not None], as_of)


def named(kind: str, name: str, known: Iterable[str], as_of: date) -> str:
    """The one of the names of the data that an asker means: as it is, or as it was shown.

    Raises :class:`ConfigError` with the nearest names, quoted as JSON, where there is none.
    """
    by_shown = {quoted(each): each for each in known}
    found = by_shown.get(quoted(name))
    if found is not None:
        return found
    folded = {each.casefold(): each for each in by_shown}
    close = difflib.get_close_matches(quoted(name).casefold(), folded, _NEAREST, cutoff=0.4)
    nearest = ", ".join(json.dumps(folded[each]) for each in close)
    raise ConfigError(
        f"there is no {kind} {json.dumps(quoted(name))} in the snapshot of {as_of}; "
        + (f"the nearest, quoted from the data: {nearest}" if nearest else "none has a similar name")
    )


def _group(question: Question, key: tuple[Any, ...], cell: Mapping[Any, Any], is_hidden: Mapping[str, bool]) -> Group:
    confidence = None if is_hidden[_ALWAYS] else number(cell[f"value_{_ALWAYS}"])
    return Group(
        of={name: _shown(name, key[question.columns.index(name)]) for name in question.group_by},
        customer_count=int(cell["customer_count"]),
        mean_confidence=confidence,
        measured=[_measured(name, MEASURES[name], cell, is_hidden=is_hidden[name]) for name in question.measures],
    )


def _shown(name: str, value: str | None) -> Text | None:
    return value if value is None or DIMENSIONS[name].values is not None else from_data(value)


def _measured(name: str, measure: Measure, cell: Mapping[Any, Any], *, is_hidden: bool) -> Measured:
    known, value = int(cell[_known(name)]), number(cell[f"value_{name}"])
    if is_hidden:
        return Measured(measure=name, value=None, known_count=None, why_missing=f"values are known of {TOO_SMALL}")
    if not known:
        reason = cell["abstain_reason"] if measure.target else None
        why = from_data(reason) if isinstance(reason, str) else "known of none of them"
        return Measured(measure=name, value=None, known_count=0, why_missing=why)
    if measure.total is None:
        return Measured(
            measure=name, value=value, known_count=known, why_missing=NO_INTERVAL if measure.target else None
        )
    ends = [number(cell[f"{measure.total}_{end}"]) for end in ("lower", "upper")]
    if measure.kind == "mean":
        # The interval of the total, per customer; of those who do not buy for that of churn.
        parts = [None if end is None else end / known for end in ends]
        ends = [number(part) for part in parts]
        if measure.target == "churn":
            ends = [None if part is None else number(min(max(1 - part, 0), 1)) for part in reversed(parts)]
    why_none = cell["abstain_reason"]
    return Measured(
        measure=name,
        value=value,
        lower=ends[0],
        upper=ends[1],
        known_count=known,
        why_missing=None if None not in ends else from_data(why_none) if isinstance(why_none, str) else NO_INTERVAL,
    )


def _refused(wanted: int, shown: int, *, single: bool) -> list[Refusal]:
    if not wanted:
        return [Refusal(what="the group", why="it has no customers")]
    found = []
    if wanted > shown:
        what = "the group" if single else f"{wanted - shown} of {wanted} groups"
        found.append(Refusal(what=what, why=TOO_SMALL))
    if shown > MOST_GROUPS:
        why = f"only the {MOST_GROUPS} with the most customers are told"
        found.append(Refusal(what=f"{shown - MOST_GROUPS} more groups", why=why))
    return found


def _abstained(published: Reader, as_of: date, groups: Sequence[Group]) -> list[Refusal]:
    """Why customers of the snapshot have no forecast, where any of the groups shown has such customers."""
    asked = {measured.measure for group in groups for measured in group.measured if MEASURES[measured.measure].target}
    if not asked:
        return []
    reasons = published.rows(
        "SELECT DISTINCT unnest([value_abstain_reason, risk_abstain_reason]) AS reason FROM customer_genome_history"
        " WHERE as_of = ? ORDER BY reason",
        [as_of],
    )
    return [
        Refusal(what="forecasts of some customers, whom their groups' numbers leave out", why=FromData(from_data=text))
        for row in reasons
        if (text := row["reason"] and quoted(row["reason"]))
    ]
