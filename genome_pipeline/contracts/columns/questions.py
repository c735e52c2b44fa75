"""Columns that only the views for common questions have."""

from __future__ import annotations

from genome_pipeline.contracts.column import Column, Unit, count, date, share

COLUMNS = (
    date("cohort_start_date", "First day of the month, week or period in which the customers first bought."),
    count("periods_since_first_count", "Periods since then; 0 for the first."),
    count("cohort_customer_count", "Customers who first bought then."),
    count("active_customer_count", "Those of them who bought in the period, or in the month or week."),
    share("retention_share", "active_customer_count over cohort_customer_count."),
    Column("recency_score", "INTEGER", "1: bought longest ago, to 5: bought last.", Unit.SCORE, 1, 5),
    Column("frequency_score", "INTEGER", "1: fewest purchase days, to 5: most.", Unit.SCORE, 1, 5),
    Column("total_spend_amount", "DECIMAL(38,2)", "Sum of spend_amount over the customers.", Unit.CURRENCY),
)
