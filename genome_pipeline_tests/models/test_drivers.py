from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from genome_pipeline.contracts.tables import NULLABLE_GENES, TABLES
from genome_pipeline.models import drivers
from genome_pipeline.models.drivers import HISTORY, TERMS, Explanation, Floats, describe, explain, explain_customers
from genome_pipeline.models.risk import NaiveRisk, RiskModel, fit_risk_model
from genome_pipeline.models.value import NaiveValue, ValueModel, fit_value_model
from genome_pipeline_tests.models.histories import HORIZON_DAYS, START, history
from genome_pipeline_tests.models.populations import assert_keeps_contract, customers

NOW = START + timedelta(days=390)
BEFORE = START + timedelta(days=360)


@dataclass
class Additive:
    """A model whose contributions are the numbers of two genes, halved, and the base 10."""

    prediction: str = "expected_spend"

    def explain(self, features: pd.DataFrame) -> Mapping[str, Explanation]:
        contributions = np.zeros((len(features), len(TERMS)))
        contributions[:, TERMS.index(HISTORY)] = -features["days_since_last_order"] / 2
        contributions[:, TERMS.index("recent_spend_amount")] = features["recent_spend_amount"] / 2
        return {self.prediction: Explanation(10.0, contributions)}


class Abstaining:
    def explain(self, features: pd.DataFrame) -> Mapping[str, Explanation]:
        return {}


def rows_of(
    model: drivers.Explainable, features: pd.DataFrame, previous: pd.DataFrame | None = None, currency: str = "GBP"
) -> pd.DataFrame:
    return pd.concat(explain_customers([model], features, previous, currency), ignore_index=True)


def words_of(term: str, features: pd.DataFrame, currency: str = "") -> list[str]:
    return [str(text) for text in describe(term, features, np.arange(len(features)), currency)]


def test_rows_of_customers_known_before_and_new() -> None:
    now = customers(["b", "a"], days_since_last_order=[63, 10], recent_spend_amount=[0.0, 120.5])
    before = customers(["x", "a"], days_since_last_order=[1, 40], recent_spend_amount=[9.0, 20.5])
    found = rows_of(Additive(), now, before)
    assert found.drop(columns=["as_of", "prediction"]).astype(object).fillna("-").values.tolist() == [
        ["a", 0, "average_customer", 10.0, 0.0, "the average customer"],
        ["a", 1, "recent_spend_amount", 60.25, 50.0, "spent 120.50 GBP in the last 91 days"],
        ["a", 2, "purchase_history", -5.0, 15.0, "last order 10 days ago, usually every 34 days"],
        ["b", 0, "average_customer", 10.0, "-", "the average customer"],
        ["b", 1, "purchase_history", -31.5, "-", "last order 63 days ago, usually every 34 days"],
    ]
    assert set(found["prediction"]) == {"expected_spend"}
    assert tuple(found.columns) == TABLES["customer_drivers"].columns


def test_a_driver_that_adds_nothing_any_more_is_told() -> None:
    now = customers(["a"], days_since_last_order=0, recent_spend_amount=20.0)
    found = rows_of(Additive(), now, customers(["a"], days_since_last_order=8, recent_spend_amount=20.0))
    changes = dict(zip(found["driver"], found["contribution_change"], strict=True))
    assert changes == {"average_customer": 0.0, "recent_spend_amount": 0.0, HISTORY: 4.0}


