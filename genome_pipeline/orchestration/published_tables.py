"""How assets of other projects take published tables as arguments: an IO manager that reads, and writes nothing."""

from __future__ import annotations

from datetime import UTC, date
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
from pydantic import Field

from genome_pipeline.calendar import Period
from genome_pipeline.contracts.tables import TABLES, Table
from genome_pipeline.published.reader import Published
from genome_pipeline.settings import Settings

PUBLISHED_TABLES = "published_tables"
"""Name of the resource."""

_KINDS = "pd.DataFrame or pa.Table"


class PublishedTables(dg.ConfigurableIOManager):
    """Reads a shop's published file for the assets below its own.

    An asset takes a table by its name, in the type of its annotation: ``def mine(customer_genome: pd.DataFrame)``. If
    it has the shop's periods, it gets the rows of its own, else those of all that are published; ``published_genome:
    Path`` is the file itself.
    """

    path: str = Field(description="The published file.")
    period: Period = Field(description="The shop's periods: month, week or day.")

    @classmethod
    def of(cls, settings: Settings) -> PublishedTables:
        """The reader of the file that a shop publishes."""
        return cls(path=str(settings.published_path.absolute()), period=settings.time.period)

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuse: the file is written by ``published_genome`` alone."""
        raise dg.Failure(
            f"{context.asset_key.to_user_string()} cannot be kept in {self.path}, which is for reading: give the asset"
            " an IO manager of its own",
            allow_retries=False,
        )

    def load_input(self, context: dg.InputContext) -> Any:
        """The rows of a table, or the path of the file.

        Raises :class:`dg.Failure` where the file has none of a period that was asked for, or older ones than the
        shop's last run made, or where the annotation is of another type.
        """
        name, kind = context.asset_key.path[-1], context.dagster_type.typing_type
        if name == "published_genome" and kind is Path:
            return Path(self.path)
        table = TABLES.get(name)
        if table is None or not table.is_published:
            raise _refused(f"{name} is no published table: take one of docs/data_dictionary.md")
        if kind not in (pd.DataFrame, pa.Table, Any):
            raise _refused(f"{name} cannot be read as {getattr(kind, '__name__', kind)}: annotate it as {_KINDS}")
        with Published(Path(self.path)) as published:
            self._check_is_published(context, published)
            query, values = f"SELECT * FROM {table.published_name}", list[list[date]]()
            if table.is_by_period and context.has_asset_partitions:
                query += f" WHERE {table.slice_by} IN (SELECT unnest(?))"
                values = [self._slices(context, table, published)]
            rows = published.connection.execute(f"{query} ORDER BY {', '.join(table.key)}", values)
            return rows.to_arrow_table() if kind is pa.Table else rows.df()

    def _slices(self, context: dg.InputContext, table: Table, published: Published) -> list[date]:
        """The slices to read: those asked for, or, where these are all there can be, those that are published.

        A period that is published may hold no rows of the table.
        """
        keys = context.asset_partition_keys
        ends = {start: self.period.shift(start, 1) for start in sorted(map(date.fromisoformat, keys))}
        query = "SELECT DISTINCT as_of FROM customer_genome_history ORDER BY 1"
        known = [day for (day,) in published.connection.execute(query).fetchall()]
        missing = [end for end in ends.values() if end not in known]
        if missing and len(keys) < context.asset_partitions_def.get_num_partitions():
            raise _refused(
                f"{self.path} has no {table.name} of {missing[0]}: make and publish that {self.period} first; it has"
                f" {f'{known[0]} to {known[-1]}' if known else 'none'}"
            )
        return [end if table.is_snapshot else start for start, end in ends.items() if end in known]

    def _check_is_published(self, context: dg.InputContext, published: Published) -> None:
        """Raises unless the file was published after the last run that made what is read of it."""
        published_at = published.row("SELECT max(published_at) AS at FROM pipeline_runs")["at"].replace(tzinfo=UTC)
        made_since = dg.AssetRecordsFilter(
            context.asset_key,
            asset_partitions=context.asset_partition_keys if context.has_asset_partitions else None,
            after_timestamp=published_at.timestamp(),
        )
        if context.instance.fetch_materializations(made_since, limit=1).records:
            raise _refused(
                f"{context.asset_key.to_user_string()} was made again after it was published: publish it first; in a"
                " run that does both, let the asset depend on published_genome, too"
            )


def _refused(sentence: str) -> dg.Failure:
    return dg.Failure(sentence, allow_retries=False)
