from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.models.drift import gene_drift, population_stability_index

NAN = float("nan")
_CLOCK_GENES = [name for name, gene in GENES.items() if gene.is_clock]


def customers(size: int, seed: int = 1, **columns: Any) -> pd.DataFrame:
    """Genes of customers, all drawn from one distribution but for the columns given."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame({gene: generator.gamma(4.0, 5.0, size) for gene in GENES})
    for name, values in columns.items():
        frame[name] = values
    return frame


def found(now: pd.DataFrame, baseline: pd.DataFrame, gene: str) -> dict[str, Any]:
    rows = gene_drift(now, baseline, 0.25).set_index("gene")
    return {name: rows.loc[gene, name] for name in rows.columns}


def test_the_index_by_hand() -> None:
    # Zeros and ones are bins by themselves, empty ones below, between, above and of the missing.
    before, now = np.repeat([0.0, 1.0], [60, 40]), np.repeat([0.0, 1.0], [30, 70])
    shares = np.array([[60.5, 40.5, 0.5, 0.5, 0.5, 0.5], [30.5, 70.5, 0.5, 0.5, 0.5, 0.5]]) / 103
    expected = sum((q - p) * np.log(q / p) for p, q in shares.T)
    assert population_stability_index(before, now) == pytest.approx(expected)
    assert 0.35 < expected < 0.4


def test_the_index_of_the_same_customers_is_zero() -> None:
    values = np.array([1.0, 2.0, 2.0, 5.0, NAN])
    assert population_stability_index(values, values[::-1]) == 0


@pytest.mark.parametrize("now", [3.0, 7.0, NAN])
def test_the_index_sees_a_constant_change_either_way(now: float) -> None:
    assert population_stability_index(np.full(500, 5.0), np.full(500, now)) > 5


def test_the_index_of_tenths_of_a_normal_gene_is_near_the_theory() -> None:
    # For normal distributions of equal spread, the divergence is the squared shift over the variance.
    generator = np.random.default_rng(1)
    before, now = generator.normal(0, 1, 100_000), generator.normal(0.5, 1, 100_000)
    assert population_stability_index(before, now) == pytest.approx(0.25, abs=0.02)


def test_a_gene_that_moved_has_drifted_and_the_others_have_not() -> None:
    before = customers(500)
    now = customers(500, seed=2, overdue_ratio=before["overdue_ratio"] * 2)
    rows = gene_drift(now, before, 0.25)
    assert list(rows.loc[rows["has_drifted"].fillna(False), "gene"]) == ["overdue_ratio"]
    row = rows.set_index("gene").loc["overdue_ratio"]
    assert row["median"] == pytest.approx(2 * row["baseline_median"])
    assert row["mean"] == pytest.approx(2 * row["baseline_mean"])
    assert (row["customer_count"], row["baseline_customer_count"]) == (500, 500)


def test_a_change_of_the_missing_share_alone_is_drift() -> None:
    before = customers(500)
    now = before.assign(momentum_share=before["momentum_share"].where(np.arange(500) % 3 > 0))
    row = found(now, before, "momentum_share")
    assert row["has_drifted"]
    assert (row["baseline_missing_share"], row["missing_share"]) == (0, pytest.approx(167 / 500))
    assert row["median"] == pytest.approx(row["baseline_median"], rel=0.1)


def test_a_large_index_of_few_customers_is_chance() -> None:
    row = found(customers(15, seed=1), customers(15, seed=2), "weekend_share")
    assert row["psi"] > 0.25
    assert not row["has_drifted"]


def test_a_significant_but_small_change_is_no_drift() -> None:
    before = customers(20_000)
    row = found(before.assign(weekend_share=before["weekend_share"] * 1.1), before, "weekend_share")
    assert row["ks_p_value"] < 1e-9
    assert not row["has_drifted"]


def test_clock_genes_are_measured_and_not_judged() -> None:
    before = customers(300)
    rows = gene_drift(before + 30, before, 0.25).set_index("gene")
    assert list(rows.index[rows["has_drifted"].isna()]) == _CLOCK_GENES
    assert rows.loc[_CLOCK_GENES, "psi"].min() > 1
    assert rows.loc["t_days", "unjudged_reason"] == "the calendar moves it, whatever customers do"


def test_nothing_is_judged_where_there_is_a_reason() -> None:
    before = customers(300)
    rows = gene_drift(before * 9, before, 0.25, "the log was too young")
    assert rows["has_drifted"].isna().all()
    assert set(rows["unjudged_reason"]) == {"the log was too young"}


def test_the_test_is_scipys() -> None:
    before, now = customers(900), customers(700, seed=2)
    for frame, gene in ((before, "order_count"), (now, "order_count")):
        frame[gene] = frame[gene].round(-1)
    for gene in ("weekend_share", "order_count"):
        row, expected = found(now, before, gene), ks_2samp(before[gene], now[gene])
        assert row["ks_statistic"] == pytest.approx(expected.statistic)
        assert row["ks_p_value"] == pytest.approx(expected.pvalue, abs=0.03)


def test_a_gene_that_nobody_has_is_still() -> None:
    row = found(customers(50, category_count=NAN), customers(50, seed=2, category_count=NAN), "category_count")
    assert (row["psi"], row["has_drifted"], row["missing_share"]) == (0, False, 1)
    assert pd.isna(row["median"])
