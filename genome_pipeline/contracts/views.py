"""Views of the published file that answer common questions, so that BI tools need not work the answers out again.

They are SQL on the published tables, at the latest snapshot where they do not say otherwise, and as much a part of the
published schema as these.
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
        """``CREATE VIEW`` statement, which replaces one of before.

        Tables are named without a schema, as a reader may attach the file under any name.

        The comment on a view's column is its description in the dictionary.
        """
        columns = ", ".join(f'CAST("{column.name}" AS {column.type}) AS "{column.name}"' for column in self.fields)
        return f"CREATE OR REPLACE VIEW {schema}.{self.name} AS SELECT {columns} FROM ({self.query}) AS answer"


_PAYBACK = """
WITH known AS (
    SELECT *, cost_per_customer_amount * cohort_customer_count AS cost, cumulative_spend_amount::DOUBLE AS spent
    FROM cohorts_history LEFT JOIN acquisition_costs USING (cohort_start_date)
),
told AS (
    SELECT as_of, group_key::DATE AS cohort_start_date, horizon_days, expected_spend_amount AS expected,
        expected_spend_amount_upper - expected_spend_amount AS above,
        expected_spend_amount - expected_spend_amount_lower AS below, abstain_reason
    FROM forecast_totals_history WHERE group_kind = 'cohort'
),
steps AS (
    SELECT *, lag(horizon_days, 1, 0) OVER curve AS from_days, lag(expected, 1, 0) OVER curve AS from_expected,
        lag(above, 1, 0) OVER curve AS from_above, lag(below, 1, 0) OVER curve AS from_below
    FROM told WINDOW curve AS (PARTITION BY as_of, cohort_start_date ORDER BY horizon_days)
),
-- Between two horizons the expected spend grows evenly, and so does the square of each bound's distance from it: what
-- customers spend by chance adds up as its square. Where a bound is passed is then the root of a quadratic equation
-- a f^2 - b f + c = 0 in the part f of the step.
parts AS (
    SELECT as_of, cohort_start_date, from_days, horizon_days, cost - spent AS missing, from_expected, expected,
        from_above, above, from_below, below, (expected - from_expected) ** 2 AS a,
        2 * (missing - from_expected) * (expected - from_expected) AS b, (missing - from_expected) ** 2 AS c
    FROM steps JOIN known USING (as_of, cohort_start_date) WHERE spent < cost
),
passed AS (
    SELECT as_of, cohort_start_date, from_days, horizon_days,
        CASE WHEN from_expected < missing AND expected >= missing
            THEN (missing - from_expected) / (expected - from_expected) END AS expected,
        CASE WHEN from_expected + from_above < missing AND expected + above >= missing
            THEN 2 * (c - from_above ** 2) / (b + above ** 2 - from_above ** 2
                + sqrt(greatest((b + above ** 2 - from_above ** 2) ** 2 - 4 * a * (c - from_above ** 2), 0)))
        END AS earliest,
        CASE WHEN from_expected - from_below < missing AND expected - below >= missing
            THEN CASE WHEN d < 0 THEN 2 * (c - from_below ** 2) / (d - root) ELSE (d + root) / nullif(2 * a, 0) END
        END AS latest
    FROM (
        -- Of the two forms of a root, the one in which nothing cancels, and that holds where the total does not grow.
        SELECT *, b + below ** 2 - from_below ** 2 AS d,
            sqrt(greatest((b + below ** 2 - from_below ** 2) ** 2 - 4 * a * (c - from_below ** 2), 0)) AS root
        FROM parts
    )
),
days AS (
    SELECT as_of, cohort_start_date,
        min(as_of + ceil(from_days + expected * (horizon_days - from_days) - 1e-9)::INTEGER) AS expected,
        min(as_of + ceil(from_days + earliest * (horizon_days - from_days) - 1e-9)::INTEGER) AS earliest,
        min(as_of + ceil(from_days + latest * (horizon_days - from_days) - 1e-9)::INTEGER) AS latest
    FROM passed GROUP BY ALL
),
reasons AS (
    SELECT as_of, cohort_start_date, max(horizon_days) FILTER (expected IS NOT NULL) AS longest,
        max(horizon_days) FILTER (below IS NOT NULL) AS bounded, max(abstain_reason) AS abstain_reason
    FROM told GROUP BY ALL
),
-- A cohort has paid back at the first snapshot by which it had spent enough, by the costs of today.
realised AS (
    SELECT known.as_of, known.cohort_start_date, min(past.as_of) AS day
    FROM known JOIN known AS past ON past.cohort_start_date = known.cohort_start_date AND past.as_of <= known.as_of
        AND past.spent >= known.cost
    GROUP BY ALL
)
SELECT known.as_of, known.cohort_start_date, cohort_customer_count, cost_per_customer_amount,
    cost AS acquisition_cost_amount, cumulative_spend_amount,
    if(cost IS NULL OR spent IS NULL, NULL, realised.day IS NOT NULL) AS is_paid_back,
    coalesce(realised.day, days.expected) AS payback_date,
    coalesce(realised.day, days.earliest) AS payback_date_lower,
    coalesce(realised.day, days.latest) AS payback_date_upper,
    CASE
        WHEN cost IS NULL
            THEN 'no acquisition cost of this cohort is known: set or complete [acquisition] in genome.toml'
        WHEN spent IS NULL THEN 'no amounts in the source: spend is not known'
        WHEN realised.day IS NOT NULL THEN NULL
        WHEN longest IS NULL THEN coalesce(abstain_reason, 'no spend is predicted')
        WHEN days.expected IS NULL THEN 'not within the ' || longest || ' days that spend is predicted for'
        WHEN bounded IS NULL THEN coalesce(abstain_reason, 'the total has no bounds')
        WHEN days.latest IS NULL AND bounded < longest THEN 'the total has bounds for ' || bounded || ' days only'
            || coalesce(': ' || abstain_reason, '')
        WHEN days.latest IS NULL
            THEN 'at the latest it is beyond the ' || longest || ' days that spend is predicted for'
    END AS payback_reason
