"""Segments: choice, names, identity, profiles and moves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandas.testing
import pytest
from sklearn.mixture import GaussianMixture

from genome_pipeline.models.segments.candidates import Grouping, choose_grouping
from genome_pipeline.models.segments.migrations import describe_moves
from genome_pipeline.models.segments.model import SegmentedCustomers, SegmentModel, compare_segments, fit_segments
from genome_pipeline.models.segments.names import NAMING_RULES, name_segments
from genome_pipeline.models.segments.profiles import _overbought, profile_segments
from genome_pipeline_tests.support.populations import AS_OF, assert_keeps_contract, customers, shop


@pytest.fixture(scope="module")
def model() -> SegmentModel:
    return fit_segments(shop(), None, seed=0)


def mart(features: pd.DataFrame, segmented: SegmentedCustomers) -> pd.DataFrame:
    """The columns of ``customer_genome`` that profiles are made of."""
    predictions = {"expected_spend": 10.0, "churn_probability": 0.25, "confidence": 0.5}
    return features.merge(segmented.customers.drop(columns="as_of"), on="customer_id").assign(**predictions)


def _facts(**changes: float) -> dict[str, float]:
    """A segment that is typical but for the facts given."""
    facts = dict.fromkeys({test.fact for _, tests in NAMING_RULES for test in tests}, 0.5)
    return facts | {"one_time_share": 0.0, "inactive_share": 0.0} | changes


def test_clear_groups_are_found_and_named_in_the_words_of_the_field(model: SegmentModel) -> None:
    assigned = model.assign(shop())
    names = assigned.groupby(assigned["customer_id"].str[0])["segment_name"].agg(["nunique", "first"])
    assert names["nunique"].tolist() == [1] * 5
    assert names["first"].to_dict() == {
        "a": "Champions",
        "b": "Big baskets",
        "c": "New",
        "d": "Lapsed regulars",
        "e": "One-time",
    }


def test_every_naming_rule_is_told_with_its_numbers(model: SegmentModel) -> None:
    rule = dict(zip(model.segment_names, model.naming_rules, strict=True))["One-time"]
    assert rule == "customers with one purchase day 100% (rule: at least 80%)"


def test_candidates_keep_the_contract_and_exactly_one_is_chosen(model: SegmentModel) -> None:
    candidates = model.candidates(AS_OF)
    assert_keeps_contract("segment_model", candidates.assign(artifact_file="segment_model.json"))
    assert candidates["is_chosen"].sum() == 1
    chosen = candidates[candidates["is_chosen"]].iloc[0]
    assert chosen["candidate"] == "k-means, 5 segments"
    assert chosen["segment_count"] == 5
    assert set(candidates["method"]) == {"k-means", "Gaussian mixture"}


def test_the_result_does_not_depend_on_the_order_of_rows(model: SegmentModel) -> None:
    shuffled = shop().sample(frac=1, random_state=5)
    assert fit_segments(shuffled, None, seed=0).to_bytes() == model.to_bytes()
    pandas.testing.assert_frame_equal(model.assign(shuffled), model.assign(shop()))


def test_a_stored_model_assigns_as_the_fitted_one(model: SegmentModel) -> None:
    restored = SegmentModel.from_bytes(model.to_bytes())
    assert restored.to_bytes() == model.to_bytes()
    pandas.testing.assert_frame_equal(restored.assign(shop()), model.assign(shop()))


def test_membership_is_the_largest_of_probabilities_that_add_up_to_one(model: SegmentModel) -> None:
    posterior = model.grouping.posterior(model.scaler.transform(shop()))
    np.testing.assert_allclose(posterior.sum(axis=1), 1)
    assert model.assign(shop())["membership_probability"].between(0.2, 1).all()


def test_membership_of_a_mixture_is_the_posterior_of_scikit_learn() -> None:
    genes = np.random.default_rng(0).normal(size=(200, 3)) * [1, 2, 0.5]
    fitted = GaussianMixture(3, covariance_type="diag", random_state=0).fit(genes)
    grouping = Grouping(fitted.means_, fitted.covariances_, fitted.weights_)
    np.testing.assert_allclose(grouping.posterior(genes), fitted.predict_proba(genes), atol=1e-8)


def test_membership_of_k_means_is_the_softmax_of_negative_squared_distances_over_their_mean() -> None:
    centers = np.array([[0.0, 0.0], [3.0, 0.0]])
    grouping = Grouping(centers, np.full((2, 2), 2.0 / 2), np.full(2, 0.5))
    expected = np.exp(-1 / 2) / (np.exp(-1 / 2) + np.exp(-4 / 2))
    np.testing.assert_allclose(grouping.posterior(np.array([[1.0, 0.0]])), [[expected, 1 - expected]])


def test_ids_and_names_are_carried_over_when_customers_change(model: SegmentModel) -> None:
    before = dict(zip(model.segment_ids, model.segment_names, strict=True))
    later = fit_segments(shop(seed=2, size=70), model, seed=9)
    assert dict(zip(later.segment_ids, later.segment_names, strict=True)) == before
    assert later.candidates(AS_OF).query("is_chosen")["choice_reason"].item().startswith("kept from the previous")


def test_a_segment_without_predecessor_gets_an_id_never_used_before(model: SegmentModel) -> None:
    fewer = shop().query("not customer_id.str.startswith('e')")
    without = fit_segments(fewer, model, seed=0)
    back = fit_segments(shop(), without, seed=0)
    assert model.largest_segment_id == 5
    assert without.largest_segment_id >= 5
    assert len(set(back.segment_ids)) == len(back.segment_ids)
    new = set(back.segment_ids) - set(without.segment_ids)
    assert all(segment_id > without.largest_segment_id for segment_id in new)


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        (shop().iloc[:1], "fewer than 50 customers"),
        (shop().iloc[:2], "fewer than 50 customers"),
        (shop(size=9), "fewer than 50 customers"),
        (customers([f"{number:03d}" for number in range(80)]), "the customers' genes are all alike"),
        (shop().iloc[:0], "fewer than 50 customers"),
    ],
)
def test_where_nothing_can_be_told_apart_there_is_one_segment(features: pd.DataFrame, reason: str) -> None:
    model = fit_segments(features, None, seed=0)
    assert model.segment_names == ("Everyone",)
    assert model.candidates(AS_OF)["choice_reason"].tolist() == [reason]
    assert (model.assign(features)["membership_probability"] == 1).all()
    segmented = compare_segments(model.assign(features), features, None)
    assert_keeps_contract("customer_segments", segmented.customers)
    assert_keeps_contract("segment_profiles", profile_segments(mart(features, segmented), model.described, "EUR"))
    assert_keeps_contract("segment_migrations", segmented.migrations)
    assert_keeps_contract("segment_events", model.events(AS_OF))


def test_as_many_customers_as_it_takes_with_three_genomes_are_three_segments() -> None:
    ids = [f"{number:02d}" for number in range(50)]
    model = fit_segments(customers(ids, order_count=[1] * 17 + [9] * 17 + [99] * 16), None, seed=0)
    assert len(model.segment_ids) == 3
    assert model.assign(customers(ids, order_count=99))["segment_id"].nunique() == 1


def test_a_gene_alike_for_all_changes_nothing(model: SegmentModel) -> None:
    features = shop().assign(average_order_value_amount=50.0)
    found = fit_segments(features, None, seed=0)
    scaled = found.scaler.transform(features)
    assert not scaled[:, found.scaler.genes.index("average_order_value_amount")].any()
    assert found.assign(features)["membership_probability"].notna().all()
    assert len(found.segment_ids) == len(model.segment_ids)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_value_that_is_not_finite_counts_as_missing(value: float, model: SegmentModel) -> None:
    spend = shop()["spend_amount"].to_numpy(copy=True)
    spend[[0, 100]] = value
    features = shop().assign(spend_amount=spend)
    found = fit_segments(features, None, seed=0)
    missing = fit_segments(shop().assign(spend_amount=np.where(np.isfinite(spend), spend, np.nan)), None, seed=0)
    assert found.to_bytes() == missing.to_bytes()
    assert found.assign(features)["membership_probability"].between(0.2, 1).all()
    assert sorted(found.segment_names) == sorted(model.segment_names)


def test_the_second_best_segment_is_another_and_less_probable(model: SegmentModel) -> None:
    assigned = model.assign(shop())
    assert (assigned["second_segment_id"] != assigned["segment_id"]).all()
    assert (assigned["second_membership_probability"] <= assigned["membership_probability"]).all()
    posterior = model.grouping.posterior(model.scaler.transform(shop()))
    np.testing.assert_allclose(assigned["second_membership_probability"], np.sort(posterior, axis=1)[:, -2])


def test_every_candidate_is_in_the_table_with_its_silhouette_and_why(model: SegmentModel) -> None:
    candidates = model.candidates(AS_OF)
    kinds = {(method, count) for method in ("k-means", "Gaussian mixture") for count in range(3, 13)}
    assert {*zip(candidates["method"], candidates["segment_count"], strict=True)} == kinds
    assert candidates[["silhouette_score", "smallest_share"]].notna().all(axis=None)
    assert (candidates["choice_reason"].str.len() > 0).all()
    chosen = candidates[candidates["is_chosen"]].iloc[0]
    assert (chosen["stability_score"], chosen["smallest_jaccard_score"]) == (1, 1)


def test_groups_drawn_into_a_cloud_do_not_count_as_stable() -> None:
    cloud = np.random.default_rng(3).normal(size=(400, 5))
    chosen, _ = choose_grouping(cloud, None, seed=0)
    assert chosen.stability is not None
    assert chosen.stability < 0.5
    assert chosen.silhouette < 0.2


def test_another_seed_gives_the_same_segments(model: SegmentModel) -> None:
    other = fit_segments(shop(), None, seed=7)
    pandas.testing.assert_frame_equal(other.assign(shop()), model.assign(shop()))


def test_of_two_segments_one_rule_fits_the_stronger_gets_the_name_and_the_other_its_next_one() -> None:
    strong = _facts(recent_purchase_day_count=0.9, spend_amount=0.9, order_count=0.8, days_since_last_order=0.2)
    weak = _facts(recent_purchase_day_count=0.75, spend_amount=0.75, order_count=0.7, days_since_last_order=0.3)
    names = [name for name, _ in name_segments([weak, strong], [None, None])]
    assert names == ["Loyal", "Champions"]


def test_a_name_is_kept_while_its_rule_fires_even_beside_a_stronger_claim() -> None:
    strong = _facts(recent_purchase_day_count=0.9, spend_amount=0.9, order_count=0.8, days_since_last_order=0.2)
    holder = _facts(recent_purchase_day_count=0.68, spend_amount=0.75, order_count=0.7, days_since_last_order=0.3)
    assert [name for name, _ in name_segments([holder, strong], ["Champions", None])] == ["Champions", "Loyal"]


def test_a_catch_all_name_gives_way_to_a_rule_that_fires() -> None:
    fading = _facts(order_count=0.3, momentum_share=0.3, days_since_last_order=0.7)
    other = _facts(order_count=0.6)
    assert name_segments([fading, other], ["Occasional", "Regulars"])[0][0] == "Fading"


def test_eight_segments_alike_get_eight_names() -> None:
    names = [name for name, _ in name_segments([_facts(order_count=0.42)] * 8, [None] * 8)]
    assert len(set(names)) == 8
    assert not any(character.isdigit() for name in names for character in name)


def test_profiles_share_out_customers_and_recent_spend(model: SegmentModel) -> None:
    features = shop()
    segmented = compare_segments(model.assign(features), features, None)
    profiles = profile_segments(mart(features, segmented), model.described, "EUR")
    assert_keeps_contract("segment_profiles", profiles)
    assert profiles["customer_share"].sum() == pytest.approx(1)
    assert profiles["spend_share"].sum() == pytest.approx(1)
    champions = profiles[profiles["segment_name"] == "Champions"].iloc[0]
    own = features[features["customer_id"].str.startswith("a")]
    assert champions["customer_count"] == 60
    assert champions["recent_spend_amount"] == pytest.approx(round(own["recent_spend_amount"].sum(), 2))
    quartiles = champions[[f"{name}_frequency_count" for name in ("first_quartile", "median", "third_quartile")]]
    assert quartiles.tolist() == own["frequency_count"].quantile([0.25, 0.5, 0.75]).tolist()
    assert champions["expected_spend_amount"] == 600
    assert champions[["mean_churn_probability", "mean_confidence_score"]].tolist() == [0.25, 0.5]
    assert champions["distinguishing_genes"] == (
        "days since last order 3 beside 12 of all; orders 60 beside 12 of all; recent purchase days 30 beside 2 of all"
    )


def test_without_amounts_spend_is_null() -> None:
    features = shop().assign(spend_amount=None, average_order_value_amount=None, recent_spend_amount=None)
    model = fit_segments(features, None, seed=0)
    segmented = compare_segments(model.assign(features), features, None)
    profiles = profile_segments(mart(features, segmented), model.described, "EUR")
    assert_keeps_contract("segment_profiles", profiles)
    assert profiles["recent_spend_amount"].isna().all()
    assert profiles["spend_share"].isna().all()
    assert segmented.migrations["recent_spend_amount"].isna().all()


def test_moves_and_migrations_are_counted_between_names_of_both_snapshots() -> None:
    features = customers(["a", "b", "c", "d"], recent_spend_amount=[10.10, 20.20, 30.30, 0.05])
    previous = pd.DataFrame(
        {"customer_id": ["a", "b", "c"], "segment_id": [1, 1, 2], "segment_name": ["Loyal", "Loyal", "Occasional"]}
    )
    now = pd.DataFrame(
        {
            "customer_id": ["a", "b", "c", "d"],
            "segment_id": [1, 2, 2, 2],
            "segment_name": ["Champions", "Fading", "Fading", "Fading"],
        }
    )
    moves, migrations = describe_moves(now, previous, features)
    assert moves["previous_segment_id"].tolist() == [1, 1, 2, pd.NA]
    assert moves["has_moved"].tolist() == [False, True, False, pd.NA]
    assert_keeps_contract("segment_migrations", migrations)
    assert migrations.drop(columns="as_of").to_numpy().tolist() == [
        [0, 2, "New customers", "Fading", 1, 0.05, 1, 0.05],
        [1, 1, "Loyal", "Champions", 1, 10.1, 0, 0.0],
        [1, 2, "Loyal", "Fading", 1, 20.2, 1, 20.2],
        [2, 2, "Occasional", "Fading", 1, 30.3, 0, 0.0],
    ]


def test_net_flows_of_two_segments_add_up_to_0() -> None:
    features = customers(["a", "b", "c"], recent_spend_amount=[10.10, 20.20, 30.30])
    names = {1: "Loyal", 2: "Fading"}
    previous = pd.DataFrame({"customer_id": ["a", "b", "c"], "segment_id": [1, 1, 2]})
    now = pd.DataFrame({"customer_id": ["a", "b", "c"], "segment_id": [2, 2, 1]})
    for frame in (previous, now):
        frame["segment_name"] = frame["segment_id"].map(names)
    _, migrations = describe_moves(now, previous, features)
    assert migrations[["customer_count", "net_customer_count", "net_spend_amount"]].to_numpy().tolist() == [
        [2, 1, 0.0],
        [1, -1, 0.0],
    ]


def test_at_the_first_snapshot_everyone_is_new(model: SegmentModel) -> None:
    segmented = compare_segments(model.assign(shop()), shop(), None)
    assert_keeps_contract("customer_segments", segmented.customers)
    assert segmented.customers["has_moved"].isna().all()
    assert segmented.migrations["from_segment_id"].tolist() == [0] * 5
    assert segmented.migrations["customer_count"].sum() == 300


def test_of_segments_equally_probable_but_for_the_last_bits_the_first_is_taken() -> None:
    grouping = Grouping(np.array([[0.0], [1e-13]]), np.ones((2, 1)), np.full(2, 0.5))
    assert grouping.labels(np.array([[1.0], [-1.0]])).tolist() == [0, 0]


def _tastes(*rows: tuple[int, str, int, int, float, float]) -> pd.DataFrame:
    """As ``segment_tastes``: segment, category, members with taste, buyers, mean share and its standard deviation."""
    columns = ["segment_id", "category", "taster_count", "buyer_count", "mean", "spread"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(
        share_sum=frame["mean"] * frame["taster_count"],
        squared_share_sum=(frame["mean"] ** 2 + frame["spread"] ** 2) * frame["taster_count"],
    )


def test_what_a_segment_buys_more_of_is_told_the_largest_difference_first() -> None:
    found = _overbought(
        _tastes(
            (1, "MEAT", 100, 80, 0.30, 0.1),
            (2, "MEAT", 300, 90, 0.10, 0.1),
            (1, "FUEL", 100, 40, 0.24, 0.1),
            (2, "FUEL", 300, 40, 0.04, 0.1),
            (1, "BREAD", 100, 40, 0.14, 0.01),
            (2, "BREAD", 300, 40, 0.06, 0.01),
        )
    )
    assert found == {
        1: "FUEL: 24.0% of a member's spend, 9.0% of anyone's (2.7 times);"
        " MEAT: 30.0% of a member's spend, 15.0% of anyone's (2.0 times)"
    }


@pytest.mark.parametrize(
    "row",
    [
        (1, "MEAT", 100, 29, 0.30, 0.1),
        (1, "MEAT", 100, 80, 0.30, 0.6),
        (1, "MEAT", 100, 80, 0.12, 0.001),
        (1, "MEAT", 100, 80, 0.009, 0.0001),
    ],
    ids=["few buyers", "within three standard errors", "a small lift", "a small part of spend"],
)
def test_what_is_not_solid_is_not_told(row: tuple[int, str, int, int, float, float]) -> None:
    other = (2, "MEAT", 300, 90, row[4] / 3 if row[4] < 0.1 else 0.1, 0.1)
    assert _overbought(_tastes(row, other)) == {}
