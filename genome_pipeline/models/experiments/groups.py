"""On whom acting works: the effect by what was known of customers at the start, and whether to choose by it."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_pipeline.contracts.columns.experiments import SPLITS
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.experiments.effect import LEAST_LEFT, Flags
from genome_pipeline.models.experiments.pooling import effects_by_group
from genome_pipeline.models.genes import numbers

_KNOWN = ("expected_orders", "expected_spend", "churn_probability", "days_since_last_order")
_DIGITS = 6  # what is compared with a bound is rounded


def group_rows(as_of: date, experiment_id: str, outcome: str, members: pd.DataFrame, done: Floats) -> pd.DataFrame:
    """Rows of contract ``experiment_groups`` for one experiment and outcome.

    Numbers are cut into tenths of the members, or into fifths where tenths would have fewer than 30 of an arm.

    Args:
        as_of: snapshot of the last look.
        experiment_id: its id.
        outcome: "orders" or "spend".
        members: contract ``experiment_members`` of the experiment, by customer.
        done: what each did by the last look, shape (customers,).
    """
    is_treated, expected = members["is_treated"].to_numpy(bool), numbers(members[f"expected_{outcome}"])
    rows: list[dict[str, Any]] = []
    for split in SPLITS:
        groups = _groups(members[split], is_treated)
        rows += [
            {
                "as_of": as_of,
                "experiment_id": experiment_id,
                "outcome_name": outcome,
                "split_by": split,
                "group_name": group.name,
                "treated_count": group.treated_count,
                "control_count": group.control_count,
                "own_effect": group.own_estimate,
                "own_standard_error": group.own_deviation,
                "effect": group.estimate,
                "effect_lower": group.lower,
                "effect_upper": group.upper,
            }
            for group in effects_by_group(done, expected, is_treated, groups)
        ]
    return pd.DataFrame(rows, columns=list(TABLES["experiment_groups"].columns))


def _groups(column: pd.Series[Any], is_treated: Flags) -> NDArray[np.object_]:
    """The group of each customer: the text, or a part of the numbers with its range; "not known" where it is null."""
    if not pd.api.types.is_numeric_dtype(column):
        return column.fillna("not known").to_numpy(object)
    values = np.round(numbers(column), _DIGITS)
    known = np.isfinite(values)
    smaller = min(int((known & is_treated).sum()), int((known & ~is_treated).sum()))
    parts = 10 if smaller >= 10 * 2 * LEAST_LEFT else 5
    groups = np.full(values.size, "not known", dtype=object)
    if not known.any():
        return groups
    edges = np.unique(np.quantile(values[known], np.arange(1, parts) / parts, method="inverted_cdf"))
    part = np.searchsorted(edges, values, side="left")
    for number in np.unique(part[known]):
        mine = known & (part == number)
        groups[mine] = f"{number + 1:02d}: {values[mine].min():,.6g} to {values[mine].max():,.6g}"
    return groups


def targeting(members: pd.DataFrame, done: Floats, treated_share: float, seed: int) -> str:
    """Whether to choose by the effect expected on each customer, in one sentence with its numbers.

    Arguments are as in :func:`group_rows`; ``treated_share`` is the chance of being treated, in (0, 1).
    """
    # Its learners take long to import, and only the end of a run needs them.
    from genome_pipeline.models.experiments.uplift import LEAST_ARM_TO_LEARN, Sample, judge_uplift

    known = np.column_stack([numbers(members[name]) for name in _KNOWN])
    is_treated, churn = members["is_treated"].to_numpy(bool), np.nan_to_num(numbers(members["churn_probability"]))
    treated, controls = int(is_treated.sum()), int((~is_treated).sum())
    if min(treated, controls) <= 2 * LEAST_ARM_TO_LEARN:  # each half is judged by the model of the other
        return (
            f"{treated:,} customers were treated and {controls:,} left alone: whether to choose by the effect on each"
            f" can be told from more than {2 * LEAST_ARM_TO_LEARN:,} of each"
        )
    return judge_uplift(Sample(known, done, is_treated, treated_share, churn), 0.0, seed).sentence
