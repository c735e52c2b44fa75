"""``value_model``, with its predictions and those of ``risk_model`` -> ``customer_confidence``."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.models.confidence import score_confidence
from genome_pipeline.models.forecast.value import ValueModel
from genome_pipeline.orchestration.assets.modelling import map_each_snapshot, renamed
from genome_pipeline.orchestration.assets.stage import table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline


@table_stage(
    "customer_confidence",
    reads=dict.fromkeys(("customer_features", "value_model", "customer_value", "customer_risk"), Reads.SAME),
    kinds={"pandas"},
)
def customer_confidence(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Score how far each customer's predictions can be trusted at each snapshot, by the errors of earlier ones."""
    map_each_snapshot(
        context,
        pipeline,
        "value_model",
        "customer_confidence",
        ValueModel.from_bytes,
        score_confidence,
        beside={
            "customer_risk": renamed(churn_probability="churn_probability", risk_abstain_reason="abstain_reason"),
            "customer_value": renamed(
                orders_if_retained="orders_if_retained",
                spend_per_order_amount="spend_per_order_amount",
                value_abstain_reason="abstain_reason",
            ),
        },
    )
