"""Scaling of genes."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.models.genes import CLIP, SCALED_GENES, GeneScaler, numbers
from genome_pipeline_tests.support.populations import customers, shop


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([Decimal("1.50"), None], dtype=object),
        pd.Series([1.5, float("nan")]),
        pd.Series([1.5, pd.NA], dtype="Float64"),
        pd.Series([Decimal("1.50"), pd.NA], dtype=object),
    ],
)
def test_numbers_of_any_kind_become_floats_and_null_becomes_nan(column: pd.Series) -> None:
    assert numbers(column).dtype == np.float64
    np.testing.assert_array_equal(numbers(column), [1.5, np.nan])


def test_median_is_0_and_an_interquartile_range_is_that_of_a_standard_normal() -> None:
    momentum = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    features = customers([str(number) for number in range(9)], momentum_share=momentum)
    scaler = GeneScaler.fit(features)
    scaled = scaler.transform(features)[:, scaler.genes.index("momentum_share")]
    assert scaled[4] == 0
    # Quartiles 0.3 and 0.7: (0.7 - 0.5) / (0.4 / 1.349)
    np.testing.assert_allclose(scaled[6], 0.6745, atol=1e-4)


def test_a_gene_alike_for_most_is_scaled_by_its_standard_deviation_and_alike_for_all_is_0() -> None:
    share = [0.0] * 99 + [1.0]
    features = customers([f"{number:02d}" for number in range(100)], return_share=share)
    scaler = GeneScaler.fit(features)
    spread = np.std(np.log1p(share))
    assert scaler.scales[scaler.genes.index("return_share")] == pytest.approx(spread)
    assert not scaler.transform(features)[:, scaler.genes.index("category_count")].any()


def test_a_missing_gene_is_the_median_and_a_gene_nobody_has_is_left_out() -> None:
    features = customers(
        ["a", "b", "c"], spend_amount=[Decimal("10"), None, Decimal("90")], average_order_value_amount=None
    )
    scaler = GeneScaler.fit(features)
    assert "average_order_value_amount" not in scaler.genes
    assert scaler.transform(features)[1, scaler.genes.index("spend_amount")] == 0


def test_values_are_clipped_and_net_returns_are_below_nothing_spent() -> None:
    spend = [-200.0, 0.0, *np.linspace(90, 110, 97), 1e9]
    features = customers([f"{number:02d}" for number in range(100)], spend_amount=spend)
    scaler = GeneScaler.fit(features)
    scaled = scaler.transform(features)
    column = scaled[:, scaler.genes.index("spend_amount")]
    assert np.abs(scaled).max() == CLIP
    assert column[0] < column[1] < column[2] < column[-1]


def test_scaler_survives_json_and_the_order_of_rows() -> None:
    features = shop()
    scaler = GeneScaler.fit(features)
    assert GeneScaler.from_dict(json.loads(json.dumps(scaler.to_dict()))) == scaler
    assert GeneScaler.fit(features.sample(frac=1, random_state=3)) == scaler


def test_without_customers_all_genes_are_kept() -> None:
    scaler = GeneScaler.fit(shop().iloc[:0])
    assert len(scaler.genes) == len(SCALED_GENES)
    assert scaler.transform(shop().iloc[:0]).shape == (0, len(SCALED_GENES))
