"""A stage whose upstream was never made in this home fails, and says where it looked."""

from datetime import date
from pathlib import Path

import pytest
from dagster import DagsterEventType

from genome_pipeline.orchestration.assets.activity import customer_activity
from genome_pipeline.orchestration.assets.features import customer_features
from genome_pipeline.orchestration.assets.genome import customer_genome
from genome_pipeline.orchestration.assets.outcomes import outlook_performance, prediction_outcomes
from genome_pipeline.orchestration.assets.stage import Stage
from genome_pipeline.settings import load_settings
from genome_pipeline_tests.support.pipelines import materialise, shop


@pytest.mark.parametrize(
    ("stage", "missing"),
    [
        (customer_activity, "validated_transactions of 2020-01-01"),
        (customer_features, "customer_activity"),
        (customer_genome, "customer_features of 2020-02-01"),
        (prediction_outcomes, "validated_transactions"),
        (outlook_performance, "validated_transactions"),
    ],
    ids=lambda value: value.name if isinstance(value, Stage) else "",
)
def test_a_missing_upstream_fails_instead_of_making_nothing(tmp_path: Path, stage: Stage, missing: str) -> None:
    settings = load_settings(shop(tmp_path))
    result = materialise(settings, [stage], date(2020, 1, 1), date(2020, 1, 1))
    (failed,) = (event for event in result.all_events if event.event_type is DagsterEventType.STEP_FAILURE)
    assert failed.step_failure_data.user_failure_data is not None
    assert failed.step_failure_data.user_failure_data.description == (
        f"{missing} was never made in {settings.home}: materialise it first, or use `genome run`; if it was made in"
        " another folder, set GENOME_HOME to that one"
    )
