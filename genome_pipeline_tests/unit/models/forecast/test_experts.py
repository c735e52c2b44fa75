import json
from datetime import timedelta

import numpy as np
import pytest

from genome_pipeline.models.drivers import PURCHASE_RATE, SILENCE, TERMS
from genome_pipeline.models.forecast.experts import (
    BtydActivity,
    BtydOrders,
    Training,
    fit_activity,
    fit_orders,
    load_expert,
)
from genome_pipeline_tests.support.histories import HORIZON_DAYS, START, history

NOW = START + timedelta(days=390)
LOG = history(size=300)
FITS = {"activity": fit_activity, "orders": fit_orders}


@pytest.fixture(scope="module")
def training() -> Training:
    return Training.at(LOG.labelled(NOW), NOW, HORIZON_DAYS)


def test_outcomes_over_the_horizon_and_half_of_it_are_kept_apart(training: Training) -> None:
    assert {one.horizon_days for one in training.whole} == {90}
    assert {one.horizon_days for one in training.half} == {45}
    then = Training.at(LOG.labelled(NOW), NOW - timedelta(days=90), HORIZON_DAYS)
    for one in (*then.whole, *then.half):
        assert one.as_of + timedelta(days=one.horizon_days) <= NOW - timedelta(days=90)


@pytest.mark.parametrize("target", FITS)
def test_terms_add_up_and_parameters_come_back(target: str, training: Training) -> None:
    features = LOG.features(NOW)
    experts, missing = FITS[target](features, training, 0)
    assert missing == {}
    assert len(experts) == {"activity": 5, "orders": 3}[target]
    for name, expert in experts.items():
        said = expert.linear(features, HORIZON_DAYS)
        assert np.isfinite(said).all()
        np.testing.assert_allclose(expert.terms(features, HORIZON_DAYS).sum(axis=1), said, rtol=1e-9, atol=1e-9)
        again = load_expert(name, target, json.loads(json.dumps(expert.parameters())))
        assert type(again) is type(expert)
        assert np.array_equal(again.linear(features, HORIZON_DAYS), said)


@pytest.mark.parametrize("target", FITS)
def test_without_outcomes_there_is_pareto_nbd(target: str) -> None:
    experts, missing = FITS[target](LOG.features(NOW), Training((), ()), 0)
    assert [*experts] == ["btyd"]
    assert set(missing.values()) == {"no snapshot with enough customers had matured early enough to train on"}


def test_pareto_nbd_says_its_own_probability_and_orders() -> None:
    features = LOG.features(NOW)
    activity, orders = (fit(features, Training((), ()), 0).experts["btyd"] for fit in (fit_activity, fit_orders))
    assert isinstance(activity, BtydActivity)
    assert isinstance(orders, BtydOrders)
    history_ = features["frequency_count"], features["recency_days"], features["t_days"]
    buys = activity.purchases.purchase_probability(*history_, HORIZON_DAYS)
    expected = orders.purchases.expected_purchases(*history_, HORIZON_DAYS)
    p = 1 / (1 + np.exp(-activity.linear(features, HORIZON_DAYS)))
    np.testing.assert_allclose(p, buys, rtol=1e-5, atol=1e-6)
    m = 1 + np.exp(orders.linear(features, HORIZON_DAYS))
    is_usual = expected / np.maximum(buys, 1e-6) > 1.01
    assert is_usual.mean() > 0.5
    np.testing.assert_allclose((m * p)[is_usual], expected[is_usual], rtol=1e-5, atol=1e-6)


def test_silence_takes_from_the_rate_and_never_adds() -> None:
    features = LOG.features(NOW)
    terms = fit_activity(features, Training((), ()), 0).experts["btyd"].terms(features, HORIZON_DAYS)
    silence, rate = terms[:, TERMS.index(SILENCE)], terms[:, TERMS.index(PURCHASE_RATE)]
    assert (silence <= 1e-9).all()
    assert silence.min() < -1
    assert np.unique(rate).size > 10
