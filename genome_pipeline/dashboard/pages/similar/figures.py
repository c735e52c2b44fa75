"""The figures of the Similar page."""

from __future__ import annotations

import pandas as pd

from genome_pipeline.dashboard.kit.chart import Chart, new_chart
from genome_pipeline.dashboard.kit.formats import column_value
from genome_pipeline.dashboard.kit.glossary import label, plot_text
from genome_pipeline.dashboard.kit.theme import LIGHT, MARKERS, Theme


def compared_genes(genes: pd.DataFrame, currency: str | None, *, theme: Theme = LIGHT) -> Chart:
    """Where up to four customers stand among all, gene by gene.

    ``genes`` are rows of :func:`~genome_pipeline.dashboard.pages.similar.queries.percentiles`.
    """
    names = list(dict.fromkeys(genes["gene"]))[::-1]
    chart = new_chart(
        "Genomes side by side: percentile among all customers",
        "A mark for each customer; the further apart the marks on a line, the more they differ. 50 is the middle.",
        theme,
        height=110 + 27 * len(names),
    )
    figure = chart.figure
    spans = genes.groupby("gene")["percentile"].agg(["min", "max"]) * 100
    # One trace for all lines: a gap after each.
    figure.add_scatter(
        x=[end for gene in names for end in (*spans.loc[gene], None)],
        y=[label(gene) for gene in names for _ in range(3)],
        mode="lines",
        line={"color": theme.grid, "width": 5},
        showlegend=False,
        hoverinfo="skip",
    )
    for position, (customer_id, found) in enumerate(genes.groupby("customer_id", sort=False)):
        figure.add_scatter(
            x=found["percentile"] * 100,
            y=[label(gene) for gene in found["gene"]],
            customdata=[
                column_value(gene, value, currency) for gene, value in zip(found["gene"], found["value"], strict=True)
            ],
            name=plot_text(customer_id),
            mode="markers",
            marker={"color": theme.series[position], "symbol": MARKERS[position], "size": 11},
            hovertemplate="%{y}: %{customdata}<br>percentile %{x:.0f}<extra>" + plot_text(customer_id) + "</extra>",
        )
    figure.add_vline(x=50, line={"color": theme.muted, "dash": "dot", "width": 1})
    figure.update_xaxes(range=[-2, 102], tickvals=[0, 25, 50, 75, 100], title="Percentile among all customers")
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=[label(gene) for gene in names],
        tickfont={"color": theme.ink},
    )
    return chart
