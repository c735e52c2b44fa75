from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from genome_pipeline.contracts.metrics import METRICS
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.performance import (
    decile,
    expected_calibration_error,
    measure,
    normalised_gini,
)


def outcomes(**columns: object) -> pd.DataFrame:
    """Four customers whose predictions and outcomes can be followed by hand."""
    frame = {
        "matured_as_of": date(2020, 3, 1),
        "as_of": date(2020, 2, 1),
        "customer_id": ["a", "b", "c", "d"],
        "actual_orders": [0.0, 1.0, 2.0, 5.0],
        "actual_spend": [0.0, 10.0, 20.0, 50.0],
        "has_churned": [True, False, False, False],
        "expected_orders": [0.5, 0.5, 2.0, 4.0],
        "expected_orders_lower": [0.0, 0.0, 1.0, 3.0],
        "expected_orders_upper": [1.0, 1.0, 3.0, 4.5],
        "expected_spend": [5.0, 5.0, 20.0, 40.0],
        "expected_spend_lower": None,
        "expected_spend_upper": None,
        "naive_expected_orders": [0.0, 0.0, 0.0, 8.0],
        "naive_expected_spend": [0.0, 0.0, 0.0, 80.0],
        "churn_probability": [0.6, 0.4, 0.2, 0.0],
        "churn_probability_lower": None,
        "churn_probability_upper": None,
        "naive_churn_probability": 0.25,
        "segment_id": 1,
        "segment_name": ["Loyal", "Loyal", "Champions", "Champions"],
        "t_days": [10, 100, 200, 400],
        **{f"{part}confidence": [0.1, 0.2, 0.3, 0.4] for part in ("", "churn_", "orders_", "spend_")},
    }
    return pd.DataFrame({**frame, **columns})


def metric(table: pd.DataFrame, target: str, predictor: str, name: str, slice_value: str = "all") -> float:
    found = table.query(
        "target == @target and predictor == @predictor and metric == @name and slice_value == @slice_value"
    )
    (value,) = found["metric_value"]
    return float(value)


def test_errors_by_hand() -> None:
    table = measure(outcomes(), 0.8)
    assert tuple(table.columns) == TABLES["model_performance"].columns
    assert metric(table, "orders", "model", "mae") == pytest.approx((0.5 + 0.5 + 0 + 1) / 4)
    assert metric(table, "orders", "naive", "mae") == pytest.approx((0 + 1 + 2 + 3) / 4)
    assert metric(table, "orders", "model", "bias") == pytest.approx((7 - 8) / 4)
    assert metric(table, "spend", "model", "total_ratio") == pytest.approx(70 / 80)
    assert metric(table, "orders", "model", "coverage") == pytest.approx(3 / 4)
    assert metric(table, "churn", "model", "brier") == pytest.approx((0.16 + 0.16 + 0.04 + 0) / 4)
    assert metric(table, "churn", "model", "auc") == 1.0
    assert metric(table, "churn", "naive", "auc") == 0.5
    assert metric(table, "churn", "model", "base_rate") == 0.25


def test_interval_score_adds_to_the_width_what_was_missed() -> None:
    table = measure(outcomes(), 0.8)
    assert metric(table, "orders", "model", "mean_interval_width") == pytest.approx((1 + 1 + 2 + 1.5) / 4)
    assert metric(table, "orders", "model", "interval_score") == pytest.approx((5.5 + 2 / 0.2 * 0.5) / 4)
    assert "coverage" not in set(table.query("target == 'spend' or predictor == 'naive'")["metric"])


def test_coverage_that_is_left_without_the_upper_bound_and_that_cannot_be_less() -> None:
    # Orders 0, 1, 2, 5 in [0, 1], [0, 1], [1, 3], [5, 5]: 1 is the upper bound of the second.
    table = measure(
        outcomes(
            expected_orders_lower=[0.0, 0.0, 1.0, 5.0],
            expected_orders_upper=[1.0, 1.0, 3.0, 5.0],
            churn_probability=[0.9, 0.85, 0.2, 0.0],
        ),
        0.8,
    )
    assert metric(table, "orders", "model", "coverage") == 1
    assert metric(table, "orders", "model", "inner_coverage") == pytest.approx(3 / 4)
    # Of the two who most likely buy nothing one did: of the others eight in ten.
    assert metric(table, "orders", "model", "least_coverage") == pytest.approx((1 + 0 + 0.8 + 0.8) / 4)


def test_intervals_without_end_are_measured() -> None:
    table = measure(outcomes(expected_orders_upper=np.inf), 0.8)
    assert metric(table, "orders", "model", "coverage") == 1
    assert metric(table, "orders", "model", "mean_interval_width") == np.inf


