"""``genome rebuild``: make the warehouse anew from its source."""

from __future__ import annotations

from pathlib import Path

import duckdb

from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.orchestration.runs.at_work import alone_at_work
from genome_pipeline.orchestration.runs.run import Outcome, Progress, run_alone
from genome_pipeline.orchestration.runs.staleness import Span
from genome_pipeline.settings import Settings
from genome_pipeline.warehouse.database import SOURCE_SETTING, open_database
from genome_pipeline.warehouse.errors import WarehouseBusy, WarehouseError
from genome_pipeline.warehouse.experiment_record import ExperimentRecord
from genome_pipeline.warehouse.forgotten import Forgotten
from genome_pipeline.warehouse.publishing import check_replaceable, remember_published_files


def rebuild(settings: Settings, progress: Progress) -> Outcome:
    """Make the warehouse anew from the source, and publish.

    The old warehouse, damaged or not, is renamed and kept until this is done; the published file stays until the new
    one replaces it. Forgotten customers stay forgotten. Waits while another command or run is active, and raises, as
    :func:`~genome_pipeline.orchestration.runs.run.run` does. Without the key under which customers were forgotten,
    raises :class:`~genome_pipeline.errors.ConfigError` and changes nothing.
    """
    with alone_at_work(settings, "`genome rebuild`"):
        return _rebuild(settings, progress)


def _rebuild(settings: Settings, progress: Progress) -> Outcome:
    check_replaceable(settings.published_path)
    warehouse = settings.warehouse_path
    forgotten = Forgotten.beside(warehouse)
    _take_over(forgotten, warehouse)
    forgotten.check_key(settings.privacy_key)
    aside = warehouse.with_name("warehouse-before-rebuild.duckdb")
    # If a warehouse was put aside before, this one is from a rebuild that stopped half way, unless it was published.
    is_whole = not aside.exists() or _has_published(warehouse)
    if is_whole:
        _put_aside(warehouse, aside)
    else:
        _delete(warehouse)
    if _place_of(aside) in (None, settings.source.place):
        with Pipeline.of(settings).warehouse.open() as database:
            remember_published_files(database, settings.published_path)
    outcome = run_alone(settings, Span(), progress)
    _delete(aside)
    aside.unlink(missing_ok=True)
    return outcome


def _put_aside(warehouse: Path, aside: Path) -> None:
    """Rename the database. If it is a link, rename the file it points to: the link stays for the new database."""
    _delete(aside)
    aside.unlink(missing_ok=True)
    if warehouse.is_symlink():
        file = warehouse.resolve()
        aside.symlink_to(file.with_name(f"{file.stem}-before-rebuild{file.suffix}"))
    for path, kept in ((_log_of(warehouse), _log_of(aside)), (warehouse.resolve(), aside.resolve())):
        if path.exists():
            path.replace(kept)


def _take_over(forgotten: Forgotten, warehouse: Path) -> None:
    """Take over what cannot be made again from a warehouse that is not damaged.

    That is the list of forgotten customers, of an older version, and a record of experiments that is gone.
    """
    if warehouse.exists():
        try:
            with open_database(warehouse) as database:
                forgotten.take_from(database)
                if "experiments" in database.list_tables():
                    ExperimentRecord.beside(warehouse).make_from(database)
        except WarehouseBusy:
            raise
        except (WarehouseError, duckdb.Error):
            pass


def _has_published(warehouse: Path) -> bool:
    """Whether anything was published from the warehouse; False if it cannot be read."""
    try:
        with open_database(warehouse, read_only=True) as database:
            return bool(database.con.execute("SELECT count(*) > 0 FROM pipeline_runs").fetchall()[0][0])
    except WarehouseBusy:
        raise
    except (WarehouseError, duckdb.Error):
        return False


def _place_of(warehouse: Path) -> str | None:
    """The source that the rows of a warehouse came from; None if it cannot be read."""
    try:
        with open_database(warehouse, read_only=True) as database:
            query = "SELECT setting_value FROM warehouse_identity WHERE setting_name = ?"
            found = database.con.execute(query, [SOURCE_SETTING]).fetchall()
    except (WarehouseError, duckdb.Error):
        return None
    return str(found[0][0]) if found else None


def _delete(database: Path) -> None:
    """Remove the database with its log; if it is a link, remove the file it points to."""
    _log_of(database).unlink(missing_ok=True)
    database.resolve().unlink(missing_ok=True)


def _log_of(database: Path) -> Path:
    """DuckDB's write-ahead log, with changes that are not in the file yet."""
    return database.with_name(f"{database.name}.wal")
