"""How a stage of the flow becomes a Dagster asset; the one place for all stages.

Dagster reads annotations at run time, so this module does not postpone them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg

from genome_pipeline.contracts.column import AS_READ
from genome_pipeline.contracts.tables import TABLES, Table
from genome_pipeline.errors import ConfigError, PublicationRefused, TransientError
from genome_pipeline.orchestration.partitions import Reads, period_starts
from genome_pipeline.orchestration.place import Place
from genome_pipeline.orchestration.published_tables import PUBLISHED_TABLES
from genome_pipeline.orchestration.resources import PIPELINE, Pipeline
from genome_pipeline.warehouse.database import Slice, WrittenSlices
from genome_pipeline.warehouse.faults import error_in_words

REASON_TAG = "genome/reason"
"""Tag with the reason for which a run was started."""

ON_COMMAND = "command: genome run"

REFUSED = "publication_refused"
"""Metadata key of a failure that is not a user's mistake: a check blocks publication."""

_RETRIES = 3
_RETRY_SECONDS = 30

Body = Callable[[dg.AssetExecutionContext, Pipeline], Mapping[str, Mapping[str, Any]]]
"""Makes the assets of a stage; returns the metadata of each, by its name."""


@dataclass(frozen=True)
class Stage:
    """A function that makes one or several assets, with the facts that Dagster needs about them.

    ``reads`` says which periods of each upstream asset are read; ``config`` is the schema of the run's config. What is
    ``shaped_by_settings`` is stale when a setting changes that results depend on.
    """

    name: str
    specs: tuple[dg.AssetSpec, ...]
    reads: Mapping[str, Reads]
    is_partitioned: bool
    body: Body
    config: Mapping[str, dg.Field] = field(default_factory=dict)
    shaped_by_settings: bool = True

    @property
    def asset_names(self) -> tuple[str, ...]:
        """Names of the assets made."""
        return tuple(spec.key.to_user_string() for spec in self.specs)

    def build(
        self, partitions: dg.TimeWindowPartitionsDefinition, place: Place, settings_version: str
    ) -> dg.AssetsDefinition:
        """The Dagster definition at a place, cut by ``partitions`` where the stage has periods.

        ``settings_version`` stands for the settings that results depend on.
        """
        resource = place.name(PIPELINE)

        @dg.multi_asset(
            name=place.name(self.name),
            specs=[self._placed(spec, partitions, place, settings_version) for spec in self.specs],
            partitions_def=partitions if self.is_partitioned else None,
            backfill_policy=dg.BackfillPolicy.single_run() if self.is_partitioned else None,
            pool=place.pool,
            config_schema=dict(self.config) or None,
            required_resource_keys={resource},
        )
        def _compute(context: dg.AssetExecutionContext) -> Any:
            pipeline: Pipeline = getattr(context.resources, resource)
            try:
                for name, metadata in self.body(context, pipeline).items():
                    yield dg.MaterializeResult(asset_key=place.key(name), metadata=metadata)
            except ConfigError as error:
                is_watched = context.run.tags.get(REASON_TAG) == ON_COMMAND
                if isinstance(error, TransientError) and not is_watched and context.retry_number < _RETRIES:
                    context.log.warning(str(error))
                    raise dg.RetryRequested(_RETRIES, _RETRY_SECONDS * 2**context.retry_number) from error
                # For a user's mistake the sentence is the whole message: a traceback would only hide it.
                raise as_dagster_failure(error, pipeline) from None
            except Exception as error:
                raise as_dagster_failure(error, pipeline) from error

        return _compute

    def _placed(
        self,
        spec: dg.AssetSpec,
        partitions: dg.TimeWindowPartitionsDefinition,
        place: Place,
        settings_version: str,
    ) -> dg.AssetSpec:
        own = spec.key.to_user_string()
        made_here = set(self.asset_names) - {own}
        deps = [
            dg.AssetDep(place.key(upstream), partition_mapping=reads.mapping(partitions))
            for upstream, reads in self.reads.items()
            if upstream not in made_here
        ]
        return spec.replace_attributes(
            key=place.key(own),
            deps=deps,
            group_name=place.group(str(spec.group_name)),
            owners=[*place.owners],
            code_version=settings_version if self.shaped_by_settings else None,
        ).with_io_manager_key(place.name(PUBLISHED_TABLES))


