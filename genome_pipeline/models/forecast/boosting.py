"""Gradient boosting over the genes, for value and risk alike.

LightGBM (Ke, G. et al. (2017), "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", NIPS 30) takes missing
genes as they are, gives each prediction's contributions by gene, and is stored as text. Fits are deterministic: the
same rows and seed give the same trees on any number of threads, and nothing depends on a random hold-out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.not_enough_data import NotEnoughData

if TYPE_CHECKING:
    import lightgbm


_ROUNDS = 60
_THREADS = 1
"""Held during every call: LightGBM has one process-wide number of threads, and a fit crashes if another changes it."""

_SETTINGS: dict[str, Any] = {
    "learning_rate": 0.1,
    "num_leaves": 6,
    "lambda_l2": 10.0,
    "max_bin": 127,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": _THREADS,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Boosted:
    """A fitted ensemble of trees over the genes, on the scale of its link (log of a factor, or log-odds).

    The trees start from ``level``, the mean on that scale.
    """

    trees: lightgbm.Booster
    level: float

    def linear(self, matrix: Floats) -> Floats:
        """Predictions on the scale of the link for genes (rows, genes), shape (rows,)."""
        return self.level + self._predict(matrix, raw_score=True)

    def contributions(self, matrix: Floats) -> Floats:
        """What each gene adds on the scale of the link, shape (rows, genes + 1); the last column is a constant.

        A row sums to :meth:`linear`. Tree SHAP: Lundberg, S. M. et al. (2020), "From Local Explanations to Global
        Understanding with Explainable AI for Trees", Nature Machine Intelligence 2, 56-67.
        """
        found = self._predict(matrix, pred_contrib=True)
        found[:, -1] += self.level
        return found

    def _predict(self, matrix: Floats, **kind: bool) -> Floats:
        return np.asarray(self.trees.predict(matrix, num_threads=_THREADS, **kind), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that JSON can hold, with the trees in LightGBM's own text format."""
        return {"trees": self.trees.model_to_string(), "level": self.level, "params": self.trees.params}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Boosted:
        """Inverse of :meth:`to_dict`. Only text is read: nothing in it can be executed."""
        import lightgbm

        trees = lightgbm.Booster(model_str=state["trees"])
        trees.params = state["params"]
        return cls(trees, state["level"])


def fit_mean(matrix: Floats, target: Floats, exposure: Floats, seed: int) -> Boosted:
    """Fit the mean of a target (rows,) as a factor times its exposure (rows,), from genes (rows, genes).

    Minimises Poisson deviance with log(exposure) as offset. Negative targets count as 0; exposures must be positive.
    Poisson deviance is consistent for the mean whatever the distribution and, unlike squared error, is not dominated by
    the few largest customers.

    Raises:
        NotEnoughData: the target is 0 throughout.
    """
    target = np.maximum(target, 0.0)
    if not np.any(target > 0):
        raise NotEnoughData("nothing was bought in the horizons of the matured snapshots")
    # In units of the mean, so that regularisation means the same for orders and for amounts.
    unit = target.mean()
    level = float(np.log(target.sum()) - np.log(exposure.sum()))
    offset = np.log(exposure) + level - np.log(unit)
    return Boosted(_fit("poisson", matrix, target / unit, offset, seed), level)


def fit_probability(matrix: Floats, is_event: NDArray[np.bool_], seed: int) -> Boosted:
    """Fit the probability of an event (rows,) on genes (rows, genes) by log loss.

    Raises:
        NotEnoughData: the event happened always, or never.
    """
    if is_event.all() or not is_event.any():
        raise NotEnoughData("all customers of the matured snapshots ended alike")
    level = float(logit(is_event.mean()))
    return Boosted(_fit("binary", matrix, is_event.astype(np.float64), np.full(len(is_event), level), seed), level)


def _fit(objective: str, matrix: Floats, target: Floats, offset: Floats, seed: int) -> lightgbm.Booster:
    # Importing it takes seconds, which the command line and the dashboard need not wait for.
    import lightgbm

    parameters = {**_SETTINGS, "objective": objective, "min_data_in_leaf": _leaf_rows(len(target)), "seed": seed}
    data = lightgbm.Dataset(matrix, target, init_score=offset, feature_name=list(GENES), params=parameters)
    return lightgbm.train(parameters, data, num_boost_round=_ROUNDS)


def _leaf_rows(row_count: int) -> int:
    """Least number of rows in a leaf: from 20 to 200, growing with the data."""
    return min(max(row_count // 250, 20), 200)
