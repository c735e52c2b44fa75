"""Whether acting on the audience of a rule works: what experiments on its action have shown, or how to start one."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pandas as pd
from dash import dcc, html
from dash.development.base_component import Component

from genome_pipeline.contracts.playbook import EVERYTHING_RULE, LEFT_ALONE_RULE, WAIT_RULE
from genome_pipeline.dashboard.kit import formats, paths
from genome_pipeline.dashboard.kit.components import command, notice
from genome_pipeline.dashboard.kit.experiments import experiments_at, reason_of, state_of, verdict_badge
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.pages.audience import queries
from genome_pipeline.dashboard.pages.audience.selection import Selection


def held_back(connection: duckdb.DuckDBPyConnection, as_of: date, selection: Selection) -> str:
    """Why the list of an earlier snapshot is not to be acted on: whom experiments leave alone by now; else empty."""
    count, ends = queries.left_alone_since(connection, as_of, selection)
    if not count:
        return ""
    experiments = " and ".join(f"{name} until {formats.day(until)}" for name, until in ends.items())
    return (
        f"{formats.integer(count)} of these customers {'is' if count == 1 else 'are'} left alone by"
        f" experiment{'' if len(ends) == 1 else 's'} {experiments}: nothing is exported; choose the latest snapshot,"
        f" which leaves {'this one' if count == 1 else 'them'} out."
    )


def trial(request: PageRequest, audience: pd.Series, reason_held: str) -> Component | None:
    """A note on the rule of a row of ``action_audiences``; nothing for those who wait for more data.

    ``reason_held`` is what :func:`held_back` says: where it says something, the rule's action is being tested already.
    """
    rule = str(audience["action_rule"])
    if rule == WAIT_RULE:
        return None
    experiments = experiments_at(request.connection, request.as_of)
    if rule == LEFT_ALONE_RULE:
        leaving = [_found(request, row) for _, row in experiments[~experiments["is_over"]].iterrows()]
        return notice("Nobody is to act on these until their experiment is over", leaving, "action")
    is_on_it = (experiments["action"] == audience["action"]) | (experiments["action_rule"] == EVERYTHING_RULE)
    mine = experiments[is_on_it]
    running, over = mine[~mine["is_over"]], mine[mine["is_over"]]
    if not running.empty:
        told = [_found(request, row) for _, row in running.iterrows()]
        return notice(
            "Does this work? An experiment is running", [*told, *map(_treated, running.itertuples())], "action"
        )
    if reason_held:
        return None
    return notice(
        "Does this work?",
        [
            *[_found(request, row) for _, row in over.head(1).iterrows()],
            html.P(
                [
                    "Test whether this works: " if over.empty else "Test it again: ",
                    command(f"genome experiment start {rule} --control 20%"),
                    ".",
                ]
            ),
            html.P(["What that could show: ", command(f"genome experiment plan {rule}"), "."]),
        ],
        "action",
    )


def _found(request: PageRequest, experiment: pd.Series) -> Component:
    name = experiment["experiment_id"]
    return html.P(
        [
            dcc.Link(name, href=request.link(paths.PROOF, {"experiment": name}), className="more"),
            f" {state_of(experiment)}: ",
            verdict_badge(experiment["verdict"]),
            f" {reason_of(experiment)}",
        ]
    )


def _treated(experiment: Any) -> Component:
    return html.P(
        [
            f"It leaves {formats.integer(experiment.control_count)} alone, who are not in this list. Whom it treats, as"
            " drawn: ",
            command(f"genome experiment show {experiment.experiment_id} --to treated.csv"),
            ". Who came later is in this list, and not in the experiment.",
        ]
    )
