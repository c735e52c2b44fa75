"""The headline numbers over all snapshots."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pandas as pd

from genome_pipeline.dashboard.kit.chart import Chart, new_chart
from genome_pipeline.dashboard.kit.drawing import add_band, snapshot_axis
from genome_pipeline.dashboard.kit.snapshots import Run, up_to
from genome_pipeline.dashboard.kit.theme import LIGHT, Theme
from genome_pipeline.published.versions import remembered


def snapshot_trend(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per snapshot up to ``as_of``: the headline figures, the expected spend with the interval of the total.

    Customers at risk are those of medium and high risk, whose churn probability is a third or more.
    """

    def find() -> dict[str, list[Any]]:
        found = connection.execute(
            """
            SELECT
                as_of::VARCHAR AS as_of,
                count(*) AS customer_count,
                count(*) FILTER (recent_purchase_day_count > 0) AS active_customer_count,
                sum(recent_spend_amount)::DOUBLE AS recent_spend_amount,
                sum(expected_spend) AS expected_spend,
                any_value(total_lower) AS expected_spend_lower,
                any_value(total_upper) AS expected_spend_upper,
                sum(revenue_at_stake_amount) FILTER (risk_band IN ('medium', 'high')) AS revenue_at_risk_amount,
                count(*) FILTER (risk_band IN ('medium', 'high')) AS customer_at_risk_count,
                avg(confidence) AS mean_confidence,
                approx_quantile(confidence, [0.25, 0.75]) AS quartiles
            FROM customer_genome_history
            LEFT JOIN (
                SELECT
                    as_of,
                    expected_spend_amount_lower AS total_lower,
                    expected_spend_amount_upper AS total_upper
                FROM forecast_totals_history
                WHERE group_kind = 'company' AND horizon_days = ?
            ) USING (as_of)
            GROUP BY as_of
            ORDER BY as_of
            """,
            [Run.of(connection).horizon_days],
        )
        names = [column[0] for column in found.description]
        return dict(zip(names, map(list, zip(*found.fetchall(), strict=True)), strict=True))

    # This reads all customers of all snapshots, so it is computed once for each version of the file.
    trend = pd.DataFrame(remembered(connection, "snapshot trend", find))
    quartiles = [pair or (None, None) for pair in trend.pop("quartiles")]
    trend = trend.assign(
        as_of=pd.to_datetime(trend["as_of"]),
        confidence_lower_quartile=pd.Series([pair[0] for pair in quartiles], dtype=float),
        confidence_upper_quartile=pd.Series([pair[1] for pair in quartiles], dtype=float),
    )
    measures = [name for name in trend.columns if not name.endswith(("_count", "as_of"))]
    return up_to(trend, as_of).astype(dict.fromkeys(measures, float))


def confidence_over_time(trend: pd.DataFrame, *, theme: Theme = LIGHT) -> Chart:
    """Mean confidence at each snapshot, with the middle half of customers."""
    chart = new_chart(
        "Confidence in the predictions at each snapshot",
        "Line: mean over customers. Band: the middle half of customers. 1 is full confidence.",
        theme,
    )
    figure = chart.figure
    add_band(
        figure,
        trend["as_of"],
        trend["confidence_lower_quartile"],
        trend["confidence_upper_quartile"],
        theme.model,
        "Middle half of customers",
    )
    figure.add_scatter(
        x=trend["as_of"],
        y=trend["mean_confidence"],
        customdata=trend[["confidence_lower_quartile", "confidence_upper_quartile"]],
        name="Mean",
        mode="lines+markers",
        line={"color": theme.model, "width": 2.5},
        marker={"size": 8},
        hovertemplate="%{x|%-d %b %Y}<br>mean %{y:.2f}<br>middle half %{customdata[0]:.2f} to %{customdata[1]:.2f}"
        "<extra></extra>",
    )
    figure.update_yaxes(range=[0, 1], tickformat=".1f", title="Confidence (0 to 1)")
    snapshot_axis(figure, trend["as_of"].tolist())
    return chart
