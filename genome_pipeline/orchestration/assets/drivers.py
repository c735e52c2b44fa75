"""``customer_features``, ``value_model`` and ``risk_model`` -> ``customer_drivers``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path

import dagster as dg
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.drivers import explain_customers
from genome_pipeline.models.forecast.explanations import explain_forecast
from genome_pipeline.models.forecast.risk import RiskModel
from genome_pipeline.models.forecast.value import ValueModel
from genome_pipeline.orchestration.assets.frames import model_files, snapshot_frames, was_written
from genome_pipeline.orchestration.assets.snapshots import in_batches, in_threads
from genome_pipeline.orchestration.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.warehouse.exchange import local_exchange

_TABLE = TABLES["customer_drivers"]
_EXPLAINED_BY = ("customer_id", "recent_window_days", *GENES)


@table_stage(
    "customer_drivers",
    reads={
        "customer_features": Reads.UP_TO_THIS,
        "value_model": Reads.SAME,
        "customer_value": Reads.SAME,
        "risk_model": Reads.SAME,
        "customer_risk": Reads.SAME,
    },
    kinds={"lightgbm"},
)
def customer_drivers(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Explain every customer's predictions at each snapshot, and what changed in them since the one before."""
    warehouse, calendar = pipeline.warehouse, pipeline.settings.time

    def read(database: Backend, dates: Sequence[date]) -> tuple[dict[date, pd.DataFrame], list[dict[date, str]]]:
        wanted = dict.fromkeys(day for as_of in dates for day in (calendar.period_start(as_of), as_of))
        known = [day for day in wanted if day in dates or was_written(database, "customer_features", day)]
        features = snapshot_frames(database, "customer_features", known, _EXPLAINED_BY)
        return features, [model_files(database, name, dates) for name in ("value_model", "risk_model")]

    for batch, (features, (values, risks)) in in_batches(pipeline, snapshots(context, pipeline), read):
        # A dozen rows per customer: they wait in files, not in memory, until the warehouse is open again.
        with local_exchange(pipeline.settings.exchange_path) as exchange:
            folder = Path(exchange.next_folder())
            folder.mkdir()
            in_threads(
                partial(_explain, pipeline, folder),
                batch,
                [(values[as_of], risks[as_of]) for as_of in batch],
                [features[as_of] for as_of in batch],
                [features.get(calendar.period_start(as_of)) for as_of in batch],
            )
            nothing = pd.DataFrame(columns=list(_TABLE.columns))
            with warehouse.open() as database:
                rows = exchange.get(database, [str(folder)]) if any(folder.iterdir()) else nothing
                written = warehouse.replace_slices(database, _TABLE, batch, rows, context.run_id)
        report_rows(context, pipeline, written)


def _explain(
    pipeline: Pipeline,
    folder: Path,
    as_of: date,
    stored: tuple[str, str],
    features: pd.DataFrame,
    previous: pd.DataFrame | None,
) -> None:
    """Write the rows of one snapshot into files of the folder."""
    value_file, risk_file = stored
    value = ValueModel.from_bytes(pipeline.artifacts.read(value_file))
    risk = RiskModel.from_bytes(pipeline.artifacts.read(risk_file))
    parts = explain_customers(
        partial(explain_forecast, risk, value), features, previous, pipeline.settings.source.currency
    )
    for number, rows in enumerate(parts):
        rows.to_parquet(folder / f"{as_of}-{number:04d}.parquet", index=False)
