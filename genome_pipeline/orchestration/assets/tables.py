"""The stages that write tables, in the order of the data."""

from __future__ import annotations

from genome_pipeline.orchestration.assets.actions import action_audiences, customer_actions
from genome_pipeline.orchestration.assets.activity import customer_activity
from genome_pipeline.orchestration.assets.cohorts import cohorts
from genome_pipeline.orchestration.assets.confidence import customer_confidence
from genome_pipeline.orchestration.assets.drift import gene_drift
from genome_pipeline.orchestration.assets.drivers import customer_drivers
from genome_pipeline.orchestration.assets.experiments import (
    contacts,
    experiment_record,
    experiment_results,
    rule_proofs,
)
from genome_pipeline.orchestration.assets.features import customer_features
from genome_pipeline.orchestration.assets.genome import customer_genome
from genome_pipeline.orchestration.assets.ingestion import raw_transactions
from genome_pipeline.orchestration.assets.next_category import next_category
from genome_pipeline.orchestration.assets.outcomes import model_performance, outlook_performance, prediction_outcomes
from genome_pipeline.orchestration.assets.outlook import (
    customer_lifetime_value,
    customer_next_order,
    customer_outlook,
    outlook_model,
)
from genome_pipeline.orchestration.assets.risk import customer_risk, risk_model
from genome_pipeline.orchestration.assets.segments import segment_model, segment_profiles, segments
from genome_pipeline.orchestration.assets.similarity import customer_neighbors, neighbor_outcomes, similarity_index
from genome_pipeline.orchestration.assets.stage import Stage
from genome_pipeline.orchestration.assets.taste import taste
from genome_pipeline.orchestration.assets.totals import totals
from genome_pipeline.orchestration.assets.validation import validation
from genome_pipeline.orchestration.assets.value import customer_value, value_model

LINE_STAGES: tuple[Stage, ...] = (validation, customer_activity)
"""The stages in which a period needs only its own rows."""

SNAPSHOT_TABLE_STAGES: tuple[Stage, ...] = (
    customer_features,
    gene_drift,
    segment_model,
    segments,
    value_model,
    customer_value,
    risk_model,
    customer_risk,
    outlook_model,
    customer_outlook,
    customer_next_order,
    customer_lifetime_value,
    totals,
    cohorts,
    taste,
    next_category,
    customer_drivers,
    similarity_index,
    customer_neighbors,
    customer_confidence,
    prediction_outcomes,
    model_performance,
    outlook_performance,
    neighbor_outcomes,
    experiment_results,
    rule_proofs,
    customer_actions,
    action_audiences,
    customer_genome,
    segment_profiles,
)
"""The stages in which a period also needs earlier periods."""

TABLE_STAGES: tuple[Stage, ...] = (raw_transactions, experiment_record, contacts, *LINE_STAGES, *SNAPSHOT_TABLE_STAGES)
"""All stages."""
