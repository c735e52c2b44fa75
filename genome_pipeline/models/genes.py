"""The genes that segments and similarity are computed from, and their scaling to comparable numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from genome_pipeline.contracts.column import Unit
from genome_pipeline.contracts.genes import GENES, SEGMENTING_GENES, SIMILARITY_GENES
from genome_pipeline.contracts.tables.taste import TASTE_SHARES
from genome_pipeline.models.arrays import Floats

CLIP = 4.0
"""Largest absolute scaled value, so that one extreme gene does not outweigh all others."""

_MONTH_DAYS = 30.0
_IQR_OF_NORMAL = 1.3489795003921634  # interquartile range of a standard normal distribution
_NEGLIGIBLE = 1e-9  # a spread below this is rounding, not variation


@dataclass(frozen=True)
class ScaledGene:
    """How one gene is scaled: whether by its logarithm, and the ``unit`` it is first divided by.

    Differences well below the ``unit`` mean little.
    """

    name: str
    is_skewed: bool
    unit: float = 1.0


SCALED_GENES = tuple(ScaledGene(name, GENES[name].is_skewed) for name in SIMILARITY_GENES)
"""The genes that similarity is computed from."""

TASTE_GENES = tuple(ScaledGene(name, is_skewed=False) for name in TASTE_SHARES)
"""Shares of spend over categories, in which customers are compared beside their genes; the names are the log's."""

SEGMENT_GENES = tuple(
    ScaledGene(name, GENES[name].is_skewed, _MONTH_DAYS if GENES[name].column.unit is Unit.DAYS else 1.0)
    for name in SEGMENTING_GENES
)
"""The genes that segments are computed from. Days are counted in months, so that yesterday and last week are alike."""

GENE_LABELS: dict[str, str] = {name: GENES[name].trait for name in SIMILARITY_GENES}
"""Plain words for each scaled gene."""


def numbers(column: pd.Series[Any]) -> Floats:
    """The column as float64, shape (n,): integers, floats, Decimals or a mixture; null becomes NaN."""
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def by_customer(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows sorted by ``customer_id`` with a new index, so that results do not depend on row order."""
    return frame.sort_values("customer_id", ignore_index=True)


def _unskewed(gene: ScaledGene, values: Floats) -> Floats:
    """Signed logarithm of a skewed gene: sign(x) * log1p(|x|), as net returns may be negative.

    A value that is not finite counts as missing.
    """
    values = np.where(np.isfinite(values), values, np.nan)
    return np.sign(values) * np.log1p(np.abs(values) / gene.unit) if gene.is_skewed else values


@dataclass(frozen=True)
class GeneScaler:
    """Robust scaling of genes, fitted at one snapshot and stored with the model that uses it.

    The scaled gene is (value - median) / spread; a skewed gene is first replaced by its signed logarithm. The spread is
    the interquartile range over that of a standard normal distribution, or the standard deviation where that is larger:
    for genes such as returns, most customers are alike and a few are far away, and those few must not outweigh every
    other gene. The spread is 1 where all customers are alike.
    """

    genes: tuple[str, ...]
    centers: tuple[float, ...]
    scales: tuple[float, ...]
    units: tuple[float, ...]

    @classmethod
    def fit(cls, features: pd.DataFrame, candidates: Sequence[ScaledGene] = SCALED_GENES) -> GeneScaler:
        """Fit on ``customer_features`` of one snapshot.

        A gene that is null for everyone (in a source without amounts or categories) is left out. Without customers
        every gene is kept, unscaled.
        """
        if features.empty:
            count = len(candidates)
            names, same_units = tuple(gene.name for gene in candidates), tuple(gene.unit for gene in candidates)
            return cls(names, (0.0,) * count, (1.0,) * count, same_units)
        genes, centers, scales, units = [], [], [], []
        for gene in candidates:
            values = _unskewed(gene, numbers(features[gene.name]))
            # Sorted, as sums of floats depend on the order of their terms.
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

    def transform(self, features: pd.DataFrame) -> Floats:
        """Scaled genes, shape (customers, genes), in [-4, 4]; a missing gene is 0, the median.

        Rounded to nine decimals, as processors differ in the last bits of a logarithm.
        """
        raw = [
            _unskewed(ScaledGene(name, name in GENES and GENES[name].is_skewed, unit), numbers(features[name]))
            for name, unit in zip(self.genes, self.units, strict=True)
        ]
        scaled: Floats = (np.column_stack(raw) - np.array(self.centers)) / np.array(self.scales)
        return np.nan_to_num(scaled, nan=0.0).clip(-CLIP, CLIP).round(9) + 0.0

    def to_dict(self) -> dict[str, Any]:
        """As plain lists and numbers, for JSON."""
        return {name: list(values) for name, values in asdict(self).items()}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> GeneScaler:
        """Inverse of :meth:`to_dict`."""
        return cls(*(tuple(state[name]) for name in ("genes", "centers", "scales", "units")))
