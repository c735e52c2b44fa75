"""The doors for notebooks beside a whole run: the same numbers by every way."""

from __future__ import annotations

import pandas as pd
import pandas.testing
import pytest

import genome_pipeline as genome
from genome_pipeline.published.audience import audience_summary
from genome_pipeline.published.summary import customer_card
from genome_pipeline.settings import Settings


def test_a_frame_says_what_the_command_says(shop_run: Settings) -> None:
    with genome.open(shop_run.home) as g:
        one, card = g.customer("c0000"), customer_card(shop_run, "c0000")
        assert list(one.genome.columns) == list(card["genome"])
        assert one.genome["expected_spend"].tolist() == [card["genome"]["expected_spend"]]
        for name in ("outlook", "drivers", "neighbors", "categories", "next_categories"):
            found = getattr(one, name)
            assert len(found) == len(card[name])
            assert list(found.columns) == list(card[name][0])
        assert one.lifetime_value["lifetime_value_amount"].tolist() == [card["lifetime_value"]["lifetime_value_amount"]]
        for told in audience_summary(shop_run)["audiences"]:
            assert len(g.audience(told["action_rule"])) == told["customer_count"]


def test_the_nearest_of_one_customer_are_the_published_neighbours(shop_run: Settings) -> None:
    with genome.open(shop_run.home) as g:
        nearest, published = g.similar("c0000", 10), g.customer("c0000").neighbors
        assert nearest["customer_id"].tolist() == published["neighbor_customer_id"].tolist()
        assert nearest["similarity"].tolist() == pytest.approx(published["similarity"].tolist(), abs=1e-9)


@pytest.mark.parametrize("place", [-1, -3])
def test_the_forecast_on_a_frame_is_what_the_pipeline_publishes(shop_run: Settings, place: int) -> None:
    """An earlier date knows nothing of what followed it, as the snapshot that was made then."""
    with genome.open(shop_run.home) as g:
        as_of = g.snapshots[place]
        published = g.customers(as_of)
    forecast = genome.fit(
        pd.read_csv(shop_run.source.path, dtype=str),
        columns=shop_run.source.columns.mapped,
        horizon_days=shop_run.predict.horizon_days,
        as_of=None if place == -1 else as_of,
    )
    predicted = forecast.predict()
    assert forecast.as_of == as_of
    pandas.testing.assert_frame_equal(predicted, published[list(predicted.columns)], rtol=1e-9, atol=1e-9)
    assert predicted["expected_orders"].notna().all()
