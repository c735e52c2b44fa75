"""The genes that segments and similarity are computed from, and their scaling to comparable numbers.

A subset of :data:`genome_pipeline.contracts.tables.GENES`: one or two interpretable genes per block, leaving out
those that say nearly the same (purchase days beside orders, items beside products per order).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

CLIP = 4.0
"""Largest absolute scaled value, so that one extreme gene does not outweigh all others."""

_MONTH_DAYS = 30.0
_IQR_OF_NORMAL = 1.3489795003921634  # interquartile range of a standard normal distribution
_NEGLIGIBLE = 1e-9  # a spread below this is rounding, not variation


@dataclass(frozen=True)
class Gene:
    """One gene: its column, the block it belongs to, its name in plain words, and whether to take its logarithm.

    ``unit`` is what it is counted in before the logarithm: differences well below it say little.
    """

    name: str
    block: str
    label: str
    is_skewed: bool
    unit: float = 1.0


SCALED_GENES: tuple[Gene, ...] = (
    Gene("order_count", "activity", "orders", True),
    Gene("recent_purchase_day_count", "activity", "recent purchase days", True),
    Gene("spend_amount", "spend", "total spend", True),
    Gene("average_order_value_amount", "spend", "average order value", True),
    Gene("t_days", "duration", "days since first order", True),
    Gene("days_since_last_order", "duration", "days since last order", True),
    Gene("products_per_order_count", "breadth", "products per order", True),
    Gene("category_count", "breadth", "categories bought", True),
    Gene("order_gap_mean_days", "rhythm", "order gap", True),
    Gene("order_gap_cv_ratio", "rhythm", "irregularity of order gaps", True),
    Gene("momentum_share", "momentum", "momentum", False),
    Gene("return_share", "returns", "share returned", True),
)

SEGMENT_GENES: tuple[Gene, ...] = (
    Gene("order_count", "activity", "orders", True),
    Gene("spend_amount", "spend", "total spend", True),
    Gene("average_order_value_amount", "spend", "average order value", True),
    Gene("t_days", "duration", "days since first order", True, _MONTH_DAYS),
    Gene("days_since_last_order", "duration", "days since last order", True, _MONTH_DAYS),
    Gene("order_gap_mean_days", "rhythm", "order gap", True, _MONTH_DAYS),
)
"""Recency, frequency and monetary value (RFM), with the length of the history and its rhythm.

What a customer did within one window of some weeks is left out: by chance alone it changes from month to month, and
customers would change segment with it. Days are taken in months for the same reason: yesterday or last week is one.
"""

GENE_LABELS: dict[str, str] = {gene.name: gene.label for gene in SCALED_GENES}
"""Plain words for each scaled gene."""

_GENE_BY_NAME = {gene.name: gene for gene in SCALED_GENES}


def numbers(column: pd.Series[Any]) -> FloatArray:
    """The column as float64, shape (n,): integers, floats, Decimals or a mixture; null becomes NaN."""
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def by_customer(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows sorted by ``customer_id`` with a fresh index, so that results do not depend on row order."""
    return frame.sort_values("customer_id", ignore_index=True)


def _unskewed(gene: Gene, values: FloatArray) -> FloatArray:
    """Signed logarithm of a skewed gene: log1p for values from 0, mirrored for negative ones (net returns).

    A value that is not finite is missing.
    """
    values = np.where(np.isfinite(values), values, np.nan)
    return np.sign(values) * np.log1p(np.abs(values) / gene.unit) if gene.is_skewed else values


@dataclass(frozen=True)
class GeneScaler:
    """Robust scaling of genes, fitted at one snapshot and stored with the model that uses it.

    A gene (its signed logarithm where skewed) is taken less its median, over its spread: the interquartile range,
    as the standard deviation of a normal distribution with that range; the standard deviation itself where that is
    larger (most customers alike, a few far away, as for returns: the few must not outweigh every other gene); 1
    where all customers are alike.
    """

    genes: tuple[str, ...]
    centers: tuple[float, ...]
    scales: tuple[float, ...]
    units: tuple[float, ...]

    @classmethod
    def fit(cls, features: pd.DataFrame, candidates: Sequence[Gene] = SCALED_GENES) -> GeneScaler:
        """Fit on ``customer_features`` of one snapshot.

        A gene which is null for everyone (a source without amounts or categories) is left out; without customers
        every gene is kept, unscaled.
        """
        if features.empty:
            count = len(candidates)
            names, same_units = tuple(gene.name for gene in candidates), tuple(gene.unit for gene in candidates)
            return cls(names, (0.0,) * count, (1.0,) * count, same_units)
        genes, centers, scales, units = [], [], [], []
        for gene in candidates:
            values = _unskewed(gene, numbers(features[gene.name]))
            # Sorted, as sums of floats depend on the order of the rows.
            values = np.sort(values[~np.isnan(values)])
            if values.size == 0:
                continue
            lower, center, upper = np.quantile(values, [0.25, 0.5, 0.75])
            spread = max((upper - lower) / _IQR_OF_NORMAL, values.std())
            genes.append(gene.name)
            centers.append(float(center))
            scales.append(float(spread) if spread >= _NEGLIGIBLE else 1.0)
            units.append(gene.unit)
        return cls(tuple(genes), tuple(centers), tuple(scales), tuple(units))

    @property
    def labels(self) -> tuple[str, ...]:
        """Plain words for each gene, in the order of the columns of :meth:`transform`."""
        return tuple(GENE_LABELS[name] for name in self.genes)

    def transform(self, features: pd.DataFrame) -> FloatArray:
        """Scaled genes, shape (customers, genes), in [-4, 4]; a missing gene is 0, the median.

        Rounded to nine decimals, as processors differ in the last bits of a logarithm.
        """
        raw = [
            _unskewed(replace(_GENE_BY_NAME[name], unit=unit), numbers(features[name]))
            for name, unit in zip(self.genes, self.units, strict=True)
        ]
        scaled: FloatArray = (np.column_stack(raw) - np.array(self.centers)) / np.array(self.scales)
        return np.nan_to_num(scaled, nan=0.0).clip(-CLIP, CLIP).round(9) + 0.0

    def to_dict(self) -> dict[str, Any]:
        """As plain lists and numbers, for JSON."""
        return {name: list(values) for name, values in asdict(self).items()}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> GeneScaler:
        """Inverse of :meth:`to_dict`."""
        return cls(*(tuple(state[name]) for name in ("genes", "centers", "scales", "units")))
