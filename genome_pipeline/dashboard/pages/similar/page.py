"""Similar: who resembles whom."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import dash_mantine_components as dmc
import pandas as pd
from dash import html
from dash.development.base_component import Component

from genome_pipeline.contracts.genes import FINGERPRINT_GENES
from genome_pipeline.dashboard.kit import formats, paths
from genome_pipeline.dashboard.kit.chart import chart_panel
from genome_pipeline.dashboard.kit.components import labelled, notice, page, panel
from genome_pipeline.dashboard.kit.customers import customer_genome, customer_link, suggestions
from genome_pipeline.dashboard.kit.glossary import description, label
from genome_pipeline.dashboard.kit.neighbors import matured_neighbors_panel, neighbors, neighbors_panel, traits
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.table import table
from genome_pipeline.dashboard.pages.similar import figures, queries
from genome_pipeline.published.lookalikes import GROUP_LIMIT, lookalikes

PATH = paths.SIMILAR
TITLE = "Similar"
QUESTION = "Who resembles whom, in what, and what became of them?"
IDS, FIND = "similar-ids", "similar-find"

_COMPARED_LIMIT = 4
_COMPARED = (
    "segment_name",
    "action",
    "expected_spend",
    "churn_probability",
    "confidence",
    "revenue_at_stake_amount",
    "spend_amount",
    "order_count",
    "days_since_last_order",
    "t_days",
)


def layout(request: PageRequest) -> Component:
    """The ids in the link: of one customer the neighbours, of several their lookalikes; up to four side by side."""
    asked = ids_asked(request.search)
    sections: list[Any] = [_search(asked)]
    if len(asked) > GROUP_LIMIT:
        sections.append(
            notice(
                "Too many customers",
                f"A group may have {GROUP_LIMIT} customers here, these are {formats.integer(len(asked))}: take some"
                " out, or use `genome similar --from FILE`.",
                "warning",
            )
        )
        return page(TITLE, QUESTION, *sections)
    known = queries.customers(request.connection, request.as_of, asked, ("customer_id",))["customer_id"].tolist()
    unknown = [customer_id for customer_id in asked if customer_id not in set(known)]
    if unknown:
        sections.append(_unknown(request, unknown, any_known=bool(known)))
    if not known:
        sections.append(suggestions(request, PATH, "id"))
    elif len(known) == 1:
        sections += _of_one(request, known[0])
    else:
        sections += _of_group(request, known)
    return page(TITLE, QUESTION, *sections)


def ids_asked(search: str) -> list[str]:
    """The customers that a link asks for, each once, in its order."""
    given = dict.fromkeys(value.strip() for name, value in parse_qsl(search.removeprefix("?")) if name == "id")
    return [customer_id for customer_id in given if customer_id]


def _search(asked: list[str]) -> Component:
    return panel(
        html.Div(
            [
                dmc.Textarea(
                    id=IDS,
                    value="\n".join(asked),
                    placeholder="Customer ids, one a line",
                    autosize=True,
                    minRows=2,
                    maxRows=6,
                    className="ids",
                    **labelled("Customer ids, one a line"),
                ),
                dmc.Button("Find similar customers", id=FIND, n_clicks=0, variant="light"),
            ],
            className="fields",
        ),
        title="Whom to compare",
        reading="One id shows whom the customer resembles. Several, pasted one a line, find customers like the group;"
        f" two to {_COMPARED_LIMIT} are shown side by side as well.",
    )


def _unknown(request: PageRequest, unknown: list[str], *, any_known: bool) -> Component:
    shown = ", ".join(unknown[:10]) + (f" and {formats.integer(len(unknown) - 10)} more" if len(unknown) > 10 else "")
    rest = " The others are shown." if any_known else ""
    return notice(
        "No such customer" if len(unknown) == 1 else f"{formats.integer(len(unknown))} ids are of no customer",
        [
            "Not in the snapshot of ",
            formats.day(request.as_of),
            ": ",
            html.Code(shown),
            f". Ids are as in the source.{rest}",
        ],
        "warning",
    )


def _of_one(request: PageRequest, customer_id: str) -> list[Component]:
    genome = customer_genome(request.connection, request.as_of, customer_id).iloc[0]
    nearest = neighbors(request.connection, request.as_of, customer_id)["neighbor_customer_id"]
    return [
        neighbors_panel(request, customer_id),
        matured_neighbors_panel(request, customer_id, genome),
        *_side_by_side(request, [customer_id, *nearest.head(_COMPARED_LIMIT - 1)]),
    ]


def _of_group(request: PageRequest, known: list[str]) -> list[Component]:
    alike, traits = lookalikes(request.connection, request.as_of, known)
    about = f"{formats.integer(len(known))} customers"
    common = panel(
        html.P("; ".join(traits) if traits else "Nothing: on average the group is like everyone.", id="group-traits"),
        title=f"What the {about} have in common",
        reading="Genes in which the group stands out on average among all customers, most first.",
    )
    compared = _side_by_side(request, known) if len(known) <= _COMPARED_LIMIT else []
    return [common, *compared, _lookalikes(request, alike)]


def _lookalikes(request: PageRequest, alike: pd.DataFrame) -> Component:
    title, currency = "Customers like the group", request.run.currency
    if alike.empty:
        return panel(title=title, reading="Everyone is in the group: there is nobody else to find.")
    ids = alike["customer_id"].tolist()
    shown = ("customer_id", "segment_name", "expected_spend", "churn_probability")
    genomes = queries.customers(request.connection, request.as_of, ids, shown).set_index("customer_id")
    outcomes = queries.latest_outcomes(request.connection, request.as_of, ids)
    then = outcomes.set_index("customer_id")
    rows = []
    for _, row in alike.iterrows():
        genome = genomes.loc[row["customer_id"]]
        outcome = then.loc[row["customer_id"]] if row["customer_id"] in then.index else None
        rows.append(
            [
                customer_link(request, row["customer_id"]),
                formats.decimal(row["similarity"], 3),
                genome["segment_name"],
                formats.money(genome["expected_spend"], currency),
                formats.percent(genome["churn_probability"]),
                formats.NOTHING if outcome is None else "stopped" if outcome["has_churned"] else "bought",
                formats.NOTHING if outcome is None else formats.money(outcome["actual_spend"], currency),
                traits(row["shared_traits"], row["different_traits"]),
            ]
        )
    said = (
        f" Then: what they did in the {request.run.horizon_days} days after {formats.day(outcomes['as_of'].iloc[0])};"
        f" {formats.integer((~outcomes['has_churned'].astype(bool)).sum())} of {formats.integer(len(outcomes))} bought."
        if not outcomes.empty
        else " What they did then is not known yet: no snapshot has matured."
    )
    return panel(
        table(
            (
                "Customer",
                "Similarity",
                "Segment",
                "Expected spend",
                "Churn",
                "Then",
                "Spent",
                "Shared and different traits",
            ),
            rows,
            numeric=(1, 3, 4, 6),
        ),
        title=title,
        reading=f"Nearest to the middle of the group by cosine similarity of scaled genes; none of the group.{said}",
        columns=("similarity", "shared_traits", "different_traits"),
        name="lookalikes",
    )


def _side_by_side(request: PageRequest, customer_ids: list[str]) -> list[Component]:
    """Two to four customers, value by value and gene by gene."""
    if len(customer_ids) < 2:
        return []
    genomes = queries.customers(request.connection, request.as_of, customer_ids)
    rows = [
        [
            html.Span(label(column), title=description(column)),
            *(_value(request, column, value) for value in genomes[column]),
        ]
        for column in _COMPARED
    ]
    genes = queries.percentiles(request.connection, request.as_of, genomes)
    return [
        panel(
            table(
                ("", *(customer_link(request, name) for name in genomes["customer_id"])),
                rows,
                numeric=range(1, len(genomes) + 1),
            ),
            title="Side by side",
            reading="What is known and expected of each; a heading leads to the customer.",
            columns=_COMPARED,
            name="side-by-side",
        ),
        chart_panel(figures.compared_genes(genes, request.run.currency, theme=request.theme), genes, FINGERPRINT_GENES),
    ]


def _value(request: PageRequest, column: str, value: Any) -> str:
    if formats.is_missing(value):
        return formats.NOTHING
    return value if isinstance(value, str) else formats.column_value(column, value, request.run.currency)
