"""A forecast whose total no window of the log comes near to is not published."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from genome_pipeline.models.forecast.value import ValueModel
from genome_pipeline.orchestration.assets.value import customer_value
from genome_pipeline.orchestration.checks.declared import gate
from genome_pipeline.orchestration.failures import first_cause
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import load_settings
from genome_pipeline_tests.support.pipelines import materialise

FEBRUARY = date(2020, 2, 1)


def test_a_spend_ten_times_too_high_is_stopped_and_an_honest_one_is_not(
    early_shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(early_shop)
    assert materialise(settings, [customer_value], FEBRUARY, FEBRUARY).success
    predict = ValueModel.predict

    def inflated(model: ValueModel, features: pd.DataFrame) -> pd.DataFrame:
        rows = predict(model, features)
        amounts = ["expected_spend", "expected_spend_lower", "expected_spend_upper", "spend_per_order_amount"]
        rows[amounts] *= 10
        return rows

    monkeypatch.setattr(ValueModel, "predict", inflated)
    stopped = materialise(settings, [customer_value], FEBRUARY, FEBRUARY)
    assert not stopped.success
    why = str(first_cause(stopped.all_events))
    assert why.startswith("check total_is_plausible of customer_value failed: ")
    assert "times the most that the log has seen in as many days, " in why
    with Pipeline.of(settings).warehouse.open() as database:
        obstacles = [str(obstacle) for obstacle in gate().obstacles(database.con, settings.time)]
    assert obstacles[0].startswith("check total_is_plausible of customer_value of 2020-02-01 failed: ")
