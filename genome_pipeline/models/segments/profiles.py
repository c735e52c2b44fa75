"""A profile of each segment: size, spend, predictions, typical genes with their spread, and distinguishing genes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from genome_pipeline.contracts.columns import COLUMNS, SPREAD
from genome_pipeline.contracts.genes import PROFILE_GENES
from genome_pipeline.contracts.playbook import amount
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.genes import GENE_LABELS, by_customer, numbers
from genome_pipeline.models.segments.migrations import money_by

USED_COLUMNS = frozenset(
    (
        *("segment_id", "recent_spend_amount", "expected_spend", "churn_probability", "confidence"),
        *PROFILE_GENES,
        *GENE_LABELS,
    )
)
"""Columns of ``customer_genome``, besides keys, that :func:`profile_segments` reads."""

TOP_GENES = 3
TOP_CATEGORIES = 2

_LEAST_BUYERS = 30
"""A segment of which fewer members bought a category says nothing of it."""

_LEAST_BEYOND, _LEAST_LIFT, _STANDARD_ERRORS = 0.01, 1.2, 3.0
"""What a segment spends on a category beyond all customers tells something from here on: a hundredth of its spend, a
fifth of what all spend on it, and three standard errors of its mean, as many segments and categories are looked at."""

_TELLING = 0.1
"""Least distance of a segment's mean percentile from the middle, 0.5, for a gene to distinguish it."""


def profile_segments(
    genome: pd.DataFrame, described: pd.DataFrame, currency: str, tastes: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Contract ``segment_profiles``: one row for each segment with customers.

    Medians and quartiles leave out missing values; means and sums leave out customers without a prediction. A segment
    whose recent returns exceed its purchases has a ``spend_share`` of 0.

    Args:
        genome: contract ``customer_genome`` of one snapshot.
        described: :attr:`~genome_pipeline.models.segments.model.SegmentModel.described` of that snapshot's segments.
        currency: code to write after amounts; may be empty.
        tastes: rows of :func:`genome_pipeline.transforms.taste.segment_tastes`; None without categories.
    """
    customers = by_customer(genome)
    segment = customers["segment_id"]
    size = segment.groupby(segment).size()
    recent = money_by(customers, [segment])
    total = recent.sum()
    profiles = pd.DataFrame({"segment_id": size.index.astype("int32")})
    profiles["as_of"] = customers["as_of"].max()
    by_id = described.set_index("segment_id")
    for column in ("segment_name", "naming_rule", "jaccard_score"):
        profiles[column] = profiles["segment_id"].map(by_id[column])
    profiles["customer_count"] = size.to_numpy()
    profiles["customer_share"] = size.to_numpy() / len(customers)
    profiles["recent_spend_amount"] = recent.to_numpy()
    profiles["spend_share"] = (recent / total).clip(lower=0).to_numpy() if total > 0 else np.nan

    def grouped(column: str) -> Any:
        return pd.Series(numbers(customers[column])).groupby(segment)

    profiles["expected_spend_amount"] = grouped("expected_spend").sum(min_count=1).to_numpy()
    profiles["mean_churn_probability"] = grouped("churn_probability").mean().to_numpy()
    profiles["mean_confidence_score"] = grouped("confidence").mean().to_numpy()
    profiles["distinguishing_genes"] = _distinguishing(customers, segment, currency)
    overbought = {} if tastes is None else _overbought(tastes)
    profiles["overbought_categories"] = [overbought.get(one) for one in size.index]
    by_segment = pd.DataFrame({gene: numbers(customers[gene]) for gene in PROFILE_GENES}).groupby(segment)
    for statistic, share in zip(SPREAD, (0.25, 0.5, 0.75), strict=True):
        quantiles = by_segment.quantile(share)
        for gene in PROFILE_GENES:
            profiles[f"{statistic}_{gene}"] = quantiles[gene].to_numpy()
    return profiles[list(TABLES["segment_profiles"].columns)]


def _overbought(tastes: pd.DataFrame) -> dict[int, str]:
    """Sentences on the categories on which each segment spends most beyond all customers, where that is solid.

    Shares are means over customers: a few who spend much do not speak for the segment.
    """
    tasters = tastes.groupby("segment_id")["taster_count"].first()
    found: dict[int, list[tuple[float, str, str]]] = {}
    for category, rows in tastes.groupby("category"):
        everyone = rows["share_sum"].sum() / tasters.sum()
        mean = rows["share_sum"] / rows["taster_count"]
        variance = (rows["squared_share_sum"] / rows["taster_count"] - mean**2).clip(lower=0)
        beyond = (mean - everyone).round(6)
        is_solid = (
            (rows["buyer_count"] >= _LEAST_BUYERS)
            & (beyond >= np.maximum(_LEAST_BEYOND, _STANDARD_ERRORS * np.sqrt(variance / rows["taster_count"])))
            & (mean >= _LEAST_LIFT * everyone)
        )
        for segment, share, distance in zip(
            rows["segment_id"][is_solid], mean[is_solid], beyond[is_solid], strict=True
        ):
            times = f"{share / everyone:.1f} times"
            words = f"{category}: {share:.1%} of a member's spend, {everyone:.1%} of anyone's ({times})"
            found.setdefault(segment, []).append((-distance, str(category), words))
    return {one: "; ".join(words for *_, words in sorted(told)[:TOP_CATEGORIES]) for one, told in found.items()}


def _distinguishing(customers: pd.DataFrame, segment: pd.Series[Any], currency: str) -> list[str]:
    """Sentences on each segment's genes farthest from the middle, with its own and the overall median."""
    values = pd.DataFrame({gene: numbers(customers[gene]) for gene in GENE_LABELS}).dropna(axis=1, how="all")
    counts = values.count()
    # Rounded, so that the order does not depend on the last digit of a sum.
    beyond = (((values.rank() - 0.5) / counts).groupby(segment).mean() - 0.5).round(6)
    medians, overall = values.groupby(segment).median(), values.median()

    def of_gene(gene: str, value: float) -> str:
        told = amount(COLUMNS[gene], value, currency)
        return told.split()[0] if GENE_LABELS[gene].startswith("days") else told

    told = []
    for one in beyond.index:
        distances: dict[str, float] = beyond.loc[one].abs().to_dict()
        genes = sorted(
            (gene for gene in distances if distances[gene] >= _TELLING), key=lambda gene: (-distances[gene], gene)
        )
        typical: dict[str, float] = medians.loc[one].to_dict()
        words = [
            f"{GENE_LABELS[gene]} {of_gene(gene, typical[gene])} beside {of_gene(gene, overall[gene])} of all"
            for gene in genes[:TOP_GENES]
        ]
        told.append("; ".join(words) or "none stands out")
    return told
