import json
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import expit

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.models.forecast.boosting import Boosted, fit_mean, fit_probability
from genome_pipeline.models.not_enough_data import NotEnoughData

ROWS = 2_000


def matrix(seed: int = 0) -> np.ndarray:
    genes = np.random.default_rng(seed).normal(size=(ROWS, len(GENES)))
    genes[::7, 3] = np.nan
    return genes


def test_the_mean_is_a_factor_on_the_exposure() -> None:
    genes = matrix()
    exposure = np.where(genes[:, 1] > 0, 10.0, 1.0)
    model = fit_mean(genes, exposure * np.where(genes[:, 0] > 0, 6.0, 2.0), exposure, seed=0)
    found = np.exp(model.linear(genes))
    assert found[genes[:, 0] > 0.2].mean() == pytest.approx(6.0, rel=0.05)
    assert found[genes[:, 0] < -0.2].mean() == pytest.approx(2.0, rel=0.05)


def test_the_probability_of_an_event() -> None:
    genes = matrix()
    happened = np.random.default_rng(1).uniform(size=ROWS) < expit(2 * genes[:, 0])
    found = expit(fit_probability(genes, happened, seed=0).linear(genes))
    assert found.mean() == pytest.approx(happened.mean(), abs=0.01)
    assert found[genes[:, 0] > 1].mean() > 0.85
    assert found[genes[:, 0] < -1].mean() < 0.15


def test_contributions_add_up() -> None:
    genes = matrix()
    model = fit_probability(genes, genes[:, 0] > 0, seed=0)
    np.testing.assert_allclose(model.contributions(genes).sum(axis=1), model.linear(genes), atol=1e-9)


def test_what_happens_always_or_never_teaches_nothing() -> None:
    for outcome in (False, True):
        with pytest.raises(NotEnoughData, match="ended alike"):
            fit_probability(matrix(), np.full(ROWS, outcome), seed=0)
    with pytest.raises(NotEnoughData, match="nothing was bought"):
        fit_mean(matrix(), np.full(ROWS, -1.0), np.ones(ROWS), seed=0)


def test_it_comes_back_from_json_and_predicts_identically() -> None:
    genes = matrix()
    model = fit_probability(genes, genes[:, 0] > 0, seed=0)
    again = Boosted.from_dict(json.loads(json.dumps(model.to_dict())))
    assert np.array_equal(again.linear(genes), model.linear(genes))
    assert np.array_equal(again.contributions(genes), model.contributions(genes))
    assert again.trees.params == model.trees.params


def test_fits_and_predictions_of_several_threads_do_not_crash() -> None:
    # In a process of its own, as a crash would take the tests with it; LightGBM is not told how many threads it has.
    script = """
import threading
import numpy as np
from genome_pipeline.contracts.genes import GENES
from genome_pipeline.models.forecast.boosting import fit_probability

draws = np.random.default_rng(0)
genes, happened = draws.normal(size=(3_000, len(GENES))), draws.random(3_000) < 0.4
model, is_over = fit_probability(genes, happened, 0), threading.Event()

def predict() -> None:
    while not is_over.is_set():
        model.linear(genes[:500])

threads = [threading.Thread(target=predict) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(40):
    fit_probability(genes, happened, 0)
is_over.set()
"""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    assert subprocess.run([sys.executable, "-c", script], env=environment, check=False).returncode == 0
