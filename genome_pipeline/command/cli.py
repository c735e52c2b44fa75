"""The ``genome`` command. Exit 0: done; 1: a check failed and nothing was published; 2: wrong use or config."""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from genome_pipeline import __version__
from genome_pipeline.command.console import (
    interrupted_by,
    raise_on_signals,
    use_plain_characters,
)
from genome_pipeline.command.experiments import app as experiment_app
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
from genome_pipeline.command.notices import alerting, tell_of_warnings, tell_webhooks
from genome_pipeline.errors import ConfigError, RunFailed
from genome_pipeline.privacy import keep_to_owner

# Modules that take long to import are imported where they are used, so that `genome --help` answers at once.
app = typer.Typer(
    name="genome",
    help="Raw transactions in; segments, value, churn risk, similar customers and confidence out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(experiment_app, name="experiment")


def main() -> None:
    """Entry point: a user's mistake is one sentence on standard error, never a traceback."""
    keep_to_owner()
    use_plain_characters()
    raise_on_signals()
    try:
        app()
    except BaseException as error:
        if isinstance(error, SystemExit) and not error.code:
            raise  # the command ended normally
        # On its way up, an interrupt may have become a failed step of Dagster's or an error of DuckDB's.
        if (number := interrupted_by()) is not None:
            _fail("interrupted; what was published before stays, and the same command takes up from here", 128 + number)
        _tell(error)


def _tell(error: BaseException) -> NoReturn:
    if not isinstance(error, Exception):
        raise error
    if isinstance(error, RunFailed):
        _fail(f"{error}; nothing was published, what was published before stays", 1)
    from genome_pipeline.warehouse.faults import error_in_words

    sentence = error_in_words(error, Path(os.environ.get("GENOME_HOME", ".genome")))
    if sentence is None:
        raise error
    _fail(sentence, 2)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Customer Genome."""
    if version:
        typer.echo(__version__)
        raise typer.Exit()


@app.command()
def run(
    config: ConfigOption = None,
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Make the snapshot at this date.")
    ] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="Make again from this snapshot on ...")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="... to this one.")] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take in what is new in the source, make the snapshots that are missing or stale, and publish."""
    if as_of and (first or last):
        raise ConfigError("--as-of goes without --from and --to: give one date, or a range")
    settings = settings_of(config)
    quieten()
    from genome_pipeline.command.terminal.summary import print_summary
    from genome_pipeline.orchestration.runs.run import run as run_pipeline
    from genome_pipeline.orchestration.runs.staleness import Span
    from genome_pipeline.published.summary import summarise

    span = Span(day_of(as_of or first), day_of(as_of or last))
    started = time.monotonic()
    with alerting(settings, "run"), progress_shown(silent=quiet or as_json) as progress:
        outcome = run_pipeline(settings, span, progress)
    summary = summarise(settings)
    if outcome.run_id:
        tell_of_warnings(settings, summary)
    tell_webhooks(settings)
    facts = {
        **summary,
        "snapshots_made": outcome.as_of,
        "run_id": outcome.run_id,
        "seconds": round(time.monotonic() - started, 1),
    }
    if as_json:
        print_json(facts)
    elif not quiet:
        print_summary(new_console(), facts, config_argument(config))


@app.command()
def demo() -> None:
    """Write a real log and its config to this folder, which has no genome.toml of yours, run, and tell what is next."""
    from genome_pipeline.command.demo import NEXT_STEPS, prepare

    shown = prepare(Path())
    typer.echo(f"{shown.title}: genome.toml and {shown.log} are in {Path().absolute()}")
    run()
    typer.echo(NEXT_STEPS)


@app.command()
def rebuild(config: ConfigOption = None, quiet: QuietOption = False) -> None:
    """Make the warehouse anew from the source, and publish: after damage, or under another calendar."""
    settings = settings_of(config)
    quieten()
    from genome_pipeline.orchestration.runs.rebuild import rebuild as rebuild_warehouse
    from genome_pipeline.published.summary import summarise

    with alerting(settings, "rebuild"), progress_shown(silent=quiet) as progress:
        outcome = rebuild_warehouse(settings, progress)
    tell_of_warnings(settings, summarise(settings))
    tell_webhooks(settings)
    if not quiet:
        typer.echo(f"Rebuilt from the source: {len(outcome.as_of)} snapshots, published at {settings.published_path}")


@app.command()
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Tell what is in the warehouse and what is published."""
    settings = settings_of(config)
    from genome_pipeline.command.inspection import pipeline_status
    from genome_pipeline.command.terminal.summary import print_status

    facts = pipeline_status(settings)
    if as_json:
        print_json(facts)
    else:
        print_status(new_console(), facts)


@app.command()
def check(
    path: Annotated[
        str | None, typer.Argument(help="A file, folder or glob to look at; without --config, no config is needed.")
    ] = None,
    write: Annotated[
        bool,
        typer.Option("--write", help="Write the config where there is none yet, and its JSON Schema, for editors."),
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at source and config before a run, and guess what is not configured yet; writes only what --write names."""
    from genome_pipeline.command.drafting import write_config
    from genome_pipeline.command.inspection import inspect_source
    from genome_pipeline.command.terminal.source import print_inspection
    from genome_pipeline.settings import DEFAULT_CONFIG, config_path, draft_of, load_draft

    draft = draft_of(path, config) if path else load_draft(config)
    is_new = path is not None and config is None
    target = DEFAULT_CONFIG if is_new else config_path(config)
    facts = inspect_source(draft, target.parent)
    if not as_json:
        print_inspection(new_console(highlight=False), facts, target, config_argument(config))
    if write:
        facts["written"] = write_config(target, facts["config"])
    if as_json:
        print_json(facts)
    elif write:
        typer.echo(f"{' and '.join(facts['written'])} written")
    if facts["missing"]:
        raise ConfigError(
            f"{' and '.join(facts['missing'])} could not be guessed: write it in {target}, and check again with"
            f" `genome check{config_argument(config)}`"
        )


@app.command()
def quarantine(
    config: ConfigOption = None,
    reason: Annotated[str | None, typer.Option(help="Only the rows with this reason (with --to).")] = None,
    to: Annotated[Path | None, typer.Option(help="Write the rows to this .csv or .parquet file, to repair.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell which source rows were set aside and why; or write them out for repair."""
    if reason and not to:
        raise ConfigError("--reason goes with --to: name the file to write the rows to")
    settings = settings_of(config)
    from genome_pipeline.command.quarantine import quarantine_summary, write_quarantine
    from genome_pipeline.command.terminal.source import print_quarantine

    facts = write_quarantine(settings, to, reason) if to else quarantine_summary(settings)
    if as_json:
        print_json(facts)
    elif to:
        new_console().print(f"{facts['row_count']:,} rows written to {facts['path']}", markup=False, highlight=False)
    else:
        print_quarantine(new_console(), facts)


@app.command()
def customer(
    customer_id: Annotated[str, typer.Argument(help="The customer, as named in the source.")],
    config: ConfigOption = None,
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="At this snapshot; default the latest.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show one customer's genome."""
    settings = settings_of(config)
    from genome_pipeline.command.terminal.customer import print_card
    from genome_pipeline.published.summary import customer_card

    card = customer_card(settings, settings.stored_id(customer_id), day_of(as_of))
    if as_json:
        print_json(card)
    else:
        print_card(new_console(), card)


@app.command()
def similar(
    customer_ids: Annotated[
        list[str] | None, typer.Argument(help="One customer, to see whom they resemble; or a group, for lookalikes.")
    ] = None,
    group: Annotated[Path | None, typer.Option("--from", help="File with the ids of the group, one a line.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Lookalikes to list.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show whom a customer resembles and what those did, or who is nearest to a group."""
    if bool(customer_ids) == bool(group):
        raise ConfigError("name one customer, several, or a file of them with --from")
    settings = settings_of(config)
    from genome_pipeline.command.terminal.customer import print_lookalikes, print_similar
    from genome_pipeline.published.similar import ids_in, similar_customers, similar_to_group

    ids = [settings.stored_id(name) for name in (ids_in(group) if group else customer_ids or [])]
    is_group = group is not None or len(ids) > 1
    facts = similar_to_group(settings, ids, count) if is_group else similar_customers(settings, ids[0])
    if as_json:
        print_json(facts)
    elif is_group:
        print_lookalikes(new_console(), facts)
    else:
        print_similar(new_console(), facts)


@app.command()
def audience(
    rule: Annotated[str | None, typer.Argument(help="Rule of the playbook; without it, all are listed.")] = None,
    to: Annotated[Path | None, typer.Option(help="Write its customers to this .csv or .parquet file.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Send what has changed to the webhooks of [audiences].")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the playbook's audiences with what became of earlier ones; write one out; or send changes to webhooks."""
    if send and to:
        raise ConfigError("--send and --to are two things: write the file and send in two commands")
    if not send and (rule is None) != (to is None):
        raise ConfigError("a rule goes with --to FILE: name both, or neither to list the audiences")
    settings = settings_of(config)
    from genome_pipeline.command.terminal.customer import print_audiences, print_sent

    if send:
        from genome_pipeline.published.delivery import send_changes

        told = send_changes(settings, rule)
        if as_json:
            print_json({"audiences": told})
        else:
            print_sent(new_console(), told)
        return
    from genome_pipeline.published.audience import audience_summary, write_audience

    facts = write_audience(settings, rule, to) if rule and to else audience_summary(settings)
    if as_json:
        print_json(facts)
    elif rule:
        new_console().print(
            f"{facts['row_count']:,} customers written to {facts['path']}", markup=False, highlight=False
        )
    else:
        print_audiences(new_console(), facts)


@app.command()
def export(
    to: Annotated[
        str | None,
        typer.Option(
            help="Folder (default exports/ in the home), s3://bucket/folder (gs://, az://), or"
            " postgresql://user@host/database."
        ),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="CSV files for spreadsheets, not Parquet.")] = False,
    schema: Annotated[str | None, typer.Option(help="Schema of the database; default genome.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write every published table to a file of its own, here or in a bucket, or bring all of them into PostgreSQL."""
    settings = settings_of(config)
    from genome_pipeline.published.experiments import check_draws_are_published
    from genome_pipeline.settings import SourceKind

    kind = SourceKind.of(to or "")
    if csv and kind is not SourceKind.LOCAL:
        raise ConfigError("--csv is for files on this machine: leave it out, or name a folder with --to")
    if schema is not None and kind is not SourceKind.DATABASE:
        raise ConfigError("--schema is for a database: leave it out, or name one with --to postgresql://...")
    check_draws_are_published(settings)
    if to and kind is SourceKind.DATABASE:
        from genome_pipeline.published.push import SCHEMA, push_tables

        schema = SCHEMA if schema is None else schema
        counts, place = push_tables(settings.published_path, to, schema), f"schema {schema}"
    elif to and kind is SourceKind.BUCKET:
        from genome_pipeline.published.lake import export_to_bucket

        counts, place = export_to_bucket(settings.published_path, to, settings.source), to
    else:
        from genome_pipeline.published.export import export_tables
        from genome_pipeline.sources.source import check_may_be_written

        folder, suffix = Path(to) if to else settings.exports_path, ".csv" if csv else ".parquet"
        check_may_be_written(folder / f"customer_genome{suffix}", settings)
        counts, place = export_tables(settings.published_path, folder, suffix), str(folder)
    if as_json:
        print_json({"place": place, "tables": counts})
    else:
        new_console(soft_wrap=True).print(
            f"{len(counts)} tables with {sum(counts.values()):,} rows written to {place}", markup=False, highlight=False
        )


@app.command()
def forget(
    customer_ids: Annotated[list[str], typer.Argument(help="The customers, as named in the source.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take customers out of everything that was kept of them, for good, and keep them out."""
    if not (yes or dry_run or sys.stdin.isatty()):
        raise ConfigError("nothing was removed: it cannot be undone, so say --yes where nobody can be asked")
    settings = settings_of(config)
    quieten()
    from genome_pipeline.command import forgetting
    from genome_pipeline.command.terminal.privacy import print_forgotten, print_rows_to_forget

    if not dry_run:
        forgetting.key_of(settings)
    if dry_run or not yes:
        facts = forgetting.rows_to_forget(settings, customer_ids)
        if not as_json:
            print_rows_to_forget(new_console(), facts)
    if not dry_run:
        if not yes and not typer.confirm("Remove them? This cannot be undone"):
            raise ConfigError("nothing was removed")
        facts = forgetting.forget(settings, customer_ids)
        if not as_json:
            print_forgotten(new_console(), facts)
    if as_json:
        print_json(facts)


@app.command()
def dashboard(
    config: ConfigOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on; loopback unless you say otherwise.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8050,
) -> None:
    """Open the dashboard on the published file.

    Elsewhere than on loopback it asks for the password in GENOME_DASHBOARD__PASSWORD, or the token in
    GENOME_DASHBOARD__TOKEN.
    """
    settings = settings_of(config)
    from genome_pipeline.dashboard.app import serve
    from genome_pipeline.dashboard.audit import AuditLog
    from genome_pipeline.dashboard.security import Access

    access, log = Access.to(host, settings.dashboard), AuditLog.of(settings)
    log.prepare()
    new_console().print(f"Customer Genome dashboard: http://{host}:{port}/   (Ctrl-C stops it)")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server ends in its own way
    serve(settings.published_path, access, log, host, port, settings.data_docs_path)


@app.command()
def mcp(config: ConfigOption = None) -> None:
    """Answer an assistant's questions on the published file, by the Model Context Protocol.

    An MCP client starts this command and talks to it over standard input and output; see docs/mcp.md.
    """
    settings = settings_of(config)
    from genome_pipeline.command.assistant import serve

    serve(settings)


@app.command()
def audit(
    since: Annotated[
        datetime | None, typer.Option("--since", formats=["%Y-%m-%d"], help="From this day on; default: the last 100.")
    ] = None,
    customer_id: Annotated[
        str | None, typer.Option("--customer", help="Only what was about this customer, as named in the source.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell who looked at what in the dashboard, and who was not let in."""
    settings = settings_of(config)
    from genome_pipeline.command.terminal.privacy import print_audit
    from genome_pipeline.dashboard.audit import audit_entries

    facts = audit_entries(settings, day_of(since), customer_id)
    if as_json:
        print_json(facts)
    else:
        print_audit(new_console(), facts, None if since else 100)


@app.command()
def ui(
    config: ConfigOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
) -> None:
    """Open the Dagster UI (webserver and daemon, on loopback) on this pipeline."""
    settings = settings_of(config)
    from genome_pipeline.orchestration.home import prepare_server

    prepare_server(settings)
    # Servers that Dagster starts need the command's own environment, and end with the command.
    from genome_pipeline.orchestration.webserver import serve_with_daemon

    serve_with_daemon(["-m", "genome_pipeline.definitions", "--host", "127.0.0.1", "--port", str(port)])


def _fail(message: str, code: int) -> NoReturn:
    new_console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"genome: {message}")
    sys.exit(code)


if __name__ == "__main__":
    main()