def test_excess_over_the_naive_error_with_its_standard_error() -> None:
    table = measure(outcomes(), 0.8)
    # Squared errors .25, .25, 0, 1 of ours and 0, 1, 4, 9 of the naive forecast.
    excess = np.array([0.25, -0.75, -4, -8])
    assert metric(table, "orders", "model", "squared_error_excess") == pytest.approx(excess.mean())
    error = metric(table, "orders", "model", "squared_error_excess_standard_error")
    assert error == pytest.approx(excess.std(ddof=1) / 2)
    losses = -np.log([0.6, 0.6, 0.8, 1]) + np.log([0.25, 0.75, 0.75, 0.75])
    assert metric(table, "churn", "model", "log_loss_excess") == pytest.approx(losses.mean(), abs=1e-5)


def test_what_churn_said_of_itself() -> None:
    table = measure(outcomes(churn_probability_lower=0.1, churn_probability_upper=[0.7, 0.5, 0.3, 0.1]), 0.8)
    assert metric(table, "churn", "model", "predicted_rate") == pytest.approx(0.3)
    assert metric(table, "churn", "model", "expected_brier") == pytest.approx((0.24 + 0.24 + 0.16 + 0) / 4)
    assert metric(table, "churn", "model", "mean_lower_bound") == pytest.approx(0.1)
    assert metric(table, "churn", "model", "mean_upper_bound") == pytest.approx(0.4)
    # The first slice by decile is of what each target predicts: customer d is the least likely to churn.
    lowest = table.query("slice_name == 'prediction_decile' and target == 'churn' and metric == 'predicted_rate'")
    assert lowest.query("predictor == 'model'")["metric_value"].min() == 0


def test_nobody_has_no_metrics_and_two_snapshots_are_refused() -> None:
    assert measure(outcomes().iloc[:0], 0.8).empty
    with pytest.raises(ValueError, match="one snapshot"):
        measure(outcomes(as_of=[date(2020, 1, day) for day in range(1, 5)]), 0.8)


def test_slices_partition_the_customers() -> None:
    table = measure(outcomes(), 0.8).query("target == 'churn' and predictor == 'model' and metric == 'brier'")
    for _, part in table.groupby("slice_name"):
        assert part["customer_count"].sum() == 4
    tenures = table.query("slice_name == 'tenure'")["slice_value"]
    assert sorted(tenures) == ["0-89 days", "180-364 days", "365+ days", "90-179 days"]


def test_both_predictors_are_measured_on_the_customers_the_model_predicts() -> None:
    table = measure(outcomes(expected_orders=[None, 0.5, 2.0, 4.0]), 0.8)
    counts = table.query("target == 'orders' and slice_name == 'all' and metric == 'mae'")["customer_count"]
    assert list(counts) == [3, 3]


def test_an_undefined_measure_is_null_and_a_log_without_amounts_has_no_spend() -> None:
    table = measure(outcomes(has_churned=False, actual_spend=None, expected_spend=None), 0.8)
    assert np.isnan(metric(table, "churn", "model", "auc"))
    assert "spend" not in set(table["target"])


def test_the_key_is_unique() -> None:
    assert not measure(outcomes(), 0.8).duplicated(list(TABLES["model_performance"].key)).any()


def test_deciles_are_equal_tenths_and_ties_stay_together() -> None:
    assert list(decile(np.arange(20.0))) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10]
    assert len(set(decile(np.ones(20)))) == 1
    assert list(decile(np.array([np.nan, 1.0]))) == [0, 10]


def test_gini_is_one_for_the_ideal_ranking_and_nought_for_none() -> None:
    actual = np.array([0.0, 1.0, 5.0, 2.0])
    assert normalised_gini(actual, actual * 3) == pytest.approx(1)
    assert normalised_gini(actual, np.ones(4)) == pytest.approx(0)
    assert normalised_gini(actual, -actual) == pytest.approx(-1)
    assert np.isnan(normalised_gini(np.zeros(4), actual))


def test_calibrated_probabilities_have_no_calibration_error() -> None:
    generator = np.random.default_rng(0)
    probability = generator.uniform(size=200_000)
    is_event = (generator.uniform(size=200_000) < probability).astype(float)
    # Ten groups of 20,000: the standard error of each share is below .0036.
    assert expected_calibration_error(probability, is_event) < 0.01
    assert expected_calibration_error(np.full(200_000, 0.9), is_event) == pytest.approx(0.4, abs=0.01)


def test_auc_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    frame = outcomes()
    many = pd.concat([frame] * 50, ignore_index=True)
    many["customer_id"] = [f"c{number:03}" for number in range(len(many))]
    many["churn_probability"] = generator.integers(0, 9, len(many)) / 10
    many["has_churned"] = generator.uniform(size=len(many)) < 0.3
    expected = roc_auc_score(many["has_churned"], many["churn_probability"])
    assert metric(measure(many, 0.8), "churn", "model", "auc") == pytest.approx(expected)


def test_every_measure_has_its_words_and_no_others_have() -> None:
    bounds = {"churn_probability_lower": 0.1, "churn_probability_upper": 0.7}
    enough = [outcomes(customer_id=[f"{name}{number}" for name in "abcd"], **bounds) for number in range(10)]
    assert set(measure(pd.concat(enough), 0.8)["metric"]) == set(METRICS)
