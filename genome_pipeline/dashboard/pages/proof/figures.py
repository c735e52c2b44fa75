"""The figures of the Proof page."""

from __future__ import annotations

import textwrap
from typing import Any

import pandas as pd

from genome_pipeline.contracts.columns.experiments import VERDICTS
from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.chart import Chart, new_chart
from genome_pipeline.dashboard.kit.drawing import snapshot_axis
from genome_pipeline.dashboard.kit.experiments import PER_CUSTOMERS, UNITS, effect_and_interval, reason_of
from genome_pipeline.dashboard.kit.glossary import label, plot_text
from genome_pipeline.dashboard.kit.theme import LIGHT, Theme

_SYMBOLS = dict(zip(VERDICTS, ("circle", "circle-open", "x"), strict=True))
_HOVER_CHARACTERS = 56


def drawn(looks: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Effects and their bounds as they are drawn, in the unit of the outcome, by experiment and look; with verdicts."""
    unit = UNITS[outcome].replace(" ", "_")
    names = {f"effect{end}": f"{unit}{end}" for end in ("", "_lower", "_upper")}
    told = looks[["experiment_id", "look_date", *names, "verdict", "verdict_reason"]].rename(columns=names)
    told[[*names.values()]] *= PER_CUSTOMERS[outcome]
    return told


def effects_of_all(experiments: pd.DataFrame, outcome: str, currency: str | None, *, theme: Theme = LIGHT) -> Chart:
    """What each experiment on one outcome has shown by its last look; ``experiments`` have had one, latest first."""
    chart = new_chart(
        f"What acting brought: {outcome}",
        f"Mark: {UNITS[outcome]} more than if nobody had acted, since the start of the run, by its last look. Whisker:"
        " the interval; it allows for all looks, and holds in 95% of experiments. At the line nothing changed.",
        theme,
        height=110 + 52 * len(experiments),
    )
    figure = chart.figure
    values = drawn(experiments, outcome).iloc[:, 2:5]
    places = range(len(experiments) - 1, -1, -1)
    hovers = [_hover(str(row["experiment_id"]), row, outcome, currency) for _, row in experiments.iterrows()]
    for verdict in VERDICTS:
        mine = (experiments["verdict"] == verdict).to_numpy()
        best, lower, upper = (values.loc[mine, name] for name in values.columns)
        figure.add_scatter(
            x=best,
            y=[place for place, is_mine in zip(places, mine, strict=True) if is_mine],
            error_x=_whiskers(best, lower, upper, verdict, theme),
            customdata=[hover for hover, is_mine in zip(hovers, mine, strict=True) if is_mine],
            **_marks(verdict, theme),
        )
    figure.add_vline(x=0, line={"color": theme.muted, "dash": "dot", "width": 1.5})
    figure.update_xaxes(**_axis(outcome, currency))
    figure.update_yaxes(
        tickvals=list(places),
        ticktext=[_name(row) for _, row in experiments.iterrows()],
        range=[-0.6, len(experiments) - 0.4],
        showgrid=False,
        tickfont={"color": theme.ink},
    )
    return chart


def effect_by_look(looks: pd.DataFrame, outcome: str, currency: str | None, *, theme: Theme = LIGHT) -> Chart:
    """What one experiment had shown of one outcome by each look; ``looks`` are of that outcome, oldest first."""
    chart = new_chart(
        f"{outcome.capitalize()}, look by look",
        f"Mark: {UNITS[outcome]} more than if nobody had acted, since the start of the run. Whisker: the interval; all"
        " looks hold together in 95% of experiments. The first look that lies wholly beyond the line decides.",
        theme,
    )
    figure = chart.figure
    values = drawn(looks, outcome).iloc[:, 2:5]
    figure.add_scatter(
        x=looks["look_date"],
        y=values.iloc[:, 0],
        mode="lines",
        line={"color": theme.muted, "width": 1.5},
        showlegend=False,
        hoverinfo="skip",
    )
    for verdict in VERDICTS:
        mine = looks[looks["verdict"] == verdict]
        best, lower, upper = (values.loc[mine.index, name] for name in values.columns)
        figure.add_scatter(
            x=mine["look_date"],
            y=best,
            error_y=_whiskers(best, lower, upper, verdict, theme),
            customdata=[_hover(_seen(row), row, outcome, currency) for _, row in mine.iterrows()],
            **_marks(verdict, theme),
        )
    figure.add_hline(y=0, line={"color": theme.muted, "dash": "dot", "width": 1.5})
    figure.update_yaxes(**_axis(outcome, currency))
    snapshot_axis(figure, looks["look_date"].tolist())
    return chart


def drawn_groups(groups: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Effects in groups as they are drawn, in the unit of the outcome, with their sizes."""
    unit = UNITS[outcome].replace(" ", "_")
    effects = ("own_effect", "effect", "effect_lower", "effect_upper")
    names = {effect: effect.replace("effect", unit) for effect in effects}
    told = groups[["group_name", "treated_count", "control_count", *names]].rename(columns=names)
    told[[*names.values()]] *= PER_CUSTOMERS[outcome]
    return told


def effect_by_group(
    groups: pd.DataFrame, outcome: str, split: str, currency: str | None, *, theme: Theme = LIGHT
) -> Chart:
    """The effect in the groups of one experiment by one column, ``split``, in order from the top."""
    chart = new_chart(
        f"{outcome.capitalize()} by {label(split).lower()}",
        f"Mark: {UNITS[outcome]} more than if nobody had acted, drawn to that of all the more so the less groups differ"
        " beyond chance. Whisker: its 95% interval. At the line nothing changed.",
        theme,
        height=110 + 34 * len(groups),
    )
    figure = chart.figure
    values = drawn_groups(groups, outcome)
    best, lower, upper = (values.iloc[:, place] for place in (-3, -2, -1))
    places = list(range(len(groups) - 1, -1, -1))
    figure.add_scatter(
        x=best,
        y=places,
        mode="markers",
        marker={"color": theme.model, "size": 10},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": upper - best,
            "arrayminus": best - lower,
            "color": theme.model,
            "thickness": 1.8,
            "width": 6,
        },
        customdata=[_group_hover(row, outcome, currency) for _, row in groups.iterrows()],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )
    figure.add_vline(x=0, line={"color": theme.muted, "dash": "dot", "width": 1.5})
    figure.update_xaxes(**_axis(outcome, currency))
    figure.update_yaxes(
        tickvals=places,
        ticktext=[plot_text(name) for name in groups["group_name"]],
        range=[-0.6, len(groups) - 0.4],
        showgrid=False,
        tickfont={"color": theme.ink},
    )
    return chart


