"""The next categories, on customers whose tastes are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.contracts.tables.taste import NEXT_CATEGORIES
from genome_pipeline.models.categories.candidates import candidates
from genome_pipeline.models.categories.histories import Histories, LabelledHistories
from genome_pipeline.models.categories.market import Market
from genome_pipeline.models.categories.next_category import (
    NO_CATEGORIES,
    NOTHING_MATURED,
    Calibration,
    NextCategoryModel,
    fit_next_category,
)

AS_OF = date(2020, 6, 1)
LISTS = ("categories", "counts", "recent_counts", "previous_counts", "first_days", "last_days")

Own = Mapping[str, tuple[int, int, int]]
"""Category -> purchase days, days since the first and since the last."""


def frame(customers: Mapping[str, Own], as_of: date = AS_OF, churn: float | None = 0.5) -> pd.DataFrame:
    """Histories of customers; what was bought within 30 days counts as recent, 60 as previous."""
    rows: list[dict[str, Any]] = []
    for name, own in customers.items():
        ordered = sorted(own.items(), key=lambda each: (-each[1][0], each[1][2], each[0]))
        counts = [facts[0] for _, facts in ordered]
        recent = [count if facts[2] <= 30 else 0 for count, (_, facts) in zip(counts, ordered, strict=True)]
        previous = [count if 30 < facts[2] <= 60 else 0 for count, (_, facts) in zip(counts, ordered, strict=True)]
        lists = ([each for each, _ in ordered], counts, recent, previous)
        days = ([facts[1] for _, facts in ordered], [facts[2] for _, facts in ordered])
        rows.append(
            {
                "as_of": as_of,
                "customer_id": name,
                "purchase_day_count": max(counts, default=1),
                "recent_purchase_day_count": max(recent, default=0),
                "t_days": max(days[0], default=90),
                "days_since_last_order": min(days[1], default=90),
                "churn_probability": churn,
                "abstain_reason": None if churn is not None else "no level",
                **{list_: values or None for list_, values in zip(LISTS, (*lists, *days), strict=True)},
            }
        )
    return pd.DataFrame(rows)


def shoppers(count: int, seed: int, as_of: date) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Customers who buy bread weekly and one of two pairs of things that go together; and what they buy next.

    Of a pair, the other thing is bought next in nine of ten cases; one customer in three never had it.
    """
    generator = np.random.default_rng(seed)
    customers: dict[str, Own] = {}
    bought: list[dict[str, Any]] = []
    for number in range(count):
        one, other = (("tea", "honey"), ("beer", "crisps"))[number % 2]
        own = {"bread": (10, 90, 5), one: (3, 80, 20)}
        if generator.random() > 1 / 3:
            own[other] = (1, 70, 70)
        customers[f"c{number:04d}"] = own
        if generator.random() < 0.8:
            next_ = ["bread", *([other] if generator.random() < 0.9 else [])]
            bought.append({"customer_id": f"c{number:04d}", "categories": sorted(next_)})
    return frame(customers, as_of), pd.DataFrame(bought)


def labelled(*dates: date, count: int = 300) -> list[LabelledHistories]:
    made = [(day, *shoppers(count, seed, day)) for seed, day in enumerate(dates)]
    return [LabelledHistories(day, Histories.of(histories), bought) for day, histories, bought in made]


@pytest.fixture(scope="module")
def fitted() -> tuple[NextCategoryModel, pd.DataFrame]:
    current, _ = shoppers(400, 9, AS_OF)
    return fit_next_category(Histories.of(current), labelled(date(2020, 3, 1), date(2020, 4, 1)), 1), current


def listed(rows: pd.DataFrame, customer: str) -> list[str]:
    return rows.loc[rows["customer_id"] == customer, "category"].tolist()


def test_what_goes_with_the_customers_own_is_found_although_they_never_bought_it(
    fitted: tuple[NextCategoryModel, pd.DataFrame],
) -> None:
    model, current = fitted
    rows = model.predict(current)
    pairs = zip(current["customer_id"], current["categories"], strict=True)
    without = [str(customer) for customer, own in pairs if set(own) == {"bread", "tea"}]
    assert len(without) > 40
    assert all(listed(rows, customer)[:2] == ["bread", "honey"] for customer in without)


def test_probabilities_are_those_that_come_true_and_below_that_of_a_purchase(
    fitted: tuple[NextCategoryModel, pd.DataFrame],
) -> None:
    model, current = fitted
    rows = model.predict(current)
    bread = rows.loc[rows["category"] == "bread", "category_probability"]
    pair = rows.loc[rows["category"].isin(["honey", "crisps"]) & (rows["next_category_rank"] == 2)]
    assert bread.to_numpy(float) == pytest.approx(0.5, abs=0.02)
    assert pair["category_probability"].mean() == pytest.approx(0.45, abs=0.03)
    assert (rows["category_probability"] <= 0.5).all()
    assert rows["abstain_reason"].isna().all()


