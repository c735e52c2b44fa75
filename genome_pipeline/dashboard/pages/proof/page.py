"""Proof: whether acting on customers did anything."""

from __future__ import annotations

from typing import Any

import pandas as pd
from dash import dcc, html
from dash.development.base_component import Component

from genome_pipeline.contracts.columns.experiments import OUTCOMES, SPLITS
from genome_pipeline.contracts.playbook import EVERYTHING_RULE
from genome_pipeline.dashboard.kit import formats, paths
from genome_pipeline.dashboard.kit.chart import chart_panel
from genome_pipeline.dashboard.kit.components import choice, columns_of, command, empty_state, kpi, page, panel
from genome_pipeline.dashboard.kit.experiments import (
    UNITS,
    effect_and_interval,
    experiments_at,
    headline,
    mean_cell,
    reason_of,
    rule_proofs_at,
    state_of,
    total_and_interval,
    verdict_badge,
)
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.table import table
from genome_pipeline.dashboard.pages.proof import figures, queries

PATH = paths.PROOF
TITLE = "Proof"
QUESTION = "Did acting on customers do anything, and how sure is that?"

_DRAWN = ("effect", "effect_lower", "effect_upper", "verdict")


def layout(request: PageRequest) -> Component:
    """All experiments drawn by the snapshot, and the one of the URL, by default the latest, look by look."""
    experiments = experiments_at(request.connection, request.as_of)
    if experiments.empty:
        return page(TITLE, QUESTION, _nothing_started())
    ids = experiments["experiment_id"].tolist()
    chosen = request.chosen("experiment", ids, ids[0])
    experiment = experiments[experiments["experiment_id"] == chosen].iloc[0]
    return page(
        TITLE,
        QUESTION,
        _headline(request, experiments),
        *_charts(request, experiments),
        _all_of_them(request, experiments),
        _rules(request),
        _chosen(request, experiment, ids),
        *_on_whom(request, experiment),
        *_looks(request, experiment),
    )


def _nothing_started() -> Component:
    return empty_state(
        "No experiment was started by this snapshot",
        "An experiment leaves a part of a rule's customers alone, drawn by chance, while the others get the rule's"
        " action. What the two do differently afterwards is what acting brought.",
        ["See what one could show with ", command("genome experiment plan RULE"), ", which changes nothing."],
    )


def _headline(request: PageRequest, experiments: pd.DataFrame) -> Component:
    counts = experiments["verdict"].value_counts()
    running = experiments[~experiments["is_over"]]
    return panel(
        html.Div(
            [
                kpi(
                    name.capitalize(),
                    formats.integer(counts.get(name, 0)),
                    name=name.replace(" ", "-"),
                    explanation=explanation,
                    note=note,
                )
                for name, explanation, note in (
                    ("proven", "Experiments of which the interval of the effect lies above 0.", "acting brings more"),
                    ("not proven yet", "Experiments of which no look decided.", "may be either"),
                    ("harmful", "Experiments of which the interval of the effect lies below 0.", "acting brings less"),
                )
            ]
            + [
                kpi(
                    "Left alone now",
                    formats.integer(queries.left_alone_count(request.connection, request.as_of)),
                    name="left-alone",
                    explanation="Customers whom running experiments leave alone at this snapshot: those drawn for it"
                    " who would get the tested action. No list names them for it until the run is over.",
                    note=f"by {len(running)} running",
                )
            ],
            className="kpis kpis-4",
        ),
        title=f"{headline(experiments)}.",
        reading="A verdict is about the outcome named at the start: orders, unless spend was. An action that does"
        " nothing is found to do something in 5% of experiments, over all their looks.",
    )


def _charts(request: PageRequest, experiments: pd.DataFrame) -> list[Component]:
    """What each has shown, a chart for each outcome that experiments are about."""
    panels = []
    for outcome in OUTCOMES:
        seen = experiments[(experiments["outcome_name"] == outcome) & experiments["effect"].notna()]
        if not seen.empty:
            chart = figures.effects_of_all(seen, outcome, request.run.currency, theme=request.theme)
            panels.append(chart_panel(chart, figures.drawn(seen, outcome), _DRAWN))
    return [columns_of(*panels)] if len(panels) > 1 else panels


