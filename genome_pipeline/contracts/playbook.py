"""The playbook's grammar: ordered rules with conditions on the columns of the genome, and mistakes in a playbook.

Rules are written in TOML, like the default beside this file. The same objects serve as settings and for evaluation.
Nothing in a playbook is ever executed.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from genome_pipeline.contracts.column import Column, Unit
from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.contracts.documents import EVERY_COLUMN
from genome_pipeline.contracts.tables import TABLES

WAIT_RULE = "wait"
"""The first rule, for customers without any prediction."""

LEFT_ALONE_RULE = "left_alone"
"""The rule of customers whom a running experiment leaves alone."""

EVERYTHING_RULE = "everything"
"""What an experiment on the whole playbook names instead of a rule: its controls get no action at all."""

RESERVED_RULES = (LEFT_ALONE_RULE, EVERYTHING_RULE)

_ACTION = ("action", "action_rule", "action_reason", "is_for_review")
FACTS: tuple[str, ...] = tuple(
    column.name
    for column in TABLES["customer_genome"].fields
    if column.type not in ("DATE", "TIMESTAMP") and column.name not in ("customer_id", *_ACTION)
)
"""The columns that a rule may test: those of ``customer_genome``, except dates and the action itself."""

_ORDERED = ("at_least", "at_most", "top_share", "bottom_share", "at_least_times_mean")


_BRACKETS = re.compile(r"\[(.*?)\]", re.DOTALL)

_Number = Annotated[float, Strict()]


class Condition(BaseModel):
    """Tests on one column of a customer, which must all hold. A comparison with an unknown value is false.

    ``top_share`` and ``bottom_share`` are shares of the snapshot's customers with a known value, including ties; the
    top is above 0. ``at_least_times_mean`` is a multiple of the snapshot's mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    column: str = Field(description="Column of customer_genome.")
    at_least: _Number | None = Field(default=None, description="The value is this or more.")
    at_most: _Number | None = Field(default=None, description="The value is this or less.")
    is_one_of: tuple[bool | str, ...] | None = Field(
        default=None, alias="is", min_length=1, description="The value is this one, or one of these."
    )
    top_share: _Number | None = Field(default=None, gt=0, lt=1, description="Among this share with the highest values.")
    bottom_share: _Number | None = Field(default=None, gt=0, lt=1, description="Among this share with the lowest.")
    at_least_times_mean: _Number | None = Field(default=None, gt=0, description="This times the mean, or more.")

    @model_validator(mode="before")
    @classmethod
    def _one_or_several(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("is"), str | bool):
            return data | {"is": (data["is"],)}
        return data

    @model_validator(mode="after")
    def _fits_the_column(self) -> Condition:
        column = _known(self.column)
        ordered = [name for name in _ORDERED if getattr(self, name) is not None]
        if not ordered and self.is_one_of is None:
            raise ValueError(f"column {self.column} is not compared; add one of: {', '.join(_ORDERED)}, is")
        if ordered and column.type in ("VARCHAR", "BOOLEAN"):
            raise ValueError(f"column {self.column} is no number; compare it with is, not with {ordered[0]}")
        if self.is_one_of is not None:
            if column.type not in ("VARCHAR", "BOOLEAN"):
                raise ValueError(f"column {self.column} is a number; compare it with at_least or at_most, not with is")
            kind = bool if column.type == "BOOLEAN" else str
            if any(type(value) is not kind for value in self.is_one_of):
                raise ValueError(
                    f"column {self.column} is compared with another kind of value; use {_kind_words(kind)}"
                )
        return self

    def words(self, currency: str = "") -> str:
        """The condition in plain words, with ``currency`` after amounts."""
        name, column = column_in_words(self.column), COLUMNS[self.column]
        told = []
        if self.at_least is not None:
            told.append(f"at least {amount(column, self.at_least, currency)}")
        if self.at_most is not None:
            told.append(f"at most {amount(column, self.at_most, currency)}")
        if self.top_share is not None:
            told.append(f"in the top {self.top_share:.0%}")
        if self.bottom_share is not None:
            told.append(f"in the bottom {self.bottom_share:.0%}")
        if self.at_least_times_mean is not None:
            times = "" if self.at_least_times_mean == 1 else f"{self.at_least_times_mean:g} times "
            told.append(f"at least {times}the average")
        if self.is_one_of is not None:
            told.append(" or ".join("yes" if v is True else "no" if v is False else v for v in self.is_one_of))
        return f"{name} {' and '.join(told)}"


