"""The published file in a notebook: customers, segments, audiences and outcomes as frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, overload

from genome_pipeline.contracts.names import as_name
from genome_pipeline.contracts.published import PUBLISHED_FILE
from genome_pipeline.errors import ConfigError
from genome_pipeline.notebook.frames import Frame, Library, checked_library, computed, day_of, fetched
from genome_pipeline.published.reader import Published

# Imported where they are used: the door opens at once.
if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

Place = str | Path | None
"""A published file, the home of a pipeline, or a config; None is the config that the `genome` command would take."""


@dataclass(frozen=True, repr=False)
class Customer(Generic[Frame]):
    """What is told of one customer at a snapshot, each as a frame.

    Attributes:
        customer_id: the id, as in the tables.
        as_of: the snapshot.
        genome: the row of ``customer_genome``.
        outlook: the forecast over every horizon, a row each.
        lifetime_value: what is still expected within the years of a lifetime; no row where it is not told.
        categories: the shares of the customer's spend, largest first.
        next_categories: the categories most likely to be bought next, likeliest first.
        drivers: why each prediction is what it is, strongest first.
        neighbors: the most similar customers, nearest first.
    """

    customer_id: str
    as_of: date
    genome: Frame
    outlook: Frame
    lifetime_value: Frame
    categories: Frame
    next_categories: Frame
    drivers: Frame
    neighbors: Frame

    def __repr__(self) -> str:
        frames = ", ".join(name for name in self.__dataclass_fields__ if name not in ("customer_id", "as_of"))
        return f"Customer({self.customer_id!r}, as_of={self.as_of}: {frames})"


class Genome(Generic[Frame]):
    """One published file, read-only: whatever is published later, it keeps the snapshots that it was opened with.

    Its frames have the columns of the published contract, which ``docs/data_dictionary.md`` describes. It keeps no
    pipeline from publishing. Use it in a ``with`` block, or close it; each method raises :class:`ConfigError` after
    that. It belongs to one thread.

    Attributes:
        path: the published file.
    """

    def __init__(self, path: Path, library: Library, stored_id: Callable[[str], str]) -> None:
        """``stored_id`` gives the id in the tables of a customer whom the source names so.

        Raises:
            PublishedFileMissing: nothing was published yet.
            PublishedFileUnreadable: the file is damaged, of another version, or not for readers.
        """
        self.path = path
        self._library: Library = library
        self._stored_id = stored_id
        self._published: Published | None = Published(path)

    def __enter__(self) -> Genome[Frame]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; a second time does nothing."""
        if self._published is not None:
            self._published.close()
            self._published = None

    def __repr__(self) -> str:
        if self._published is None:
            return f"Genome({str(self.path)!r}, closed)"
        told = self._published.row(
            "SELECT count(*) AS customers, max(as_of) AS as_of FROM customer_genome_history"
            " WHERE as_of = (SELECT max(as_of) FROM customer_genome_history)"
        )
        parameters = self._published.parameters()
        return (
            f"Genome({str(self.path)!r}, as_of={told['as_of']}, customers={told['customers']:,},"
            f" snapshots={len(self._published.snapshots())}, horizon_days={parameters['horizon_days']},"
            f" currency={parameters['currency']!r})"
        )

    @property
    def snapshots(self) -> list[date]:
        """Every snapshot, oldest first."""
        return self._open.snapshots()

    @property
    def horizon_days(self) -> int:
        """The main horizon, which the forecasts of ``customers`` are over."""
        return int(self._open.parameters()["horizon_days"])

    @property
    def currency(self) -> str:
        """ISO code of all amounts; empty where the config names none."""
        return self._open.parameters()["currency"] or ""

    def customers(self, as_of: date | str | None = None) -> Frame:
        """Table ``customer_genome``, a row per customer, in order of ``customer_id``: at the latest snapshot or at one.

        Raises :class:`ConfigError` where there is no snapshot at the date.
        """
        return self._frame(
            "SELECT * FROM customer_genome_history WHERE as_of = ? ORDER BY customer_id", [self._snapshot(as_of)]
        )

    def segments(self, as_of: date | str | None = None) -> Frame:
        """Table ``segment_profiles``, a row per segment, the largest first. Raises as :meth:`customers` does."""
        return self._frame(
            "SELECT * FROM segment_profiles_history WHERE as_of = ? ORDER BY customer_count DESC, segment_id",
            [self._snapshot(as_of)],
        )

    def customer(self, customer_id: object, as_of: date | str | None = None) -> Customer[Frame]:
        """What is told of one customer, as named in the source.

        Raises :class:`ConfigError` for an unknown customer, with close ids where there are some, and as
        :meth:`customers` does.
        """
        from genome_pipeline.published.summary import OF_CUSTOMER

        name, day = self._stored_id(str(customer_id)), self._snapshot(as_of)
        self._open.genome(name, day)  # or it is unknown
        genome = "SELECT * FROM customer_genome_history WHERE as_of = ? AND customer_id = ?"
        queries = {"genome": genome, **OF_CUSTOMER}
        return Customer(name, day, **{fact: self._frame(query, [day, name]) for fact, query in queries.items()})

    def similar(self, customer_ids: object, count: int = 20) -> Frame:
        """The ``count`` customers nearest to one customer, or to a group, at the latest snapshot, nearest first.

        Args:
            customer_ids: an id as in the source, or several: a list, an array or a column of a frame.
            count: how many to give, at least 1.

        Columns: ``customer_id``, ``similarity``, ``shared_traits``, ``different_traits``. Raises :class:`ConfigError`
        for no id, ids that are not in the snapshot, and a count below 1.
        """
        ids = [self._stored_id(str(name)) for name in _each(customer_ids)]
        if not ids:
            raise ConfigError("no customer is named: give the id of one, or of several in a list")
        if count < 1:
            raise ConfigError(f"count = {count} is too small: ask for at least 1 customer")
        from genome_pipeline.published.lookalikes import lookalikes

        found, _ = lookalikes(self._open.connection, self._open.latest(), ids, count)
        nearest: Frame = computed(self._open.connection, found, self._library)
        return nearest

    def audiences(self) -> Frame:
        """Table ``action_audiences``: whom each rule of the playbook picks, and what became of earlier ones."""
        from genome_pipeline.published.audience import AUDIENCES

        return self._frame(AUDIENCES, [])

    def audience(self, rule: str) -> Frame:
        """The customers that a rule picked at the latest snapshot, most at stake first: columns of ``customer_genome``.

        Customers whom a running experiment leaves alone are in no rule's audience. Raises :class:`ConfigError` for an
        unknown rule, and where an experiment was drawn in the file's home that the file does not know of.
        """
        from genome_pipeline.published.audience import CUSTOMERS_OF_RULE, check_rule
        from genome_pipeline.published.experiments import check_draws
        from genome_pipeline.warehouse.experiment_record import ExperimentRecord

        # The record lies in the home, as the folder of the published file does.
        check_draws(ExperimentRecord.beside(self.path.absolute().parent), self._open)
        check_rule(self._open, rule)
        return self._frame(CUSTOMERS_OF_RULE, [rule])

    def outcomes(self) -> Frame:
        """Table ``prediction_outcomes`` of all snapshots that matured: what was predicted, beside what happened.

        A row per customer and snapshot, in this order by ``as_of`` (the snapshot that predicted) and ``customer_id``.
        """
        return self._frame("SELECT * FROM prediction_outcomes_history ORDER BY as_of, customer_id", [])

    @property
    def _open(self) -> Published:
        if self._published is None:
            raise ConfigError(f"{self.path} was closed: open it again with genome.open")
        return self._published

    def _snapshot(self, as_of: date | str | None) -> date:
        return self._open.snapshot(None if as_of is None else day_of(as_of))

    def _frame(self, query: str, values: list[Any]) -> Frame:
        found: Frame = fetched(self._open.connection.execute(query, values), self._library)
        return found


