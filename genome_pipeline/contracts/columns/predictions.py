"""Columns on models, predictions and their reasons, and outcomes."""

from __future__ import annotations

from genome_pipeline.contracts.column import (
    Column,
    Unit,
    count,
    currency,
    date,
    flag,
    money,
    orders,
    probability,
    ratio,
    score,
    share,
    text,
)

COLUMNS = (
    # Models
    text("method", "Method used."),
    text("candidate", "Candidate model, an expert, or the forecast made of all experts."),
    flag("is_chosen", "Its predictions are used."),
    text("choice_reason", "Why it is used or not, or what it weighs."),
    count("training_snapshot_count", "Matured snapshots trained on."),
    count("training_row_count", "Customer rows trained on, over all training snapshots."),
    text("parameters", "Fitted parameters, as JSON.", is_nullable=True),
    text(
        "artifact_file",
        "Stored model, relative to the artifacts folder; null where parameters say it all.",
        is_nullable=True,
    ),
    count("gene_count", "Genes used.", 1),
    Column(
        "orders_mae",
        "DOUBLE",
        "Mean absolute error of expected_orders on the selection snapshot.",
        Unit.ORDERS,
        0,
        is_nullable=True,
    ),
    currency(
        "spend_mae_amount", "Mean absolute error of expected_spend on the selection snapshot.", 0, is_nullable=True
    ),
    score(
        "brier_score",
        "Mean squared error of churn_probability on the selection snapshot; lower is better.",
        is_nullable=True,
    ),
    score("log_loss", "Mean negative log likelihood of churn_probability; lower is better.", 0, None, is_nullable=True),
    score("auc", "Area under the ROC curve of churn_probability on the selection snapshot.", is_nullable=True),
    # Value and risk
    orders(
        "expected_orders",
        "Expected orders within the horizon; orders on one day count once, as in BTYD.",
        is_nullable=True,
    ),
    orders("expected_orders_lower", "Lower bound of the prediction interval of expected_orders.", is_nullable=True),
    orders("expected_orders_upper", "Upper bound of the prediction interval of expected_orders.", is_nullable=True),
    currency("expected_spend", "Expected purchases less returns within the horizon.", 0, is_nullable=True),
    currency("expected_spend_lower", "Lower bound of the prediction interval of expected_spend.", is_nullable=True),
    currency("expected_spend_upper", "Upper bound of the prediction interval of expected_spend.", 0, is_nullable=True),
    Column(
        "orders_if_retained",
        "DOUBLE",
        "Purchase days expected within the horizon of a customer who buys at all: expected_orders over P(buys).",
        Unit.ORDERS,
        1,
        is_nullable=True,
    ),
    currency(
        "spend_per_order_amount",
        "Spend expected per purchase day: expected_spend over expected_orders.",
        0,
        is_nullable=True,
    ),
    orders("naive_expected_orders", "Baseline: purchase days of the recent window, scaled to the horizon."),
    currency(
        "naive_expected_spend",
        "Baseline: spend of the recent window, scaled to the horizon; at least 0.",
        0,
        is_nullable=True,
    ),
    probability("churn_probability", "Probability of no purchase within the horizon.", is_nullable=True),
    probability(
        "churn_probability_lower",
        "Lower bound of churn_probability: the Venn-Abers one, moved by how far the level may be off; at most it.",
        is_nullable=True,
    ),
    probability(
        "churn_probability_upper",
        "Upper bound of churn_probability: the Venn-Abers one, moved by how far the level may be off; at least it.",
        is_nullable=True,
    ),
    probability(
        "naive_churn_probability",
        "Baseline: churned share of customers equally active or not in the window.",
        is_nullable=True,
    ),
    probability(
        "p_alive",
        "Probability that the customer is still active at as_of, by Pareto/NBD alone, which the forecast may overrule."
        " Not 1 - churn_probability.",
        is_nullable=True,
    ),
    text(
        "risk_band",
        "Band of churn_probability: low below 1/3, medium below 2/3, high.",
        ("low", "medium", "high"),
        is_nullable=True,
    ),
    text("abstain_reason", "Why a prediction or its interval is not offered; null where it is.", is_nullable=True),
    Column("horizon_days", "BIGINT", "Days from as_of on that the forecast is about.", Unit.DAYS, 1),
    flag(
        "is_extrapolated",
        "The forecast rests on purchase histories alone and has no intervals, as no snapshot that carries one has"
        " matured over this horizon.",
    ),
    score(
        "expected_brier_score",
        "Mean of p (1 - p), where p is churn_probability: the Brier score of calibrated probabilities.",
        is_nullable=True,
    ),
    ratio("orders_total_ratio", "Sum of expected_orders over the sum of actual orders.", is_nullable=True),
    ratio(
        "spend_total_ratio",
        "Sum of expected_spend over the sum of actual spend; null where that is not above 0.",
        is_nullable=True,
    ),
    share("orders_coverage_share", "Customers whose actual orders lay within their interval.", is_nullable=True),
    share("spend_coverage_share", "Customers whose actual spend lay within their interval.", is_nullable=True),
    # Next order
    date(
        "next_order_date",
        "Day by which the customer has ordered again with even odds; null where none is likely within two years, or"
        " nothing is predicted.",
        is_nullable=True,
    ),
    date(
        "next_order_date_lower",
        "First day of the interval of the next order: it comes earlier with half the probability outside the interval.",
        is_nullable=True,
    ),
    date(
        "next_order_date_upper",
        "Last day of the interval of the next order; null where the chance of none within two years is larger than that"
        " of an order after the interval.",
        is_nullable=True,
    ),
    probability(
        "further_order_probability",
        "Probability of at least one order within two years (the longest horizon, if longer); beyond it by histories.",
        is_nullable=True,
    ),
    probability(
        "silence_probability",
        "Probability that a customer of this rhythm who still buys is silent for as long as this one has been.",
        is_nullable=True,
    ),
    flag("is_overdue", "silence_probability is below 10%.", is_nullable=True),
    text("value_abstain_reason", "abstain_reason of the value model.", is_nullable=True),
    text("risk_abstain_reason", "abstain_reason of the risk model.", is_nullable=True),
    # Lifetime value
    currency(
        "lifetime_value_amount",
        "Expected spend of the years after the snapshot that predict.lifetime_years declares (3, where nothing else is"
        " set), what comes after the longest horizon discounted by discount_rate_share a year. Never below the spend"
        " expected over a horizon. Always an extrapolation: the forecast over the longest horizon, continued in the"
        " shape of Pareto/NBD.",
        0,
        is_nullable=True,
    ),
    currency(
        "lifetime_value_amount_lower",
        "Lower bound of lifetime_value_amount: that of the spend over the longest horizon, continued likewise.",
        is_nullable=True,
    ),
    currency(
        "lifetime_value_amount_upper",
        "Upper bound of lifetime_value_amount: that of the spend over the longest horizon, continued likewise.",
        0,
        is_nullable=True,
    ),
    Column(
        "lifetime_horizon_days",
        "BIGINT",
        "The horizon whose expected spend lifetime_value_amount continues.",
        Unit.DAYS,
        1,
        is_nullable=True,
    ),
    count("lifetime_year_count", "Years that lifetime_value_amount ends after.", 1),
    share("discount_rate_share", "By how much a year's delay lowers the value of money."),
    # Drivers
    text(
        "prediction",
        "Column of the prediction that is explained.",
        ("churn_probability", "expected_orders", "expected_spend"),
    ),
    Column(
        "driver_rank", "INTEGER", "0 the average customer, 1 to 5 the largest contributions, 6 the rest.", None, 0, 6
    ),
    text(
        "driver",
        "What contributes: a gene, purchase_rate, silence, average_customer (rank 0) or everything_else (rank 6).",
    ),
    Column(
        "contribution", "DOUBLE", "What the driver adds, in the unit of the prediction, which all of them add up to."
    ),
    Column(
        "contribution_change",
        "DOUBLE",
        "Contribution less that of the customer as known at the previous snapshot, by the same model; null for one who"
        " was not there.",
        is_nullable=True,
    ),
    text("explanation", "The customer's own numbers behind the driver, in words."),
    # Outcomes and performance
    orders("actual_orders", "Orders within the horizon; orders on one day count once."),
    money("actual_spend", "Purchases less returns within the horizon.", is_nullable=True),
    flag("has_churned", "No purchase within the horizon."),
    text("target", "What was predicted.", ("orders", "spend", "churn")),
    text("predictor", "Whose prediction: the model's or a naive baseline's.", ("model", "naive")),
    text(
        "slice_name",
        "How customers were grouped: all, prediction_decile (of what is predicted), value_decile, segment, tenure or"
        " confidence_decile.",
    ),
    text("slice_value", "The group."),
    text("metric", "Measure of quality."),
    Column("metric_value", "DOUBLE", "Its value; null where it is not defined.", is_nullable=True),
)
