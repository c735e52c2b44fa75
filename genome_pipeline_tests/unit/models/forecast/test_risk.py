from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from threadpoolctl import threadpool_limits

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.forecast.risk import RiskModel, fit_risk_model, risk_band
from genome_pipeline.models.losses import log_losses
from genome_pipeline.models.snapshots import LabelledSnapshot, origins
from genome_pipeline_tests.support.histories import HORIZON_DAYS, START, history
from genome_pipeline_tests.support.populations import assert_keeps_contract, customers

NOW = START + timedelta(days=390)
REGULAR = 30.0  # shape of the gaps between purchases


def fit(current: pd.DataFrame, labelled: Sequence[LabelledSnapshot]) -> RiskModel:
    return fit_risk_model(current, labelled, HORIZON_DAYS, seed=0)


@pytest.fixture(scope="module")
def model() -> RiskModel:
    return fit(history().features(NOW), history().labelled(NOW))


def test_bands() -> None:
    bands = risk_band(np.array([0.0, 0.33, 1 / 3, 0.66, 2 / 3, 1.0, np.nan]))
    assert list(bands) == ["low", "low", "medium", "medium", "high", "high", None]


def test_predictions_and_candidates_keep_the_contract(model: RiskModel) -> None:
    predictions = model.predict(history().features(NOW))
    assert_keeps_contract("customer_risk", predictions)
    assert predictions.drop(columns="abstain_reason").notna().all(axis=None)
    assert predictions["abstain_reason"].isna().all()
    assert predictions["customer_id"].is_monotonic_increasing
    table = model.candidates(NOW)
    assert_keeps_contract("risk_model", table.assign(artifact_file=None)[list(TABLES["risk_model"].columns)])
    assert table["candidate"].tolist() == [
        "naive",
        "btyd",
        "boosting",
        "regression",
        "boosting_half",
        "regression_half",
        "forecast",
    ]
    assert table.loc[table["is_chosen"], "candidate"].tolist() == ["forecast"]
    assert table[["brier_score", "log_loss", "auc"]].notna().all(axis=None)
    assert table["training_snapshot_count"].tolist() == [0, 0, 8, 8, 5, 5, 0]


def test_the_forecast_beats_the_baseline_on_new_outcomes(model: RiskModel) -> None:
    future = history().snapshot(NOW)
    predictions = model.predict(future.features)
    has_churned = future.outcomes["has_churned"].to_numpy(bool)
    losses, naive = (
        log_losses(has_churned, predictions[name].to_numpy(float))
        for name in ("churn_probability", "naive_churn_probability")
    )
    assert losses.mean() < 0.95 * naive.mean()
    assert predictions["churn_probability"].mean() == pytest.approx(has_churned.mean(), abs=0.05)
    lower, upper = predictions["churn_probability_lower"].mean(), predictions["churn_probability_upper"].mean()
    assert lower < has_churned.mean() < upper


def test_the_mean_is_at_the_level_of_pareto_nbd_where_no_season_is_known(model: RiskModel) -> None:
    """At day 390 the season is that of day 25: the log was younger than a horizon, and no snapshot is of it."""
    features = history().features(NOW)
    alone = fit(features, []).predict(features)["churn_probability"]
    assert model.predict(features)["churn_probability"].mean() == pytest.approx(alone.mean(), abs=1e-9)


def test_naive_is_the_churned_share_of_the_latest_origin(model: RiskModel) -> None:
    last = origins(history().labelled(NOW), NOW, HORIZON_DAYS)[-1]
    is_recent = last.features["recent_purchase_day_count"] > 0
    shares = last.outcomes["has_churned"].groupby(is_recent).mean()
    features = history().features(NOW)
    expected = (features["recent_purchase_day_count"] > 0).map(shares)
    assert np.allclose(model.predict(features)["naive_churn_probability"], expected)


def test_the_interval_is_that_by_rank_moved_by_how_far_the_level_may_be_off(model: RiskModel) -> None:
    """10% on either side: 1.2816 standard deviations, of a variance of .12 without a season."""
    assert model.level_deviation == pytest.approx(np.sqrt(0.12))
    assert model.calibrator is not None
    features = history().features(NOW)
    by_rank = model.calibrator.apply(-model.log_odds(features))[1]
    found = model.predict(features)
    is_apart = (by_rank > 0.01) & (by_rank < 0.99) & (found["churn_probability_upper"] > found["churn_probability"])
    moved = expit(logit(by_rank[is_apart]) + 1.2815515655 * np.sqrt(0.12))
    np.testing.assert_allclose(found["churn_probability_upper"][is_apart], moved)