class ReasonPart(NamedTuple):
    """A part of a reason; an optional one is left out where a value in it is unknown."""

    template: str
    is_optional: bool

    @property
    def columns(self) -> list[str]:
        """The names in braces. Raises ValueError where the braces do not match."""
        return [name for _, name, _, _ in Formatter().parse(self.template) if name is not None]


class PlaybookRule(BaseModel):
    """One rule: whom it is for (every condition of ``when``; without any, everyone left), the action, and the reason.

    ``reason`` is a template: names in braces are columns, filled with the customer's own values. What stands in square
    brackets is left out for a customer of whom a value within them is unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern="^[a-z][a-z0-9_]*$", description="The rule's name in tables and commands.")
    # Without control characters, which terminals obey.
    action: str = Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", description="What to do.")
    when: tuple[Condition, ...] = Field(default=(), description="What must all hold; nothing, for everyone left.")
    reason: str = Field(
        min_length=1,
        description="Why, with columns in {braces}; what is in [brackets] is left out where a value in it is unknown.",
    )

    @model_validator(mode="after")
    def _of_known_columns(self) -> PlaybookRule:
        if self.name == WAIT_RULE:
            raise ValueError(f"the name {WAIT_RULE!r} is taken: customers without a prediction wait; use another")
        if self.name in RESERVED_RULES:
            raise ValueError(f"the name {self.name!r} is taken: it has a meaning for experiments; use another")
        if any(mark in self.action for mark in "{}"):
            raise ValueError(
                f"the action of {self.name} has braces, but is the same for all its customers; name columns in its"
                " reason"
            )
        for part in self.parts:
            try:
                names = part.columns
            except ValueError as error:
                raise ValueError(f"the reason of {self.name} is no template ({error}); write {{column}}") from None
            if any(mark in part.template for mark in "[]") or (part.is_optional and not names):
                raise ValueError(
                    f"the reason of {self.name} has square brackets that do not hold a part with a {{column}}; write"
                    " [part with a {column}], or no square brackets"
                )
            for name in names:
                _known(name)
        return self

    @property
    def parts(self) -> list[ReasonPart]:
        """The reason, cut at its square brackets."""
        pieces = _BRACKETS.split(self.reason)
        return [ReasonPart(piece, number % 2 == 1) for number, piece in enumerate(pieces)]

    @property
    def told_columns(self) -> list[str]:
        """The columns that the reason names."""
        return [name for part in self.parts for name in part.columns]

    def words(self, currency: str = "") -> str:
        """Whom the rule is for, in plain words, with ``currency`` after amounts."""
        return ", ".join(condition.words(currency) for condition in self.when) or "everyone else"


def faults(rules: Sequence[PlaybookRule]) -> list[str]:
    """The mistakes of a playbook as a whole, one sentence each: unreachable rules, and a missing last rule.

    A rule is unreachable if its own conditions exclude each other, or if an earlier rule applies to everyone it is for.
    Only the rules themselves are judged; audiences show whether a rule finds customers.
    """
    found = []
    names = [rule.name for rule in rules]
    found += [f"two rules are called {name!r}; rename one" for name in sorted({n for n in names if names.count(n) > 1})]
    if not rules or rules[-1].when:
        found.append("the last rule must be for everyone else, so that all have an action; give one without `when`")
    for rule in rules:
        found += [f"rule {rule.name!r} can never apply: {words}; loosen it" for words in _contradictions(rule)]
    for earlier, later in combinations(rules, 2):
        if all(_is_implied(condition, later.when) for condition in earlier.when):
            found.append(
                f"rule {later.name!r} is never reached: {earlier.name!r} before it ({earlier.words()}) takes everyone"
                " it is for; move it up, or narrow the earlier one"
            )
    return found


def column_in_words(column: str) -> str:
    """A column's name in words, without the unit that its values are shown with."""
    for kind in ("_amount", "_days", "_ratio"):
        column = column.removesuffix(kind)
    return column.replace("_", " ")


