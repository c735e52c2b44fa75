"""Tables of experiments: what was drawn, who is in it, and what it has shown."""

from __future__ import annotations

from genome_pipeline.contracts.table import Reference, Table

_OF_AN_EXPERIMENT = Reference("experiments", ("experiment_id",), ("experiment_id",))

RECORDS = (
    Table(
        "experiments",
        "experiments",
        "experiment",
        "Every experiment that was started: the rule, the run, and how many customers were drawn. Forgetting a customer"
        " leaves these counts.",
        (
            "experiment_id",
            "action_rule",
            "action",
            "rule_condition",
            "as_of",
            "until_date",
            "started_at",
            "stopped_date",
            "stopped_at",
            "horizon_days",
            "control_share",
            "draw_key",
            "outcome_name",
            "wished_lift_share",
            "treated_count",
            "control_count",
        ),
        ("experiment_id",),
        None,
        is_published=True,
    ),
    Table(
        "experiment_members",
        "experiments",
        "experiment x customer",
        "The customers of each experiment, and what was expected of them when they were drawn. Whoever is not treated"
        " is left alone until the run is over.",
        (
            "experiment_id",
            "customer_id",
            "is_treated",
            "stratum_id",
            "expected_orders",
            "expected_spend",
            "churn_probability",
            "segment_name",
            "days_since_last_order",
        ),
        ("experiment_id", "customer_id"),
        None,
        is_published=True,
        references=(_OF_AN_EXPERIMENT,),
    ),
)
"""What is kept for good in a file of its own, and copied to the warehouse."""

TABLES = (
    *RECORDS,
    Table(
        "experiment_results",
        "experiments",
        "experiment x outcome x snapshot",
        "What acting brought, at every snapshot of a run: the difference between treated and controls, all as they were"
        " drawn, adjusted by what was expected of them.",
        (
            "as_of",
            "experiment_id",
            "outcome_name",
            "elapsed_share",
            "treated_count",
            "control_count",
            "control_mean",
            "effect",
            "effect_lower",
            "effect_upper",
            "effect_total",
            "effect_total_lower",
            "effect_total_upper",
            "lift_ratio",
            "standard_error",
            "unadjusted_effect",
            "unadjusted_standard_error",
            "critical_value",
            "effect_skewness",
            "verdict",
            "verdict_reason",
            "decided_date",
            "more_customers_count",
        ),
        ("as_of", "outcome_name", "experiment_id"),
        "as_of",
        is_published=True,
        references=(_OF_AN_EXPERIMENT,),
    ),
    Table(
        "rule_proofs",
        "experiments",
        "rule x outcome x snapshot",
        "What all runs of experiments on a rule that have ended by a snapshot have shown together.",
        (
            "as_of",
            "action_rule",
            "outcome_name",
            "run_count",
            "treated_count",
            "effect",
            "effect_lower",
            "effect_upper",
            "lift_ratio",
            "next_effect_lower",
            "next_effect_upper",
            "verdict",
            "verdict_reason",
        ),
        ("as_of", "outcome_name", "action_rule"),
        "as_of",
        is_published=True,
    ),
)