def test_without_a_matured_snapshot_pareto_nbd_predicts_uncalibrated() -> None:
    features = history().features(NOW)
    model = fit(features, [])
    predictions = model.predict(features)
    assert_keeps_contract("customer_risk", predictions)
    assert predictions[["churn_probability", "p_alive", "risk_band"]].notna().all(axis=None)
    assert predictions[["churn_probability_lower", "naive_churn_probability"]].isna().all(axis=None)
    assert predictions["abstain_reason"].str.startswith("no snapshot that carries a forecast has matured yet").all()
    assert (predictions["churn_probability"] >= 1 - predictions["p_alive"] - 1e-6).all()
    assert model.weights.tolist() == [1.0]


def test_the_first_matured_snapshot_calibrates() -> None:
    now = START + timedelta(days=150)
    model = fit(history().features(now), history().labelled(now))
    assert model.abstain_reason is None
    assert model.predict(history().features(now))["churn_probability_upper"].notna().all()
    table = model.candidates(now).set_index("candidate")
    assert table.index[table["log_loss"].notna()].tolist() == ["btyd", "forecast"]


def test_a_snapshot_that_has_not_matured_is_refused() -> None:
    with pytest.raises(ValueError, match="has not matured"):
        fit(history().features(NOW), [history().snapshot(NOW - timedelta(days=HORIZON_DAYS - 1))])


def test_where_all_left_who_had_every_reason_to_stay_nothing_is_predicted() -> None:
    learned = [
        LabelledSnapshot(one.as_of, one.horizon_days, one.features, one.outcomes.assign(has_churned=True))
        for one in history().labelled(NOW)
    ]
    model = fit(history().features(NOW), learned)
    table = model.candidates(NOW).set_index("candidate")
    assert table["auc"].isna().all()
    assert not model.experts
    assert str(model.abstain_reason).endswith("and 0% did")


def test_few_customers_abstain() -> None:
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


def test_experts_that_learn_rhythm_gain_where_pareto_nbd_assumes_wrongly() -> None:
    """Gaps that are regular, of which Pareto/NBD knows nothing."""
    usual, regular = (history(shape) for shape in (1.0, REGULAR))
    weights = [fit(log.features(NOW), log.labelled(NOW)).weights for log in (usual, regular)]
    assert weights[1][0] < weights[0][0]
    table = fit(regular.features(NOW), regular.labelled(NOW)).candidates(NOW).set_index("candidate")
    assert table["auc"]["boosting"] > table["auc"]["btyd"]


def test_row_order_and_threads_do_not_matter() -> None:
    regular = history(REGULAR, size=200)
    features, learned = regular.features(NOW), regular.labelled(NOW)
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


def test_bytes_predict_identically(model: RiskModel) -> None:
    """With trees, without, and abstaining."""
    features = history().features(NOW)
    for fitted in (model, fit(features, []), fit(customers(["a"]), [])):
        again = RiskModel.from_bytes(fitted.to_bytes())
        pd.testing.assert_frame_equal(again.predict(features), fitted.predict(features), check_exact=True)
        pd.testing.assert_frame_equal(again.candidates(NOW), fitted.candidates(NOW), check_exact=True)
        assert again.to_bytes() == fitted.to_bytes()


def quieter(snapshot: LabelledSnapshot) -> LabelledSnapshot:
    """The same customers, of whom every second one that came back did not."""
    outcomes = snapshot.outcomes.copy()
    back = np.flatnonzero(~outcomes["has_churned"])
    outcomes.loc[back[::2], "has_churned"] = True
    return LabelledSnapshot(snapshot.as_of, snapshot.horizon_days, snapshot.features, outcomes)


def test_a_part_of_what_a_season_differed_by_a_year_before_is_expected_again() -> None:
    """A quiet season in another part of the year says nothing of this one's level."""
    log = history(size=300)
    at = START + timedelta(days=365 + 120)
    features, learned = log.features(at), log.labelled(at)
    seen = origins(learned, at, HORIZON_DAYS)
    (season,) = [one for one in seen if abs((at - one.as_of).days - 365) <= 20]
    usual, quiet, elsewhere = (
        fit(features, [quieter(one) if one is changed else one for one in learned])
        for changed in (None, season, seen[-1])
    )

    def level(model: RiskModel) -> float:
        return float(logit(model.predict(features)["churn_probability"].mean()))

    # Half of those who came back did not: a part of that is expected again.
    missed = logit(1 - (~quieter(season).outcomes["has_churned"]).mean()) - logit(
        1 - (~season.outcomes["has_churned"]).mean()
    )
    assert 0.3 * missed < level(quiet) - level(usual) < 0.8 * missed
    assert quiet.level_deviation < np.sqrt(0.12)
    # Not exactly: experts learn from it, whose own level counts beside that of Pareto/NBD.
    assert abs(level(elsewhere) - level(usual)) < 0.15 * missed
