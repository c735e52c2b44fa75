"""Every figure of the pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

import duckdb
import plotly.graph_objects as go
import pytest

from genome_pipeline.dashboard.kit.chart import Chart
from genome_pipeline.dashboard.kit.customers import customer_genome
from genome_pipeline.dashboard.kit.drivers import drivers_chart, overall_drivers
from genome_pipeline.dashboard.kit.experiments import experiments_at
from genome_pipeline.dashboard.kit.outcomes import (
    error_trend,
    error_trend_chart,
    expected_and_realised_spend,
    realised_spend,
)
from genome_pipeline.dashboard.kit.theme import DARK, LIGHT, Theme
from genome_pipeline.dashboard.kit.trend import confidence_over_time, snapshot_trend
from genome_pipeline.dashboard.pages.cohorts import figures as cohort_figures
from genome_pipeline.dashboard.pages.cohorts import queries as cohort_queries
from genome_pipeline.dashboard.pages.confidence import figures as confidence_figures
from genome_pipeline.dashboard.pages.confidence import queries as confidence_queries
from genome_pipeline.dashboard.pages.customer import figures as customer_figures
from genome_pipeline.dashboard.pages.customer import queries as customer_queries
from genome_pipeline.dashboard.pages.customer.timeline import NextOrder, activity_timeline
from genome_pipeline.dashboard.pages.data_quality import figures as quality_figures
from genome_pipeline.dashboard.pages.data_quality import queries as quality_queries
from genome_pipeline.dashboard.pages.overview import figures as overview_figures
from genome_pipeline.dashboard.pages.overview import queries as overview_queries
from genome_pipeline.dashboard.pages.proof import figures as proof_figures
from genome_pipeline.dashboard.pages.proof import queries as proof_queries
from genome_pipeline.dashboard.pages.risk import figures as risk_figures
from genome_pipeline.dashboard.pages.risk import queries as risk_queries
from genome_pipeline.dashboard.pages.segments import figures as segment_figures
from genome_pipeline.dashboard.pages.segments import queries as segment_queries
from genome_pipeline.dashboard.pages.segments.customer_map import MAP_GENES, CustomerMap, project
from genome_pipeline.dashboard.pages.similar import figures as similar_figures
from genome_pipeline.dashboard.pages.similar import queries as similar_queries
from genome_pipeline.dashboard.pages.value import figures as value_figures
from genome_pipeline.dashboard.pages.value import queries as value_queries
from genome_pipeline_tests.support.published_file import HOSTILE_ID, LATEST, PROVEN_EXPERIMENT, SNAPSHOTS


def _map(connection: duckdb.DuckDBPyConnection, as_of: date) -> CustomerMap:
    found = project(segment_queries.customer_sample(connection, as_of, MAP_GENES))
    assert found is not None
    return found


def _cumulative_spend(connection: duckdb.DuckDBPyConnection, as_of: date, theme: Theme) -> Chart:
    cohorts = cohort_queries.cohorts_by_age(connection, as_of)
    forecasts = cohort_queries.cohort_forecasts(connection, as_of)
    chosen = cohort_figures.first_shown(cohorts)
    return cohort_figures.cumulative_spend(cohorts, forecasts, chosen, "month", "USD", theme=theme)


def _effects_of_all(connection: duckdb.DuckDBPyConnection, as_of: date, theme: Theme) -> Chart:
    experiments = experiments_at(connection, as_of)
    seen = experiments[experiments["effect"].notna() & (experiments["outcome_name"] == "orders")]
    return proof_figures.effects_of_all(seen, "orders", "USD", theme=theme)


def _effect_by_look(connection: duckdb.DuckDBPyConnection, as_of: date, theme: Theme) -> Chart:
    looks = proof_queries.looks(connection, PROVEN_EXPERIMENT, as_of)
    return proof_figures.effect_by_look(looks[looks["outcome_name"] == "spend"], "spend", "USD", theme=theme)


Draw = Callable[[duckdb.DuckDBPyConnection, date, Theme], Chart]
FIGURES: Mapping[str, Draw] = {
    "customers_over_time": lambda c, d, t: overview_figures.customers_over_time(snapshot_trend(c, d), theme=t),
    "expected_and_realised_spend": lambda c, d, t: expected_and_realised_spend(
        snapshot_trend(c, d), realised_spend(c, d), "USD", 28, theme=t
    ),
    "spend_by_risk_band": lambda c, d, t: overview_figures.spend_by_risk_band(
        overview_queries.risk_band_trend(c, d), "USD", 28, theme=t
    ),
    "confidence_over_time": lambda c, d, t: confidence_over_time(snapshot_trend(c, d), theme=t),
    "recommended_actions": lambda c, d, t: overview_figures.recommended_actions(
        overview_queries.actions(c, d), "USD", theme=t
    ),
    "confidence_distribution": lambda c, d, t: confidence_figures.confidence_distribution(
        confidence_queries.confidence_distribution(c, d), theme=t
    ),
    "segment_sizes": lambda c, d, t: segment_figures.segment_sizes(segment_queries.segment_profiles(c, d), theme=t),
    "segment_profile_heatmap": lambda c, d, t: segment_figures.segment_profile_heatmap(
        segment_queries.segment_profiles(c, d), "USD", theme=t
    ),
    "segment_value": lambda c, d, t: segment_figures.segment_value(
        segment_queries.segment_profiles(c, d), "USD", 28, theme=t
    ),
    "segment_migrations": lambda c, d, t: segment_figures.segment_migrations(
        segment_queries.segment_migrations(c, d), SNAPSHOTS[0], theme=t
    ),
    "confidence_parts": lambda c, d, t: customer_figures.confidence_parts(
        customer_genome(c, d, "C0010").iloc[0], theme=t
    ),
    "fingerprint": lambda c, d, t: customer_figures.fingerprint(
        customer_queries.fingerprint(c, d, customer_genome(c, d, "C0010").iloc[0]),
        "Occasional <b>visitors</b>",
        "USD",
        theme=t,
    ),
    "activity_timeline": lambda c, d, t: activity_timeline(
        customer_queries.customer_activity(c, d, "C0010", "month"),
        "USD",
        "month",
        d,
        NextOrder.of(customer_genome(c, d, "C0010").iloc[0]),
        theme=t,
    ),
    "compared_genes": lambda c, d, t: similar_figures.compared_genes(
        similar_queries.percentiles(c, d, similar_queries.customers(c, d, ["C0010", HOSTILE_ID])), "USD", theme=t
    ),
    "customer_value_history": lambda c, d, t: customer_figures.customer_value_history(
        customer_queries.customer_predictions(c, d, "C0010"), "USD", 28, 0.8, theme=t
    ),
    "customer_churn_history": lambda c, d, t: customer_figures.customer_churn_history(
        customer_queries.customer_predictions(c, d, "C0010"), 28, theme=t
    ),
    "quarantine_by_reason": lambda c, d, t: quality_figures.quarantine_by_reason(
        quality_queries.quarantine_by_reason(c), "USD", theme=t
    ),
    "segment_mix": lambda c, d, t: overview_figures.segment_mix(overview_queries.segment_mix(c, d), theme=t),
    "gene_by_segment": lambda c, d, t: segment_figures.gene_by_segment(
        segment_queries.gene_by_segment(c, d, "spend_amount"), "spend_amount", "USD", theme=t
    ),
    "customer_map": lambda c, d, t: segment_figures.customer_map(_map(c, d), 300, theme=t),
    "checks_by_period": lambda c, d, t: quality_figures.checks_by_period(quality_queries.checks_by_period(c), theme=t),
    "gene_drift": lambda c, d, t: quality_figures.gene_drift(
        quality_queries.gene_drift(c, LATEST, "previous"), "the snapshot before", theme=t
    ),
    "value_deciles": lambda c, d, t: value_figures.value_deciles(
        value_queries.value_deciles(c, SNAPSHOTS[0]), d, "USD", 28, theme=t
    ),
    "capture_curve": lambda c, d, t: value_figures.capture_curve(
        value_queries.capture_curve(c, SNAPSHOTS[0], "model"),
        value_queries.capture_curve(c, SNAPSHOTS[0], "naive"),
        d,
        theme=t,
    ),
    "error_trend": lambda c, d, t: error_trend_chart(
        error_trend(c, LATEST, "churn", "brier"), "Error", "Lower is better.", "Brier", theme=t
    ),
    "overall_drivers": lambda c, d, t: drivers_chart(
        overall_drivers(c, d, "churn_probability"), "churn_probability", "USD", theme=t
    ),
    "churn_distribution": lambda c, d, t: risk_figures.churn_distribution(
        risk_queries.churn_distribution(c, d, "segment_name"), "segment_name", 28, theme=t
    ),
    "reliability": lambda c, d, t: risk_figures.reliability(risk_queries.reliability(c, SNAPSHOTS[0]), d, 28, theme=t),
    "cutoff_tradeoff": lambda c, d, t: risk_figures.cutoff_tradeoff(
        risk_queries.churn_cutoffs(c, d, SNAPSHOTS[0]), 0.5, d, 0.2, theme=t
    ),
    "coverage": lambda c, d, t: confidence_figures.coverage(
        confidence_queries.coverage(c, SNAPSHOTS[0], "orders", "all", 0.8), ["All <b>"], "for all", 0.8, d, theme=t
    ),
    "error_by_confidence": lambda c, d, t: confidence_figures.error_by_confidence(
        confidence_queries.error_by_confidence(c, SNAPSHOTS[0], "churn"),
        "churn_confidence",
        "Error",
        "It falls.",
        "",
        theme=t,
    ),
    "abstentions": lambda c, d, t: confidence_figures.abstentions(confidence_queries.abstentions(c, d), 300, theme=t),
    "interval_width_trend": lambda c, d, t: confidence_figures.interval_width_trend(
        confidence_queries.interval_width_trend(c, d),
        "expected_spend_width",
        "Width",
        prefix="$",
        tickformat=",~s",
        theme=t,
    ),
    "retention_triangle": lambda c, d, t: cohort_figures.retention_triangle(
        cohort_queries.cohorts_by_age(c, d), "month", theme=t
    ),
    "cumulative_spend": _cumulative_spend,
    "effects_of_all": _effects_of_all,
    "effect_by_look": _effect_by_look,
    "quarantine_by_period": lambda c, d, t: quality_figures.quarantine_by_period(
        quality_queries.quarantine_by_period(c), theme=t
    ),
}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_says_what_it_shows_and_has_no_markup_from_data(
    connection: duckdb.DuckDBPyConnection, name: str, theme: Theme
) -> None:
    chart = FIGURES[name](connection, LATEST, theme)
    assert chart.title
    assert chart.reading
    assert chart.height
    assert chart.figure.data
    assert chart.figure.layout.title.text is None
    assert chart.figure.layout.template == go.Figure(layout={"template": theme.template}).layout.template
    assert "<b>" not in str(chart.figure.to_dict())


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_draws_at_the_first_snapshot_too(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    assert FIGURES[name](connection, SNAPSHOTS[0], LIGHT).figure.layout
