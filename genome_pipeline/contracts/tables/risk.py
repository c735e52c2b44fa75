"""Tables of the risk model and of churn probabilities."""

from __future__ import annotations

from genome_pipeline.contracts.table import Table
from genome_pipeline.contracts.tables.features import EVERY_CUSTOMER
from genome_pipeline.contracts.tables.value import MODEL

CHURN = ("churn_probability", "churn_probability_lower", "churn_probability_upper")


TABLES = (
    Table(
        "risk_model",
        "forecast",
        "candidate x snapshot",
        "Experts on who buys at the snapshot, the forecast they make, and errors of each at earlier dates, beside the"
        " naive baseline.",
        (*MODEL, "brier_score", "log_loss", "auc", "parameters", "artifact_file"),
        ("as_of", "candidate"),
        "as_of",
        is_published=True,
    ),
    Table(
        "customer_risk",
        "forecast",
        "customer x snapshot",
        "The calibrated probability of no purchase within the horizon, with its interval, and the BTYD p_alive.",
        ("as_of", "customer_id", *CHURN, "p_alive", "risk_band", "naive_churn_probability", "abstain_reason"),
        ("as_of", "customer_id"),
        "as_of",
        is_published=True,
        references=(EVERY_CUSTOMER,),
    ),
)
