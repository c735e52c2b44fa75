"""Names of segments, unique within a snapshot, by rules on the facts of their customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_pipeline.contracts.genes import GENES, QUALIFYING_GENES
from genome_pipeline.models.genes import numbers

_SHARES = {"one_time_share": "customers with one purchase day", "inactive_share": "customers without recent purchase"}

_TELLING = 0.15
"""Distance from the typical percentile, 0.5, from which a gene is preferred for telling segments apart."""


def _percentile(gene: str, facts: Mapping[str, float]) -> str:
    return f"{GENES[gene].trait} above {facts[gene]:.0%} of customers on average"


@dataclass(frozen=True)
class _Test:
    """The test that ``fact`` is at least (with ``is_minimum``) or at most ``bound``."""

    fact: str
    is_minimum: bool
    bound: float

    def margin(self, facts: Mapping[str, float]) -> float:
        """How far beyond the bound the fact is; negative where the test fails."""
        return facts[self.fact] - self.bound if self.is_minimum else self.bound - facts[self.fact]

    def text(self, facts: Mapping[str, float]) -> str:
        bound = f"(rule: at {'least' if self.is_minimum else 'most'} {self.bound:.0%})"
        if self.fact in _SHARES:
            return f"{_SHARES[self.fact]} {facts[self.fact]:.0%} {bound}"
        return f"{_percentile(self.fact, facts)} {bound}"


def _at_least(fact: str, bound: float) -> _Test:
    return _Test(fact, True, bound)


def _at_most(fact: str, bound: float) -> _Test:
    return _Test(fact, False, bound)


NAMING_RULES: tuple[tuple[str, tuple[_Test, ...]], ...] = (
    (
        "Champions",
        (
            _at_least("recent_purchase_day_count", 0.70),
            _at_least("spend_amount", 0.70),
            _at_most("days_since_last_order", 0.40),
        ),
    ),
    (
        "New",
        (_at_most("t_days", 0.30), _at_most("days_since_last_order", 0.60), _at_most("inactive_share", 0.50)),
    ),
    ("One-time", (_at_least("one_time_share", 0.80),)),
    ("Lapsed regulars", (_at_least("inactive_share", 0.70), _at_least("order_count", 0.50))),
    ("Dormant", (_at_least("inactive_share", 0.70), _at_least("days_since_last_order", 0.55))),
    ("At risk", (_at_least("days_since_last_order", 0.60), _at_least("order_count", 0.45))),
    ("Frequent small baskets", (_at_least("order_count", 0.55), _at_most("average_order_value_amount", 0.40))),
    (
        "Loyal",
        (_at_least("order_count", 0.60), _at_most("days_since_last_order", 0.45), _at_most("inactive_share", 0.50)),
    ),
    ("Big baskets", (_at_least("average_order_value_amount", 0.65), _at_most("days_since_last_order", 0.60))),
    (
        "Promising",
        (_at_most("t_days", 0.45), _at_most("days_since_last_order", 0.50), _at_most("inactive_share", 0.50)),
    ),
    ("Frequent returners", (_at_least("return_share", 0.65),)),
    ("Fading", (_at_most("momentum_share", 0.42), _at_least("days_since_last_order", 0.50))),
    ("Growing", (_at_least("momentum_share", 0.62), _at_least("t_days", 0.15))),
    ("Regulars", (_at_least("order_count", 0.40),)),
    ("Occasional", (_at_most("order_count", 0.45),)),
)
"""Ordered rules: a name, and tests on the segment's mean percentile of genes among all customers, or on shares.

