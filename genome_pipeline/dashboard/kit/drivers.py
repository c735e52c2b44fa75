"""What moves a prediction, over all customers."""

from __future__ import annotations

from datetime import date
from typing import Literal

import duckdb
import pandas as pd
from dash import html
from dash.development.base_component import Component

from genome_pipeline.dashboard.kit.chart import Chart, chart_panel, new_chart
from genome_pipeline.dashboard.kit.components import panel
from genome_pipeline.dashboard.kit.drawing import add_labelled_bars, wrapped
from genome_pipeline.dashboard.kit.formats import currency_prefix, percent, signed
from genome_pipeline.dashboard.kit.glossary import label
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.theme import LIGHT, Theme
from genome_pipeline.published.versions import remembered_rows

Prediction = Literal["expected_spend", "churn_probability"]

_DRIVERS_SHOWN = 8


def overall_drivers(connection: duckdb.DuckDBPyConnection, as_of: date, prediction: Prediction) -> pd.DataFrame:
    """One row per driver, the strongest first: what it adds to or takes from a prediction, on average of customers.

    The average customer is left out: every prediction starts from it. A driver without a row for a customer
    adds nothing to that customer's prediction, or is part of "everything else".
    """
    return remembered_rows(
        connection,
        """
        WITH added AS (
            SELECT
                driver,
                sum(abs(contribution)) AS total,
                count(*) FILTER (contribution > 0) AS raised_count,
                count(*) FILTER (contribution < 0) AS lowered_count,
                max(count(*)) FILTER (driver = 'average_customer') OVER () AS customer_count
            FROM customer_drivers_history
            WHERE as_of = $as_of AND prediction = $prediction
            GROUP BY driver
        )
        SELECT
            driver,
            total / customer_count AS mean_absolute_contribution,
            raised_count / customer_count AS raised_share,
            lowered_count / customer_count AS lowered_share
        FROM added
        WHERE driver <> 'average_customer'
        ORDER BY mean_absolute_contribution DESC, driver
        """,
        {"as_of": as_of, "prediction": prediction},
    )


def drivers_chart(drivers: pd.DataFrame, prediction: str, currency: str | None, *, theme: Theme = LIGHT) -> Chart:
    """What moves a prediction most, over all customers."""
    rows = drivers.iloc[::-1]
    chart = new_chart(
        f"What moves {label(prediction).lower()} most",
        "Bar: by how much a driver moves a prediction away from the average customer's, on average."
        " Beside it: the share of customers whose prediction it raises ▲ and lowers ▼.",
        theme,
        height=70 + 34 * len(rows),
    )
    figure = chart.figure
    add_labelled_bars(
        figure,
        [wrapped(driver_name(driver), 32) for driver in rows["driver"]],
        rows["mean_absolute_contribution"],
        [
            f"{signed(prediction, size, currency).removeprefix('+')} · ▲ {percent(raised, 0)} ▼ {percent(lowered, 0)}"
            for size, raised, lowered in zip(
                rows["mean_absolute_contribution"], rows["raised_share"], rows["lowered_share"], strict=True
            )
        ],
        theme,
    )
    longest = float(rows["mean_absolute_contribution"].max())
    is_share = longest <= 1 and prediction == "churn_probability"
    figure.update_xaxes(
        range=[0, longest * 2],
        tickformat=".0%" if is_share else ",~s",
        tickprefix="" if is_share else currency_prefix(currency),
        title="Mean size of the contribution",
    )
    return chart


def driver_name(driver: str) -> str:
    """The words for a driver on screen: a gene's label, or the driver's own words."""
    return (
        driver.replace("_", " ").capitalize()
        if driver in ("purchase_rate", "silence", "everything_else")
        else label(driver)
    )


def drivers_panel(request: PageRequest, prediction: Prediction) -> list[Component]:
    """A panel of what moves a prediction most over all customers, or of why that is not known."""
    drivers = overall_drivers(request.connection, request.as_of, prediction)
    if drivers.empty:
        return [
            panel(
                html.P("Choose the latest snapshot above: drivers are published for it."),
                title="What moves the predictions is not known at this snapshot",
                reading="The file holds no drivers of it.",
            )
        ]
    shown = drivers.head(_DRIVERS_SHOWN)
    return [
        chart_panel(
            drivers_chart(shown, prediction, request.run.currency, theme=request.theme),
            drivers.assign(driver=drivers["driver"].map(driver_name)),
            ("driver", "contribution"),
        )
    ]
