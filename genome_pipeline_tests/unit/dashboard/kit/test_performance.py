from __future__ import annotations

import pandas as pd
import pytest

from genome_pipeline.dashboard.kit.performance import compare


@pytest.mark.parametrize(
    ("metric", "model", "naive", "verdict", "tone"),
    [
        ("mae", 8.0, 10.0, "✓ 20% better", "good"),
        ("mae", 12.0, 10.0, "✗ 20% worse", "bad"),
        ("mae", 10.01, 10.0, "= as good", "plain"),
        ("auc", 0.9, 0.75, "✓ 20% better", "good"),
        ("coverage", 0.79, None, "aim: 80%", "plain"),
        ("bias", 1.0, 2.0, "", "plain"),
        ("ece", 0.03, 0.02, "✗ 50% worse", "bad"),
        ("base_rate", 0.2, 0.2, "", "plain"),
        ("something_new", 1.0, 2.0, "", "plain"),
        ("mae", None, 10.0, "", "plain"),
    ],
)
def test_the_verdict_knows_which_way_is_better(
    metric: str, model: float | None, naive: float | None, verdict: str, tone: str
) -> None:
    frame = pd.DataFrame({"target": ["orders"], "metric": [metric], "model": [model], "naive": [naive]})
    comparison = compare(frame, None, 0.8)[0]
    assert (comparison.verdict, comparison.tone) == (verdict, tone)


def test_errors_of_spend_are_in_money_and_spend_comes_first() -> None:
    frame = pd.DataFrame(
        {"target": ["churn", "spend"], "metric": ["brier", "mae"], "model": [0.1, 12.5], "naive": [0.2, 15.0]}
    )
    spend, churn = compare(frame, "GBP", 0.8)
    assert (spend.target, spend.model, spend.naive) == ("Spend", "£12.50", "£15.00")
    assert (churn.target, churn.model) == ("Churn", "0.100")