def amount(column: Column, value: float, currency: str = "") -> str:
    """A value of a column, with its unit."""
    number = f"{value:.2g}" if abs(value) < 10 else f"{value:,.0f}"
    match column.unit:
        case Unit.PROBABILITY | Unit.SCORE | Unit.SHARE:
            return f"{value:.0%}"
        case Unit.DAYS:
            return f"{number} {'day' if number == '1' else 'days'}"
        case Unit.CURRENCY:
            return f"{value:,.2f} {currency}".rstrip()
        case _:
            return number


def _known(name: str) -> Column:
    if name not in FACTS:
        close = difflib.get_close_matches(name, FACTS, 1)
        raise ValueError(
            f"no column {name!r}{f' (did you mean {close[0]!r}?)' if close else ''}; use one of customer_genome, which"
            f" {EVERY_COLUMN} lists"
        )
    return COLUMNS[name]


def _kind_words(kind: type) -> str:
    return "true or false" if kind is bool else "text"


def _contradictions(rule: PlaybookRule) -> list[str]:
    found = []
    for name in dict.fromkeys(condition.column for condition in rule.when):
        mine = [condition for condition in rule.when if condition.column == name]
        column = COLUMNS[name]
        low = max((c.at_least for c in mine if c.at_least is not None), default=None)
        high = min((c.at_most for c in mine if c.at_most is not None), default=None)
        sets = [set(c.is_one_of) for c in mine if c.is_one_of is not None]
        top = min((c.top_share for c in mine if c.top_share is not None), default=1.0)
        bottom = min((c.bottom_share for c in mine if c.bottom_share is not None), default=1.0)
        if low is not None and high is not None and low > high:
            found.append(
                f"{column_in_words(name)} cannot be at least {amount(column, low)} and at most {amount(column, high)}"
            )
        elif low is not None and column.maximum is not None and low > column.maximum:
            found.append(f"{column_in_words(name)} is at most {amount(column, column.maximum)}")
        elif high is not None and column.minimum is not None and high < column.minimum:
            found.append(f"{column_in_words(name)} is at least {amount(column, column.minimum)}")
        if top + bottom < 1:
            found.append(f"{column_in_words(name)} cannot be in the top {top:.0%} and in the bottom {bottom:.0%}")
        if sets:
            left = set.intersection(*sets, *([set(column.values)] if column.values else []))
            if not left:
                allowed = f", which is one of {', '.join(column.values)}" if column.values else ""
                found.append(f"no value of {column_in_words(name)}{allowed} meets all its conditions")
    return found


def _is_implied(earlier: Condition, conditions: Sequence[Condition]) -> bool:
    """Whether everyone who meets ``conditions`` meets ``earlier``."""
    same = [condition for condition in conditions if condition.column == earlier.column]

    def some(test: str, holds: Any) -> bool:
        bound = getattr(earlier, test)
        return bound is None or any(holds(getattr(c, test), bound) for c in same if getattr(c, test) is not None)

    return (
        some("at_least", lambda later, bound: later >= bound)
        and some("at_most", lambda later, bound: later <= bound)
        and some("top_share", lambda later, bound: later <= bound)
        and some("bottom_share", lambda later, bound: later <= bound)
        and some("at_least_times_mean", lambda later, bound: later >= bound)
        and some("is_one_of", lambda later, bound: set(later) <= set(bound))
    )


def _default() -> tuple[PlaybookRule, ...]:
    text = Path(__file__).with_name("playbook.toml").read_text(encoding="utf-8")
    return tuple(PlaybookRule(**rule) for rule in tomllib.loads(text)["actions"]["rules"])


DEFAULT_PLAYBOOK = _default()
"""The playbook where ``genome.toml`` has none."""
