"""How a check becomes a Dagster asset check: run it, record it in ``data_quality``, and report its findings."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets.stage import as_dagster_failure
from genome_pipeline.orchestration.internals import AssetCheckEvaluationTargetMaterializationData
from genome_pipeline.orchestration.partitions import period_starts
from genome_pipeline.orchestration.place import Place
from genome_pipeline.orchestration.resources import PIPELINE, Pipeline
from genome_pipeline.quality.data_docs import DataDocs
from genome_pipeline.quality.validation import CheckResult
from genome_pipeline.settings import Settings
from genome_pipeline.warehouse.database import WHOLE, slice_key


@dataclass(frozen=True)
class Subject:
    """The data that a check looks at: the open warehouse, and the periods that the run ``run_id`` has made.

    ``periods`` are the first days of the periods, in order; empty for an asset without periods.
    """

    database: Backend
    settings: Settings
    periods: list[date]
    run_id: str

    @property
    def snapshots(self) -> list[date]:
        """The ``as_of`` of each of the periods."""
        return [self.settings.time.as_of(start) for start in self.periods]


CheckBody = Callable[[Subject], Sequence[CheckResult]]


@dataclass(frozen=True)
class Check:
    """A check of one asset; an ERROR of a blocking check stops the stages that follow."""

    asset: str
    name: str
    description: str
    is_blocking: bool
    body: CheckBody

    def build(self, partitions: dg.PartitionsDefinition[Any] | None, place: Place) -> dg.AssetChecksDefinition:
        """The Dagster definition at a place; a run over a range of periods checks them together."""
        resource = place.name(PIPELINE)
        with warnings.catch_warnings():
            # Partitions of checks are in preview; end-to-end tests verify the behaviour that this code needs.
            warnings.simplefilter("ignore", dg.PreviewWarning)

            @dg.asset_check(
                asset=place.key(self.asset),
                name=self.name,
                description=self.description,
                blocking=self.is_blocking,
                partitions_def=partitions,
                pool=place.pool,
                required_resource_keys={resource},
            )
            def _check(context: dg.AssetCheckExecutionContext) -> Any:
                pipeline: Pipeline = getattr(context.resources, resource)
                try:
                    # Kept open for the whole check: opening a file again that this process has open costs nothing.
                    with pipeline.warehouse.open() as database:
                        periods = period_starts(context) if partitions is not None else []
                        subject = Subject(database, pipeline.settings, periods, context.run.run_id)
                        results = self.body(subject)
                        pipeline.warehouse.append(database, TABLES["data_quality"], _rows(context, results))
                        if self.is_blocking and self.asset in TABLES:
                            outcomes = self._outcomes(subject, results, partitions is not None)
                            pipeline.warehouse.record_checked(
                                database, TABLES[self.asset], self.name, outcomes, context.run.run_id
                            )
                except Exception as error:
                    raise as_dagster_failure(error, pipeline) from error
                self._log_errors(context, results)
                docs = DataDocs(pipeline.settings.quality_path).page(self.asset)
                if context.has_partition_key_range:
                    yield from self._period_evaluations(context, place.key(self.asset), results, docs)
                yield _evaluation(results, docs)

        return _check

    def _outcomes(
        self, subject: Subject, results: Sequence[CheckResult], is_partitioned: bool
    ) -> dict[str, tuple[bool, str]]:
        """Whether each slice of the run passed, and the findings; findings without a period count for every slice."""
        table = TABLES[self.asset]
        judged = [result.period_start_date for result in results if result.period_start_date]
        periods = sorted({*subject.periods, *judged}) if is_partitioned else []
        slices: dict[str, date | None] = {
            slice_key(subject.settings.time.as_of(start) if table.is_snapshot else start): start for start in periods
        }
        if not is_partitioned:
            slices[WHOLE] = None
        elif table.slice_by in table.nullable:
            slices[slice_key(None)] = None
        errors = [result for result in results if not result.is_passed and result.severity == "ERROR"]
        found = {
            key: "; ".join(error.observed for error in errors if error.period_start_date in (period, None))
            for key, period in slices.items()
        }
        return {key: (not words, words or "passed") for key, words in found.items()}

    def _log_errors(self, context: dg.AssetCheckExecutionContext, results: Sequence[CheckResult]) -> None:
        """Write what was found to the run's log: the error that Dagster raises names the check alone."""
        for result in results:
            if not result.is_passed and result.severity == "ERROR":
                context.log.error(f"check {self.name} of {self.asset} failed: {result.observed}")

    def _period_evaluations(
        self,
        context: dg.AssetCheckExecutionContext,
        asset: dg.AssetKey,
        results: Sequence[CheckResult],
        docs: Path,
    ) -> Iterator[dg.AssetCheckEvaluation]:
        """The findings of each period of a range; Dagster records evaluations of single periods only."""
        periods = period_starts(context)
        made = _latest_materializations(context.instance, asset, periods)
        for period in periods:
            found = _evaluation([result for result in results if result.period_start_date in (period, None)], docs)
            yield dg.AssetCheckEvaluation(
                asset_key=asset,
                check_name=self.name,
                passed=found.passed,
                metadata=found.metadata,
                severity=found.severity,
                description=found.description,
                blocking=self.is_blocking,
                partition=str(period),
                target_materialization_data=made.get(str(period)),
            )


