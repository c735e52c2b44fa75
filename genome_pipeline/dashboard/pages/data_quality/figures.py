"""The figures of the Data quality page."""

from __future__ import annotations

import pandas as pd

from genome_pipeline.dashboard.kit.chart import Chart, new_chart
from genome_pipeline.dashboard.kit.drawing import add_labelled_bars, patterned, period_axis
from genome_pipeline.dashboard.kit.formats import integer, is_missing, money
from genome_pipeline.dashboard.kit.glossary import label, plot_text
from genome_pipeline.dashboard.kit.theme import LIGHT, Theme


def quarantine_by_reason(reasons: pd.DataFrame, currency: str | None, *, theme: Theme = LIGHT) -> Chart:
    """Rows set aside, by the rule they failed, with their amounts."""
    chart = new_chart(
        "Rows set aside, by reason",
        "A row that failed two rules counts under both. Text: rows and their amount, where one could be read.",
        theme,
        height=90 + 40 * max(len(reasons), 1),
    )
    figure = chart.figure
    rows = reasons.iloc[::-1]
    texts = [
        f"{integer(count)} rows · {money(amount, currency)}"
        for count, amount in zip(rows["row_count"], rows["amount_sum"], strict=True)
    ]
    add_labelled_bars(figure, [_reason(reason) for reason in rows["reason"]], rows["row_count"], texts, theme)
    figure.update_xaxes(title="Rows")
    return chart


def quarantine_by_period(periods: pd.DataFrame, *, theme: Theme = LIGHT) -> Chart:
    """Rows set aside period by period, by reason; rows without a readable date are not in it."""
    chart = new_chart(
        "Rows set aside over time",
        "By period; rows outside the calendar or without a readable date have none. A jump means"
        " that the source changed.",
        theme,
    )
    figure = chart.figure
    dated = periods[periods["period_start_date"].notna()]
    totals = dated.groupby("reason")["row_count"].sum().sort_values(ascending=False)
    for position, reason in enumerate(totals.index):
        rows = dated[dated["reason"] == reason]
        name = _reason(reason)
        figure.add_bar(
            x=rows["period_start_date"],
            y=rows["row_count"],
            name=name,
            marker=patterned(theme.series[position % len(theme.series)], position, theme),
            hovertemplate="%{x|%-d %b %Y}<br>%{y:,} rows<extra>" + name + "</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.2)
    period_axis(figure, dated["period_start_date"])
    figure.update_yaxes(tickformat=",~s", title="Rows")
    return chart


def checks_by_period(periods: pd.DataFrame, *, theme: Theme = LIGHT) -> Chart:
    """Failed checks of each period, by severity."""
    chart = new_chart(
        "Checks over time",
        "Failed checks of each period, by the latest result of each; a period without a bar passed them all.",
        theme,
    )
    figure = chart.figure
    for position, (column, name, color) in enumerate(
        (("failed_error_count", "ERROR", theme.warning), ("failed_warn_count", "WARN", theme.low))
    ):
        figure.add_bar(
            x=periods["period_start_date"],
            y=periods[column],
            customdata=periods["check_count"],
            name=name,
            marker=patterned(color, position, theme),
            hovertemplate=f"%{{x|%-d %b %Y}}<br>%{{y}} of %{{customdata:,}} checks failed<extra>{name}</extra>",
        )
    failed = periods["failed_error_count"] + periods["failed_warn_count"]
    figure.update_layout(barmode="stack", bargap=0.2)
    figure.update_yaxes(range=[0, max(float(failed.max()), 3.0) * 1.1], tickformat=",d", title="Failed checks")
    period_axis(figure, periods["period_start_date"])
    return chart


def gene_drift(drift: pd.DataFrame, since: str, *, theme: Theme = LIGHT) -> Chart:
    """Population stability index of each gene at each snapshot, the genes that moved most on top."""
    latest = drift[drift["as_of"] == drift["as_of"].max()].sort_values("psi")
    genes = latest["gene"].tolist()
    chart = new_chart(
        f"Drift of each gene since {since}",
        "Population stability index: below 0.1 hardly any change, and not written; above 0.25 a large one. · marks"
        " genes that the calendar moves, whatever customers do; they are not judged.",
        theme,
        height=120 + 22 * len(genes),
    )
    figure = chart.figure
    days = sorted(drift["as_of"].unique())
    wide = drift.pivot(index="gene", columns="as_of", values="psi").reindex(genes)
    unjudged = set(latest.loc[latest["unjudged_reason"].notna(), "gene"])
    figure.add_heatmap(
        x=[f"{as_of:%-d %b %Y}" for as_of in days],
        y=[f"{label(gene)}{' ·' if gene in unjudged else ''}" for gene in genes],
        z=wide.to_numpy(dtype=float),
        zmin=0,
        zmax=0.5,
        colorscale=[(0.0, theme.neutral), (0.2, theme.neutral), (1.0, theme.low)],
        opacity=0.6,
        text=[[_drift_text(value) for value in row] for row in wide.to_numpy(dtype=float)],
        texttemplate="%{text}",
        textfont={"color": theme.ink, "size": 10},
        xgap=2,
        ygap=2,
        showscale=False,
        hoverongaps=False,
        hovertemplate="%{y} at %{x}<br>index %{z:.3f}<extra></extra>",
    )
    # A narrow column has no room for the year: it is shown at the first column, and where it changes.
    years = [None, *(as_of.year for as_of in days)]
    names = [
        (f"{as_of:%b}" if as_of.day == 1 else f"{as_of:%-d}<br>{as_of:%b}")
        + (f"<br>{as_of:%Y}" if as_of.year != before else "")
        for as_of, before in zip(days, years, strict=False)
    ]
    figure.update_xaxes(
        type="category",
        side="top",
        showgrid=False,
        tickangle=0,
        tickvals=list(range(len(days))),
        ticktext=names,
        tickfont={"size": 10},
    )
    figure.update_yaxes(type="category", showgrid=False, tickfont={"color": theme.ink})
    return chart


def _drift_text(psi: float) -> str:
    return "" if is_missing(psi) or psi < 0.1 else f"{psi:.2f}" if psi < 1 else f"{psi:.1f}"


def _reason(reason: object) -> str:
    return plot_text(str(reason).replace("_", " ").capitalize())
