"""Everything known of a customer -> ``customer_actions`` -> ``action_audiences``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import dagster as dg
import ibis
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.models.actions import AUDIENCE_COLUMNS, audiences, columns_used, leave_alone, recommend_actions
from genome_pipeline.orchestration.assets.frames import check_written, customers_at
from genome_pipeline.orchestration.assets.snapshots import make_snapshots, read_frames
from genome_pipeline.orchestration.assets.stage import table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.transforms.experiments import controls_at
from genome_pipeline.transforms.outcomes import picked_outcomes
from genome_pipeline.transforms.taste import leading_categories

_INPUTS = (
    "customer_features",
    "customer_segments",
    "customer_value",
    "customer_risk",
    "customer_next_order",
    "neighbor_estimates",
    "customer_confidence",
)


@table_stage(
    "customer_actions",
    reads=dict.fromkeys((*_INPUTS, "customer_next_category", "experiments", "experiment_members"), Reads.SAME),
    kinds={"pandas"},
)
def customer_actions(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Recommend one action for every customer at each snapshot, and none to controls of its experiments."""
    settings, currency = pipeline.settings.actions, pipeline.settings.source.currency
    read_facts = read_frames(*_INPUTS, columns=columns_used(settings.rules))

    def read(database: Backend, dates: Sequence[date]) -> Iterable[list[pd.DataFrame]]:
        check_written(database, pipeline, "customer_next_category", dates)
        listed = database.table("customer_next_category")
        leading = [
            leading_categories(listed.filter(listed.as_of == ibis.date(as_of)), customers_at(database, as_of))
            for as_of in dates
        ]
        experiments, members = database.table("experiments"), database.table("experiment_members")
        # A snapshot of a running period leaves alone whom today's does.
        today = pipeline.settings.today()
        controls = [controls_at(experiments, members, min(as_of, today)) for as_of in dates]
        facts = read_facts(database, dates)
        return (
            [*frames, *(rows.to_pandas() for rows in others)]
            for frames, *others in zip(facts, leading, controls, strict=True)
        )

    def make(_: date, inputs: list[pd.DataFrame]) -> list[pd.DataFrame]:
        features, segments, value, risk, next_order, estimates, confidence, leading, controls = inputs
        found = recommend_actions(
            features,
            segments,
            value,
            risk,
            next_order,
            leading,
            estimates,
            confidence,
            settings.rules,
            settings.review_confidence,
            currency,
        )
        return [leave_alone(found, controls)]

    make_snapshots(context, pipeline, ["customer_actions"], read, make)


@table_stage(
    "action_audiences",
    reads={
        "customer_actions": Reads.UP_TO_THIS,
        "customer_confidence": Reads.SAME,
        "prediction_outcomes": Reads.UP_TO_THIS,
    },
    kinds={"pandas"},
)
def action_audiences(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Sum up each rule's audience, and what became of those whom it picked at matured snapshots."""
    rules, currency = pipeline.settings.actions.rules, pipeline.settings.source.currency
    read_audience = read_frames("customer_actions", "customer_confidence", columns=AUDIENCE_COLUMNS)

    def read(database: Backend, dates: Sequence[date]) -> Iterable[list[pd.DataFrame]]:
        actions, outcomes = database.table("customer_actions"), database.table("prediction_outcomes")
        picked = [picked_outcomes(actions, outcomes, as_of).to_pandas() for as_of in dates]
        return ([*frames, found] for frames, found in zip(read_audience(database, dates), picked, strict=True))

    def make(as_of: date, inputs: list[pd.DataFrame]) -> list[pd.DataFrame]:
        actions, confidence, picked = inputs
        return [audiences(actions, confidence, picked, rules, as_of, currency)]

    make_snapshots(context, pipeline, ["action_audiences"], read, make)