def _group_hover(group: pd.Series, outcome: str, currency: str | None) -> str:
    effect, interval = effect_and_interval(group, outcome, currency)
    sizes = f"{formats.integer(group['treated_count'])} treated, {formats.integer(group['control_count'])} left alone"
    lines = [str(group["group_name"]), f"{effect} ({interval}) {UNITS[outcome]}", sizes]
    return "<br>".join(plot_text(line) for line in lines)


def _marks(verdict: str, theme: Theme) -> dict[str, Any]:
    return {
        "name": verdict.capitalize(),
        "showlegend": True,
        "mode": "markers",
        "marker": {
            "color": _color(verdict, theme),
            "symbol": _SYMBOLS[verdict],
            "size": 12,
            "line": {"color": _color(verdict, theme), "width": 2},
        },
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _whiskers(best: pd.Series, lower: pd.Series, upper: pd.Series, verdict: str, theme: Theme) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": upper - best,
        "arrayminus": best - lower,
        "color": _color(verdict, theme),
        "thickness": 1.8,
        "width": 6,
    }


def _color(verdict: str, theme: Theme) -> str:
    return dict(zip(VERDICTS, (theme.good, theme.muted, theme.warning), strict=True))[verdict]


def _axis(outcome: str, currency: str | None) -> dict[str, Any]:
    unit = UNITS[outcome].capitalize()
    # No currency before each number: it would stand before the minus.
    return {"title": f"{unit}, {currency}" if outcome == "spend" and currency else unit, "tickformat": ",~g"}


def _name(experiment: pd.Series) -> str:
    """The rule, and the rest of the id below it: a narrow window has no room for both on one line."""
    rule = str(experiment["action_rule"])
    rest = str(experiment["experiment_id"]).removeprefix(f"{rule}-")
    return f"{plot_text(rule)}<br>{plot_text(rest)}"


def _seen(look: pd.Series) -> str:
    return f"look of {formats.day(look['look_date'])}"


def _hover(title: str, look: pd.Series, outcome: str, currency: str | None) -> str:
    effect, interval = effect_and_interval(look, outcome, currency)
    sentence = f"{look['verdict']}: {reason_of(look)}"
    lines = [title, f"{effect} ({interval}) {UNITS[outcome]}", *textwrap.wrap(sentence, _HOVER_CHARACTERS)]
    return "<br>".join(plot_text(line) for line in lines)
