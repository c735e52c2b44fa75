from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from genome_pipeline.models.risk import RiskModel, VennAbers, fit_risk_model, log_loss, risk_band
from sklearn.isotonic import IsotonicRegression
from threadpoolctl import threadpool_limits

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.snapshots import LabelledSnapshot, last_matured
from genome_pipeline_tests.models.histories import HORIZON_DAYS, START, history
from genome_pipeline_tests.models.populations import assert_keeps_contract, customers

NOW = START + timedelta(days=390)
REGULAR = 30.0  # shape of the gaps between purchases


def fit(current: pd.DataFrame, labelled: list[LabelledSnapshot]) -> RiskModel:
    return fit_risk_model(current, labelled, HORIZON_DAYS, seed=0)


@pytest.fixture(scope="module")
def model() -> RiskModel:
    return fit(history().features(NOW), history().labelled(NOW))


@pytest.fixture(scope="module")
def regular_model() -> RiskModel:
    return fit(history(REGULAR).features(NOW), history(REGULAR).labelled(NOW))


def test_venn_abers_is_isotonic_regression_with_one_more_row() -> None:
    generator = np.random.default_rng(1)
    scores = np.repeat(np.arange(20) / 20, 5)
    is_event = generator.uniform(size=100) < scores
    calibrator = VennAbers.fit(scores, is_event)
    for score in (0.0, 0.35, 0.95):
        _, (lower,), (upper,) = calibrator.apply([score])
        for outcome, bound in ((0, lower), (1, upper)):
            isotonic = IsotonicRegression().fit(np.append(scores, score), np.append(is_event, outcome))
            assert bound == pytest.approx(isotonic.predict([score])[0])


