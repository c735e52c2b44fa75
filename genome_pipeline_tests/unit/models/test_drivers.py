from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models import drivers
from genome_pipeline.models.drivers import (
    PURCHASE_RATE,
    SILENCE,
    TERMS,
    Explanation,
    Link,
    describe,
    explain,
    explain_customers,
    no_terms,
)
from genome_pipeline_tests.support.populations import customers


def explained(features: pd.DataFrame, prediction: str = "expected_spend", sign: float = 1.0) -> dict[str, Explanation]:
    """Contributions are the numbers of two genes, halved, and the base 10."""
    contributions = np.zeros((len(features), len(TERMS)))
    contributions[:, TERMS.index(SILENCE)] = -sign * features["days_since_last_order"] / 2
    contributions[:, TERMS.index("recent_spend_amount")] = features["recent_spend_amount"] / 2
    return {prediction: Explanation(10.0, contributions)}


def rows_of(
    features: pd.DataFrame,
    previous: pd.DataFrame | None = None,
    explain_batch: Callable[[pd.DataFrame], Mapping[str, Explanation]] = explained,
) -> pd.DataFrame:
    return pd.concat(explain_customers(explain_batch, features, previous, "GBP"), ignore_index=True)


def words_of(term: str, features: pd.DataFrame, currency: str = "") -> list[str]:
    return [str(text) for text in describe(term, features, np.arange(len(features)), currency)]


def test_rows_of_customers_known_before_and_new() -> None:
    now = customers(["b", "a"], days_since_last_order=[63, 20], overdue_ratio=1.0, recent_spend_amount=[0.0, 120.5])
    before = customers(["x", "a"], days_since_last_order=[1, 40], recent_spend_amount=[9.0, 20.5])
    found = rows_of(now, before)
    assert found.drop(columns=["as_of", "prediction"]).astype(object).fillna("-").values.tolist() == [
        ["a", 0, "average_customer", 10.0, 0.0, "the average customer"],
        ["a", 1, "recent_spend_amount", 60.25, 50.0, "spent 120.50 GBP in the last 91 days"],
        ["a", 2, "silence", -10.0, 10.0, "last order 20 days ago, usually every 34 days"],
        ["b", 0, "average_customer", 10.0, "-", "the average customer"],
        ["b", 1, "silence", -31.5, "-", "last order 63 days ago, usually every 34 days"],
    ]
    assert set(found["prediction"]) == {"expected_spend"}
    assert tuple(found.columns) == TABLES["customer_drivers"].columns


def test_a_driver_that_adds_nothing_any_more_is_told() -> None:
    now = customers(["a"], days_since_last_order=0, recent_spend_amount=20.0)
    found = rows_of(now, customers(["a"], days_since_last_order=8, recent_spend_amount=20.0))
    changes = dict(zip(found["driver"], found["contribution_change"], strict=True))
    assert changes == {"average_customer": 0.0, "recent_spend_amount": 0.0, SILENCE: 4.0}