The last two rules together cover every profile, so that each segment meets at least one rule.
"""

_RANKED = tuple(
    gene
    for gene in GENES
    if gene in QUALIFYING_GENES or any(test.fact == gene for _, tests in NAMING_RULES for test in tests)
)
"""Genes whose percentiles the rules and qualifiers use."""

EVERYONE = ("Everyone", "a single segment holds all customers")
"""Name and naming rule of the segment when there is only one."""

_CATCH_ALL = ("Regulars", "Occasional")
_LENIENCE = 0.05
"""How far a segment may miss the rule of its previous name and keep it, so that names do not change back and forth."""


def segment_facts(customers: pd.DataFrame, labels: NDArray[np.int64], count: int) -> list[dict[str, float]]:
    """For each segment, the mean percentile (0 to 1; 0.5 is typical) of its customers' genes, and shares."""
    sizes = np.bincount(labels, minlength=count)
    columns: dict[str, pd.Series[Any]] = {}
    for gene in _RANKED:
        values = pd.Series(numbers(customers[gene])).replace([np.inf, -np.inf], np.nan)
        columns[gene] = ((values.rank() - 0.5) / max(values.count(), 1)).fillna(0.5)
    columns["one_time_share"] = customers["frequency_count"] == 0
    columns["inactive_share"] = customers["recent_purchase_day_count"] == 0
    means = {name: np.bincount(labels, numbers(column), count) / sizes for name, column in columns.items()}
    # Rounded, so that the last digit of a sum does not decide a rule.
    return [{name: round(float(values[segment]), 6) for name, values in means.items()} for segment in range(count)]


@dataclass(frozen=True)
class _Claim:
    name: str
    strength: float
    rule: str


def _claims(facts: Mapping[str, float], previous_name: str | None) -> list[_Claim]:
    """Names the segment may have, in order of preference: previous name, rules in order, rules with a qualifier.

    A previous name is kept while its rule applies. A catch-all or qualified name is kept only while no earlier rule
    applies.
    """
    previous_rule = "" if previous_name is None else previous_name.split(", ")[0]
    fired = []
    for name, tests in NAMING_RULES:
        margin = min(test.margin(facts) for test in tests)
        if margin >= (-_LENIENCE if name == previous_rule else 0.0):
            fired.append(_Claim(name, margin, "; ".join(test.text(facts) for test in tests)))
    first = fired[0].name
    tested = {name: {test.fact for test in tests} for name, tests in NAMING_RULES}
    telling = sorted(QUALIFYING_GENES, key=lambda gene: abs(facts[gene] - 0.5) < _TELLING)
    for claim in tuple(fired):
        genes = [gene for gene in telling if gene not in tested[claim.name]]
        # Pairs of qualifiers give every segment more possible names than there can be segments.
        for qualifiers in (*combinations(genes, 1), *combinations(genes, 2)):
            words = ", ".join(GENES[gene].high if facts[gene] >= 0.5 else GENES[gene].low for gene in qualifiers)
            rule = f"{claim.rule}; told apart by {', '.join(_percentile(gene, facts) for gene in qualifiers)}"
            fired.append(_Claim(f"{claim.name}, {words}", max(abs(facts[gene] - 0.5) for gene in qualifiers), rule))
    is_kept = previous_rule == first or (previous_name == previous_rule and previous_rule not in _CATCH_ALL)
    kept = [replace(claim, strength=np.inf) for claim in fired if is_kept and claim.name == previous_name]
    return kept + [claim for claim in fired if not kept or claim.name != previous_name]


def name_segments(facts: Sequence[Mapping[str, float]], previous_names: Sequence[str | None]) -> list[tuple[str, str]]:
    """Unique name and naming rule of each segment, by deferred acceptance (Gale and Shapley, 1962).

    Each segment claims its names in order of preference. The stronger claim to a name holds it, and the other segment
    goes on to its next name.
    """
    claims = [iter(_claims(one, name)) for one, name in zip(facts, previous_names, strict=True)]
    holders: dict[str, tuple[int, _Claim]] = {}
    waiting = list(range(len(facts)))
    while waiting:
        segment = waiting.pop(0)
        claim = next(claims[segment])
        holder = holders.get(claim.name)
        if holder is None or claim.strength > holder[1].strength:
            holders[claim.name] = (segment, claim)
            if holder is not None:
                waiting.append(holder[0])
        else:
            waiting.append(segment)
    by_segment = dict(holders.values())
    return [(by_segment[segment].name, by_segment[segment].rule) for segment in range(len(facts))]
