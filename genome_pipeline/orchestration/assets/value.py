"""``customer_features`` -> ``value_model``; with ``customer_risk`` -> ``customer_value``."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.models.forecast.value import ValueModel, fit_value_model
from genome_pipeline.orchestration.assets.modelling import fit_each_snapshot, map_each_snapshot, renamed
from genome_pipeline.orchestration.assets.stage import table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline


@table_stage(
    "value_model",
    reads={"customer_features": Reads.UP_TO_THIS, "validated_transactions": Reads.UP_TO_THIS},
    kinds={"lightgbm"},
)
def value_model(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Fit the forecast of orders and amounts on what had matured at each snapshot."""
    predict = pipeline.settings.predict
    fit_each_snapshot(
        context,
        pipeline,
        "value_model",
        [predict.horizon_days],
        lambda features, labelled, unobserved_days: fit_value_model(
            features,
            labelled[predict.horizon_days],
            predict.horizon_days,
            predict.interval_level,
            predict.seed,
            unobserved_days=unobserved_days,
        ),
    )


@table_stage(
    "customer_value",
    reads={"customer_features": Reads.SAME, "value_model": Reads.SAME, "customer_risk": Reads.SAME},
    kinds={"lightgbm"},
)
def customer_value(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Predict every customer's orders and spend at each snapshot, from the same probability to buy as churn."""
    map_each_snapshot(
        context,
        pipeline,
        "value_model",
        "customer_value",
        ValueModel.from_bytes,
        ValueModel.predict,
        beside={"customer_risk": renamed(churn_probability="churn_probability")},
    )