def _latest_materializations(
    instance: dg.DagsterInstance, asset: dg.AssetKey, periods: Sequence[date]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """The latest materialisation of each period: Dagster counts an evaluation until a newer materialisation."""
    ids = instance.get_latest_storage_id_by_partition(
        asset, dg.DagsterEventType.ASSET_MATERIALIZATION, {str(period) for period in periods}
    )
    if not ids:
        return {}
    of_these = dg.AssetRecordsFilter(asset_key=asset, storage_ids=list(ids.values()))
    return {
        str(record.partition_key): AssetCheckEvaluationTargetMaterializationData(
            storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
        )
        for record in instance.fetch_materializations(of_these, limit=len(ids)).records
    }


def check(asset: str, *, description: str, is_blocking: bool) -> Callable[[CheckBody], Check]:
    """Declare a check of ``asset``, named as its function."""

    def decorate(function: CheckBody) -> Check:
        return Check(asset, function.__name__, description, is_blocking, function)

    return decorate


def _evaluation(results: Sequence[CheckResult], docs: Path) -> dg.AssetCheckResult:
    """The findings as Dagster shows them, with the path of the page of Data Docs."""
    failed = [result for result in results if not result.is_passed]
    has_error = any(result.severity == "ERROR" for result in failed)
    metadata: dict[str, Any] = {
        "checked": len(results),
        "failed": len(failed),
        "data_docs": dg.MetadataValue.path(docs.absolute()),
    }
    if failed:
        metadata["failures"] = dg.TableMetadataValue(
            records=[
                dg.TableRecord(
                    {
                        "check": result.check_name,
                        "period": str(result.period_start_date or ""),
                        "severity": result.severity,
                        "observed": result.observed,
                        "rows": result.rows,
                    }
                )
                for result in failed
            ],
            schema=dg.TableSchema(
                columns=[dg.TableColumn(name) for name in ("check", "period", "severity", "observed", "rows")]
            ),
        )
    details = [record for result in failed for record in result.details]
    if details:
        metadata["details"] = dg.TableMetadataValue(
            records=[dg.TableRecord(record) for record in details],
            schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in details[0]]),
        )
    return dg.AssetCheckResult(
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR if has_error or not failed else dg.AssetCheckSeverity.WARN,
        description="; ".join(dict.fromkeys(result.observed for result in failed)) or "all passed",
        metadata=metadata,
    )


def _rows(context: dg.AssetCheckExecutionContext, results: Sequence[CheckResult]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run_id": context.run.run_id,
            "checked_at": datetime.now(UTC).replace(tzinfo=None),
            "table_name": [result.table_name for result in results],
            "check_name": [result.check_name for result in results],
            "period_start_date": [result.period_start_date for result in results],
            "severity": [result.severity for result in results],
            "is_passed": [result.is_passed for result in results],
            "observed": [result.observed for result in results],
        }
    )
