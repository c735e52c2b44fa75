"""Dagster's home: its configuration, ``dagster.yaml``, and the instance that is opened from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

from dagster import DagsterInstance, DagsterInvalidConfigError
from filelock import FileLock
from yaml import YAMLError

from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.internals import CheckError
from genome_pipeline.orchestration.place import WAREHOUSE_POOL
from genome_pipeline.settings import Settings

POSTGRES_VARIABLE = "DAGSTER_POSTGRES_URL"
"""Environment variable with the URL of Dagster's database in production; ``dagster.yaml`` holds only its name."""

STARTUP = timedelta(minutes=10)
"""Time that a run may take to start."""

_POSTGRES_SCHEME = "postgresql+psycopg2://"
_CONFIG = f"""\
# Written by `genome` where there is none; yours to change.
telemetry:
  enabled: false
nux:
  enabled: false
instance_class:               # new runs are recorded fast; one that somebody stopped is not tried again
  module: genome_pipeline.orchestration.dagster_instance
  class: Instance
concurrency:
  pools:
    granularity: run          # a run has the warehouse to itself; others wait in the queue, in order
    default_limit: 1
run_monitoring:
  enabled: true
  start_timeout_seconds: {STARTUP.seconds}  # one given up too early starts beside its replacement
  free_slots_after_run_end_seconds: 60
run_retries:
  enabled: true
  max_retries: 2              # of a run whose process died; a failed check or a user's mistake is not tried again
  retry_on_asset_or_op_failure: false
retention:
  schedule:
    purge_after_days: 90
  sensor:
    purge_after_days: {{skipped: 7, success: 90, failure: 90}}
  auto_materialize:
    purge_after_days: {{skipped: 7, success: 90, failure: 90}}
freshness:
  enabled: true
"""
_PATIENCE_VARIABLE = "DAGSTER_GRPC_TIMEOUT_SECONDS"
_PATIENCE_SECONDS = 300
"""By default 60. On a busy machine the process of a run takes longer to start, and the run is given up as failed."""
_POSTGRES_CONFIG = f"""\
storage:
  postgres:
    postgres_url: {{env: {POSTGRES_VARIABLE}}}
"""


def prepare_home(settings: Settings) -> Path:
    """Set ``DAGSTER_HOME`` unless it is set, write a ``dagster.yaml`` into it, and return it."""
    home = Path(os.environ.get("DAGSTER_HOME") or settings.dagster_home).absolute()
    config = home / "dagster.yaml"
    if "?" in str(home) or unquote(str(home)) != str(home):
        raise ConfigError(
            f"Dagster cannot keep its records in {home}, whose name has a '?' or an escape such as '%41' in it: set"
            " GENOME_HOME, or DAGSTER_HOME, to another folder"
        )
    if not os.environ.get(POSTGRES_VARIABLE, _POSTGRES_SCHEME).startswith(_POSTGRES_SCHEME):
        raise ConfigError(f"{POSTGRES_VARIABLE} does not begin with {_POSTGRES_SCHEME}: name the driver in it")
    with _writing(home):
        home.mkdir(parents=True, exist_ok=True)
        if not config.exists():
            in_postgres = POSTGRES_VARIABLE in os.environ
            # Replaced in one step: another process may be reading it.
            new_config = config.with_name(f"dagster-{os.getpid()}.yaml")
            new_config.write_text(_CONFIG + (_POSTGRES_CONFIG if in_postgres else ""), encoding="utf-8")
            new_config.replace(config)
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def make_folder(home: Path) -> Path:
    """Make a shop's home unless it is there, and return it. Raises :class:`ConfigError` where it cannot be made."""
    with _writing(home):
        home.mkdir(parents=True, exist_ok=True)
    return home


@contextmanager
def _writing(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{home} cannot be written ({error.strerror}): set GENOME_HOME to a folder you may write"
        ) from None


@contextmanager
def open_instance(settings: Settings) -> Iterator[DagsterInstance]:
    """The instance of a prepared home. One process at a time creates its storage; others wait for it.

    Raises :class:`ConfigError` where Dagster cannot use ``dagster.yaml``.
    """
    home = prepare_home(settings)
    with ExitStack() as stack:
        with FileLock(home / "opening.lock"):
            try:
                instance = stack.enter_context(DagsterInstance.get())
            except (YAMLError, DagsterInvalidConfigError, CheckError) as error:
                reason = str(error).strip().splitlines()[0].removeprefix("Failure condition: ")
                raise ConfigError(
                    f"{home / 'dagster.yaml'} is no configuration of Dagster's ({reason}): correct it, or delete it to"
                    " have it written anew"
                ) from None
            limit_warehouse_pool(instance)
        yield instance


def prepare_server(settings: Settings) -> Path:
    """As :func:`prepare_home`, for a server about to start: its first runs also create storage one at a time.

    Dagster gives its own processes longer to answer each other than by default, unless the environment says how long.
    """
    os.environ.setdefault(_PATIENCE_VARIABLE, str(_PATIENCE_SECONDS))
    with open_instance(settings) as instance:
        return Path(instance.root_directory)


def limit_warehouse_pool(instance: DagsterInstance) -> None:
    """Give the warehouse's pool its default limit, unless it has one already.

    Dagster would do so only when it first finds runs of the pool in its queue, and would let all of these start at
    once.
    """
    storage = instance.event_log_storage
    is_limited = any(pool.name == WAREHOUSE_POOL for pool in storage.get_pool_limits())
    if not is_limited and instance.global_op_concurrency_default_limit is not None:
        storage.initialize_concurrency_limit_to_default(WAREHOUSE_POOL)