def _all_of_them(request: PageRequest, experiments: pd.DataFrame) -> Component:
    currency = request.run.currency
    rows = [
        [
            html.Div(
                [
                    dcc.Link(
                        row["experiment_id"],
                        href=request.link(PATH, {"experiment": row["experiment_id"]}),
                        className="more",
                    ),
                    html.Div(row["action"], className="kpi-note"),
                ]
            ),
            verdict_badge(row["verdict"]),
            row["outcome_name"],
            _bounded(*effect_and_interval(row, row["outcome_name"], currency)),
            _bounded(*total_and_interval(row, row["outcome_name"], currency)),
            html.Div([formats.percent(row["elapsed_share"], 0), html.Div(state_of(row), className="kpi-note")]),
            html.Div(
                [
                    f"{formats.integer(row['treated_count'])} treated",
                    html.Div(f"{formats.integer(row['control_count'])} left alone", className="kpi-note"),
                ]
            ),
        ]
        for _, row in experiments.iterrows()
    ]
    headings = ("Experiment", "Verdict", "About", "Effect", "In total", "Passed", "Drawn")
    return panel(
        table(headings, rows, numeric=(3, 4, 5, 6)),
        title="All experiments",
        reading="Latest first; choose one to see it below. Effect: what acting brought since the start, by the last"
        " look, and its interval; orders per 100 customers, spend per customer. In total: times the customers treated.",
        columns=("elapsed_share", "effect", "effect_total", "verdict"),
        name="experiments",
    )


def _rules(request: PageRequest) -> Component | None:
    """All runs of each rule that have ended, together; nothing before the first."""
    proofs = rule_proofs_at(request.connection, request.as_of)
    if proofs.empty:
        return None
    currency = request.run.currency
    rows = [
        [
            "everything: all rules at once" if proof["action_rule"] == EVERYTHING_RULE else proof["action_rule"],
            proof["outcome_name"],
            formats.integer(proof["run_count"]),
            formats.integer(proof["treated_count"]),
            _bounded(*effect_and_interval(proof, proof["outcome_name"], currency)),
            verdict_badge(proof["verdict"]),
            reason_of(proof),
        ]
        for _, proof in proofs.iterrows()
    ]
    headings = ("Rule", "Outcome", "Runs", "Treated", "Effect", "Verdict", "By which numbers")
    return panel(
        table(headings, rows, numeric=(2, 3, 4)),
        title="All runs of a rule together",
        reading="Runs that have ended or were stopped. One run says what it said at its end; several are pooled, each"
        " counting by how sure it is. Effect: orders per 100 customers, spend per customer.",
        columns=("run_count", "effect", "verdict"),
        name="rules",
    )


def _bounded(best: str, interval: str) -> Component:
    return html.Div([best, html.Div(interval, className="kpi-note")])


def _chosen(request: PageRequest, experiment: pd.Series, ids: list[str]) -> Component:
    """What one experiment is, what it has shown, whether it went as drawn, and how to have the list of the treated."""
    name = experiment["experiment_id"]
    wish = experiment["wished_lift_share"]
    terms = [
        ("Action", experiment["action"]),
        ("Rule", experiment["action_rule"]),
        ("For", experiment["rule_condition"]),
        (
            "Run",
            f"{formats.day(experiment['as_of'])} to {formats.day(experiment['until_date'])}; {state_of(experiment)},"
            f" {formats.percent(experiment['elapsed_share'], 0)} passed by the last look",
        ),
        (
            "Drawn",
            f"{formats.integer(experiment['treated_count'])} to treat,"
            f" {formats.integer(experiment['control_count'])} to leave alone"
            f" ({formats.percent(experiment['control_share'], 0)})",
        ),
        ("About", experiment["outcome_name"]),
        *([] if formats.is_missing(wish) else [("Planned for", f"a lift of {formats.percent(wish, 0)}")]),
    ]
    return panel(
        choice("experiment", "Experiment", [(each, each) for each in ids], name, width=300),
        columns_of(
            html.Dl(
                [part for term, value in terms for part in (html.Dt(term), html.Dd(value))], className="facts terms"
            ),
            html.Div(
                [
                    html.P([verdict_badge(experiment["verdict"]), " ", reason_of(experiment)]),
                    *_checks(request, experiment),
                    html.P(["Whom it treats, as a list: ", command(f"genome experiment show {name} --to treated.csv")]),
                ]
            ),
        ),
        title=f"Experiment {name}",
        reading="The customers as they were drawn count, whether or not they were reached.",
        name="experiment",
    )


