"""``genome experiment``: plan, start, look at and stop experiments."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from genome_pipeline.command.invocation import (
    ConfigOption,
    JsonOption,
    QuietOption,
    config_argument,
    day_of,
    new_console,
    print_json,
    progress_shown,
    quieten,
    settings_of,
)
from genome_pipeline.command.notices import tell_webhooks
from genome_pipeline.errors import ConfigError

app = typer.Typer(
    help="Measure what acting on a rule brings, against customers of its audience who are left alone by chance.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_LEAST_SHARE = 1e-4

RuleArgument = Annotated[
    str, typer.Argument(help="Rule of the playbook, as `genome audience` lists them; or everything.")
]
ControlOption = Annotated[str, typer.Option(help="Share of the audience to leave alone, such as 20%.")]
LiftOption = Annotated[
    str | None, typer.Option(help="Lift to be shown, such as 10%: how much more the treated are to do.")
]
IdArgument = Annotated[str, typer.Argument(help="The experiment, as `genome experiment list` names it.")]
ToOption = Annotated[Path | None, typer.Option(help="Write the customers to treat to this .csv or .parquet file.")]


@app.command()
def plan(
    rule: RuleArgument,
    control: ControlOption = "20%",
    lift: LiftOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what an experiment could show, from what the rule's audience did before; changes nothing."""
    settings = settings_of(config)
    from genome_pipeline.command.terminal.experiments import print_plan
    from genome_pipeline.published.experiments import experiment_plan

    facts = experiment_plan(settings, rule, _share("--control", control), _lift(lift))
    if as_json:
        print_json(facts)
    else:
        options = f" --control {control}" + (f" --lift {lift}" if lift else "")
        print_plan(new_console(), facts, options + config_argument(config))


@app.command()
def start(
    rule: RuleArgument,
    control: ControlOption = "20%",
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Snapshot of the last look; default: a horizon after the latest."),
    ] = None,
    outcome: Annotated[str, typer.Option(help="What the verdict is about: orders or spend.")] = "orders",
    lift: LiftOption = None,
    to: ToOption = None,
    config: ConfigOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw by chance who of the rule's audience is left alone, keep the draw, and publish the actions that follow."""
    settings = settings_of(config)
    quieten()
    from genome_pipeline.command.terminal.experiments import print_started
    from genome_pipeline.contracts.columns.experiments import OUTCOMES
    from genome_pipeline.orchestration.runs.experimenting import Wish, start_experiment
    from genome_pipeline.published.experiments import check_treated_target, write_treated

    if outcome not in OUTCOMES:
        raise ConfigError(f"--outcome {outcome}: choose {' or '.join(OUTCOMES)}")
    if to:
        check_treated_target(settings, to)
    wish = Wish(rule, _share("--control", control), day_of(until), outcome, _lift(lift))
    with progress_shown(silent=quiet or as_json) as progress:
        experiment = start_experiment(settings, wish, progress)
    tell_webhooks(settings)
    if not (quiet or as_json):
        # Before the list is written: it may fail, and the experiment runs all the same.
        print_started(new_console(), experiment, config_argument(config), is_written=to is not None)
    facts = {"experiment": experiment}
    if to:
        facts |= write_treated(settings, experiment["experiment_id"], to)
    if as_json:
        print_json(facts)
    elif to and not quiet:
        new_console().print(
            f"{facts['row_count']:,} customers to treat written to {facts['path']}", markup=False, highlight=False
        )


@app.command("list")
def list_all(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List all experiments with what they have shown so far."""
    settings = settings_of(config)
    from genome_pipeline.command.terminal.experiments import print_experiments
    from genome_pipeline.published.experiments import experiment_list

    facts = experiment_list(settings)
    if as_json:
        print_json(facts)
    else:
        print_experiments(new_console(), facts)


@app.command()
def show(
    experiment_id: IdArgument, to: ToOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show what an experiment has shown, look by look; or write out whom it treats."""
    settings = settings_of(config)
    from genome_pipeline.command.terminal.experiments import print_experiment
    from genome_pipeline.published.experiments import experiment_facts, write_treated

    facts = write_treated(settings, experiment_id, to) if to else experiment_facts(settings, experiment_id)
    if as_json:
        print_json(facts)
    elif to:
        new_console().print(
            f"{facts['row_count']:,} customers to treat written to {facts['path']}", markup=False, highlight=False
        )
    else:
        print_experiment(new_console(), facts)


@app.command()
def stop(
    experiment_id: IdArgument, config: ConfigOption = None, quiet: QuietOption = False, as_json: JsonOption = False
) -> None:
    """End an experiment before its time: whoever was left alone gets the rule's action again."""
    settings = settings_of(config)
    quieten()
    from genome_pipeline.orchestration.runs.experimenting import stop_experiment

    with progress_shown(silent=quiet or as_json) as progress:
        experiment = stop_experiment(settings, experiment_id, progress)
    tell_webhooks(settings)
    if as_json:
        print_json({"experiment": experiment})
    elif not quiet:
        new_console().print(
            f"Experiment {experiment_id} ends with the look of {experiment['stopped_date']}: no other follows, and what"
            f" it had not shown by then stays open. Its {experiment['control_count']:,} controls get their actions"
            " again.",
            markup=False,
            highlight=False,
        )


def _lift(text: str | None) -> float | None:
    return None if text is None else _share("--lift", text)


def _share(option: str, text: str) -> float:
    """The share that a user wrote as ``20%`` or ``0.2``. Raises :class:`ConfigError` for anything else."""
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1 or 0 < value < _LEAST_SHARE:
        raise ConfigError(f"{option} {text!r} is no share from 0 to 100%: write it like 20% or 0.2")
    return value
