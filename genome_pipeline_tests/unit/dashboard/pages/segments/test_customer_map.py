from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.dashboard.pages.segments.customer_map import MAP_GENES, project


def _customers(count: int) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    size = rng.lognormal(3, 1, count)
    frame = pd.DataFrame({gene: rng.lognormal(2, 0.1, count) for gene in MAP_GENES})
    return frame.assign(customer_id=[f"C{number}" for number in range(count)], order_count=size, spend_amount=size * 9)


def test_the_first_axis_is_what_sets_customers_apart_most() -> None:
    customers = _customers(200).assign(t_days=5.0, days_since_last_order=5.0, order_gap_mean_days=5.0)
    found = project(customers)
    assert found is not None
    assert set(found.axes[0].genes) == {"+ orders", "+ total spend"}
    assert np.corrcoef(found.points["x"], np.log1p(customers["order_count"]))[0, 1] > 0.99
    assert found.axes[0].variance_share + found.axes[1].variance_share == pytest.approx(1.0, abs=0.01)


def test_the_order_of_the_rows_does_not_matter() -> None:
    customers = _customers(50)
    one, other = project(customers), project(customers.sample(frac=1, random_state=1))
    assert one is not None
    assert other is not None
    assert other.points.sort_index()["x"].tolist() == pytest.approx(one.points["x"].tolist())


@pytest.mark.parametrize("count", [0, 2, 20])
def test_without_two_directions_there_is_no_map(count: int) -> None:
    assert project(_customers(count).assign(**dict.fromkeys(MAP_GENES, 1.0))) is None
