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
from genome_pipeline.dashboard.kit.experiments import experiments_at, reason_of, rule_proofs_at, state_of, verdict_badge
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
    is_of_all = experiments["action_rule"] == EVERYTHING_RULE
    mine, of_all = experiments[(experiments["action"] == audience["action"]) & ~is_of_all], experiments[is_of_all]
    own = [
        *[_found(request, row) for _, row in mine[~mine["is_over"]].iterrows()],
        *_of_rule(request, rule, mine[mine["is_over"]]),
    ]
    # No evidence for this rule alone, and told as what it is: those that still run, else the last.
    still = of_all[~of_all["is_over"]]
    beside = [
        _found(request, row, "on all rules at once, ")
        for _, row in (of_all.head(1) if still.empty else still).iterrows()
    ]
    running = pd.concat([mine[~mine["is_over"]], still])
    if not running.empty:
        what = "An experiment" if len(still) < len(running) else "An experiment on all rules at once"
        told = [*own, *beside, *map(_treated, running.itertuples())]
        return notice(f"Does this work? {what} is running", told, "action")
    if not reason_held:
        beside += [
            html.P(
                [
                    "Test it again: " if own else "Test whether this works: ",
                    command(f"genome experiment start {rule} --control 20%"),
                    ".",
                ]
            ),
            html.P(["What that could show: ", command(f"genome experiment plan {rule}"), "."]),
        ]
    return notice("Does this work?", [*own, *beside], "action") if own or beside else None


def _of_rule(request: PageRequest, rule: str, over: pd.DataFrame) -> list[Component]:
    """What all runs of a rule that have ended have shown together; where they tell nothing, the last on its action."""
    proofs = rule_proofs_at(request.connection, request.as_of)
    proofs = proofs[proofs["action_rule"] == rule]
    if proofs.empty:
        return [_found(request, row) for _, row in over.head(1).iterrows()]
    last = over.loc[over["action_rule"] == rule, "experiment_id"].head(1)
    href = request.link(paths.PROOF, [("experiment", name) for name in last])
    return [
        html.P(
            [
                dcc.Link(
                    "The run of this rule that has ended"
                    if proof["run_count"] == 1
                    else f"All {formats.integer(proof['run_count'])} runs of this rule that have ended",
                    href=href,
                    className="more",
                ),
                f", {proof['outcome_name']}: ",
                verdict_badge(proof["verdict"]),
                f" {reason_of(proof)}",
            ]
        )
        for _, proof in proofs.iterrows()
    ]


def _found(request: PageRequest, experiment: pd.Series, what: str = "") -> Component:
    name = experiment["experiment_id"]
    return html.P(
        [
            dcc.Link(name, href=request.link(paths.PROOF, {"experiment": name}), className="more"),
            f" {what}{state_of(experiment)}: ",
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
