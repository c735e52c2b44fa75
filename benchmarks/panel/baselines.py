"""Seven baselines of the field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.tree import DecisionTreeClassifier

from benchmarks.panel.btyd import fit_bg_nbd, fit_gamma_gamma, fit_mbg_nbd
from benchmarks.panel.data import Data
from genome_pipeline.models.btyd.pareto_nbd import fit_pareto_nbd
from genome_pipeline.models.forecast.value import naive_value
from genome_pipeline.models.genes import numbers
from genome_pipeline.models.not_enough_data import NotEnoughData
from genome_pipeline.models.snapshots import model_matrix, pooled_rows, purchase_history

Floats = NDArray[np.float64]

SEED = 0


@dataclass(frozen=True)
class Forecast:
    """What one predictor says of each customer, in order of ``customer_id``; None for what it does not predict.

    Attributes:
        activity: probability of a purchase within the horizon, in [0, 1].
        orders: expected purchase days.
        spend: expected spend.
    """

    activity: Floats | None = None
    orders: Floats | None = None
    spend: Floats | None = None


def baselines(data: Data) -> dict[str, Forecast]:
    """What each baseline that can be fitted says at the row."""
    return _trailing(data) | _hiatus(data) | btyd(data) | _plain_boosting(data)


def _trailing(data: Data) -> dict[str, Forecast]:
    """The last horizon again, and the last year scaled to the horizon."""
    return {
        "repeat last": Forecast(None, *naive_value(data.features, data.row.horizon_days)),
        "last year": Forecast(None, *naive_value(data.year_features, data.row.horizon_days)),
    }


def _hiatus(data: Data) -> dict[str, Forecast]:
    """Hiatus heuristic: active if the last order is fresher than a cutoff.

    The cutoff, and the active share on either side of it, are those of least log loss on the latest matured snapshot.
    Wuebben, M. and von Wangenheim, F. (2008), "Instant Customer Base Analysis", Journal of Marketing 72(3), 82-93.
    """
    if not data.matured or data.matured[-1].outcomes["has_churned"].nunique() < 2:
        return {}
    latest = data.matured[-1]
    cutoff = DecisionTreeClassifier(criterion="log_loss", max_depth=1, random_state=SEED)
    cutoff.fit(latest.features[["days_since_last_order"]], ~latest.outcomes["has_churned"])
    return {"hiatus": Forecast(cutoff.predict_proba(data.features[["days_since_last_order"]])[:, 1])}


def btyd(data: Data) -> dict[str, Forecast]:
    """BTYD models fitted to the histories at ``as_of``, with Gamma-Gamma for the amounts."""
    frequency, monetary_value = (numbers(data.features[name]) for name in ("frequency_count", "monetary_value_amount"))
    history, horizon_days = purchase_history(data.features), data.row.horizon_days
    forecasts: dict[str, Forecast] = {}
    for name, fit in (("BG/NBD", fit_bg_nbd), ("MBG/NBD", fit_mbg_nbd), ("Pareto/NBD", fit_pareto_nbd)):
        try:
            model = fit(*history)
            amount = fit_gamma_gamma(frequency, monetary_value).mean_amount(frequency, monetary_value)
        except NotEnoughData:
            continue
        orders = model.expected_purchases(*history, horizon_days)
        forecasts[name] = Forecast(model.purchase_probability(*history, horizon_days), orders, orders * amount)
    return forecasts


def _plain_boosting(data: Data) -> dict[str, Forecast]:
    """Histogram gradient boosting as scikit-learn sets it, on the genes of all matured snapshots."""
    if not data.matured:
        return {}
    features, outcomes = pooled_rows(data.matured, SEED)
    genes, current = model_matrix(features), model_matrix(data.features)
    is_known = ~np.isnan(genes).all(axis=0)  # a log without categories has no gene of them, and scikit-learn refuses it
    genes, current = genes[:, is_known], current[:, is_known]
    is_active = ~outcomes["has_churned"].to_numpy(bool)
    if is_active.all() or not is_active.any():
        return {}
    activity = HistGradientBoostingClassifier(random_state=SEED).fit(genes, is_active)
    orders = HistGradientBoostingRegressor(loss="poisson", random_state=SEED).fit(genes, outcomes["actual_orders"])
    spend = HistGradientBoostingRegressor(random_state=SEED).fit(genes, outcomes["actual_spend"])
    return {
        "boosting": Forecast(
            activity.predict_proba(current)[:, 1], orders.predict(current), np.maximum(spend.predict(current), 0.0)
        )
    }
