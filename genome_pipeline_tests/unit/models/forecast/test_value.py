from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.forecast.constants import Constants
from genome_pipeline.models.forecast.experts import Training, fit_orders
from genome_pipeline.models.forecast.risk import fit_risk_model
from genome_pipeline.models.forecast.value import Orders, ValueModel, fit_value_model, naive_value
from genome_pipeline.models.snapshots import LabelledSnapshot, model_matrix
from genome_pipeline_tests.support.fitted_forecasts import LEVEL, MONETARY
from genome_pipeline_tests.support.histories import HORIZON_DAYS, START, history
from genome_pipeline_tests.support.populations import assert_keeps_contract, customers

NOW = START + timedelta(days=390)
REGULAR = 30.0  # shape of the gaps between purchases


def fit(current: pd.DataFrame, learned: Sequence[LabelledSnapshot]) -> ValueModel:
    return fit_value_model(current, learned, HORIZON_DAYS, LEVEL, seed=0)


def with_churn(features: pd.DataFrame, learned: Sequence[LabelledSnapshot]) -> pd.DataFrame:
    """The features with what ``customer_risk`` says of them beside."""
    churn = fit_risk_model(features, learned, HORIZON_DAYS, seed=0).predict(features).set_index("customer_id")
    return features.assign(churn_probability=churn["churn_probability"].reindex(features["customer_id"]).to_numpy())


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    return with_churn(history().features(NOW), history().labelled(NOW))


@pytest.fixture(scope="module")
def model(features: pd.DataFrame) -> ValueModel:
    return fit(features, history().labelled(NOW))


def test_naive_scales_the_recent_window() -> None:
    features = customers(["a", "b", "c"], recent_window_days=[45, 45, 0], recent_spend_amount=[30.0, -5.0, 0.0])
    orders, spend = naive_value(features, 90)
    assert list(orders) == [6.0, 6.0, 0.0]
    assert list(spend) == [60.0, 0.0, 0.0]


def test_orders_of_those_who_buy_are_at_the_level_of_experts_who_know_the_whole_horizon(model: ValueModel) -> None:
    """Weighted, in the logarithm of days beyond the first, with the half-horizon expert left out."""
    features = history().features(NOW)
    training = Training.at(history().labelled(NOW), NOW, HORIZON_DAYS)
    orders = Orders.join(fit_orders(features, training, seed=0).experts, features, HORIZON_DAYS)
    buys = orders.experts["btyd"].purchases.purchase_probability(  # type: ignore[attr-defined]
        features["frequency_count"], features["recency_days"], features["t_days"], HORIZON_DAYS
    )

    def total(values: np.ndarray) -> float:
        return float(np.log(np.sum(buys * np.exp(values))))

    weights = dict(zip(orders.experts, orders.weights, strict=True))
    whole = {name: total(orders.experts[name].linear(features, HORIZON_DAYS)) for name in ("btyd", "boosting")}
    expected = sum(weights[name] * value for name, value in whole.items()) / sum(weights[name] for name in whole)
    assert total(orders.linear(features, HORIZON_DAYS)) == pytest.approx(expected)
    assert model.orders is not None
    assert model.orders.predict(features, HORIZON_DAYS).tolist() == orders.predict(features, HORIZON_DAYS).tolist()


def test_how_far_a_season_is_believed_is_told_by_the_constants() -> None:
    log, at = history(size=300), START + timedelta(days=365 + 120)
    features, learned = log.features(at), log.labelled(at)
    believed, doubted = (
        fit_value_model(features, learned, HORIZON_DAYS, LEVEL, 0, Constants(within_season=variance)).orders
        for variance in (0.0, 1e12)
    )
    experts = fit_orders(features, Training.at(learned, at, HORIZON_DAYS), seed=0).experts
    without = Orders.join(experts, features, HORIZON_DAYS).constant
    assert believed is not None
    assert doubted is not None
    assert doubted.constant == pytest.approx(without, abs=1e-9)
    assert abs(believed.constant - without) > 1e-3


def test_predictions_and_candidates_keep_the_contract(model: ValueModel, features: pd.DataFrame) -> None:
    predictions = model.predict(features)
    assert_keeps_contract("customer_value", predictions)
    assert predictions["abstain_reason"].isna().all()
    assert predictions["customer_id"].is_monotonic_increasing
    table = model.candidates(NOW)
    assert_keeps_contract("value_model", table.assign(artifact_file=None)[list(TABLES["value_model"].columns)])
    assert table["candidate"].tolist() == ["naive", "btyd", "boosting", "boosting_half", "forecast"]
    assert table.loc[table["is_chosen"], "candidate"].tolist() == ["forecast"]
    assert table[["orders_mae", "spend_mae_amount"]].notna().all(axis=None)
    assert table["training_snapshot_count"].tolist() == [0, 0, 8, 5, 0]


def test_the_forecast_beats_the_baseline_and_its_intervals_hold_on_new_outcomes(
    model: ValueModel, features: pd.DataFrame
) -> None:
    actual = history().snapshot(NOW).outcomes
    predictions = model.predict(features)
    error = (predictions["expected_spend"] - actual["actual_spend"]) ** 2
    assert error.mean() < 0.9 * ((predictions["naive_expected_spend"] - actual["actual_spend"]) ** 2).mean()
    for target in ("orders", "spend"):
        assert predictions[f"expected_{target}"].sum() == pytest.approx(actual[f"actual_{target}"].sum(), rel=0.15)
        lower, upper = (predictions[f"expected_{target}_{end}"] for end in ("lower", "upper"))
        assert 0.75 < actual[f"actual_{target}"].between(lower, upper).mean() < 0.95


