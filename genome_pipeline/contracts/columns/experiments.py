"""Columns on experiments: what was drawn, who is in it, and what it has shown."""

from __future__ import annotations

from genome_pipeline.contracts.column import Column, Unit, at, count, currency, date, flag, score, share, text

OUTCOMES = ("orders", "spend")
"""What an experiment can be about."""

SPLITS = ("churn_probability", "expected_spend", "days_since_last_order", "segment_name")
"""What is known of members at the start, by which effects are told apart."""

VERDICTS = ("proven", "not proven yet", "harmful")


def _effect(name: str, description: str, *, is_nullable: bool = False) -> Column:
    return Column(name, "DOUBLE", f"{description} In orders, or in currency.", is_nullable=is_nullable)


COLUMNS = (
    text("experiment_id", "The experiment: its rule and the snapshot at which it was drawn."),
    at("started_at", "When it was started."),
    date("until_date", "End of the run, exclusive: the snapshot of its last look."),
    date("stopped_date", "Snapshot at which it was stopped before its end; null where it was not.", is_nullable=True),
    at("stopped_at", "When that was done.", is_nullable=True),
    share("control_share", "Share of the audience that was to be left alone."),
    text(
        "draw_key", "Key under which customers were ordered by hashes of their ids: with it the draw can be repeated."
    ),
    text("outcome_name", "What the row, or the verdict of the experiment, is about.", OUTCOMES),
    share(
        "wished_lift_share",
        "Lift that it was planned for: how much more the treated are to do, as a share of what is expected.",
        is_nullable=True,
    ),
    count("run_count", "Runs of experiments on the rule that have ended.", 1),
    _effect("next_effect_lower", "Lower bound of the effect in the next run; null below three runs.", is_nullable=True),
    _effect("next_effect_upper", "Upper bound of it.", is_nullable=True),
    count("treated_count", "Customers who are treated: as drawn in experiments, those left of them in its results."),
    count("control_count", "Customers who are left alone; likewise."),
    flag("is_treated", "Drawn to be treated; the others are left alone."),
    count("stratum_id", "Stratum of expected spend and churn within which the customer was drawn, from 0."),
    share("elapsed_share", "Part of the run that had passed at the look."),
    _effect("control_mean", "What a customer would have done since the start without being treated."),
    _effect("effect", "What acting brought per customer since the start, adjusted by the forecast."),
    _effect("effect_lower", "Lower bound of it: all looks hold together in 95% of experiments."),
    _effect("effect_upper", "Upper bound of it."),
    _effect("effect_total", "The effect times the customers treated."),
    _effect("effect_total_lower", "Lower bound of it."),
    _effect("effect_total_upper", "Upper bound of it."),
    Column(
        "lift_ratio",
        "DOUBLE",
        "The effect over control_mean; null where that is not well above 0.",
        Unit.RATIO,
        is_nullable=True,
    ),
    _effect("standard_error", "Standard error of the effect."),
    _effect("unadjusted_effect", "The difference of the means, without the forecast."),
    _effect("unadjusted_standard_error", "Its standard error."),
    score("critical_value", "Half the width of the interval in standard errors.", maximum=None),
    Column("effect_skewness", "DOUBLE", "Skewness of the effect's distribution: beyond .25 there is no verdict."),
    text("split_by", "What was known of the members at the start, by which they are told apart.", SPLITS),
    _effect("own_effect", "The effect from the group alone, adjusted by the forecast."),
    _effect("own_standard_error", "Its standard error."),
    text(
        "targeting_reason",
        "Whether choosing customers by the effect expected on each would be worth more than treating all, nobody, or as"
        " many by churn probability; null before the last look.",
        is_nullable=True,
    ),
    text("verdict", "What the experiment has shown of the outcome so far.", VERDICTS),
    text("verdict_reason", "The verdict with its numbers, in one sentence."),
    date("decided_date", "Snapshot of the look that decided; null while nothing is proven.", is_nullable=True),
    count(
        "more_customers_count",
        "Customers whom a run as long needs besides these to show the wished lift; null where none, or none is wished.",
        is_nullable=True,
    ),
    Column(
        "reached_share",
        "DOUBLE",
        "Share of the treated whom the contact log says were reached, less that of the controls; null without such a"
        " log.",
        Unit.SHARE,
        -1,
        1,
        is_nullable=True,
    ),
    _effect(
        "reached_effect",
        "What acting brought per customer whom the draw made be reached; null without a contact log, or where too few"
        " were.",
        is_nullable=True,
    ),
    _effect("reached_effect_standard_error", "Its standard error.", is_nullable=True),
    count(
        "contacted_control_count",
        "Controls who were contacted since the start; null without a contact log.",
        is_nullable=True,
    ),
    count(
        "unreached_treated_count",
        "Treated who were not contacted since the start; null without a contact log.",
        is_nullable=True,
    ),
    # The contact log
    text("contact_id", "Hash of what the row says, so that a row that stands twice is one contact: 32 hex digits."),
    at("contacted_at", "Moment of the contact, in wall time of the source's time zone."),
    text("channel", "Way of the contact, such as mail or phone.", is_nullable=True),
    text(
        "campaign",
        "What the contact was for. It belongs to an experiment whose rule, id or action it names.",
        is_nullable=True,
    ),
    currency("cost_amount", "What the contact cost.", is_nullable=True),
    text("mapped_columns", "Columns of the contact log as they are mapped, as JSON."),
    count("duplicate_row_count", "Rows that say the same as one before."),
    count("unusable_row_count", "Rows without a customer, or without a moment that can be read; they are left out."),
    Column("first_unusable_row", "BIGINT", "The first of them: 1 follows the header.", None, 1, is_nullable=True),
    count("unread_cost_count", "Contacts beside which something stands that is no cost."),
    date("changed_from_date", "Day of the earliest contact that came, went or changed."),
)
