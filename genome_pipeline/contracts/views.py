"""Views of the published file that answer common questions, so that BI tools need not work the answers out again.

They are SQL on the published tables at the latest snapshot, and as much a part of the published schema as these.
"""

from __future__ import annotations

from dataclasses import dataclass

from genome_pipeline.contracts.column import Column
from genome_pipeline.contracts.columns import COLUMNS


@dataclass(frozen=True)
class View:
    """One question: ``query`` gives exactly ``columns``, with the dictionary's types; ``key`` identifies a row."""

    name: str
    grain: str
    description: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    query: str

    @property
    def fields(self) -> tuple[Column, ...]:
        """The columns in order."""
        return tuple(COLUMNS[name] for name in self.columns)

    def ddl(self, schema: str) -> str:
        """``CREATE VIEW`` statement; tables are named without a schema, as a reader may attach the file under any name.

        The comment on a view's column is its description in the dictionary.
        """
        columns = ", ".join(f'CAST("{column.name}" AS {column.type}) AS "{column.name}"' for column in self.fields)
        return f"CREATE VIEW {schema}.{self.name} AS SELECT {columns} FROM ({self.query}) AS answer"


_ALL = (
    View(
        "segment_summary",
        "segment",
        "How large is each segment, what does it spend, what is expected of it, and how much of that is at stake?",
        (
            "as_of",
            "segment_id",
            "segment_name",
            "customer_count",
            "customer_share",
            "recent_spend_amount",
            "spend_share",
            "expected_spend_amount",
            "revenue_at_stake_amount",
            "mean_churn_probability",
            "mean_confidence_score",
        ),
        ("segment_id",),
        "SELECT * FROM segment_profiles LEFT JOIN (SELECT segment_id, sum(revenue_at_stake_amount) AS"
        " revenue_at_stake_amount FROM customer_genome GROUP BY segment_id) AS stake USING (segment_id)",
    ),
    View(
        "value_at_risk",
        "segment x risk band",
        "Where is expected spend at risk: how many customers of each segment are in each band of churn probability, and"
        " what is at stake with them? Customers without a prediction are in no band, and are left out.",
        (
            "as_of",
            "segment_id",
            "segment_name",
            "risk_band",
            "customer_count",
            "expected_spend_amount",
            "revenue_at_stake_amount",
            "mean_churn_probability",
        ),
        ("segment_id", "risk_band"),
        "SELECT as_of, segment_id, segment_name, risk_band, count(*) AS customer_count, sum(expected_spend) AS"
        " expected_spend_amount, sum(revenue_at_stake_amount) AS revenue_at_stake_amount, avg(churn_probability) AS"
        " mean_churn_probability FROM customer_genome WHERE risk_band IS NOT NULL GROUP BY ALL",
    ),
    View(
        "cohort_retention",
        "cohort x period",
        "Of the customers who first bought in a period, how many bought again in each later one? Periods in which"
        " nobody of a cohort bought stand with 0.",
        (
            "cohort_start_date",
            "period_start_date",
            "periods_since_first_count",
            "cohort_customer_count",
            "active_customer_count",
            "retention_share",
        ),
        ("cohort_start_date", "period_start_date"),
        "WITH bought AS (SELECT customer_id, period_start_date, min(period_start_date) OVER (PARTITION BY customer_id)"
        " AS cohort_start_date FROM customer_activity WHERE purchase_day_count > 0),"
        " cohorts AS (SELECT cohort_start_date, count(DISTINCT customer_id) AS cohort_customer_count FROM bought"
        " GROUP BY 1),"
        " periods AS (SELECT DISTINCT period_start_date FROM customer_activity),"
        " active AS (SELECT cohort_start_date, period_start_date, count(*) AS found FROM bought GROUP BY 1, 2)"
        " SELECT *, coalesce(found, 0) AS active_customer_count, active_customer_count / cohort_customer_count AS"
        " retention_share, row_number() OVER (PARTITION BY cohort_start_date ORDER BY period_start_date) - 1 AS"
        " periods_since_first_count FROM cohorts JOIN periods ON period_start_date >= cohort_start_date"
        " LEFT JOIN active USING (cohort_start_date, period_start_date)",
    ),
    View(
        "rfm_grid",
        "recency score x frequency score",
        "How are customers spread over recency and frequency, and what do they spend? Scores go from 1 to 5, the fifth"
        " that bought last or most often; customers who are alike get the same score, so that fifths differ in size.",
        (
            "as_of",
            "recency_score",
            "frequency_score",
            "customer_count",
            "total_spend_amount",
            "expected_spend_amount",
            "mean_churn_probability",
        ),
        ("recency_score", "frequency_score"),
        "SELECT as_of, recency_score, frequency_score, count(*) AS customer_count, sum(spend_amount) AS"
        " total_spend_amount, sum(expected_spend) AS expected_spend_amount, avg(churn_probability) AS"
        " mean_churn_probability FROM (SELECT *,"
        " least(5, 1 + floor(5 * percent_rank() OVER (ORDER BY days_since_last_order DESC))) AS recency_score,"
        " least(5, 1 + floor(5 * percent_rank() OVER (ORDER BY purchase_day_count))) AS frequency_score"
        " FROM customer_genome) GROUP BY ALL",
    ),
    View(
        "audience_customers",
        "customer",
        "Who is in the audience of each action, why, and with how much at stake?",
        (
            "as_of",
            "action_rule",
            "action",
            "customer_id",
            "segment_name",
            "action_reason",
            "is_for_review",
            "revenue_at_stake_amount",
            "churn_probability",
            "expected_spend",
            "confidence",
        ),
        ("customer_id",),
        "SELECT * FROM customer_genome",
    ),
)

VIEWS: dict[str, View] = {view.name: view for view in _ALL}
