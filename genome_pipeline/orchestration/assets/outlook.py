"""``customer_features`` -> ``outlook_model``; with ``customer_risk`` and ``customer_value`` -> ``customer_outlook``.

From that and ``risk_model`` -> ``customer_next_order`` and ``customer_lifetime_value``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial

import dagster as dg
import ibis.expr.types as ir
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.forecast.lifetime_value import predict_lifetime_value
from genome_pipeline.models.forecast.next_order import predict_next_order
from genome_pipeline.models.forecast.outlook import MAIN, MAIN_RISK, MAIN_VALUE, OutlookModel, fit_outlook_model
from genome_pipeline.models.forecast.risk import RiskModel
from genome_pipeline.orchestration.assets.frames import check_written
from genome_pipeline.orchestration.assets.modelling import fit_each_snapshot, map_each_snapshot, renamed
from genome_pipeline.orchestration.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.transforms.outlook import by_horizon, longest_horizon, main_outlook


@table_stage(
    "outlook_model",
    reads={"customer_features": Reads.UP_TO_THIS, "validated_transactions": Reads.UP_TO_THIS},
    kinds={"lightgbm"},
)
def outlook_model(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Fit the forecast over each further horizon on what had matured at each snapshot."""
    predict = pipeline.settings.predict
    if not predict.further_horizons_days:
        _write(context, pipeline, "outlook_model", lambda _, __: pd.DataFrame(columns=TABLES["outlook_model"].columns))
        return
    fit_each_snapshot(
        context,
        pipeline,
        "outlook_model",
        predict.further_horizons_days,
        lambda features, labelled, unobserved_days: fit_outlook_model(
            features,
            labelled,
            predict.horizon_days,
            predict.interval_level,
            predict.seed,
            unobserved_days=unobserved_days,
        ),
    )


@table_stage(
    "customer_outlook",
    reads={
        "customer_features": Reads.SAME,
        "outlook_model": Reads.SAME,
        "customer_risk": Reads.SAME,
        "customer_value": Reads.SAME,
    },
    kinds={"lightgbm"},
)
def customer_outlook(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Predict every customer over every horizon, so that none contradicts another."""
    if not pipeline.settings.predict.further_horizons_days:
        _write(context, pipeline, "customer_outlook", partial(_main_alone, pipeline))
        return
    map_each_snapshot(
        context,
        pipeline,
        "outlook_model",
        "customer_outlook",
        OutlookModel.from_bytes,
        OutlookModel.predict,
        beside={
            "customer_risk": _main("risk", MAIN_RISK),
            "customer_value": _main("value", MAIN_VALUE),
        },
    )


@table_stage(
    "customer_next_order",
    reads={"customer_features": Reads.SAME, "risk_model": Reads.SAME, "customer_outlook": Reads.SAME},
    kinds={"pandas"},
)
def customer_next_order(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Predict when every customer orders next, from the forecast over every horizon."""
    predict = pipeline.settings.predict
    map_each_snapshot(
        context,
        pipeline,
        "risk_model",
        "customer_next_order",
        RiskModel.from_bytes,
        partial(predict_next_order, interval_level=predict.interval_level),
        ("frequency_count", "recency_days", "t_days"),
        beside={
            "customer_outlook": partial(
                by_horizon, horizons_days=(predict.horizon_days, *predict.further_horizons_days)
            )
        },
    )


@table_stage(
    "customer_lifetime_value",
    reads={"customer_features": Reads.SAME, "risk_model": Reads.SAME, "customer_outlook": Reads.SAME},
    kinds={"pandas"},
)
def customer_lifetime_value(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Continue the spend over the longest horizon to the years of a lifetime, discounted."""
    predict = pipeline.settings.predict
    map_each_snapshot(
        context,
        pipeline,
        "risk_model",
        "customer_lifetime_value",
        RiskModel.from_bytes,
        partial(predict_lifetime_value, years=predict.lifetime_years, discount_rate=predict.discount_rate),
        ("t_days",),
        beside={"customer_outlook": longest_horizon},
    )


def _main(model: str, columns: tuple[str, ...]) -> Callable[[ir.Table], ir.Table]:
    return renamed(
        **{f"{MAIN}{model}_{name}" if name == "abstain_reason" else f"{MAIN}{name}": name for name in columns}
    )


def _main_alone(pipeline: Pipeline, database: Backend, dates: list[date]) -> ir.Table:
    """The outlook where there is no further horizon: the forecast that stands."""
    risk, value = "customer_risk", "customer_value"
    for name in (risk, value):
        check_written(database, pipeline, name, dates)
    return main_outlook(database.table(risk), database.table(value), dates, pipeline.settings.predict.horizon_days)


def _write(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    table: str,
    make: Callable[[Backend, list[date]], ir.Table | pd.DataFrame],
) -> None:
    """Write the snapshots of the run, with rows that the warehouse gives by itself."""
    warehouse, dates = pipeline.warehouse, snapshots(context, pipeline)
    with warehouse.open() as database:
        rows = make(database, dates)
        written = warehouse.replace_slices(database, TABLES[table], dates, rows, context.run_id)
    report_rows(context, pipeline, written)