FROM known
LEFT JOIN realised ON realised.as_of = known.as_of AND realised.cohort_start_date = known.cohort_start_date
LEFT JOIN days ON days.as_of = known.as_of AND days.cohort_start_date = known.cohort_start_date
LEFT JOIN reasons ON reasons.as_of = known.as_of AND reasons.cohort_start_date = known.cohort_start_date
"""

_MAIN_HORIZON = (
    # Without the extension for JSON, which not every reader has.
    "SELECT regexp_extract(parameters, '\"horizon_days\": ([0-9]+)', 1)::BIGINT FROM pipeline_runs"
    " ORDER BY published_at DESC LIMIT 1"
)

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
            "expected_spend_amount_lower",
            "expected_spend_amount_upper",
        ),
        ("segment_id",),
        "SELECT * FROM segment_profiles LEFT JOIN (SELECT segment_id, sum(revenue_at_stake_amount) AS"
        " revenue_at_stake_amount FROM customer_genome GROUP BY segment_id) AS stake USING (segment_id)"
        " LEFT JOIN (SELECT try_cast(group_key AS INTEGER) AS segment_id, expected_spend_amount_lower,"
        " expected_spend_amount_upper FROM forecast_totals WHERE group_kind = 'segment' AND horizon_days ="
        f" ({_MAIN_HORIZON})) AS total USING (segment_id)",
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
        "cohort_payback",
        "cohort x snapshot",
        "When had, or will, a cohort have spent what it cost to win its customers? Spend is not margin. After the"
        " snapshot its total grows evenly from horizon to horizon of forecast_totals, and so do the squares of the"
        " distances of its bounds; the earliest and the latest day follow from these.",
        (
            "as_of",
            "cohort_start_date",
            "cohort_customer_count",
            "cost_per_customer_amount",
            "acquisition_cost_amount",
            "cumulative_spend_amount",
            "is_paid_back",
            "payback_date",
            "payback_date_lower",
            "payback_date_upper",
            "payback_reason",
        ),
        ("as_of", "cohort_start_date"),
        _PAYBACK,
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
        "experiment_verdicts",
        "experiment",
        "What has each experiment shown so far of the outcome that it is about? Before its first look, nothing.",
        (
            "experiment_id",
            "action_rule",
            "action",
            "as_of",
            "started_at",
            "until_date",
            "stopped_date",
            "outcome_name",
            "treated_count",
            "control_count",
            "elapsed_share",
            "effect",
            "effect_lower",
            "effect_upper",
            "verdict",
            "verdict_reason",
        ),
        ("experiment_id",),
        "SELECT experiments.*, coalesce(seen.elapsed_share, 0) AS elapsed_share, seen.effect, seen.effect_lower,"
        " seen.effect_upper, coalesce(seen.verdict, 'not proven yet') AS verdict,"
        " coalesce(seen.verdict_reason, if(stopped_date IS NULL, 'no look at it yet', 'stopped before its first"
        " look')) AS verdict_reason FROM experiments LEFT JOIN"
        " (SELECT * FROM experiment_results_history QUALIFY row_number() OVER (PARTITION BY experiment_id, outcome_name"
        " ORDER BY as_of DESC) = 1) AS seen USING (experiment_id, outcome_name)",
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