def table_stage(
    *tables: str, reads: Mapping[str, Reads], kinds: set[str], name: str | None = None
) -> Callable[[Callable[[dg.AssetExecutionContext, Pipeline], None]], Stage]:
    """Declare a stage that writes ``tables`` of the contract, which gives their description, columns and group."""
    declared = [TABLES[table] for table in tables]

    def decorate(function: Callable[[dg.AssetExecutionContext, Pipeline], None]) -> Stage:
        def body(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Mapping[str, Mapping[str, Any]]:
            function(context, pipeline)
            return {table: {} for table in tables}

        return Stage(
            name=name or tables[0],
            specs=tuple(_spec(table, kinds) for table in declared),
            reads=reads,
            shaped_by_settings=declared[0].is_by_period,
            is_partitioned=declared[0].is_by_period,
            body=body,
        )

    return decorate


def as_dagster_failure(error: Exception, pipeline: Pipeline) -> Exception:
    """The exception to raise in Dagster: one sentence if a user or the machine is at fault, else the error itself."""
    fault = error_in_words(error, pipeline.settings.home)
    if fault is None:
        return error
    metadata = {REFUSED: dg.MetadataValue.bool(True)} if isinstance(error, PublicationRefused) else None
    return dg.Failure(description=fault, metadata=metadata, allow_retries=False)


def _spec(table: Table, kinds: set[str]) -> dg.AssetSpec:
    return dg.AssetSpec(
        table.name,
        description=f"{table.description}\n\nOne row per {table.grain}; key: {', '.join(table.key)}.",
        group_name=table.group,
        kinds={"duckdb", *kinds},
        metadata={
            "dagster/table_name": table.name,
            "dagster/column_schema": column_schema(table),
            "docs": dg.MetadataValue.md(
                "`docs/data_dictionary.md` (every column), `docs/methodology.md` (how it is computed),"
                " `docs/operations.md` (what to do when it fails)"
            ),
        },
    )


def column_schema(table: Table) -> dg.TableSchema:
    """The contract's columns as Dagster shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                type="as read" if column.type == AS_READ else column.type,
                description=column.description,
                tags={"unit": column.unit.name.lower()} if column.unit else {},
                constraints=dg.TableColumnConstraints(
                    nullable=column.name in table.nullable, unique=table.key == (column.name,)
                ),
            )
            for column in table.fields
        ]
    )


def key_of(context: dg.AssetExecutionContext, name: str) -> dg.AssetKey:
    """The key of an asset that the run's step makes."""
    keys: Iterable[dg.AssetKey] = context.assets_def.keys
    return next(key for key in keys if key.path[-1] == name)


def snapshots(context: dg.AssetExecutionContext, pipeline: Pipeline) -> list[date]:
    """The ``as_of`` of every period of this run, in order."""
    return [pipeline.settings.time.as_of(start) for start in period_starts(context)]


def report_rows(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    written: WrittenSlices,
    facts: Mapping[date, Mapping[str, Any]] | None = None,
) -> None:
    """Attach row counts, the date of a snapshot, and the ``facts`` of each slice, to each period's materialisation."""
    table = TABLES[written.table]
    for key, rows in written.row_counts.items():
        if isinstance(key, date):
            context.add_asset_metadata(
                {
                    "dagster/partition_row_count": rows,
                    **({"as_of": str(key)} if table.is_snapshot else {}),
                    **(facts or {}).get(key, {}),
                },
                asset_key=key_of(context, table.name),
                partition_key=_partition_key(pipeline, table, key),
            )


def _partition_key(pipeline: Pipeline, table: Table, key: Slice) -> str:
    assert isinstance(key, date)
    return str(pipeline.settings.time.period_start(key) if table.is_snapshot else key)
