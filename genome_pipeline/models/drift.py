"""How far the distribution of each gene has moved between two snapshots, and whether chance explains it.

Effect size is the population stability index (PSI; Siddiqi 2006, Credit Risk Scorecards), significance the
two-sample Kolmogorov-Smirnov test. Neither alone will do: with few customers the PSI of two samples of the same
distribution is large by chance (about (1/n + 1/m) times a chi-squared variable with bins - 1 degrees of freedom;
Yurdakul and Naranjo 2020, Statistical properties of the population stability index), and with many the test finds
differences that matter to nobody.

Snapshots of one log share customers. Their genes are positively correlated, so that two snapshots differ by less than
two independent samples would: the test is conservative, and its false-alarm rate an upper bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kstwobign

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.genes import numbers

FALSE_ALARM_RATE = 0.001
"""Probability that chance alone makes the test significant for any gene of a comparison (Bonferroni over the genes)."""

_BINS = 10
_CLOCK_REASON = "the calendar moves it, whatever customers do"


def gene_drift(
    genes: pd.DataFrame, baseline: pd.DataFrame, warning_psi: float, unjudged_reason: str | None = None
) -> pd.DataFrame:
    """Table ``gene_drift`` for one pair of snapshots, without its dates and the name of the baseline.

    Both frames have a column per gene, as ``comparable_genes`` gives them, and at least one row. A gene has drifted
    when its PSI is above ``warning_psi`` and the test is significant at :data:`FALSE_ALARM_RATE`. Clock genes are
    measured but not judged. With an ``unjudged_reason`` no gene is judged.
    """
    significance = FALSE_ALARM_RATE / sum(not gene.is_clock for gene in GENES.values())
    sides = [(numbers(baseline[gene]), numbers(genes[gene])) for gene in GENES]
    statistics = np.array([_kolmogorov_smirnov(before, now) for before, now in sides])
    effective_size = len(genes) * len(baseline) / (len(genes) + len(baseline))
    p_values = kstwobign.sf(np.sqrt(effective_size) * statistics)

    def row(gene: str, before: Floats, now: Floats, statistic: float, p_value: float) -> dict[str, Any]:
        psi = population_stability_index(before, now)
        reason = unjudged_reason or (_CLOCK_REASON if GENES[gene].is_clock else None)
        return {
            "gene": gene,
            "measure": "added" if GENES[gene].is_cumulative else "value",
            "psi": psi,
            "ks_statistic": statistic,
            "ks_p_value": p_value,
            **_summary(now, ""),
            **_summary(before, "baseline_"),
            "has_drifted": None if reason else bool(psi > warning_psi and p_value < significance),
            "unjudged_reason": reason,
        }

    rows = [row(gene, *side, *test) for gene, side, *test in zip(GENES, sides, statistics, p_values, strict=True)]
    return pd.DataFrame(rows).astype({"has_drifted": "boolean", "unjudged_reason": "str"})


def population_stability_index(baseline: Floats, now: Floats) -> float:
    """Sum over bins of (share now - share before) x log(share now / share before); at least 0.

    Bins are the tenths of the baseline's known values, plus one bin for missing values (NaN). A value held by more than
    a tenth of the baseline (the zeros of a count, say) is a bin by itself. Half a customer is added to each bin, so
    that the index stays finite where a bin is empty.
    """
    inner = np.linspace(0, 1, _BINS + 1)[1:-1]
    known = baseline[~np.isnan(baseline)]
    tenths: Floats = np.quantile(known, inner, method="inverted_cdf") if known.size else known
    values, times = np.unique(tenths, return_counts=True)
    edges = np.union1d(values, np.nextafter(values[times > 1], -np.inf))
    before, after = _bin_shares(baseline, edges), _bin_shares(now, edges)
    # Rounded, so that a comparison with a bound does not depend on the last bits of a logarithm.
    return round(float(((after - before) * np.log(after / before)).sum()), 12)


def _bin_shares(values: Floats, edges: Floats) -> Floats:
    known = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(edges, known), minlength=edges.size + 1)
    smoothed = np.append(counts, values.size - known.size) + 0.5
    shares: Floats = smoothed / smoothed.sum()
    return shares


def _kolmogorov_smirnov(baseline: Floats, now: Floats) -> float:
    """Largest difference of the two distribution functions; a missing value counts as the largest.

    Gives the same as ``scipy.stats.ks_2samp``, whose input checks take too long here.
    """
    before, after = np.sort(baseline), np.sort(now)
    values = np.concatenate((before, after))
    shares = [np.searchsorted(side, values, side="right") / side.size for side in (before, after)]
    return float(np.abs(shares[0] - shares[1]).max())


def _summary(values: Floats, prefix: str) -> dict[str, Any]:
    known = values[~np.isnan(values)]
    return {
        f"{prefix}median": float(np.median(known)) if known.size else None,
        f"{prefix}mean": float(known.mean()) if known.size else None,
        f"{prefix}missing_share": 1 - known.size / values.size,
        f"{prefix}customer_count": values.size,
    }
