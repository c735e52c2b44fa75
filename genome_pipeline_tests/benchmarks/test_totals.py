"""What the benchmark of totals makes of one row."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.totals import judged, summary
from genome_pipeline.models.forecast.totals import PRIORS


def row(log: str, actual: float) -> dict[str, Any]:
    """All customers, a segment, and a cohort of three that has no interval."""
    known = {"expected_buyer_count": 50.0, "expected_order_count": 100.0, "expected_spend_amount": 1000.0}
    groups = [
        {
            "group_kind": kind,
            "group_key": "1",
            "customer_count": customers,
            **known,
            **{f"actual_{name}": value * actual for name, value in known.items()},
            **{f"{target}_variance": 25.0 for target in ("buyers", "orders", "spend")},
        }
        for kind, customers in (("company", 100.0), ("segment", 100.0), ("cohort", 3.0))
    ]
    spread = {
        "buyers_variance": 0.01,
        "level_square": 0.01,
        "level_count": 3.0,
        "group_square": 0.01,
        "group_count": 9.0,
        "own_factor": 1.0,
    }
    widths = {"expected_orders": 400.0, "expected_spend": 4000.0}
    spreads = dict.fromkeys(("buyers", "orders", "spend"), spread)
    return {"log": log, "spreads": spreads, "sums_of_widths": widths, "groups": groups}


def test_a_total_is_covered_where_what_happened_is_within_its_bounds() -> None:
    for actual, below, above in ((1.0, False, False), (0.3, True, False), (1.9, False, True)):
        found = judged(row("a", actual), PRIORS)
        assert found["kind"].tolist() == ["company", "segment"] * 3
        assert set(found["below"]) == {below}
        assert set(found["above"]) == {above}
        assert (found["covered"] == (found["actual"] == found["total"])).all() or actual == 1.0
    spend = judged(row("a", 1.0), PRIORS).iloc[-2]
    assert (spend["target"], spend["kind"]) == ("spend", "company")
    assert spend["score"] == pytest.approx(spend["width"] / 1000)


def test_the_summary_tells_coverage_and_how_much_wider_sums_of_bounds_are() -> None:
    told = summary([row("a", 1.0), row("b", 0.3)])
    assert "12 totals, 50.0% covered" in told
    assert "| a     |        6 |     1.000 |" in told
    assert "The sum of customers' intervals is wider than the company's by a median factor of" in told