def test_ranks_follow_one_another_and_probabilities_fall(fitted: tuple[NextCategoryModel, pd.DataFrame]) -> None:
    model, current = fitted
    rows = model.predict(current)
    assert list(rows.columns) == list(TABLES["customer_next_category"].columns)
    for _, own in rows.groupby("customer_id"):
        assert own["next_category_rank"].tolist() == [*range(1, len(own) + 1)]
        assert own["category"].is_unique
        assert own["category_probability"].is_monotonic_decreasing


def test_a_stored_model_tells_the_same_in_any_order_and_batch(fitted: tuple[NextCategoryModel, pd.DataFrame]) -> None:
    model, current = fitted
    restored = NextCategoryModel.from_bytes(model.to_bytes())
    whole = model.predict(current)
    shuffled = restored.predict(current.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(whole, shuffled)
    parts = pd.concat([restored.predict(current.iloc[:77]), restored.predict(current.iloc[77:])], ignore_index=True)
    pd.testing.assert_frame_equal(whole, parts)
    pd.testing.assert_frame_equal(restored.candidates(AS_OF), model.candidates(AS_OF))


def test_the_model_says_what_it_rests_on(fitted: tuple[NextCategoryModel, pd.DataFrame]) -> None:
    (row,) = fitted[0].candidates(AS_OF).to_dict("records")
    assert (row["selection_as_of"], row["training_snapshot_count"]) == (date(2020, 4, 1), 1)
    assert row["recall_at_ten_share"] == 1
    assert 0.6 < row["own_recall_at_ten_share"] < 0.95


def test_a_single_matured_snapshot_trains_and_calibrates_by_halves() -> None:
    current, _ = shoppers(50, 9, AS_OF)
    model = fit_next_category(Histories.of(current), labelled(date(2020, 4, 1)), 1)
    bread = model.predict(current).query("category == 'bread'")["category_probability"]
    assert bread.to_numpy(float) == pytest.approx(0.5, abs=0.03)


def test_without_a_matured_snapshot_the_customers_own_frequency_ranks() -> None:
    current = frame({"ann": {"tea": (2, 50, 9), "bread": (2, 50, 9), "jam": (2, 50, 4), "oil": (5, 50, 30)}})
    few = labelled(date(2020, 4, 1), count=29)
    for known in ([], few):
        rows = fit_next_category(Histories.of(current), known, 1).predict(current)
        assert rows["category"].tolist() == ["oil", "jam", "bread", "tea"]
        assert rows["category_probability"].isna().all()
        assert set(rows["abstain_reason"]) == {NOTHING_MATURED}


def test_where_the_forecast_is_withheld_so_is_the_probability_with_its_reason(
    fitted: tuple[NextCategoryModel, pd.DataFrame],
) -> None:
    model, current = fitted
    rows = model.predict(current.assign(churn_probability=np.nan, abstain_reason="no level"))
    assert rows["category"].tolist() == model.predict(current)["category"].tolist()
    assert rows["category_probability"].isna().all()
    assert set(rows["abstain_reason"]) == {"no level"}


def test_the_reorder_date_follows_the_mean_gap_while_the_rhythm_lasts() -> None:
    own = {"weekly": (11, 75, 5), "due": (4, 40, 10), "late": (3, 40, 14), "lost": (3, 70, 60), "twice": (2, 20, 10)}
    current = frame({"ann": own})
    rows = fit_next_category(Histories.of(current), [], 1).predict(current).set_index("category")
    assert rows["last_order_date"].dt.date["weekly"] == date(2020, 5, 27)
    assert rows["reorder_date"].dt.date["weekly"] == date(2020, 6, 3)  # 70 days, ten gaps, five days ago
    assert rows["reorder_date"].dt.date["due"] == AS_OF
    assert rows["reorder_date"].dt.date["late"] == AS_OF
    assert rows["reorder_date"][["lost", "twice"]].isna().all()


def test_one_category_alone_is_a_single_row_and_its_probability_that_of_a_purchase() -> None:
    day = date(2020, 4, 1)
    customers: dict[str, Own] = {f"c{number:02d}": {"all": (2, 40, 20)} for number in range(60)}
    bought = pd.DataFrame({"customer_id": [*customers][:40], "categories": [["all"]] * 40})
    known = [LabelledHistories(day, Histories.of(frame(customers, day)), bought)]
    rows = fit_next_category(Histories.of(frame(customers)), known, 1).predict(frame(customers))
    assert len(rows) == 60
    assert rows["category_probability"].to_numpy(float) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
def test_without_categories_there_are_no_rows(nothing: Any) -> None:
    day = date(2020, 4, 1)
    customers: dict[str, Own] = {f"c{number:02d}": {} for number in range(60)}
    bought = pd.DataFrame({"customer_id": [*customers], "categories": [nothing] * 60})
    lists = dict.fromkeys(LISTS, pd.Series([nothing] * 60, dtype=object))
    earlier, current = frame(customers, day).assign(**lists), frame(customers).assign(**lists)
    model = fit_next_category(Histories.of(current), [LabelledHistories(day, Histories.of(earlier), bought)], 1)
    assert model.abstain_reason == NO_CATEGORIES
    assert model.predict(current).empty


def test_a_customer_without_categories_gets_what_is_popular(fitted: tuple[NextCategoryModel, pd.DataFrame]) -> None:
    rows = fitted[0].predict(frame({"new": {}}))
    assert sorted(rows["category"]) == ["beer", "bread", "crisps", "honey", "tea"]
    assert rows["last_order_date"].isna().all()


def test_a_category_that_the_market_does_not_know_is_a_candidate(
    fitted: tuple[NextCategoryModel, pd.DataFrame],
) -> None:
    rows = fitted[0].predict(frame({"ann": {"rare": (30, 90, 1), "bread": (1, 90, 90)}}))
    assert "rare" in listed(rows, "ann")[:2]


def test_of_many_categories_ten_are_listed_and_the_first_by_name_of_equal_ones() -> None:
    names = [f"k{number:05d}" for number in range(3_000)]
    customers: dict[str, Own] = {
        f"c{number:03d}": dict.fromkeys(names[number * 30 : number * 30 + 30], (1, 9, 9)) for number in range(100)
    }
    model = fit_next_category(Histories.of(frame(customers)), [], 1)
    rows = model.predict(frame(customers))
    assert len(rows) == 100 * NEXT_CATEGORIES
    assert listed(rows, "c001") == names[30:40]


def test_popularity_is_of_the_recent_window_and_neighbours_are_by_cosine() -> None:
    customers: dict[str, Own] = {
        "a": {"tea": (1, 9, 9), "honey": (1, 9, 9)},
        "b": {"tea": (1, 9, 9)},
        "c": {"tea": (1, 90, 90), "oil": (1, 9, 9)},
    }
    market = Market.of(Histories.of(frame(customers)))
    assert market.names.tolist() == ["honey", "oil", "tea"]
    # Three customers of the recent window, and one more who buys as all ever did.
    assert market.popularity == pytest.approx([(1 + 1 / 3) / 4, (1 + 1 / 3) / 4, (2 + 1) / 4], abs=1e-6)
    assert market.neighbors.toarray() == pytest.approx(
        np.array([[0, 0, 3**-0.5], [0, 0, 3**-0.5], [3**-0.5, 3**-0.5, 0]]), abs=1e-6
    )


def test_candidates_are_own_near_and_popular_each_once() -> None:
    histories = Histories.of(frame({"a": {"tea": (2, 9, 9), "honey": (1, 9, 9)}, "b": {"tea": (1, 9, 9)}, "c": {}}))
    found = candidates(histories, Market.of(histories))
    named = [(int(row), found.names[code]) for row, code in zip(found.rows, found.codes, strict=True)]
    assert named == [(row, name) for row in range(3) for name in ("honey", "tea")]
    assert found.is_own.tolist() == [True, True, False, True, False, False]
    assert found.places.tolist() == [1, 0, 0]


@pytest.mark.parametrize("shift", [-1.0, 0.0, 0.7])
def test_calibration_finds_the_level_and_never_turns_the_order(shift: float) -> None:
    generator = np.random.default_rng(5)
    told = generator.normal(0, 1.5, 40_000)
    is_event = generator.random(len(told)) < 1 / (1 + np.exp(-told - shift))
    made = Calibration.fit(told.round(9), is_event)
    points = np.linspace(-6, 6, 200)
    true = made.apply(points)
    assert (np.diff(true) >= 0).all()
    assert true[60:140] == pytest.approx(points[60:140] + shift, abs=0.15)


def test_histories_of_part_of_the_customers_are_theirs() -> None:
    histories = Histories.of(frame({"a": {"tea": (2, 9, 9)}, "b": {}, "c": {"oil": (1, 9, 9), "tea": (3, 9, 9)}}))
    part, only = histories.part(1, 3), histories.only(np.array([0, 2]))
    assert (part.rows.tolist(), part.names.tolist()) == ([1, 1], ["tea", "oil"])
    assert (only.rows.tolist(), only.names.tolist()) == ([0, 1, 1], ["tea", "tea", "oil"])
    names: Sequence[str] = only.customers["customer_id"].tolist()
    assert names == ["a", "c"]
