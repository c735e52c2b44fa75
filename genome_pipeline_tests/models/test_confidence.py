"""Confidence and its parts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.models.confidence import USED_COLUMNS, WEIGHTS, score_confidence
from genome_pipeline_tests.models.populations import (
    AS_OF,
    assert_keeps_contract,
    customers,
    risk_of,
    segments_of,
    shop,
    value_of,
)


def _neighbors(ids: list[str], similarity: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "as_of": AS_OF,
            "customer_id": ids,
            "neighbor_rank": 1,
            "neighbor_customer_id": "z",
            "similarity": similarity,
            "shared_traits": "",
        }
    )


def test_weights_add_up_to_one() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_parts_and_their_mean_are_as_documented() -> None:
    features = customers(["a"], purchase_day_count=9, t_days=270, average_order_value_amount=50.0)
    value = value_of(features, expected_orders=3.0, expected_orders_lower=1.0, expected_orders_upper=5.0)
    value = value.assign(expected_spend=150.0, expected_spend_lower=50.0, expected_spend_upper=250.0)
    risk = risk_of(features, churn_probability=0.1, churn_probability_lower=0.05, churn_probability_upper=0.15)
    scored = score_confidence(features, value, risk, segments_of(features, 0.7), _neighbors(["a"], [0.9]))
    assert_keeps_contract("customer_confidence", scored)
    row = scored.iloc[0]
    assert row["sufficiency_confidence"] == pytest.approx((9 / 12 + 270 / 360) / 2)
    assert row["precision_confidence"] == pytest.approx((0.5 + 0.5 + 0.64 * 0.9) / 3)
    assert row["membership_confidence"] == 0.7
    assert row["familiarity_confidence"] == pytest.approx(0.8)
    expected = 0.2 * 0.75 + 0.6 * (1 + 0.576) / 3 + 0.05 * 0.7 + 0.15 * 0.8
    assert row["confidence"] == pytest.approx(expected)
    assert row["confidence_band"] == "medium"
    assert pd.isna(row["abstain_reason"])


def test_narrower_intervals_and_surer_probabilities_raise_confidence() -> None:
    features = customers(["a", "b", "c"])
    value = value_of(features, expected_orders_upper=[5.0, 4.0, 4.0])
    risk = risk_of(features, churn_probability=[0.5, 0.5, 0.02])
    near = _neighbors(["a", "b", "c"], [0.9] * 3)
    confidence = score_confidence(features, value, risk, segments_of(features), near)["confidence"]
    assert confidence[0] < confidence[1] < confidence[2]


def test_parts_that_are_unknown_are_left_out_of_the_mean() -> None:
    features = customers(["a", "b"], average_order_value_amount=[50.0, None])
    unknown = {f"expected_{what}{end}": np.nan for what in ("orders", "spend") for end in ("_lower", "_upper")}
    value = value_of(features, **unknown, abstain_reason="no snapshot has matured yet")
    risk = risk_of(features, churn_probability=np.nan, risk_band=None, abstain_reason="not calibrated")
    scored = score_confidence(features, value, risk, segments_of(features, 1.0), _neighbors(["a"], [1.0]))
    assert_keeps_contract("customer_confidence", scored)
    assert scored["precision_confidence"].isna().all()
    assert scored["familiarity_confidence"].isna().tolist() == [False, True]
    sufficiency = scored["sufficiency_confidence"][0]
    assert scored["confidence"][0] == pytest.approx((0.2 * sufficiency + 0.05 + 0.15) / 0.4)
    assert scored["abstain_reason"].isna().all()


def test_where_both_models_abstain_there_is_no_confidence_but_both_reasons() -> None:
    features = customers(["a"])
    value = value_of(features, expected_orders=np.nan, expected_spend=np.nan, abstain_reason="only 1 customer")
    risk = risk_of(features, churn_probability=np.nan, risk_band=None, abstain_reason="too few churned")
    scored = score_confidence(features, value, risk, segments_of(features), _neighbors([], []))
    assert_keeps_contract("customer_confidence", scored)
    assert scored[["confidence", "confidence_band"]].isna().all(axis=None)
    assert scored["abstain_reason"].item() == "value: only 1 customer; risk: too few churned"


def test_rows_are_matched_by_customer_whatever_their_order() -> None:
    features = shop()
    near = _neighbors(features["customer_id"].tolist(), [0.9] * len(features))
    risk = risk_of(features, churn_probability=np.linspace(0, 1, len(features)))
    value, segments = value_of(features), segments_of(features)
    straight = score_confidence(features, value, risk, segments, near)
    frames = [frame.sample(frac=1, random_state=4) for frame in (features, value, risk, segments, near)]
    pd.testing.assert_frame_equal(score_confidence(*frames), straight)
    assert straight["confidence"].between(0, 1).all()


@pytest.mark.parametrize(("probability", "upper", "band"), [(0.5, 9e3, "low"), (0.1, 5.0, "medium"), (0, 1.5, "high")])
def test_bands_follow_thirds(probability: float, upper: float, band: str) -> None:
    features = customers(["a"], purchase_day_count=3)
    value = value_of(features, expected_orders_upper=upper, expected_spend_upper=50 * upper)
    risk = risk_of(features, churn_probability=probability, churn_probability_upper=0.1)
    scored = score_confidence(features, value, risk, segments_of(features, 0.3), _neighbors(["a"], [0.7]))
    assert scored["confidence_band"].item() == band


def test_of_neighbours_their_mean_similarity_is_enough() -> None:
    features = customers(["a", "b"])
    frames = features, value_of(features), risk_of(features), segments_of(features)
    near, mean = _neighbors(["a", "a", "b"], [0.5, 1.0, 0.8]), _neighbors(["a", "b"], [0.75, 0.8])
    pd.testing.assert_frame_equal(score_confidence(*frames, mean), score_confidence(*frames, near))


def test_no_other_columns_are_read() -> None:
    features = customers(["a", "b"])
    frames = features, value_of(features), risk_of(features), segments_of(features)
    wanted = {"as_of", "customer_id", *USED_COLUMNS}
    rest, value, risk, segments = (frame[[name for name in frame if name in wanted]] for frame in frames)
    near = _neighbors(["a", "b"], [0.75, 0.8])
    pd.testing.assert_frame_equal(score_confidence(rest, value, risk, segments, near), score_confidence(*frames, near))
