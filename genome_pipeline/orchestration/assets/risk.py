"""``customer_features`` -> ``risk_model`` -> ``customer_risk``."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.models.forecast.risk import RiskModel, fit_risk_model
from genome_pipeline.orchestration.assets.modelling import fit_each_snapshot, map_each_snapshot
from genome_pipeline.orchestration.assets.stage import table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline


@table_stage(
    "risk_model",
    reads={"customer_features": Reads.UP_TO_THIS, "validated_transactions": Reads.UP_TO_THIS},
    kinds={"lightgbm"},
)
def risk_model(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Fit the forecast of who buys on what had matured at each snapshot."""
    predict = pipeline.settings.predict
    fit_each_snapshot(
        context,
        pipeline,
        "risk_model",
        [predict.horizon_days],
        lambda features, labelled, unobserved_days: fit_risk_model(
            features,
            labelled[predict.horizon_days],
            predict.horizon_days,
            predict.seed,
            unobserved_days=unobserved_days,
        ),
    )


@table_stage("customer_risk", reads={"customer_features": Reads.SAME, "risk_model": Reads.SAME}, kinds={"lightgbm"})
def customer_risk(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Predict every customer's probability of churn at each snapshot."""
    map_each_snapshot(context, pipeline, "risk_model", "customer_risk", RiskModel.from_bytes, RiskModel.predict)
