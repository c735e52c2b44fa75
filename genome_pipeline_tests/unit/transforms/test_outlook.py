"""Where there is one horizon, the outlook is the forecast that stands."""

from __future__ import annotations

from datetime import date

import ibis
import numpy as np
import pandas as pd

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.contracts.tables.risk import CHURN
from genome_pipeline.contracts.tables.value import ORDERS, SPEND
from genome_pipeline.models.forecast.outlook import MAIN, OutlookModel
from genome_pipeline.transforms.outlook import longest_horizon, main_outlook

AS_OF = date(2020, 2, 1)


def test_both_ways_to_the_main_horizon_agree() -> None:
    """Joined by the engine, or as the model repeats it; reasons of both models, of one, of the same, and of none."""
    ids = ["a", "b", "c", "d"]
    forecast = {name: [0.25, 0.5, 0.75, np.nan] for name in (*CHURN, *ORDERS, *SPEND)}
    forecast["churn_probability_lower"][1] = np.nan
    of_risk, of_value = [None, "no level", "small", "small"], [None, None, "rare", "small"]
    keys = {"as_of": AS_OF, "customer_id": ids}
    risk = pd.DataFrame({**keys, **{name: forecast[name] for name in CHURN}, "abstain_reason": of_risk})
    value = pd.DataFrame({**keys, **{name: forecast[name] for name in (*ORDERS, *SPEND)}, "abstain_reason": of_value})
    features = pd.DataFrame(
        {
            **keys,
            **{f"{MAIN}{name}": values for name, values in forecast.items()},
            "main_risk_abstain_reason": of_risk,
            "main_value_abstain_reason": of_value,
        }
    )
    joined = main_outlook(ibis.memtable(risk), ibis.memtable(value), [AS_OF], 28).order_by("customer_id").execute()
    joined["abstain_reason"] = joined["abstain_reason"].astype(object).where(joined["abstain_reason"].notna(), None)
    repeated = OutlookModel(28, (), ()).predict(features)
    assert list(joined.columns) == list(TABLES["customer_outlook"].columns)
    assert joined["abstain_reason"].tolist() == [None, "no level", "rare; small", "small"]
    assert joined["is_extrapolated"].tolist() == [False, True, False, False]
    pd.testing.assert_frame_equal(
        joined.drop(columns="as_of"), repeated.drop(columns="as_of"), check_dtype=False, check_exact=True
    )


def test_the_longest_horizon_with_spend_is_taken_whole() -> None:
    """Customer b has no spend over a year, and c none at all; a's bounds are not those of a shorter horizon."""
    rows = pd.DataFrame(
        {
            "as_of": AS_OF,
            "customer_id": list("aabbcc"),
            "horizon_days": [90, 365] * 3,
            "expected_spend": [10.0, 40.0, 5.0, None, None, None],
            "expected_spend_lower": [8.0, None, 2.0, None, None, None],
            "expected_spend_upper": [12.0, None, 9.0, None, None, None],
            "abstain_reason": [None, "not matured", None, "not matured", "no amounts", None],
        }
    )
    found = longest_horizon(ibis.memtable(rows)).order_by("customer_id").execute().drop(columns="as_of")
    assert found.astype(object).where(found.notna(), None).to_numpy().tolist() == [
        ["a", 365, 40.0, None, None, "not matured"],
        ["b", 90, 5.0, 2.0, 9.0, "not matured"],
        ["c", None, None, None, None, "no amounts"],
    ]
