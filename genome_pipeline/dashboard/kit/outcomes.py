"""How earlier predictions turned out: predictions and outcomes that several pages compare."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pandas as pd
from dash import html
from dash.development.base_component import Component

from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.chart import Chart, new_chart
from genome_pipeline.dashboard.kit.components import panel
from genome_pipeline.dashboard.kit.drawing import add_line, snapshot_axis, translucent
from genome_pipeline.dashboard.kit.formats import currency_prefix
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.snapshots import up_to
from genome_pipeline.dashboard.kit.theme import LIGHT, Theme
from genome_pipeline.published.versions import remembered_rows

NORMAL_95 = 1.959963984540054
"""Half the width of the interval that holds 95% of a normal distribution, in standard deviations."""


def realised_spend(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per snapshot that had matured by ``as_of``: spend by the model, by the baseline, and realised."""
    realised = remembered_rows(
        connection,
        """
        SELECT
            as_of,
            matured_as_of,
            count(*) AS customer_count,
            sum(expected_spend) AS expected_spend,
            sum(naive_expected_spend) AS naive_expected_spend,
            sum(actual_spend) AS actual_spend
        FROM prediction_outcomes_history
        WHERE expected_spend IS NOT NULL
        GROUP BY as_of, matured_as_of
        ORDER BY as_of
        """,
    )
    return up_to(realised, as_of, "matured_as_of").drop(columns="matured_as_of")


def last_matured(connection: duckdb.DuckDBPyConnection, as_of: date) -> date | None:
    """The latest snapshot that had matured by ``as_of``, if there is one."""
    found = connection.execute(
        "SELECT max(as_of) FROM model_performance_history WHERE matured_as_of <= ?", [as_of]
    ).fetchall()
    return found[0][0] if found else None


def error_trend(connection: duckdb.DuckDBPyConnection, as_of: date, target: str, metric: str) -> pd.DataFrame:
    """One row per snapshot that had matured by ``as_of``: a measure of the model and of the naive baseline."""
    return connection.execute(
        """
        SELECT
            as_of,
            max(customer_count) AS customer_count,
            any_value(metric_value) FILTER (predictor = 'model') AS model,
            any_value(metric_value) FILTER (predictor = 'naive') AS naive
        FROM model_performance_history
        WHERE matured_as_of <= ? AND slice_name = 'all' AND target = ? AND metric = ?
        GROUP BY as_of
        HAVING model IS NOT NULL
        ORDER BY as_of
        """,
        [as_of, target, metric],
    ).df()


def expected_and_realised_spend(
    trend: pd.DataFrame, realised: pd.DataFrame, currency: str | None, horizon_days: int, *, theme: Theme = LIGHT
) -> Chart:
    """Total spend expected within the horizon of each snapshot, beside the baseline's and the realised spend."""
    chart = new_chart(
        "Expected and realised spend",
        f"In the {horizon_days} days after each snapshot, by its customers. The whisker is the interval that was told"
        " for the total then. A snapshot without a bar has not matured yet.",
        theme,
    )
    figure = chart.figure
    prefix = currency_prefix(currency)
    hover = f"%{{x|%-d %b %Y}}<br>{prefix}%{{y:,.0f}}"
    figure.add_bar(
        x=realised["as_of"],
        y=realised["actual_spend"],
        name="Realised",
        marker={"color": translucent(theme.actual, 0.18), "line": {"color": theme.actual, "width": 1}},
        hovertemplate=hover + "<extra>Realised</extra>",
    )
    figure.add_scatter(
        x=realised["as_of"],
        y=realised["naive_expected_spend"],
        name="Naive baseline",
        mode="lines+markers",
        line={"color": theme.naive, "dash": "dot", "width": 2},
        marker={"symbol": "x", "size": 8},
        hovertemplate=hover + "<extra>Naive baseline</extra>",
    )
    figure.add_scatter(
        x=trend["as_of"],
        y=trend["expected_spend"],
        name="Expected",
        mode="lines+markers",
        line={"color": theme.model, "width": 2.5},
        marker={"symbol": "circle", "size": 8},
        error_y=_interval(trend, theme),
        hovertemplate=hover + "<extra>Expected</extra>",
    )
    figure.update_yaxes(rangemode="tozero", tickprefix=prefix, tickformat=",~s", title="Spend of all customers")
    snapshot_axis(figure, trend["as_of"].tolist())
    return chart


def _interval(trend: pd.DataFrame, theme: Theme) -> dict[str, Any]:
    """Whiskers from the lower to the upper bound of the total, where it has bounds."""
    return {
        "type": "data",
        "symmetric": False,
        "array": trend["expected_spend_upper"] - trend["expected_spend"],
        "arrayminus": trend["expected_spend"] - trend["expected_spend_lower"],
        "color": theme.model,
        "thickness": 1.8,
        "width": 6,
    }


def error_trend_chart(
    errors: pd.DataFrame,
    title: str,
    reading: str,
    unit: str,
    *,
    prefix: str = "",
    tickformat: str = ",~g",
    theme: Theme = LIGHT,
) -> Chart:
    """A measure of error at each matured snapshot: the model beside the naive baseline."""
    chart = new_chart(title, reading, theme)
    figure = chart.figure
    hover = f"%{{x|%-d %b %Y}}<br>{prefix}%{{y:,.3f}}"
    add_line(
        figure,
        errors["as_of"],
        errors["naive"],
        name="Naive baseline",
        color=theme.naive,
        hover=hover,
        dash="dot",
        marker="x",
    )
    add_line(figure, errors["as_of"], errors["model"], name="Model", color=theme.model, hover=hover)
    figure.update_yaxes(rangemode="tozero", tickprefix=prefix, tickformat=tickformat, title=unit)
    snapshot_axis(figure, errors["as_of"].tolist())
    return chart


def not_matured(request: PageRequest) -> Component:
    """A note in place of outcomes, until the first snapshot has matured."""
    return panel(
        html.P(
            f"A snapshot matures once its horizon of {request.run.horizon_days} days has passed. Publish later"
            " snapshots, or choose a later one above."
        ),
        title="What became of earlier predictions is not known yet",
        reading=f"No snapshot had matured by {formats.day(request.as_of)}, so that nothing can be compared with what"
        " happened.",
    )