def test_terms_beyond_the_fifth_are_the_rest() -> None:
    def steps(features: pd.DataFrame) -> dict[str, Explanation]:
        return {"expected_orders": Explanation(0.5, np.arange(len(TERMS), dtype=float)[np.newaxis] / 1000)}

    found = rows_of(customers(["a"], overdue_ratio=1.0), explain_batch=steps)
    assert found["driver_rank"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert found["driver"].tolist() == ["average_customer", *TERMS[:-6:-1], "everything_else"]
    assert found["contribution"].iloc[-1] == pytest.approx(sum(range(len(TERMS) - 5)) / 1000)
    assert found["explanation"].iloc[-1] == "everything else"


@pytest.mark.parametrize(
    ("prediction", "overdue", "contribution", "is_told"),
    [
        ("expected_spend", 1.6, 21.73, False),  # longer than usual: no reason to expect more
        ("expected_spend", 1.6, -21.73, True),
        ("expected_spend", 1.4, 21.73, True),
        ("expected_spend", 0.4, -21.73, False),  # bought a moment ago: no reason to expect less
        ("expected_spend", 0.4, 21.73, True),
        ("expected_orders", 1.6, 21.73, False),
        ("churn_probability", 1.6, -0.2, False),
        ("churn_probability", 1.6, 0.2, True),
        ("churn_probability", 0.4, 0.2, False),
        ("churn_probability", 0.4, -0.2, True),
        ("churn_probability", np.nan, -0.2, True),  # one purchase day: no usual gap
    ],
)
def test_silence_is_not_told_against_the_customers_own_facts(
    prediction: str, overdue: float, contribution: float, is_told: bool
) -> None:
    """It is part of everything else then, so that contributions still add up."""
    contributions = np.full((1, len(TERMS)), 0.001)
    contributions[:, TERMS.index(SILENCE)] = contribution

    def one(features: pd.DataFrame) -> dict[str, Explanation]:
        return {prediction: Explanation(0.5, contributions)}

    found = rows_of(customers(["a"], overdue_ratio=overdue), explain_batch=one)
    assert (SILENCE in set(found["driver"])) == is_told
    assert found["contribution"].sum() == pytest.approx(0.5 + contributions.sum(), abs=1e-12)


def test_nothing_explained_gives_no_rows() -> None:
    assert list(explain_customers(lambda features: {}, customers(["a"]), customers(["a"]), "GBP")) == []
    assert list(explain_customers(explained, customers([]), None, "GBP")) == []


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = customers(list("abcde"), days_since_last_order=[5, 4, 3, 2, 1], recent_spend_amount=[1.0, 2, 3, 4, 5])
    whole = rows_of(now, now.iloc[1:])
    monkeypatch.setattr(drivers, "BATCH_CUSTOMERS", 2)
    pd.testing.assert_frame_equal(rows_of(now, now.iloc[1:]), whole)


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
        ("last_gap_days", {"last_gap_days": 1}, "", "1 day between the last two purchase days"),
        ("active_year_share", {"active_year_share": 0.5}, "", "bought in 50% of the years since the first order"),
        (
            "year_ago_purchase_day_count",
            {"year_ago_purchase_day_count": 2},
            "",
            "2 purchase days in the 91 days that began a year ago",
        ),
        ("two_years_ago_purchase_day_count", {}, "", "no customer then"),
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
def test_words_of_the_silence(since: int, gap: float | None, words: str) -> None:
    assert words_of(SILENCE, customers(["a"], days_since_last_order=since, order_gap_mean_days=gap)) == [words]


def test_words_of_the_rate() -> None:
    features = customers(["a", "b"], purchase_day_count=[1, 1_200], t_days=[1, 1_300])
    assert words_of(PURCHASE_RATE, features) == ["1 purchase day in 1 day", "1,200 purchase days in 1,300 days"]


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
    nullable = [name for name, gene in GENES.items() if gene.column.is_nullable]
    unknown = dict.fromkeys([name for name in nullable if name.startswith(("order_", "overdue"))], None)
    words = [text for gene in unknown for text in words_of(gene, customers(["a"], **unknown))]
    assert len(set(words)) == len(words) == 5


def of_terms(*scores: dict[str, float], constant: float = 0.0) -> list[np.ndarray]:
    """Terms of one customer, which are 0 but for those given."""
    found = []
    for score in scores:
        terms = no_terms(1)
        terms[:, -1] = constant
        for name, value in score.items():
            terms[0, TERMS.index(name)] = value
        found.append(terms)
    return found


ZERO = np.zeros(len(TERMS) + 1)


def test_one_term_makes_all_of_the_difference() -> None:
    """From even odds to three to one that they buy."""
    found = explain(of_terms({"t_days": np.log(3)}), [ZERO], Link.CHURN)
    assert found.base == pytest.approx(0.5)
    assert found.contributions[0, TERMS.index("t_days")] == pytest.approx(-0.25)
    assert np.count_nonzero(found.contributions) == 1


def test_two_terms_of_one_score_share_the_difference() -> None:
    found = explain(of_terms({"t_days": np.log(9), "weekend_share": -np.log(3)}), [ZERO], Link.CHURN)
    assert found.contributions[0, TERMS.index("t_days")] == pytest.approx(-0.5)
    assert found.contributions[0, TERMS.index("weekend_share")] == pytest.approx(0.25)


def test_spend_is_chance_times_days_times_amount() -> None:
    """Half buy, on two days, for 1; 20 times the amount alone adds 19."""
    found = explain(of_terms({}, {}, {"return_share": np.log(20)}), [ZERO, ZERO, ZERO], Link.SPEND)
    assert found.base == pytest.approx(0.5 * 2)
    assert found.contributions[0, TERMS.index("return_share")] == pytest.approx(19)
    orders = explain(of_terms({}, {"return_share": np.log(4)}), [ZERO, ZERO], Link.ORDERS)
    assert (orders.base, orders.contributions.sum()) == pytest.approx((1.0, 1.5))


def test_genes_that_say_the_same_as_the_history_are_told_with_it() -> None:
    terms = of_terms({"days_since_last_order": -1.0, SILENCE: -2.0, "order_count": 0.5, PURCHASE_RATE: 0.25})
    found = explain(terms, [ZERO], Link.CHURN).contributions[0]
    assert set(np.flatnonzero(found)) == {TERMS.index(SILENCE), TERMS.index(PURCHASE_RATE)}
    assert found.sum() == pytest.approx(expit(2.25) - 0.5)
    assert found[TERMS.index(SILENCE)] / found[TERMS.index(PURCHASE_RATE)] == pytest.approx(-4)


@settings(max_examples=150, deadline=None)
@given(
    terms=arrays(np.float64, (3, 4, len(TERMS) + 1), elements=st.floats(-0.5, 0.5)),
    constants=st.tuples(*[st.floats(-3, 3)] * 3),
    link=st.sampled_from(Link),
)
def test_contributions_add_up_for_any_terms(
    terms: np.ndarray, constants: tuple[float, float, float], link: Link
) -> None:
    terms[:, :, -1] = np.array(constants)[:, np.newaxis]
    scores = [*terms[: link.value]]
    found = explain([rows[1:] for rows in scores], [rows[0] for rows in scores], link)
    ends = link.value_at([rows.sum(axis=1) for rows in scores])
    assert found.base == pytest.approx(ends[0])
    np.testing.assert_allclose(found.base + found.contributions.sum(axis=1), ends[1:], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("link", Link)
def test_slopes_are_those_of_the_prediction(link: Link) -> None:
    scores = [np.array([0.3, -2.0]), np.array([-1.0, 0.5]), np.array([2.0, 3.0])][: link.value]
    for place, slope in enumerate(link.slopes_at(scores)):
        above, below = (
            link.value_at([s + step * (i == place) for i, s in enumerate(scores)]) for step in (1e-6, -1e-6)
        )
        assert slope == pytest.approx((above - below) / 2e-6, rel=1e-6)


@pytest.mark.parametrize("link", Link)
def test_the_average_customer_has_no_contributions(link: Link) -> None:
    terms = np.full((1, len(TERMS) + 1), 0.25)
    found = explain([terms] * link.value, [terms[0]] * link.value, link)
    assert not found.contributions.any()
