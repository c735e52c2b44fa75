import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.models.forecast.amounts import Amounts, MeanAmount
from genome_pipeline.models.not_enough_data import NotEnoughData
from genome_pipeline.models.snapshots import LabelledSnapshot
from genome_pipeline_tests.support.histories import HORIZON_DAYS, START, history
from genome_pipeline_tests.support.populations import customers

NOW = START + timedelta(days=390)
MEAN = MeanAmount(mean=50.0, k=2.0, largest=100.0)


def spent(amounts: list[float], days: int | list[int] = 2, ratio: float = 0.0) -> pd.DataFrame:
    """Customers who spent so much in all; order amounts vary by ``ratio`` of their mean."""
    return customers(
        [f"c{number:04d}" for number in range(len(amounts))],
        purchase_day_count=days,
        spend_amount=amounts,
        average_order_value_amount=20.0,
        order_value_std_amount=20.0 * ratio,
    )


def test_the_own_mean_is_shrunk_to_that_of_all() -> None:
    """Two purchase days count as much as the mean of all where k is 2."""
    assert MEAN.predict(spent([200.0, 100.0, 20.0])).tolist() == [75.0, 50.0, 30.0]
    assert MEAN.predict(spent([600.0], days=6)).tolist() == [(600 + 100) / 8]


def test_who_returned_more_than_they_bought_spent_nothing_and_the_unknown_spend_as_all() -> None:
    assert MEAN.predict(spent([-5.0, 0.0, np.nan])).tolist() == [25.0, 25.0, 50.0]


def test_credibility_comes_from_the_logarithms() -> None:
    """Means of 10 and 1,000, two days each; orders vary by a ratio whose variance in the logarithm is .4."""
    found = MeanAmount.fit(spent([20.0] * 10 + [2_000.0] * 10, ratio=float(np.sqrt(np.expm1(0.4)))))
    between = np.log(10) ** 2 - 0.4 / 2
    assert found.k == pytest.approx(np.exp(between) * np.expm1(0.4) / np.expm1(between))
    assert (found.mean, found.largest) == (505.0, 1_000.0)


def test_the_mean_of_all_is_that_of_purchase_days_and_not_of_customers() -> None:
    assert MeanAmount.fit(spent([10.0, 90.0], days=[1, 3])).mean == 25.0


def test_customers_who_spend_alike_are_told_apart_by_little() -> None:
    """The variance between them is taken to be .02: own means count as one of about 25 purchase days."""
    found = MeanAmount.fit(spent([100.0] * 20, ratio=float(np.sqrt(np.expm1(0.5)))))
    assert found.k == pytest.approx(np.exp(0.02) * np.expm1(0.5) / np.expm1(0.02))


def test_where_nobody_bought_twice_amounts_are_taken_to_vary_as_usual() -> None:
    found = MeanAmount.fit(spent([1.0] * 10 + [100.0] * 10, days=1, ratio=9.0))
    between = np.log(10) ** 2 - 0.5
    assert found.k == pytest.approx(np.exp(between) * np.expm1(0.5) / np.expm1(between))


def test_few_customers_are_half_believed_at_their_first_purchase() -> None:
    assert MeanAmount.fit(spent([20.0] * 5 + [2_000.0] * 4)).k == 1.0


def test_amounts_that_are_missing_or_nothing() -> None:
    with pytest.raises(NotEnoughData, match="no amounts in the source"):
        MeanAmount.fit(spent([np.nan] * 30))
    with pytest.raises(NotEnoughData, match="nothing was spent"):
        MeanAmount.fit(spent([0.0] * 30))
    with pytest.raises(NotEnoughData, match="nothing was spent"):
        MeanAmount.fit(spent([-3.0] * 30))


def test_amounts_known_of_some_are_learned_from_those() -> None:
    found = MeanAmount.fit(spent([np.nan] * 30 + [100.0] * 30))
    assert found.mean == 50.0
    assert found.predict(spent([np.nan])) == pytest.approx([50.0])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("deviation", [0.5, 1.0, 1.3, 2.0])
def test_heavy_tails_have_a_sane_total(deviation: float, seed: int) -> None:
    """Half of the variance of the logarithm is between customers. Gamma-Gamma said up to 79,505 times too much."""
    generator = np.random.default_rng(seed)
    size = 2_000
    days = 1 + generator.poisson(1.5, size)
    scale = generator.normal(3, deviation / np.sqrt(2), size)
    past = [np.exp(scale[i] + generator.normal(0, deviation / np.sqrt(2), days[i])) for i in range(size)]
    features = customers(
        [f"c{number:04d}" for number in range(size)],
        purchase_day_count=days,
        spend_amount=[each.sum() for each in past],
        average_order_value_amount=[each.mean() for each in past],
        order_value_std_amount=[each.std(ddof=1) if len(each) > 1 else np.nan for each in past],
    )
    to_come = np.exp(scale + generator.normal(0, deviation / np.sqrt(2), (3, size))).sum()
    amounts = MeanAmount.fit(features).predict(features)
    assert abs(np.log(3 * amounts.sum() / to_come)) < np.log(1.5)
    assert amounts.max() <= max(each.mean() for each in past)
    assert amounts.min() > 0


@pytest.fixture(scope="module")
def boosted() -> Amounts:
    learned = [one for one in history().labelled(NOW) if one.horizon_days == HORIZON_DAYS]
    return Amounts.fit(history().features(NOW), learned, seed=0)


def test_boosting_corrects_the_mean_within_bounds(boosted: Amounts) -> None:
    features = history().features(NOW)
    mean, found = boosted.mean.predict(features), boosted.predict(features)
    assert boosted.boosting is not None
    assert np.abs(np.log(found / mean)).max() <= np.log(4.0) + 1e-12
    assert np.abs(np.log(found / mean)).max() > 0.01
    assert found.max() <= boosted.mean.largest


def test_nobody_is_expected_to_spend_more_a_day_than_anyone_did(boosted: Amounts) -> None:
    features = history().features(NOW)
    bound = float(np.quantile(boosted.predict(features), 0.5))
    bounded = Amounts(MeanAmount(boosted.mean.mean, boosted.mean.k, bound), boosted.boosting)
    assert bounded.predict(features).max() == pytest.approx(bound)


def test_terms_add_up_to_the_logarithm(boosted: Amounts) -> None:
    features = history().features(NOW)
    low = Amounts(MeanAmount(boosted.mean.mean, boosted.mean.k, 40.0), boosted.boosting)
    for amounts in (boosted, low, Amounts(boosted.mean, None)):
        np.testing.assert_allclose(amounts.terms(features).sum(axis=1), amounts.linear(features), atol=1e-12)


def test_without_spend_in_the_horizons_there_is_no_correction() -> None:
    (one, *_) = [one for one in history().labelled(NOW) if one.horizon_days == HORIZON_DAYS]
    features = history().features(NOW)
    for spend in (0.0, np.nan, -5.0):
        outcomes = one.outcomes.assign(actual_spend=spend)
        learned = [LabelledSnapshot(one.as_of, one.horizon_days, one.features, outcomes)]
        assert Amounts.fit(features, learned, seed=0).boosting is None
    assert Amounts.fit(features, [], seed=0).boosting is None


def test_they_come_back_from_json(boosted: Amounts) -> None:
    features = history().features(NOW)
    for amounts in (boosted, Amounts(MEAN, None)):
        again = Amounts.from_dict(json.loads(json.dumps(amounts.to_dict())))
        assert again.predict(features).tolist() == amounts.predict(features).tolist()
