"""As many customers as asked for, made of those of a real log.

Drawn with replacement, moved by days and scaled in amount, so that hardly two are the same.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.models.genes import numbers
from genome_pipeline.models.snapshots import LabelledSnapshot

_MOVED_DAYS = 28
_AMOUNT_DEVIATION = 0.2


def drawn_features(features: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """``count`` rows of ``customer_features``, drawn from those given; genes as floats, amounts scaled by customer."""
    generator = np.random.default_rng(seed)
    rows = generator.integers(0, len(features), count)
    drawn = features.iloc[rows].reset_index(drop=True)
    drawn["customer_id"] = [f"c{number:07d}" for number in range(count)]
    for gene in GENES:
        drawn[gene] = numbers(drawn[gene])
    # The last order comes later, the first earlier: recency stays at most T, and 0 for those with one purchase day.
    earlier, later = generator.integers(0, _MOVED_DAYS, (2, count))
    later = np.minimum(later, drawn["days_since_last_order"].to_numpy(float))
    is_repeat = drawn["frequency_count"].to_numpy(float) > 0
    drawn["t_days"] += earlier + np.where(is_repeat, 0, -later)
    drawn["t_days"] = np.maximum(drawn["t_days"], 0)
    drawn["recency_days"] += np.where(is_repeat, earlier + later, 0)
    drawn["days_since_last_order"] = drawn["t_days"] - drawn["recency_days"]
    scale = np.exp(generator.normal(0.0, _AMOUNT_DEVIATION, count))
    for gene in GENES:
        if gene.endswith("_amount"):
            drawn[gene] *= scale
    return drawn


def drawn_snapshot(snapshot: LabelledSnapshot, count: int, seed: int) -> LabelledSnapshot:
    """``count`` customers of a labelled snapshot, drawn with their outcomes."""
    rows = np.random.default_rng(seed).integers(0, len(snapshot.features), count)
    ids = [f"c{number:07d}" for number in range(count)]
    features, outcomes = (frame.iloc[rows].assign(customer_id=ids) for frame in (snapshot.features, snapshot.outcomes))
    return LabelledSnapshot(snapshot.as_of, snapshot.horizon_days, features, outcomes)
