"""Experiments: what one could show, and what those that were started have shown."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from genome_pipeline.command.terminal.cells import new_grid, percent
from genome_pipeline.contracts.playbook import EVERYTHING_RULE

_TIMES = {"orders": 100}
"""Orders are told per 100 customers, spend per customer."""


def print_plan(console: Console, facts: dict[str, Any], options: str) -> None:
    """What an experiment could show, from :func:`genome_pipeline.published.experiments.experiment_plan`.

    ``options`` are those with which to start it.
    """
    rule = facts["action_rule"]
    title = f"Experiments on the {facts['customer_count']:,} customers of {escape(rule)} as of {facts['as_of']}"
    table = Table(box=None, title=title, title_justify="left", padding=(0, 1, 0, 0))
    table.add_column("Outcome", no_wrap=True)
    for name in ("Days", "Left alone", "Controls", "Smallest lift", "Per customer", "Without forecast"):
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    if facts["wished_lift_share"] is not None:
        table.add_column(f"Customers for\n{facts['wished_lift_share']:.0%}", justify="right", no_wrap=True)
    for row in facts["rows"]:
        needed = row["needed_count"]
        table.add_row(
            row["outcome"],
            str(row["horizon_days"]),
            percent(row["control_share"]),
            f"{row['control_count']:,}",
            _seen(row["smallest_lift_share"]),
            f"{row['smallest_effect']:,.3g}" if math.isfinite(row["smallest_effect"]) else "-",
            _seen(row["unadjusted_lift_share"]),
            *([] if facts["wished_lift_share"] is None else ["-" if needed is None else f"{needed:,}"]),
        )
    console.print(table)
    console.print(
        "Smallest lift: how much more than expected the treated must do for four of five experiments to show it, at 5%"
        " error over all looks. Without forecast: if customers were only counted.",
        highlight=False,
    )
    for sentence in facts["answers"].values():
        console.print(f"- {sentence[0].upper()}{sentence[1:]}.", markup=False, highlight=False)
    console.print(f"Start one with `genome experiment start {rule}{options}`.", markup=False, highlight=False)


def _seen(lift: float) -> str:
    return f"{lift:.1%}" if math.isfinite(lift) else "none"


def print_started(console: Console, experiment: dict[str, Any], config: str, *, is_written: bool) -> None:
    """What was drawn, from :func:`genome_pipeline.orchestration.runs.experimenting.start_experiment`."""
    name = experiment["experiment_id"]
    console.print(
        f"Experiment {name} runs until {experiment['until_date']}: {experiment['treated_count']:,} customers are to get"
        f" {experiment['action']!r}, and {experiment['control_count']:,} are left alone by chance: no list of"
        f" a snapshot from {experiment['as_of']} on names those for this action until then. Outcomes count from that"
        " day on; `genome run` looks at them at each snapshot.",
        markup=False,
        highlight=False,
    )
    if not is_written and experiment["action_rule"] != EVERYTHING_RULE:
        console.print(
            f"`genome experiment show {name} --to FILE{config}` writes whom to treat.", markup=False, highlight=False
        )


def print_experiments(console: Console, facts: dict[str, Any]) -> None:
    """All experiments, from :func:`genome_pipeline.published.experiments.experiment_list`."""
    if not facts["experiments"]:
        console.print(
            "No experiment was started yet: `genome experiment plan RULE` tells what one could show.", markup=False
        )
        return
    table = Table(box=None, title=f"Experiments as of {facts['as_of']}", title_justify="left", padding=(0, 1, 0, 0))
    table.add_column("Experiment", overflow="fold")
    for name in ("Until", "Treated", "Left alone", "Passed", "Effect", "Verdict"):
        table.add_column(name.replace(" ", "\n"), justify="left" if name in ("Until", "Verdict") else "right")
    for row in facts["experiments"]:
        table.add_row(
            escape(row["experiment_id"]),
            f"{row['stopped_date']}, stopped" if row["stopped_date"] else str(row["until_date"]),
            f"{row['treated_count']:,}",
            f"{row['control_count']:,}",
            percent(row["elapsed_share"]),
            "-" if row["effect"] is None else f"{_TIMES.get(row['outcome_name'], 1) * row['effect']:+,.2f}",
            row["verdict"],
        )
    console.print(table)
    console.print(
        f"Effect: orders per 100 customers treated, or {facts['currency'] or 'spend'} per customer, since the start."
        " `genome experiment show EXPERIMENT` tells more.",
        markup=False,
        highlight=False,
    )


def print_experiment(console: Console, facts: dict[str, Any]) -> None:
    """One experiment, from :func:`genome_pipeline.published.experiments.experiment_facts`."""
    experiment = facts["experiment"]
    console.print(f"\n[bold]Experiment {escape(experiment['experiment_id'])}[/]", highlight=False)
    rows = new_grid()
    rows.add_row("Action", escape(experiment["action"]))
    rows.add_row("Audience", escape(experiment["rule_condition"]))
    if facts["rule_change"]:
        rows.add_row("", f"[yellow]{escape(facts['rule_change'])}[/]")
    end = f"; stopped at {experiment['stopped_date']}" if experiment["stopped_date"] else ""
    rows.add_row("Run", f"{experiment['as_of']} to {experiment['until_date']}{end}")
    rows.add_row(
        "Drawn",
        f"{experiment['treated_count']:,} to treat, {experiment['control_count']:,} to leave alone"
        f" ({percent(experiment['control_share'])})",
    )
    rows.add_row("About", experiment["outcome_name"])
    for name, check in facts["checks"].items():
        told = escape(check["observed"])
        rows.add_row(name.capitalize(), told if check["is_passed"] else f"[yellow]{told}[/]")
    console.print(rows)
    if not facts["looks"]:
        stopped = experiment["stopped_date"] is not None
        words = "It was stopped before its first look." if stopped else "No look at it yet: the next snapshot has one."
        console.print(words, highlight=False)
        return
    for outcome in dict.fromkeys(look["outcome_name"] for look in facts["looks"]):
        console.print(_looks(outcome, [look for look in facts["looks"] if look["outcome_name"] == outcome], facts))
    if facts["groups"]:
        console.print(_groups(experiment["outcome_name"], facts))


def _groups(outcome: str, facts: dict[str, Any]) -> Table:
    """On whom acting worked."""
    times = _TIMES.get(outcome, 1)
    table = Table(box=None, title=f"\nBy group, {outcome}", title_justify="left", padding=(0, 1, 0, 0))
    for name in ("Split by", "Group", "Treated", "Left alone", "Effect", "95% interval"):
        table.add_column(name, justify="left" if name in ("Split by", "Group") else "right")
    for row in facts["groups"]:
        table.add_row(
            row["split_by"],
            escape(row["group_name"]),
            f"{row['treated_count']:,}",
            f"{row['control_count']:,}",
            f"{times * row['effect']:+,.2f}",
            f"{times * row['effect_lower']:,.2f} to {times * row['effect_upper']:,.2f}",
        )
    last = facts["looks"][-1]
    table.caption, table.caption_justify = last["targeting_reason"], "left"
    return table


def _looks(outcome: str, looks: list[dict[str, Any]], facts: dict[str, Any]) -> Table:
    times = _TIMES.get(outcome, 1)
    unit = "per 100 customers" if times == 100 else f"{facts['currency']} per customer".strip()
    table = Table(box=None, title=f"\n{outcome.capitalize()}, {unit}", title_justify="left", padding=(0, 1, 0, 0))
    for name in ("Look", "Passed", "Left alone", "Effect", "95% interval", "In total", "Verdict"):
        table.add_column(name, justify="left" if name in ("Look", "Verdict") else "right", no_wrap=True)
    for look in looks:
        table.add_row(
            str(look["as_of"]),
            percent(look["elapsed_share"]),
            f"{times * look['control_mean']:,.2f}",
            f"{times * look['effect']:+,.2f}",
            f"{times * look['effect_lower']:,.2f} to {times * look['effect_upper']:,.2f}",
            f"{look['effect_total']:+,.0f}",
            look["verdict"],
        )
    last = looks[-1]
    table.caption = last["verdict_reason"]
    if last["reached_effect"] is not None:
        table.caption += (
            f"\nPer customer reached, {times * last['reached_effect']:+,.2f} (standard error"
            f" {times * last['reached_effect_standard_error']:,.2f}), by the contact log."
        )
    table.caption_justify = "left"
    return table