def test_decimals_and_nulls_in_the_design_matrix() -> None:
    features = customers(["a", "b"], momentum_share=None)
    features["spend_amount"] = pd.Series([Decimal("1.50"), None], dtype="object")
    matrix = model_matrix(features)
    assert matrix.dtype == np.float64
    # Of two customers momentum and both seasons before they came, and of one the spend.
    assert np.isnan(matrix).sum() == 7
    assert 1.5 in matrix[0]


def test_without_a_matured_snapshot_pareto_nbd_predicts_without_intervals() -> None:
    features = with_churn(history().features(NOW), [])
    model = fit(features, [])
    predictions = model.predict(features)
    assert set(predictions["abstain_reason"]) == {
        "no snapshot that carries a forecast has matured yet: intervals need one"
    }
    assert predictions["expected_spend"].notna().all()
    assert predictions["expected_spend_upper"].isna().all()
    table = model.candidates(NOW).set_index("candidate")
    assert table["selection_as_of"].isna().all()
    assert table["choice_reason"].to_dict() == {
        "naive": "Not used: the baseline.",
        "btyd": "Weight 1.00. No snapshot has matured yet to measure it on.",
        "boosting": "Not used: no snapshot with enough customers had matured early enough to train on.",
        "boosting_half": "Not used: no snapshot with enough customers had matured early enough to train on.",
        "forecast": "All experts joined. No snapshot has matured yet to measure it on.",
    }


def test_the_first_matured_snapshot_gives_intervals() -> None:
    """Made again by Pareto/NBD alone: nothing had matured there yet."""
    now = START + timedelta(days=150)
    learned = history().labelled(now)
    assert [one.as_of for one in learned if one.horizon_days == HORIZON_DAYS] == [now - timedelta(days=90)]
    features = with_churn(history().features(now), learned)
    model = fit(features, learned)
    assert model.predict(features)["expected_spend_upper"].notna().all()
    errors = model.candidates(now).set_index("candidate")["orders_mae"].notna()
    assert errors.to_dict() == {
        "naive": True,
        "btyd": True,
        "boosting": False,
        "boosting_half": False,
        "forecast": True,
    }


def test_few_customers_abstain_with_the_baseline_still_given() -> None:
    few = customers([str(number) for number in range(29)])
    few["churn_probability"] = np.nan
    model = fit(few, [])
    predictions = model.predict(few)
    assert_keeps_contract("customer_value", predictions)
    assert predictions["expected_orders"].isna().all()
    assert predictions["naive_expected_orders"].notna().all()
    assert set(predictions["abstain_reason"]) == {"only 29 customers: a value model needs 30"}
    assert not model.candidates(NOW)["is_chosen"].any()


def test_amounts_that_were_unknown_before_leave_spend_without_intervals() -> None:
    def unknown(one: LabelledSnapshot) -> LabelledSnapshot:
        features = one.features.assign(**dict.fromkeys(MONETARY, np.nan))
        return LabelledSnapshot(one.as_of, one.horizon_days, features, one.outcomes.assign(actual_spend=np.nan))

    few = history(size=200)
    features = with_churn(few.features(NOW), few.labelled(NOW))
    model = fit(features, [unknown(one) for one in few.labelled(NOW)])
    predictions = model.predict(features)
    assert set(predictions["abstain_reason"]) == {"no amounts in the matured snapshots: spend has no intervals"}
    assert predictions[["expected_spend", "expected_orders_upper"]].notna().all(axis=None)
    assert predictions["expected_spend_upper"].isna().all()
    assert model.candidates(NOW)["spend_mae_amount"].isna().all()


def test_row_order_and_threads_do_not_matter() -> None:
    regular = history(REGULAR, size=200)
    features, learned = regular.features(NOW).assign(churn_probability=0.4), regular.labelled(NOW)
    model = fit(features, learned)
    shuffled = [
        LabelledSnapshot(
            one.as_of,
            one.horizon_days,
            one.features.sample(frac=1, random_state=1),
            one.outcomes.sample(frac=1, random_state=2),
        )
        for one in reversed(learned)
    ]
    with threadpool_limits(1):
        again = fit(features.sample(frac=1, random_state=3), shuffled)
    pd.testing.assert_frame_equal(again.predict(features), model.predict(features), check_exact=True)
    pd.testing.assert_frame_equal(again.candidates(NOW), model.candidates(NOW), check_exact=True)


def test_bytes_predict_identically(model: ValueModel, features: pd.DataFrame) -> None:
    """With trees, without, and abstaining."""
    for fitted in (model, fit(features, []), fit(customers(["a"]), [])):
        again = ValueModel.from_bytes(fitted.to_bytes())
        pd.testing.assert_frame_equal(again.predict(features), fitted.predict(features), check_exact=True)
        pd.testing.assert_frame_equal(again.candidates(NOW), fitted.candidates(NOW), check_exact=True)
        assert again.to_bytes() == fitted.to_bytes()
