"""What all commands share: options, the settings, progress and output."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genome_pipeline.command.console import another_way_to, shows_all_characters

# Modules that take long to import are imported where they are used, so that `genome --help` answers at once.
if TYPE_CHECKING:
    from rich.console import Console

    from genome_pipeline.orchestration.runs.run import Progress
    from genome_pipeline.settings import Settings

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Config file; default $GENOME_CONFIG, else genome.toml here.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


def settings_of(config: Path | None) -> Settings:
    """The settings, also passed to every process started from here."""
    from genome_pipeline.settings import CONFIG_VARIABLE, load_settings

    settings = load_settings(config)
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config.absolute())
    os.environ["GENOME_HOME"] = str(settings.home.absolute())
    return settings


def quieten() -> None:
    """Silence notices of libraries; their errors still come through."""
    logging.getLogger("dagster").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")


@contextmanager
def progress_shown(*, silent: bool) -> Iterator[Progress]:
    """Progress of the stages on standard error: a live display in a terminal, plain lines elsewhere."""
    if silent:
        yield lambda *_: None
        return
    from genome_pipeline.command.terminal.progress import StageProgress

    # Dagster captures the standard streams of each step; the display keeps its own stream to the terminal.
    with another_way_to(sys.stderr) as stream, StageProgress(new_console(file=stream)) as progress:
        yield progress.report


def new_console(**options: Any) -> Console:
    """A console of Rich, with its options."""
    from rich.console import Console

    return Console(**options)


def day_of(moment: datetime | None) -> date | None:
    """The day of an option."""
    return moment.date() if moment else None


def config_argument(config: Path | None) -> str:
    """How to name the config in a command that is told to the user."""
    return f" --config {config}" if config else ""


def print_json(facts: dict[str, Any]) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(facts, default=str, ensure_ascii=not shows_all_characters(sys.stdout)))