def test_terms_beyond_the_fifth_are_the_rest() -> None:
    class Steps:
        def explain(self, features: pd.DataFrame) -> Mapping[str, Explanation]:
            return {"churn_probability": Explanation(0.5, np.arange(len(TERMS), dtype=float)[np.newaxis] / 1000)}

    found = rows_of(Steps(), customers(["a"]))
    assert found["driver_rank"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert found["driver"].tolist() == ["average_customer", *TERMS[:-6:-1], "everything_else"]
    assert found["contribution"].iloc[-1] == pytest.approx(sum(range(len(TERMS) - 5)) / 1000)
    assert found["explanation"].iloc[-1] == "everything else"


def test_a_model_that_abstains_gives_no_rows() -> None:
    assert list(explain_customers([Abstaining()], customers(["a"]), customers(["a"]), "GBP")) == []
    assert list(explain_customers([Additive()], customers([]), None, "GBP")) == []


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = customers(list("abcde"), days_since_last_order=[5, 4, 3, 2, 1], recent_spend_amount=[1.0, 2, 3, 4, 5])
    whole = rows_of(Additive(), now, now.iloc[1:])
    monkeypatch.setattr(drivers, "BATCH_CUSTOMERS", 2)
    pd.testing.assert_frame_equal(rows_of(Additive(), now, now.iloc[1:]), whole)


@pytest.mark.parametrize(
    ("term", "columns", "currency", "words"),
    [
        ("recent_spend_amount", {"recent_spend_amount": 1120.5}, "GBP", "spent 1,120.50 GBP in the last 91 days"),
        ("recent_spend_amount", {"recent_spend_amount": 120.5}, "", "spent 120.50 in the last 91 days"),
        ("previous_spend_amount", {"previous_spend_amount": -0.001}, "", "spent 0.00 from 182 to 91 days ago"),
        ("monetary_value_amount", {"monetary_value_amount": None}, "GBP", "no repeat purchase day"),
        ("order_count", {"order_count": 1}, "", "1 order so far"),
        ("order_count", {"order_count": 1234}, "", "1,234 orders so far"),
        ("items_per_order_count", {"items_per_order_count": 2.25}, "", "2.2 items an order"),
        ("overdue_ratio", {"overdue_ratio": 3.04}, "", "3.0 times the usual gap since the last order"),
        ("weekend_share", {"weekend_share": 0.305}, "", "30% of purchase days at weekends"),
        ("momentum_share", {"momentum_share": None}, "", "no purchase day in the last 182 days"),
        ("return_share", {"return_share": 1.5}, "", "returned 150% of what was bought"),
    ],
)  # fmt: skip
def test_words(term: str, columns: dict[str, object], currency: str, words: str) -> None:
    assert words_of(term, customers(["a"], **columns), currency) == [words]


@pytest.mark.parametrize(
    ("since", "gap", "words"),
    [
        (63, 21.4, "last order 63 days ago, usually every 21 days"),
        (1, 1.0, "last order 1 day ago, usually every day"),
        (63, None, "one purchase day, 63 days ago"),
    ],
)
def test_words_of_the_purchase_history(since: int, gap: float | None, words: str) -> None:
    features = customers(["a"], days_since_last_order=since, order_gap_mean_days=gap)
    assert words_of(HISTORY, features) == [words]


def test_each_customer_gets_the_words_of_their_own_numbers() -> None:
    features = customers(list("abc"), order_count=[7, 1, 7])
    assert words_of("order_count", features) == ["7 orders so far", "1 order so far", "7 orders so far"]
    assert describe("order_count", features, np.array([1, 0]), "").tolist() == ["1 order so far", "7 orders so far"]


@pytest.mark.parametrize("term", TERMS)
def test_every_term_has_words(term: str) -> None:
    (words,) = words_of(term, customers(["a"]), "EUR")
    assert words
    assert "{" not in words


def test_no_two_terms_are_told_alike_of_a_customer_of_one_day() -> None:
    unknown = dict.fromkeys([gene for gene in NULLABLE_GENES if gene.startswith(("order_", "overdue"))], None)
    words = [text for gene in unknown for text in words_of(gene, customers(["a"], **unknown))]
    assert len(set(words)) == len(words) == 5


_LINKS: dict[str, Callable[[Floats], Floats]] = {"identity": lambda score: score, "exp": np.exp, "expit": expit}


@settings(max_examples=200, deadline=None)
@given(
    terms=arrays(np.float64, (5, len(TERMS) + 1), elements=st.floats(-0.5, 0.5)),
    constant=st.floats(-3, 3),
    link=st.sampled_from(sorted(_LINKS)),
)
def test_contributions_add_up_for_any_terms(terms: np.ndarray, constant: float, link: str) -> None:
    inverse = _LINKS[link]
    terms[:, -1] = constant
    found = explain(terms[1:], terms[0], inverse)
    assert found.base == pytest.approx(inverse(terms[:1].sum(axis=1))[0])
    np.testing.assert_allclose(found.base + found.contributions.sum(axis=1), inverse(terms[1:].sum(axis=1)), atol=1e-6)


def test_the_average_customer_has_no_contributions() -> None:
    terms = np.full((1, len(TERMS) + 1), 0.25)
    found = explain(terms, terms[0], expit)
    assert not found.contributions.any()


@pytest.fixture(scope="module")
def risk() -> RiskModel:
    return fit_risk_model(history().features(NOW), history().labelled(NOW), HORIZON_DAYS, seed=0)


@pytest.fixture(scope="module")
def value() -> ValueModel:
    return fit_value_model(history().features(NOW), history().labelled(NOW), HORIZON_DAYS, 0.8, seed=0)


def assert_adds_up(model: RiskModel | ValueModel, features: pd.DataFrame, previous: pd.DataFrame) -> pd.DataFrame:
    """Contributions of each customer add up to the prediction, and changes to how it moved; returns the rows."""
    found = rows_of(model, features, previous)
    assert_keeps_contract("customer_drivers", found)
    now, then = (model.predict(frame).set_index("customer_id") for frame in (features, previous))
    for prediction, rows in found.groupby("prediction", observed=True):
        by_customer = rows.groupby("customer_id")
        predicted = now[prediction]
        assert set(rows["customer_id"]) == set(predicted.index)
        assert (by_customer["contribution"].sum() - predicted).abs().max() < 1e-6
        moved = (predicted - then[prediction]).dropna()
        changed = by_customer["contribution_change"].sum(min_count=1).dropna()
        assert set(changed.index) == set(moved.index)
        assert (changed - moved).abs().max() < 1e-6
    return found


def test_drivers_of_the_fitted_models_add_up(risk: RiskModel, value: ValueModel) -> None:
    now, before = history().features(NOW), history().features(BEFORE).iloc[:500]
    for model, prediction in ((risk, "churn_probability"), (value, "expected_spend")):
        found = assert_adds_up(model, now, before)
        assert set(found["prediction"]) == {prediction}
        assert found["contribution_change"].isna().any()


def test_drivers_of_btyd_are_the_history_and_the_amounts() -> None:
    now, before = history().features(NOW), history().features(BEFORE)
    risk = assert_adds_up(fit_risk_model(now, [], HORIZON_DAYS, seed=0), now, before)
    value = assert_adds_up(fit_value_model(now, [], HORIZON_DAYS, 0.8, seed=0), now, before)
    assert set(risk["driver"]) == {"average_customer", HISTORY}
    assert set(value["driver"]) == {"average_customer", HISTORY, "monetary_value_amount"}


def test_drivers_of_the_naive_baseline_are_the_recent_window(risk: RiskModel, value: ValueModel) -> None:
    now, before = history().features(NOW), history().features(BEFORE)
    reference = NaiveRisk().terms(now, HORIZON_DAYS).mean(axis=0)
    references = {"naive": NaiveValue().terms(now, HORIZON_DAYS).mean(axis=1)}
    naive_risk = replace(risk, parts={"naive": NaiveRisk()}, reference=reference)
    naive_value = replace(
        value, parts={"naive": NaiveValue()}, levels={"naive": np.array([1.0, 1.5])}, references=references
    )
    found = assert_adds_up(naive_risk, now, before), assert_adds_up(naive_value, now, before)
    assert [set(rows["driver"]) - {"average_customer"} for rows in found] == [
        {"recent_purchase_day_count"},
        {"recent_spend_amount"},
    ]


def test_without_amounts_orders_are_explained() -> None:
    now = history().features(NOW)
    amounts = [column for column in now.columns if column.endswith("_amount")]
    now[amounts] = np.nan
    found = assert_adds_up(fit_value_model(now, [], HORIZON_DAYS, 0.8, seed=0), now, now.iloc[:10])
    assert set(found["prediction"]) == {"expected_orders"}


def test_models_of_too_few_customers_give_no_rows() -> None:
    few = customers([str(number) for number in range(29)])
    models = fit_risk_model(few, [], HORIZON_DAYS, seed=0), fit_value_model(few, [], HORIZON_DAYS, 0.8, seed=0)
    assert list(explain_customers(models, few, few, "GBP")) == []