def _checks(request: PageRequest, experiment: pd.Series) -> list[Component]:
    """Whether the experiment went as it was drawn by the snapshot: else its verdict is not to be relied on."""
    # The tests' library takes 60 MB, which only who has experiments is to pay.
    from genome_pipeline.published.experiments import went_as_drawn

    return [
        html.P(
            [
                html.Span(
                    f"{'✓' if finding.passed else '✗'} {check.capitalize()}",
                    className=f"check-{'passed' if finding.passed else 'failed'}",
                ),
                f": {finding.sentence}.",
            ]
        )
        for check, finding in went_as_drawn(request.connection, experiment["experiment_id"], request.as_of).items()
    ]


def _on_whom(request: PageRequest, experiment: pd.Series) -> list[Component]:
    """On whom an experiment that is over worked, and whether to choose by that; nothing before."""
    if not experiment["is_over"]:
        return []
    outcome, reason = experiment["outcome_name"], experiment["targeting_reason"]
    groups = queries.groups(request.connection, experiment["experiment_id"], outcome, request.as_of)
    charts = []
    for split in SPLITS:
        mine = groups[groups["split_by"] == split]
        if not mine.empty:
            chart = figures.effect_by_group(mine, outcome, split, request.run.currency, theme=request.theme)
            charts.append(chart_panel(chart, figures.drawn_groups(mine, outcome), (split, "own_effect", "effect")))
    told = []
    if not formats.is_missing(reason):
        sentence = html.P(f"{reason[:1].upper()}{reason[1:]}.")
        told.append(panel(sentence, title="On whom it worked", columns=("targeting_reason",), name="targeting"))
    return [*told, *(columns_of(*charts[place : place + 2]) for place in range(0, len(charts), 2))]


def _looks(request: PageRequest, experiment: pd.Series) -> list[Component]:
    """A chart for each outcome, and all looks as a table."""
    looks = queries.looks(request.connection, experiment["experiment_id"], request.as_of)
    if looks.empty:
        return []
    currency = request.run.currency
    panels = []
    for outcome in OUTCOMES:
        mine = looks[looks["outcome_name"] == outcome]
        if not mine.empty:
            chart = figures.effect_by_look(mine, outcome, currency, theme=request.theme)
            panels.append(chart_panel(chart, figures.drawn(mine, outcome), _DRAWN))
    rows: list[list[Any]] = [
        [
            formats.day(look["look_date"]),
            formats.percent(look["elapsed_share"], 0),
            UNITS[look["outcome_name"]],
            verdict_badge(look["verdict"]),
            _bounded(*effect_and_interval(look, look["outcome_name"], currency)),
            _bounded(*total_and_interval(look, look["outcome_name"], currency)),
            mean_cell(look, look["outcome_name"], currency),
            formats.percent(look["lift_ratio"]).replace("-", formats.MINUS),
        ]
        for _, look in looks.iterrows()
    ]
    headings = ("Look", "Passed", "In", "Verdict", "Effect", "In total", "Left alone", "Lift")
    return [
        columns_of(*panels) if len(panels) > 1 else panels[0],
        panel(
            table(headings, rows, numeric=(1, 4, 5, 6, 7)),
            title="All looks",
            reading="Left alone: what the same customers would have done without being treated. Lift: the effect over"
            " that.",
            columns=("control_mean", "effect", "effect_total", "lift_ratio", "verdict"),
            name="looks",
        ),
    ]
