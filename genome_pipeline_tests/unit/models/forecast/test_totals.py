"""Bounds of totals: they hold for the sum, and are not the sum of bounds."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.forecast.errors import Forecasts
from genome_pipeline.models.forecast.outlook import stored_errors
from genome_pipeline.models.forecast.totals import (
    Groups,
    Origin,
    TotalError,
    error_rows,
    errors_of_rows,
    fit_spreads,
    forecast_totals,
    own_variances,
    total_bounds,
)

AS_OF = date(2020, 4, 1)


def known(level: float, group: float) -> TotalError:
    return TotalError(level, group, 1.0)


NONE = known(0.0, 0.0)


def of_one(customers: int, total: float, own_variance: float) -> Groups:
    return Groups(np.array([float(customers)]), np.array([total]), np.array([own_variance]), np.ones(1))


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_bounds_hold_the_total_of_independent_customers_as_often_as_they_say(level: float) -> None:
    rng = np.random.default_rng(0)
    buys = rng.uniform(0.02, 0.9, 400)
    lower, upper = total_bounds("buyers", of_one(400, buys.sum(), (buys * (1 - buys)).sum()), NONE, level)
    totals = (rng.random((4000, 400)) < buys).sum(axis=1)
    assert np.mean((lower <= totals) & (totals <= upper)) == pytest.approx(level, abs=0.03)
    orders, spend = 2 * buys, 30 * buys
    of_spend = own_variances(buys, orders, spend)[2].sum()
    lower, upper = total_bounds("spend", of_one(400, spend.sum(), of_spend), NONE, level)
    days = np.where(rng.random((4000, 400)) < buys, 1 + rng.poisson(1, (4000, 400)), 0)
    actual = rng.gamma(np.maximum(days, 1e-12), 15.0).sum(axis=1)
    assert np.mean((lower <= actual) & (actual <= upper)) == pytest.approx(level, abs=0.03)


def test_what_all_customers_miss_alike_does_not_cancel_out() -> None:
    """A hundred times the customers: chance becomes a tenth of its part, the level keeps all of it."""
    widths = []
    for customers in (100, 10_000):
        groups = of_one(customers, customers * 5.0, customers * 50.0)
        widths.append(
            [
                np.subtract(*total_bounds("spend", groups, known(level, 0.0), 0.8)[::-1]) / groups.total
                for level in (0.0, 0.04)
            ]
        )
    (chance, both), (less_chance, mostly_level) = np.array(widths)[:, :, 0]
    assert less_chance == pytest.approx(chance / 10, rel=0.02)
    assert mostly_level == pytest.approx(2 * 1.2816 * 0.2, rel=0.03)
    assert mostly_level < both


def test_a_segment_may_be_further_off_than_the_company_and_loyal_buyers_less() -> None:
    groups = Groups(np.full(2, 1000.0), np.full(2, 500.0), np.full(2, 250.0), np.array([1.0, 0.5]))
    lower, upper = total_bounds("orders", groups, known(0.01, 0.03), 0.8)
    assert lower[1] < lower[0] < 500 < upper[0] < upper[1]
    loyal = Groups(np.full(2, 1000.0), np.array([500.0, 950.0]), np.array([250.0, 47.5]), np.ones(2))
    lower, upper = total_bounds("buyers", loyal, known(0.04, 0.0), 0.8)
    assert upper[1] <= 1000
    assert (upper - lower)[1] < (upper - lower)[0] / 3


def test_bounds_of_few_customers_are_whole_and_hold_nothing() -> None:
    lower, upper = total_bounds("buyers", of_one(5, 0.3, 0.28), NONE, 0.8)
    assert (lower[0], upper[0]) == (0.0, 1.0)
    for target in ("buyers", "orders", "spend"):
        lower, upper = total_bounds(target, of_one(5, 0.0, 0.0), NONE, 0.8)
        assert (lower[0], upper[0]) == (0.0, 0.0)


def origin(age_days: int, ratio: float, customers: int = 4000, seed: int = 0) -> Origin:
    """Customers who bought ``ratio`` times as often as forecast, and spent 10 on each purchase day."""
    rng = np.random.default_rng([seed, age_days])
    buys = rng.uniform(0.05, 0.4, customers)
    days = rng.poisson(-np.log(1 - np.minimum(buys * ratio, 0.99)))
    mean = -np.log(1 - buys) / buys
    features = pd.DataFrame(
        {"days_since_last_order": rng.integers(0, 300, customers), "frequency_count": rng.integers(0, 9, customers)}
    )
    outcomes = pd.DataFrame({"has_churned": days == 0, "actual_orders": days, "actual_spend": 10.0 * days})
    return Origin(AS_OF - timedelta(days=age_days), features, Forecasts(buys, mean, np.full(customers, 10.0)), outcomes)


def test_the_level_is_learned_from_what_totals_missed_before() -> None:
    exact = [origin(age, 1.0) for age in (330, 240, 150)]
    missed = [origin(age, ratio) for age, ratio in ((330, 0.6), (240, 1.6), (150, 0.7))]
    close, far = (fit_spreads(origins, 90, 0.1) for origins in (exact, missed))
    for target in ("buyers", "orders", "spend"):
        assert far[target].error(target).level_variance > 1.5 * close[target].error(target).level_variance
        assert close[target].error(target).group_variance < 0.02
    # Amounts do not vary here, and theory has them vary as much as their mean.
    assert close["orders"].own_factor == pytest.approx(1, abs=0.15)
    assert close["spend"].own_factor < 0.7


def test_overlapping_origins_count_as_little_as_they_overlap() -> None:
    apart = fit_spreads([origin(age, 2.0) for age in (330, 240, 150)], 90, 0.1)["orders"]
    overlapping = fit_spreads([origin(age, 2.0) for age in (160, 155, 150)], 90, 0.1)["orders"]
    assert overlapping.error("orders").level_variance < apart.error("orders").level_variance


def test_a_group_that_misses_what_others_do_not_widens_groups_alone() -> None:
    one = origin(150, 1.0)
    far = one.features["days_since_last_order"] > 200
    outcomes = one.outcomes.mask(far, one.outcomes * 0)
    outcomes["has_churned"] = (one.outcomes["has_churned"] | far).astype(bool)
    found = fit_spreads([one._replace(outcomes=outcomes)], 90, 0.1)
    assert found["buyers"].group_square > 0.1 > 10 * fit_spreads([one], 90, 0.1)["buyers"].group_square


def test_without_origins_or_amounts_nothing_is_learned() -> None:
    assert fit_spreads([], 90, 0.1) == {}
    one = origin(150, 1.0)
    unknown = one._replace(forecasts=one.forecasts._replace(amount=np.full(4000, np.nan)))
    assert set(fit_spreads([unknown], 90, 0.1)) == {"buyers", "orders"}


def sums(**changes: Any) -> pd.DataFrame:
    """All customers, and a cohort of three, over two horizons."""
    frame = pd.DataFrame(
        {
            "as_of": AS_OF,
            "group_kind": ["company", "company", "cohort", "cohort"],
            "group_key": ["all", "all", "2020-03-01", "2020-03-01"],
            "group_name": ["All customers"] * 2 + ["2020-03-01"] * 2,
            "horizon_days": [90, 28, 28, 90],
            "customer_count": [100, 100, 3, 3],
            "expected_buyer_count": [60.0, 50.0, 1.0, 2.0],
            "expected_order_count": [90.0, 60.0, 1.0, 2.0],
            "expected_spend_amount": [900.0, 600.0, 10.0, 20.0],
            "buyers_variance": 20.0,
            "orders_variance": [40.0, 30.0, 1.0, 1.0],
            "spend_variance": [4000.0, 160_000.0, 100.0, 100.0],
            "is_extrapolated": False,
            "abstain_reason": None,
        }
    )
    return frame.assign(**changes)


def errors(*targets: str) -> dict[str, TotalError]:
    return dict.fromkeys(targets or ("buyers", "orders", "spend"), known(0.01, 0.01))


def test_a_longer_horizon_has_no_lower_bounds_than_a_shorter_one() -> None:
    found = forecast_totals(sums(), {28: errors(), 90: errors()}, 0.8, 28)
    assert list(found.columns) == list(TABLES["forecast_totals"].columns)
    company = found[found["group_kind"] == "company"]
    assert company["horizon_days"].tolist() == [28, 90]
    assert company["expected_spend_amount_upper"].iloc[0] == company["expected_spend_amount_upper"].iloc[1]
    assert company["abstain_reason"].isna().all()


def test_a_reason_of_some_customers_is_none_of_a_total_that_is_whole() -> None:
    found = forecast_totals(sums(abstain_reason="bought once"), {28: errors(), 90: errors()}, 0.8, 28)
    of_company = found.loc[found["group_kind"] == "company", "abstain_reason"]
    assert of_company.isna().all()


def test_a_cohort_of_three_has_a_total_and_says_why_it_has_no_bounds() -> None:
    found = forecast_totals(sums(), {28: errors(), 90: errors()}, 0.8, 28)
    cohort = found[found["group_kind"] == "cohort"]
    assert cohort["expected_buyer_count"].tolist() == [1.0, 2.0]
    assert cohort["expected_buyer_count_upper"].isna().all()
    assert cohort["abstain_reason"].tolist() == ["3 customers: bounds of a total need 4"] * 2


def test_without_a_matured_snapshot_totals_have_no_bounds_and_the_reason_of_the_forecast() -> None:
    reason = "no snapshot that carries a forecast has matured yet: intervals need one"
    found = forecast_totals(sums(abstain_reason=reason), {28: {}, 90: errors("buyers", "orders")}, 0.8, 28)
    company = found[found["group_kind"] == "company"].set_index("horizon_days")
    assert company.loc[28, ["expected_order_count_lower", "expected_spend_amount_lower"]].isna().all()
    assert company["expected_order_count_lower"].notna().tolist() == [False, True]
    assert company["expected_spend_amount"].tolist() == [600.0, 900.0]
    assert company["abstain_reason"].tolist() == [reason] * 2


def test_a_group_that_grows_to_be_all_customers_has_their_bounds() -> None:
    """No jump where a filter leaves out the last one."""
    groups = Groups(np.full(3, 100.0), np.array([50.0, 89.9, 90.0]), np.full(3, 40.0), np.array([0.55, 0.999, 1.0]))
    lower, upper = total_bounds("spend", groups, known(0.01, 0.2), 0.8)
    assert upper[1] == pytest.approx(upper[2], rel=2e-3)
    assert (upper - lower)[0] / 50 > 1.5 * (upper - lower)[2] / 90


def test_the_main_horizon_keeps_its_bounds_and_shorter_and_longer_ones_give_way() -> None:
    """So that another group's interval over the main horizon needs no other horizon."""
    wide = {28: dict.fromkeys(("buyers", "orders", "spend"), known(1.0, 0.01)), 90: errors()}
    main_short, main_long = (forecast_totals(sums(), wide, 0.8, days) for days in (28, 90))
    alone = forecast_totals(sums(), {90: errors()}, 0.8, 90)
    bounds = {}
    for name, frame in (("short", main_short), ("long", main_long), ("alone", alone)):
        for row in frame[frame["group_kind"] == "company"].to_dict("records"):
            bounds[name, row["horizon_days"]] = [
                float(row[f"expected_spend_amount_{end}"]) for end in ("lower", "upper")
            ]
    assert bounds["long", 90] == bounds["alone", 90]
    assert bounds["long", 28][1] <= bounds["long", 90][1] < bounds["short", 28][1] == bounds["short", 90][1]


def test_what_bounds_rest_on_is_kept_in_rows() -> None:
    told = {28: errors("buyers", "orders"), 90: errors()}
    rows = error_rows(AS_OF, told)
    assert rows["total_column"].tolist()[:2] == ["expected_buyer_count", "expected_order_count"]
    assert errors_of_rows(rows) == told
    assert errors_of_rows(error_rows(AS_OF, {28: {}})) == {}


def test_models_of_before_totals_were_learned_of_tell_nothing() -> None:
    now = {"horizon_days": 28, "spreads": {}}
    assert stored_errors(json.dumps(now).encode(), None) == {28: {}}
    assert stored_errors(b'{"horizon_days": 28}', None) is None
    assert stored_errors(json.dumps(now).encode(), b'{"values": [{"horizon_days": 90}]}') is None


def test_totals_of_before_their_errors_were_kept_have_no_bounds() -> None:
    found = forecast_totals(sums(), {}, 0.8, 28)
    assert found["expected_spend_amount"].tolist() == [10.0, 20.0, 600.0, 900.0]
    assert found.filter(regex="_(lower|upper)$").isna().all(axis=None)