def test_venn_abers_is_calibrated() -> None:
    """Scores are a distortion of the true probability; in each tenth, the mean probability is the event share."""
    generator = np.random.default_rng(2)

    def draw(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        truth = generator.uniform(size=size)
        return truth**3, generator.uniform(size=size) < truth, truth

    calibrator = VennAbers.fit(*draw(20_000)[:2])
    scores, is_event, truth = draw(100_000)
    probability, lower, upper = calibrator.apply(scores)
    assert (lower <= probability).all()
    assert (probability <= upper).all()
    tenth = np.floor(truth * 10)
    for index in range(10):
        rows = tenth == index
        # 2,000 calibration rows in each tenth: standard error below .0112.
        assert abs(probability[rows].mean() - is_event[rows].mean()) < 4 * 0.0112


def test_two_scores_give_the_rule_of_succession() -> None:
    calibrator = VennAbers.fit([0.0] * 8 + [1.0] * 8, [0] * 6 + [1] * 2 + [0] * 2 + [1] * 6)
    (low, high), (low_0, high_0), (low_1, high_1) = calibrator.apply([0.0, 1.0])
    assert (low_0, low_1) == pytest.approx((2 / 9, 3 / 9))
    assert (high_0, high_1) == pytest.approx((6 / 9, 7 / 9))
    assert (low, high) == pytest.approx((3 / 10, 7 / 10))


def test_log_loss_is_finite_for_certain_errors() -> None:
    assert log_loss(np.array([0.0, 1.0]), np.array([True, True])) == pytest.approx(-np.log(1e-6) / 2, rel=1e-6)


def test_bands() -> None:
    bands = risk_band(np.array([0.0, 0.33, 1 / 3, 0.66, 2 / 3, 1.0, np.nan]))
    assert list(bands) == ["low", "low", "medium", "medium", "high", "high", None]


def test_predictions_and_candidates_keep_the_contract(model: RiskModel) -> None:
    features = history().features(NOW)
    predictions = model.predict(features)
    assert_keeps_contract("customer_risk", predictions)
    assert predictions.drop(columns="abstain_reason").notna().all(axis=None)
    assert predictions["abstain_reason"].isna().all()
    assert predictions["customer_id"].is_monotonic_increasing
    assert (predictions["churn_probability_lower"] <= predictions["churn_probability"]).all()
    assert (predictions["churn_probability"] <= predictions["churn_probability_upper"]).all()
    table = model.candidates(NOW)
    assert_keeps_contract("risk_model", table.assign(artifact_file=None)[list(TABLES["risk_model"].columns)])
    assert table["is_chosen"].sum() == 1
    assert table[["brier_score", "log_loss", "auc"]].notna().all(axis=None)


def test_the_model_beats_the_baseline_on_new_outcomes(model: RiskModel) -> None:
    future = history().snapshot(NOW)
    predictions = model.predict(future.features)
    has_churned = future.outcomes["has_churned"].to_numpy(bool)
    loss = log_loss(predictions["churn_probability"].to_numpy(float), has_churned)
    assert loss < 0.97 * log_loss(predictions["naive_churn_probability"].to_numpy(float), has_churned)
    assert predictions["churn_probability"].mean() == pytest.approx(has_churned.mean(), abs=0.05)


def test_naive_is_the_churned_share_of_the_last_matured_snapshot(model: RiskModel) -> None:
    last = last_matured(history().labelled(NOW), HORIZON_DAYS)
    assert last is not None
    is_recent = last.features["recent_purchase_day_count"] > 0
    shares = last.outcomes["has_churned"].groupby(is_recent).mean()
    features = history().features(NOW)
    expected = (features["recent_purchase_day_count"] > 0).map(shares)
    assert np.allclose(model.predict(features)["naive_churn_probability"], expected)


def test_without_a_matured_snapshot_btyd_predicts_uncalibrated() -> None:
    model = fit(history().features(NOW), [])
    predictions = model.predict(history().features(NOW))
    assert_keeps_contract("customer_risk", predictions)
    assert predictions[["churn_probability", "p_alive", "risk_band"]].notna().all(axis=None)
    assert predictions[["churn_probability_lower", "naive_churn_probability"]].isna().all(axis=None)
    assert predictions["abstain_reason"].str.startswith("no snapshot has matured yet").all()


def test_a_snapshot_that_has_not_matured_is_refused() -> None:
    with pytest.raises(ValueError, match="has not matured"):
        fit(history().features(NOW), [history().snapshot(NOW - timedelta(days=HORIZON_DAYS - 1))])


def test_one_outcome_only_has_no_auc() -> None:
    matured = [
        LabelledSnapshot(s.as_of, s.horizon_days, s.features, s.outcomes.assign(has_churned=True))
        for s in history().labelled(NOW)
    ]
    model = fit(history().features(NOW), matured)
    table = model.candidates(NOW)
    assert table["auc"].isna().all()
    assert table.set_index("candidate").loc["boosting", "choice_reason"] == (
        "Not compared: all customers of the matured snapshots ended alike."
    )
    assert (model.predict(history().features(NOW))["churn_probability"] > 0.7).all()


def test_too_few_customers_abstain() -> None:
    few = customers([str(number) for number in range(29)])
    predictions = fit(few, []).predict(few)
    assert_keeps_contract("customer_risk", predictions)
    assert predictions[["churn_probability", "risk_band", "p_alive"]].isna().all(axis=None)
    assert set(predictions["abstain_reason"]) == {"only 29 customers: a risk model needs 30"}


def test_customers_who_never_bought_again_abstain() -> None:
    once = customers([str(number) for number in range(50)], frequency_count=0, recency_days=0)
    predictions = fit(once, []).predict(once)
    assert predictions[["churn_probability", "p_alive"]].isna().all(axis=None)
    assert predictions["abstain_reason"].iloc[0].startswith("only 0 of 50 customers bought again")


def test_boosting_takes_part_where_btyd_assumes_wrongly(regular_model: RiskModel) -> None:
    table = regular_model.candidates(NOW).set_index("candidate")
    assert "boosting" in regular_model.parts
    assert table["log_loss"]["boosting"] < table["log_loss"]["btyd"]


def test_row_order_and_threads_do_not_matter(regular_model: RiskModel) -> None:
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


def test_bytes_predict_identically(model: RiskModel, regular_model: RiskModel) -> None:
    """With trees, without, and abstaining."""
    features = history(REGULAR).features(NOW)
    for fitted in (regular_model, model, fit(customers(["a"]), [])):
        again = RiskModel.from_bytes(fitted.to_bytes())
        pd.testing.assert_frame_equal(again.predict(features), fitted.predict(features), check_exact=True)
        pd.testing.assert_frame_equal(again.candidates(NOW), fitted.candidates(NOW), check_exact=True)


def quieter(snapshot: LabelledSnapshot) -> LabelledSnapshot:
    """The same customers, of whom every second one that came back did not."""
    outcomes = snapshot.outcomes.copy()
    back = np.flatnonzero(~outcomes["has_churned"])
    outcomes.loc[back[::2], "has_churned"] = True
    return LabelledSnapshot(snapshot.as_of, snapshot.horizon_days, snapshot.features, outcomes)


def test_a_part_of_what_a_season_differed_by_a_year_before_is_expected_again() -> None:
    year = timedelta(days=365)
    at = START + year + timedelta(days=120)
    features, learned = history().features(at), history().labelled(at)
    whole = [snapshot for snapshot in learned if snapshot.horizon_days == HORIZON_DAYS]
    season, last = whole
    assert abs(season.as_of - (at - year)).days <= 20
    usual = fit(features, learned)
    quiet = fit(features, [quieter(s) if s is season else s for s in learned])
    assert usual.abstain_reason is None
    assert quiet.level - usual.level > 0.3
    # A quiet season in another part of the year says nothing of this one's level.
    elsewhere = fit(features, [quieter(s) if s is last else s for s in learned])
    expected = [model.predict(features)["churn_probability"].mean() for model in (usual, elsewhere)]
    assert expected[1] == pytest.approx(expected[0], abs=1e-9)


def test_boosting_that_could_not_be_compared_is_joined_with_btyd() -> None:
    at = START + timedelta(days=180)
    model = fit(history().features(at), history().labelled(at))
    (chosen,) = [row for row in model.rows if row.is_chosen]
    assert (chosen.candidate, set(model.parts)) == (
        "btyd+boosting+regression",
        {"btyd", "boosting", "regression"},
    )
    assert chosen.choice_reason.startswith("Boosting could not be compared yet: joined with BTYD")


def test_intervals_hold_the_probability(model: RiskModel) -> None:
    found = model.predict(history().features(NOW))
    assert (found["churn_probability_lower"] <= found["churn_probability"]).all()
    assert (found["churn_probability"] <= found["churn_probability_upper"]).all()
