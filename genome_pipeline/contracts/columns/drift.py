"""Columns on the movement of genes."""

from __future__ import annotations

from genome_pipeline.contracts.column import Column, count, date, flag, probability, score, share, text

COLUMNS = (
    text("gene", "Gene: a measured number of customer_features."),
    text(
        "baseline",
        "Which earlier snapshot: the previous one, or the latest that had matured, from which models learned last.",
        ("previous", "training"),
    ),
    date("baseline_as_of", "Date of the earlier snapshot."),
    text("measure", "What is compared: the gene's value, or what the last period added to it.", ("value", "added")),
    score("psi", "Population stability index over tenths of the baseline; missing values have a bin.", 0, None),
    score("ks_statistic", "Two-sample Kolmogorov-Smirnov statistic; a missing value counts as the largest."),
    probability("ks_p_value", "Asymptotic p-value of that statistic, not corrected for the number of genes."),
    share("missing_share", "Customers without the gene, of all compared."),
    share("baseline_missing_share", "The same at the baseline."),
    Column(
        "median", "DOUBLE", "Median of the measure, in the gene's unit; null where all are missing.", is_nullable=True
    ),
    Column("baseline_median", "DOUBLE", "The same at the baseline.", is_nullable=True),
    Column("mean", "DOUBLE", "Mean of the measure, in the gene's unit; null where all are missing.", is_nullable=True),
    Column("baseline_mean", "DOUBLE", "The same at the baseline.", is_nullable=True),
    count("baseline_customer_count", "Customers compared at the baseline."),
    flag(
        "has_drifted",
        "The gene moved, by more than the declared bound and by more than chance; null if unjudged.",
        is_nullable=True,
    ),
    text("unjudged_reason", "Why the gene is measured but not judged; null where it is judged.", is_nullable=True),
)
