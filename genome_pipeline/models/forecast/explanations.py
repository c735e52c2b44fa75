"""Contributions that add up to the numbers of the forecast."""

from __future__ import annotations

import pandas as pd

from genome_pipeline.models.drivers import Explanation, Link, explain
from genome_pipeline.models.forecast.risk import RiskModel
from genome_pipeline.models.forecast.value import ValueModel


def explain_forecast(risk: RiskModel, value: ValueModel, features: pd.DataFrame) -> dict[str, Explanation]:
    """Explanations of the two models' predictions for rows of ``customer_features`` of their snapshot, by prediction.

    Explained are churn, and expected spend or, where spend is not predicted, expected orders; withheld ones are not.
    """
    if not risk.experts:
        return {}
    activity = risk.terms(features)
    found = {"churn_probability": explain([activity], [risk.reference], Link.CHURN)}
    if value.orders is None:
        return found
    terms = [activity, value.orders.terms(features, value.horizon_days)]
    references = [risk.reference, value.references[0]]
    if value.amounts is None:
        return {**found, "expected_orders": explain(terms, references, Link.ORDERS)}
    terms, references = [*terms, value.amounts.terms(features)], [*references, value.references[1]]
    return {**found, "expected_spend": explain(terms, references, Link.SPEND)}
