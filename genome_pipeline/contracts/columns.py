"""The dictionary of columns: one name, one type, one unit, one meaning, wherever it stands.

Tables in :mod:`genome_pipeline.contracts.tables` are composed from these. A name carries its unit or
kind (``_days``, ``_count``, ``_amount``, ``_probability``, ``_share``, ``_ratio``, ``_at``, ``_date``,
``_id``, ``is_``, ``has_``); the field's own terms (``frequency``, ``recency``, ``T``) keep their sense.
"""

from __future__ import annotations

from genome_pipeline.contracts.column import (
    Column,
    Unit,
    at,
    count,
    currency,
    date,
    days,
    flag,
    money,
    orders,
    probability,
    ratio,
    raw,
    score,
    share,
    text,
)

PROFILE_GENES: tuple[tuple[str, Unit, float | None], ...] = (
    ("spend_amount", Unit.CURRENCY, None),
    ("average_order_value_amount", Unit.CURRENCY, 0),
    ("frequency_count", Unit.COUNT, 0),
    ("days_since_last_order", Unit.DAYS, 0),
    ("t_days", Unit.DAYS, 0),
    ("order_gap_mean_days", Unit.DAYS, 0),
    ("momentum_share", Unit.SHARE, 0),
)
"""Genes that segments are described by: name, and unit and minimum of their medians and quartiles."""

SPREAD = {"first_quartile": "First quartile", "median": "Median", "third_quartile": "Third quartile"}


def _spread(gene: str, unit: Unit, minimum: float | None) -> tuple[Column, ...]:
    maximum = 1 if unit is Unit.SHARE else None
    return tuple(
        Column(f"{prefix}_{gene}", "DOUBLE", f"{words} of {gene}.", unit, minimum, maximum)
        for prefix, words in SPREAD.items()
    )