@overload
def open(place: Place = None, *, frames: Literal["pandas"] = "pandas") -> Genome[pd.DataFrame]: ...
@overload
def open(place: Place = None, *, frames: Literal["polars"]) -> Genome[pl.DataFrame]: ...
@overload
def open(place: Place = None, *, frames: Literal["arrow"]) -> Genome[pa.Table]: ...
def open(place: Place = None, *, frames: Library = "pandas") -> Genome[Any]:
    """Open what a pipeline published, read-only, for a notebook or a script.

    Args:
        place: the published file, the home of the pipeline (the folder with ``published/`` in it), or its config
            (``genome.toml``). Without it, the config that the `genome` command would take: ``$GENOME_CONFIG``, else
            ``genome.toml`` here. With a config that stores pseudonyms, customers are found by their ids in the source.
        frames: the library of all frames: pandas, Polars or Arrow. pandas has amounts as floats, the others as exact
            decimals.

    Raises:
        ConfigError: nothing is published there, the file cannot be read, the config is wrong, or the library is not
            installed; one sentence says what to do.
    """
    library = checked_library(frames)
    if place is None or str(place).endswith(".toml"):
        from genome_pipeline.settings import load_settings

        settings = load_settings(None if place is None else Path(place).expanduser())
        return Genome(settings.published_path, library, settings.stored_id)
    path = Path(place).expanduser()
    return Genome(path / PUBLISHED_FILE if path.is_dir() else path, library, as_name)


def _each(names: object) -> Iterable[object]:
    """The names one by one; a text or a number is one name."""
    return names if isinstance(names, Iterable) and not isinstance(names, str | bytes) else (names,)
