from dataclasses import asdict

import pytest

from benchmarks.speed import Bar, Cost, curves, run_bars, slope, table_of_bars


def _run(lines: int, seconds: float) -> dict[str, object]:
    stages = ("raw_transactions", "validation", "customer_activity", "customer_features")
    scored = ("customer_value", "customer_risk", "customer_confidence")
    costs = {name: Cost({name: seconds, f"{name}_contract": 1.0}, 2.0, 0.1) for name in (*stages, *scored)}
    costs["reference"] = Cost({"reference": 2.0}, 0.5, 0.1)
    return {"lines": lines, "customers": 600, "costs": {name: asdict(cost) for name, cost in costs.items()}}


def test_bars_are_ratios_to_the_reference_without_checks_and_minutes_with_them() -> None:
    bars = {bar.name.removesuffix(", 1 M lines"): bar for bar in run_bars(_run(1_000_000, 4.0))}
    assert bars["ingest, validate, activity and features"].value == 8.0
    assert not bars["ingest, validate, activity and features"].is_met
    assert bars["customer_features"].value == 2.0
    assert bars["full run for one snapshot"].value == pytest.approx(35 / 60)
    assert bars["scoring"].value == 50.0
    assert not bars["scoring"].is_met


def test_time_that_doubles_with_the_lines_has_slope_one() -> None:
    assert slope([_run(1_000, 3.0), _run(2_000, 7.0), _run(4_000, 15.0)]) == pytest.approx(1.0)


def test_the_table_shows_the_change_since_the_baseline() -> None:
    table = table_of_bars([Bar("a", 3.0, 6.0, "s"), Bar("b", 3.0, 6.0, "x", is_least=True)], {"a": 2.0})
    assert "| a | 3 s | ≤ 6 | yes | 2 | +50% |" in table
    assert "| b | 3 x | ≥ 6 | no |  |  |" in table


def test_curves_show_minutes_over_lines_without_the_reference() -> None:
    charts = curves([_run(1_000_000, 53.0) | {"published_gb": 0.1}, _run(10_000_000, 593.0) | {"published_gb": 1.0}])
    assert 'x-axis "lines" ["1 M", "10 M"]' in charts
    assert "line [6.30, 69.30]" in charts
    assert "line [2.00, 2.00]" in charts