_DICTIONARY = (
    # Time and identity
    date("as_of", "End of the period, exclusive: the snapshot knows only what happened before it."),
    date("matured_as_of", "Snapshot at which the horizon of the prediction had passed and its outcome became known."),
    date("selection_as_of", "Latest matured snapshot at which the forecast was made again, to learn from its errors."),
    date("period_start_date", "First day of the period."),
    text(
        "customer_id",
        "Customer, as named in the source (surrounding blanks removed); its pseudonym where privacy.pseudonyms is on.",
    ),
    text("run_id", "Pipeline run that wrote the row."),
    # Source rows
    text("source_file", "File the row was read from, relative to the source folder; a sheet follows after '#'."),
    Column("source_row", "BIGINT", "Position of the row in its file: 1 is the first row after the header.", None, 1),
    at("ingested_at", "When the file was read (UTC)."),
    raw("raw_customer_id", "Customer, as it came; its pseudonym where privacy.pseudonyms is on."),
    raw("raw_order_id", "Order, as it came."),
    raw("raw_ordered_at", "Moment of the order, as it came."),
    raw("raw_product_id", "Product, as it came."),
    raw("raw_category", "Product category, as it came."),
    raw("raw_quantity", "Quantity, as it came."),
    raw("raw_unit_price", "Price of one unit, as it came."),
    raw("raw_amount", "Line total, as it came."),
    raw("raw_country", "Country, as it came."),
    raw("raw_currency", "Currency of the amounts, as it came."),
    text(
        "content_hash",
        "Tells a changed file: SHA-256 of its bytes, or its version in a bucket; and encoding and delimiter, if set.",
    ),
    text("copy_of_source_file", "File with the same content that was taken in instead; null where none is."),
    text("raw_types", "Types of the mapped columns as read, as JSON."),
    count("row_count", "Rows."),
    count("suppressed_row_count", "Rows left out because their customers were forgotten, rounded up to tens."),
    # Transaction lines
    text("order_id", "Order the line belongs to; where the source has none, the customer's day (YYYY-MM-DD)."),
    at("ordered_at", "Moment of the order, in wall time of the source's time zone."),
    text("product_id", "Product."),
    text("category", "Product category."),
    text("country", "Country."),
    Column(
        "quantity",
        "DECIMAL(18,3)",
        "Units bought, to three decimals (amount is made of all that are written); negative in a return.",
        Unit.COUNT,
    ),
    Column(
        "unit_price",
        "DECIMAL(18,4)",
        "Price of one unit, to four decimals (amount is made of all that are written).",
        Unit.CURRENCY,
    ),
    money("amount", "Line total; negative in a return."),
    flag("is_return", "The line takes something back: a negative quantity or amount."),
    Column("reasons", "VARCHAR[]", "Every rule the row failed, by name."),
    money("line_amount", "Line total as far as it could be read; null where it is absurd."),
    # Activity and features
    date("first_order_date", "Day of the first purchase."),
    date("last_order_date", "Day of the last purchase."),
    count("order_count", "Orders with at least one purchased line."),
    count("purchase_day_count", "Days with at least one purchase."),
    count("line_count", "Purchased lines."),
    count("order_product_count", "Distinct products of each order, summed over orders."),
    Column("item_count", "DECIMAL(18,3)", "Units purchased.", Unit.COUNT, 0),
    count("weekend_purchase_day_count", "Purchase days that fall on a Saturday or Sunday."),
    Column("categories", "VARCHAR[]", "Distinct categories purchased, sorted."),
    money("gross_amount", "Amount of purchases, before returns.", 0),
    money("return_amount", "Amount taken back in returns, as a positive number.", 0),
    money("spend_amount", "Purchases less returns."),
    money("first_day_amount", "Amount purchased on the first purchase day.", 0),
    Column("squared_order_amount_sum", "DECIMAL(38,4)", "Sum of squared order amounts.", None, 0),
    Column("squared_gap_days_sum", "BIGINT", "Sum of squared days between consecutive purchase days.", None, 0),
    days("last_gap_days", "Days between the last two purchase days; null without a repeat."),
    count("return_line_count", "Lines that take something back."),
    count("frequency_count", "BTYD frequency x: repeat purchase days (purchase days after the first)."),
    days("recency_days", "BTYD recency t_x: days from first to last purchase. Not days_since_last_order."),
    days("t_days", "BTYD T: days from first purchase to as_of."),
    days("days_since_last_order", "Days from last purchase to as_of (the RFM sense of recency)."),
    count("active_period_count", "Periods with at least one purchase.", 1),
    share("active_period_share", "Periods with a purchase, of those since the first purchase."),
    currency("monetary_value_amount", "Mean amount per repeat purchase day; null without a repeat purchase.", 0),
    currency("average_order_value_amount", "Mean amount per order.", 0),
    currency("order_value_std_amount", "Standard deviation of order amounts; null below two orders.", 0),
    Column("items_per_order_count", "DOUBLE", "Mean units per order.", Unit.COUNT, 0),
    Column("products_per_order_count", "DOUBLE", "Mean distinct products per order.", Unit.COUNT, 0),
    count("category_count", "Distinct categories purchased so far."),
    days("order_gap_mean_days", "Mean days between consecutive purchase days; null without a repeat.", "DOUBLE"),
    days("order_gap_std_days", "Standard deviation of those gaps; null below two gaps.", "DOUBLE"),
    ratio("order_gap_cv_ratio", "Irregularity: standard deviation of gaps over their mean; null below two gaps."),
    ratio("overdue_ratio", "days_since_last_order over order_gap_mean_days; above 1 the next order is overdue."),
    share("weekend_share", "Purchase days that fall on a weekend, of all purchase days."),
    share("active_year_share", "Years with a purchase, of those since the first purchase, counted back from as_of."),
    count(
        "year_ago_purchase_day_count",
        "Purchase days in the window, as long as the recent one, that began a year before as_of; null for who first"
        " bought later.",
    ),
    count("two_years_ago_purchase_day_count", "The same two years before as_of."),
    count("recent_purchase_day_count", "Purchase days in the recent window (whole periods nearest the horizon)."),
    count("previous_purchase_day_count", "Purchase days in the window of equal length before the recent one."),
    money("recent_spend_amount", "Purchases less returns in the recent window."),
    money("previous_spend_amount", "Purchases less returns in the window before the recent one."),
    days("recent_window_days", "Length of the recent window."),
    share("momentum_share", "Recent purchase days, of recent and previous ones; 0.5 is steady, null without any."),
    share("return_share", "Amount returned, of amount purchased; above 1 where more came back than was bought.", None),
    # Segments
    Column("segment_count", "INTEGER", "Segments in the model.", Unit.COUNT, 1),
    Column("segment_id", "INTEGER", "Segment; keeps its number from one snapshot to the next.", None, 1),
    text("segment_name", "Segment name, derived from its profile by a stated rule."),
    text("naming_rule", "Rule that gave the segment its name."),
    Column("previous_segment_id", "INTEGER", "Segment at the previous snapshot; null for a new customer.", None, 1),
    text("previous_segment_name", "Name of the segment before it was renamed; null where it was not."),
    flag(
        "is_provisional",
        "The log did not reach the end of the snapshot's period when it was made: what is still to come is not in it.",
    ),
    flag("has_moved", "The segment differs from the previous snapshot's; null for a new customer."),
    probability("membership_probability", "Probability that the customer belongs to this segment."),
    Column("second_segment_id", "INTEGER", "Second most probable segment; null where there is but one.", None, 1),
    text("second_segment_name", "Its name."),
    probability("second_membership_probability", "Probability that the customer belongs to it."),
    text(
        "event",
        "What happened to the segment: a birth or a split where it is new, a merge or a death where it ended, or a"
        " rename.",
        ("birth", "split", "merge", "death", "rename"),
    ),
    Column("related_segment_id", "INTEGER", "Segment it split from or merged into; null for other events.", None, 1),
    text("related_segment_name", "Its name."),
    text("event_reason", "Why this counts as that event."),
    Column("from_segment_id", "INTEGER", "Segment at the previous snapshot; 0 for new customers.", None, 0),
    text("from_segment_name", "Its name; 'New customers' for those without one."),
    Column("to_segment_id", "INTEGER", "Segment at this snapshot.", None, 1),
    text("to_segment_name", "Its name."),
    count("customer_count", "Customers."),
    Column("net_customer_count", "BIGINT", "Customers who moved this way, less those who moved back.", Unit.COUNT),
    money("net_spend_amount", "Recent spend of those who moved this way, less that of those who moved back."),
    share("customer_share", "Customers, of all customers of the snapshot."),
    share("spend_share", "Recent spend, of the recent spend of all customers; null where nothing was spent.", None),
    currency(
        "expected_spend_amount", "Sum of expected_spend over the customers of the row; null where none is predicted.", 0
    ),
    probability("mean_churn_probability", "Mean of churn_probability over the customers of the row."),
    score("mean_confidence_score", "Mean of confidence over the segment."),
    text("distinguishing_genes", "Genes in which the segment stands out most from all customers, with both medians."),
    *(statistic for gene in PROFILE_GENES for statistic in _spread(*gene)),
    score("silhouette_score", "Mean silhouette of a sample of customers: 1 well apart, 0 touching.", -1),
    share("smallest_share", "Customers in the smallest segment, of the customers compared."),
    score(
        "stability_score",
        "Mean adjusted Rand index with refits on resamples: 1 the same, 0 as by chance; null if not measured.",
        -1,
    ),
    score("smallest_jaccard_score", "Smallest jaccard_score of the segments; null if not measured."),
    score(
        "jaccard_score", "How far refits on resamples give the same segment (Jaccard): 1 the same, to 0.5 dissolved."
    ),
    # Models
    text("method", "Method used."),
    text("candidate", "Candidate model, an expert, or the forecast made of all experts."),
    flag("is_chosen", "Its predictions are used."),
    text("choice_reason", "Why it is used or not, or what it weighs."),
    count("training_snapshot_count", "Matured snapshots trained on."),
    count("training_row_count", "Customer rows trained on, over all training snapshots."),
    text("parameters", "Fitted parameters, as JSON."),
    text("artifact_file", "Stored model, relative to the artifacts folder; null where parameters say it all."),
    count("gene_count", "Genes used.", 1),
    Column("orders_mae", "DOUBLE", "Mean absolute error of expected_orders on the selection snapshot.", Unit.ORDERS, 0),
    currency("spend_mae_amount", "Mean absolute error of expected_spend on the selection snapshot.", 0),
    score("brier_score", "Mean squared error of churn_probability on the selection snapshot; lower is better."),
    score("log_loss", "Mean negative log likelihood of churn_probability; lower is better.", 0, None),
    score("auc", "Area under the ROC curve of churn_probability on the selection snapshot."),
    # Value and risk
    orders("expected_orders", "Expected orders within the horizon; orders on one day count once, as in BTYD."),
    orders("expected_orders_lower", "Lower bound of the prediction interval of expected_orders."),
    orders("expected_orders_upper", "Upper bound of the prediction interval of expected_orders."),
    currency("expected_spend", "Expected purchases less returns within the horizon.", 0),
    currency("expected_spend_lower", "Lower bound of the prediction interval of expected_spend."),
    currency("expected_spend_upper", "Upper bound of the prediction interval of expected_spend.", 0),
    Column(
        "orders_if_retained",
        "DOUBLE",
        "Purchase days expected within the horizon of a customer who buys at all: expected_orders over P(buys).",
        Unit.ORDERS,
        1,
    ),
    currency("spend_per_order_amount", "Spend expected per purchase day: expected_spend over expected_orders.", 0),
    orders("naive_expected_orders", "Baseline: purchase days of the recent window, scaled to the horizon."),
    currency("naive_expected_spend", "Baseline: spend of the recent window, scaled to the horizon; at least 0.", 0),
    probability("churn_probability", "Probability of no purchase within the horizon."),
    probability(
        "churn_probability_lower",
        "Lower bound of churn_probability: the Venn-Abers one, moved by how far the level may be off; at most it.",
    ),
    probability(
        "churn_probability_upper",
        "Upper bound of churn_probability: the Venn-Abers one, moved by how far the level may be off; at least it.",
    ),
    probability("naive_churn_probability", "Baseline: churned share of customers equally active or not in the window."),
    probability(
        "p_alive",
        "Probability that the customer is still active at as_of, by Pareto/NBD alone, which the forecast may overrule."
        " Not 1 - churn_probability.",
    ),
    text("risk_band", "Band of churn_probability: low below 1/3, medium below 2/3, high.", ("low", "medium", "high")),
    text("abstain_reason", "Why a prediction or its interval is not offered; null where it is."),
    text("value_abstain_reason", "abstain_reason of the value model."),
    text("risk_abstain_reason", "abstain_reason of the risk model."),
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
    ),
    text("explanation", "The customer's own numbers behind the driver, in words."),
    # Similarity
    Column("neighbor_rank", "INTEGER", "1 is the most similar customer.", None, 1),
    text("neighbor_customer_id", "The similar customer."),
    score("similarity", "Cosine similarity of the two genomes.", -1.0000001, 1.0000001),
    text("shared_traits", "Genes in which the two stand out alike, most telling first."),
    text("different_traits", "Genes in which the two differ most, said of the similar customer."),
    date("neighbor_as_of", "Snapshot, since matured, at which the similar customers were as this one is now."),
    count("neighbor_count", "Similar customers that the estimates are means of."),
    score("mean_similarity", "Their mean cosine similarity.", -1.0000001, 1.0000001),
    orders("neighbor_expected_orders", "Second opinion: mean orders of the matured neighbours within their horizon."),
    currency("neighbor_expected_spend", "Second opinion: mean spend of the matured neighbours; at least 0.", 0),
    probability("neighbor_churn_probability", "Second opinion: share of the matured neighbours who bought nothing."),
    share("recall_share", "True neighbours that the index finds, of a sample of customers; 1 where all are compared."),
    # Outcomes and performance
    orders("actual_orders", "Orders within the horizon; orders on one day count once."),
    money("actual_spend", "Purchases less returns within the horizon."),
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
    Column("metric_value", "DOUBLE", "Its value; null where it is not defined."),
    # Drift
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
    Column("median", "DOUBLE", "Median of the measure, in the gene's unit; null where all are missing."),
    Column("baseline_median", "DOUBLE", "The same at the baseline."),
    Column("mean", "DOUBLE", "Mean of the measure, in the gene's unit; null where all are missing."),
    Column("baseline_mean", "DOUBLE", "The same at the baseline."),
    count("baseline_customer_count", "Customers compared at the baseline."),
    flag("has_drifted", "The gene moved, by more than the declared bound and by more than chance; null if unjudged."),
    text("unjudged_reason", "Why the gene is measured but not judged; null where it is judged."),
    # Confidence and actions
    score(
        "confidence",
        "How far the customer's predictions can be trusted: the mean of the confidence in churn, orders and spend.",
    ),
    score(
        "churn_confidence",
        "1 less the squared error that the churn probability is to have, over that of a coin's toss (1/4).",
    ),
    score(
        "orders_confidence",
        "1 less the error that expected orders are to have, over what is expected and one order more.",
    ),
    score(
        "spend_confidence",
        "1 less the error that expected spend is to have, over what is expected and one order's spend more.",
    ),
    text("confidence_band", "Band of confidence: low below 1/3, medium below 2/3, high.", ("low", "medium", "high")),
    # Common questions
    date("cohort_start_date", "First day of the period in which the customers first bought."),
    count("periods_since_first_count", "Periods since then; 0 for the first."),
    count("cohort_customer_count", "Customers who first bought then."),
    count("active_customer_count", "Those of them who bought in the period."),
    share("retention_share", "active_customer_count over cohort_customer_count."),
    Column("recency_score", "INTEGER", "1: bought longest ago, to 5: bought last.", Unit.SCORE, 1, 5),
    Column("frequency_score", "INTEGER", "1: fewest purchase days, to 5: most.", Unit.SCORE, 1, 5),
    Column("total_spend_amount", "DECIMAL(38,2)", "Sum of spend_amount over the customers.", Unit.CURRENCY),
    text("action", "Recommended action."),
    text("action_rule", "Rule of the playbook that recommended it."),
    text("action_reason", "The facts that made the rule fire."),
    flag("is_for_review", "Confidence is too low to act on without a person's look."),
    currency(
        "revenue_at_stake_amount",
        "churn_probability times the spend expected if the customer is retained; of several customers, the sum.",
        0,
    ),
    currency("revenue_at_stake_amount_lower", "The same from the lower bounds of both predictions.", 0),
    currency("revenue_at_stake_amount_upper", "The same from the upper bounds of both predictions.", 0),
    Column(
        "rule_position", "INTEGER", "Place of the rule: the first that applies is taken; 0 comes before all.", None, 0
    ),
    text("rule_condition", "Whom the rule is for, in words."),
    count("review_customer_count", "Customers among them for whom is_for_review holds."),
    score("mean_confidence", "Mean confidence of the customers; null without any."),
    count("matured_customer_count", "Customers whom the rule picked at the snapshots that have matured."),
    share("actual_churn_share", "Those of them who bought nothing within the horizon."),
    share("average_churn_share", "The same of all customers at all snapshots that have matured."),
    share(
        "concurrent_churn_share",
        "The same of all customers, each snapshot weighted by how many the rule picked: what the season explains.",
    ),
    ratio(
        "churn_lift_ratio", "actual_churn_share over average_churn_share: above 1 they leave more often than average."
    ),
    currency("actual_mean_spend_amount", "Mean spend of the customers picked within the horizon."),
    ratio("spend_lift_ratio", "Their mean spend over that of all customers at all matured snapshots; at least 0."),
    # Bookkeeping
    text("table_name", "Table."),
    text("column_name", "Column."),
    text("column_type", "DuckDB type."),
    text("unit", "Unit."),
    text("grain", "What one row is."),
    text("description", "Meaning."),
    text("minimum", "Smallest allowed value."),
    text("maximum", "Largest allowed value."),
    text("slice_key", "Slice of the table: a date, or a file."),
    at("written_at", "When it was written (UTC)."),
    at("changed_at", "When rows of the period last changed in the source (UTC)."),
    at("published_at", "When the file was published (UTC)."),
    at("checked_at", "When the check ran (UTC)."),
    text("version", "Version of the program."),
    text("setting_name", "Setting, as in genome.toml."),
    text("setting_value", "Its value."),
    text("published_schema_version", "Version of the published schema; null of publications before there was one."),
    text("settings_hash", "Fingerprint of the settings results depend on."),
    text("check_name", "Check."),
    text("forced_past", "The blocking checks past which it was published by force; null where all had passed."),
    text("severity", "What a failure means: ERROR stops the run, WARN is reported.", ("ERROR", "WARN")),
    flag("is_passed", "The check passed."),
    text("observed", "What was found."),
    text("reason", "Why the row is there."),
    money("amount_sum", "Sum of the amounts."),
)

COLUMNS: dict[str, Column] = {column.name: column for column in _DICTIONARY}
assert len(COLUMNS) == len(_DICTIONARY), "a column is declared twice"
