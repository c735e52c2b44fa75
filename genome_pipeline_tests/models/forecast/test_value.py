from datetime import timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from genome_pipeline.models.value import ValueModel, fit_value_model, naive_value, relative_deviances
from threadpoolctl import threadpool_limits

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.snapshots import LabelledSnapshot, model_matrix
from genome_pipeline_tests.models.histories import HORIZON_DAYS, START, history
from genome_pipeline_tests.models.populations import assert_keeps_contract, customers

NOW = START + timedelta(days=390)
REGULAR = 30.0  # shape of the gaps between purchases
MONETARY = ("spend_amount", "monetary_value_amount", "average_order_value_amount", "recent_spend_amount")


def fit(current: pd.DataFrame, labelled: list[LabelledSnapshot], level: float = 0.8) -> ValueModel:
    return fit_value_model(current, labelled, HORIZON_DAYS, level, seed=0)


@pytest.fixture(scope="module")
def model() -> ValueModel:
    return fit(history().features(NOW), history().labelled(NOW))


@pytest.fixture(scope="module")
def regular_model() -> ValueModel:
    return fit(history(REGULAR).features(NOW), history(REGULAR).labelled(NOW))


def chosen(model: ValueModel) -> str:
    table = model.candidates(NOW)
    (name,) = table.loc[table["is_chosen"], "candidate"]
    return str(name)


def test_naive_scales_the_recent_window() -> None:
    features = customers(["a", "b", "c"], recent_window_days=[45, 45, 0], recent_spend_amount=[30.0, -5.0, 0.0])
    orders, spend = naive_value(features, 90)
    assert list(orders) == [6.0, 6.0, 0.0]
    assert list(spend) == [60.0, 0.0, 0.0]


def test_relative_deviances() -> None:
    actual = np.array([0.0, 1.0, 2.0, 5.0])
    assert relative_deviances(actual, np.full(4, 2.0)).mean() == pytest.approx(1)
    assert relative_deviances(actual, actual).mean() == pytest.approx(0, abs=0.01)
    assert relative_deviances(actual, np.array([5.0, 2.0, 1.0, 0.0])).mean() > 1
    # Spend less than was returned counts as none, and a prediction of 0 as 1% of the mean.
    assert np.array_equal(relative_deviances(np.array([-3.0, 4.0]), np.array([0.0, 4.0]))[1:], [0.0])
    assert relative_deviances(np.array([-3.0, 4.0]), np.array([0.0, 4.0]))[0] == pytest.approx(0.02 / (2 * np.log(2)))


def totals(model: ValueModel, features: pd.DataFrame) -> np.ndarray:
    return np.asarray(model.predict(features)[["expected_orders", "expected_spend"]].sum())


def doubled(snapshot: LabelledSnapshot) -> LabelledSnapshot:
    outcomes = snapshot.outcomes.copy()
    outcomes[["actual_orders", "actual_spend"]] *= 2
    return LabelledSnapshot(snapshot.as_of, snapshot.horizon_days, snapshot.features, outcomes)


def test_a_part_of_what_a_season_differed_by_a_year_before_is_expected_again() -> None:
    """The log began 120 days before that season, so that 120 / (120 + 90) of what it told is believed."""
    year = timedelta(days=365)
    at = START + year + timedelta(days=120)
    features, learned = history().features(at), history().labelled(at)
    (season,) = [s for s in learned if s.horizon_days == HORIZON_DAYS and abs(s.as_of - (at - year)).days <= 20]
    credibility = season.features["t_days"].max() / (season.features["t_days"].max() + HORIZON_DAYS)
    usual = totals(fit(features, learned), features)
    busy = totals(fit(features, [doubled(s) if s is season else s for s in learned]), features)
    assert busy / usual == pytest.approx([2**credibility] * 2)


def test_in_the_first_year_a_part_of_what_was_missed_lately_is_expected_again() -> None:
    """Half of the horizon is unknown, and of the other the share of log in log and half horizon is believed."""
    at = START + timedelta(days=300)
    features, learned = history().features(at), history().labelled(at)
    usual = totals(fit(features, learned), features)
    lately = sorted({s.as_of for s in learned if s.horizon_days < HORIZON_DAYS})[-3:]
    busy = [doubled(s) if s.as_of in lately and s.horizon_days < HORIZON_DAYS else s for s in learned]
    log_days = np.mean(
        [s.features["t_days"].max() for s in learned if s.as_of in lately and s.horizon_days < HORIZON_DAYS]
    )
    credibility = log_days / (log_days + (HORIZON_DAYS + 1) // 2) / 2
    assert totals(fit(features, busy), features) / usual == pytest.approx([2**credibility] * 2)


@pytest.mark.parametrize("gap_shape", [1.0, REGULAR])
def test_parts_are_brought_to_one_level(gap_shape: float) -> None:
    model = fit(history(gap_shape).features(NOW), history(gap_shape).labelled(NOW))
    features = history(gap_shape).features(NOW)
    sums = [
        (part.predict(features, HORIZON_DAYS) * model.levels[name][:, np.newaxis]).sum(axis=1)
        for name, part in model.parts.items()
    ]
    assert np.ptp(sums, axis=0) == pytest.approx([0, 0], abs=1e-6)


def test_predictions_and_candidates_keep_the_contract(model: ValueModel) -> None:
    features = history().features(NOW)
    predictions = model.predict(features)
    assert_keeps_contract("customer_value", predictions)
    assert predictions["abstain_reason"].isna().all()
    assert predictions["customer_id"].is_monotonic_increasing
    assert len(predictions) == len(features)
    for target in ("expected_orders", "expected_spend"):
        assert (predictions[f"{target}_lower"] <= predictions[target]).all()
        assert (predictions[target] <= predictions[f"{target}_upper"]).all()
        assert (predictions[f"{target}_lower"] >= 0).all()
    table = model.candidates(NOW)
    assert_keeps_contract("value_model", table.assign(artifact_file=None)[list(TABLES["value_model"].columns)])
    assert list(table["candidate"][:3]) == ["naive", "btyd", "boosting"]
    assert table["is_chosen"].sum() == 1
    assert table[["orders_mae", "spend_mae_amount"]].notna().all(axis=None)


def test_the_model_beats_the_baseline_and_its_intervals_hold_on_new_outcomes(model: ValueModel) -> None:
    future = history().snapshot(NOW)
    predictions = model.predict(future.features)
    actual = future.outcomes["actual_spend"]
    error = (predictions["expected_spend"] - actual) ** 2
    assert error.mean() < 0.9 * ((predictions["naive_expected_spend"] - actual) ** 2).mean()
    covered = actual.between(predictions["expected_spend_lower"], predictions["expected_spend_upper"])
    assert 0.75 < covered.mean() < 0.95


def test_decimals_and_nulls_in_the_design_matrix() -> None:
    features = customers(["a", "b"], momentum_share=None)
    features["spend_amount"] = pd.Series([Decimal("1.50"), None], dtype="object")
    matrix = model_matrix(features)
    assert matrix.dtype == np.float64
    assert np.isnan(matrix).sum() == 3
    assert 1.5 in matrix[0]


def test_without_a_matured_snapshot_btyd_predicts_without_intervals() -> None:
    model = fit(history().features(NOW), [])
    predictions = model.predict(history().features(NOW))
    assert_keeps_contract("customer_value", predictions)
    assert chosen(model) == "btyd"
    assert set(predictions["abstain_reason"]) == {"no snapshot has matured yet: intervals need one"}
    assert predictions["expected_spend"].notna().all()
    assert predictions["expected_spend_upper"].isna().all()
    assert model.candidates(NOW)["selection_as_of"].isna().all()


def test_boosting_that_could_not_be_compared_is_joined_with_btyd() -> None:
    now = START + timedelta(days=150)
    model = fit(history().features(now), history().labelled(now))
    table = model.candidates(now).set_index("candidate")
    assert table.loc["boosting", "choice_reason"] == "Not compared: no snapshot had matured early enough to train on."
    assert table["orders_mae"].notna().to_dict() == {name: "boosting" not in name for name in table.index}
    assert chosen(model) == "btyd+boosting"
    assert model.predict(history().features(now))["expected_spend_upper"].notna().all()


def test_before_a_snapshot_has_matured_half_a_horizon_teaches_boosting_and_intervals() -> None:
    now = START + timedelta(days=140)
    learned = history().labelled(now)
    assert {snapshot.horizon_days for snapshot in learned} == {45}
    model = fit(history().features(now), learned)
    assert chosen(model) == "btyd+boosting"
    assert model.abstain_reason is None
    predictions, actual = model.predict(history().features(now)), history().snapshot(now).outcomes
    for target, known in (("orders", "actual_orders"), ("spend", "actual_spend")):
        covered = actual[known].between(
            predictions[f"expected_{target}_lower"], predictions[f"expected_{target}_upper"]
        )
        assert covered.mean() > 0.75


def test_too_few_customers_abstain_with_the_baseline_still_given() -> None:
    few = customers([str(number) for number in range(29)])
    model = fit(few, [])
    predictions = model.predict(few)
    assert_keeps_contract("customer_value", predictions)
    assert predictions["expected_orders"].isna().all()
    assert predictions["naive_expected_orders"].notna().all()
    assert set(predictions["abstain_reason"]) == {"only 29 customers: a value model needs 30"}
    assert not model.candidates(NOW)["is_chosen"].any()


def test_customers_who_never_bought_again_abstain() -> None:
    once = customers([str(number) for number in range(50)], frequency_count=0, recency_days=0)
    predictions = fit(once, []).predict(once)
    assert predictions["expected_orders"].isna().all()
    assert predictions["abstain_reason"].iloc[0].startswith("only 0 of 50 customers bought again")


def test_no_customers_at_all() -> None:
    nobody = customers([])
    model = fit(nobody, [])
    assert model.predict(nobody).empty
    assert len(model.candidates(NOW)) > 0


def test_without_amounts_orders_alone_are_predicted() -> None:
    def without_amounts(features: pd.DataFrame) -> pd.DataFrame:
        return features.assign(**dict.fromkeys(MONETARY, np.nan))

    matured = [
        LabelledSnapshot(s.as_of, s.horizon_days, without_amounts(s.features), s.outcomes.assign(actual_spend=None))
        for s in history().labelled(NOW)
    ]
    current = without_amounts(history().features(NOW))
    model = fit(current, matured)
    predictions = ValueModel.from_bytes(model.to_bytes()).predict(current)
    assert_keeps_contract("customer_value", predictions)
    assert predictions[["expected_orders", "expected_orders_upper"]].notna().all(axis=None)
    assert predictions[["expected_spend", "expected_spend_upper", "naive_expected_spend"]].isna().all(axis=None)
    assert set(predictions["abstain_reason"]) == {"no amounts in the source: spend is not predicted"}
    assert model.candidates(NOW)["spend_mae_amount"].isna().all()


def test_boosting_takes_part_where_btyd_assumes_wrongly(regular_model: ValueModel) -> None:
    table = regular_model.candidates(NOW).set_index("candidate")
    assert "boosting" in chosen(regular_model)
    assert table.loc[chosen(regular_model), "training_snapshot_count"] == 5
    assert table["spend_mae_amount"]["boosting"] < table["spend_mae_amount"]["btyd"]


def test_row_order_and_threads_do_not_matter(regular_model: ValueModel) -> None:
    features = history(REGULAR).features(NOW)
    shuffled = [
        LabelledSnapshot(
            s.as_of,
            s.horizon_days,
            s.features.sample(frac=1, random_state=1),
            s.outcomes.sample(frac=1, random_state=2),
        )
        for s in reversed(history(REGULAR).labelled(NOW))
    ]
    with threadpool_limits(1):
        again = fit(features.sample(frac=1, random_state=3), shuffled)
    pd.testing.assert_frame_equal(again.predict(features), regular_model.predict(features), check_exact=True)
    pd.testing.assert_frame_equal(again.candidates(NOW), regular_model.candidates(NOW), check_exact=True)


def test_a_subset_is_predicted_as_in_the_whole(regular_model: ValueModel) -> None:
    features = history(REGULAR).features(NOW)
    part = regular_model.predict(features.iloc[10:20]).reset_index(drop=True)
    pd.testing.assert_frame_equal(part, regular_model.predict(features).iloc[10:20].reset_index(drop=True))


def test_bytes_predict_identically(model: ValueModel, regular_model: ValueModel) -> None:
    """With trees, without, and abstaining."""
    features = history(REGULAR).features(NOW)
    for fitted in (regular_model, model, fit(customers(["a"]), [])):
        again = ValueModel.from_bytes(fitted.to_bytes())
        pd.testing.assert_frame_equal(again.predict(features), fitted.predict(features), check_exact=True)
        pd.testing.assert_frame_equal(again.candidates(NOW), fitted.candidates(NOW), check_exact=True)
