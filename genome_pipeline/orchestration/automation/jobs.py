"""The jobs that make and publish periods, and the names of all jobs."""

from functools import cache

import dagster as dg

from genome_pipeline.orchestration.assets.flow import LINE_STAGES, PUBLISHING_STAGES, SNAPSHOT_STAGES, STAGES
from genome_pipeline.orchestration.assets.stage import Stage
from genome_pipeline.orchestration.internals import UnresolvedAssetJobDefinition
from genome_pipeline.orchestration.place import Place

INGEST_JOB = "ingest"
REFRESH_JOB = "refresh"
BACKFILL_JOB = "backfill"
RETRAIN_JOB = "retrain"
PUBLISH_JOB = "publish"
REBUILD_JOB = "rebuild"
HOUSEKEEPING_JOB = "housekeeping"

_SOURCES = ("raw_transactions", "experiments", "experiment_members", "contacts")
_MODELS = ("segment_model", "value_model", "risk_model", "outlook_model", "similarity_index")


@cache
def jobs(place: Place) -> dict[str, UnresolvedAssetJobDefinition]:
    """The jobs of a shop by their plain names; those with periods take one, or a range of them as one run."""

    def selected(*names: str) -> dg.AssetSelection:
        return dg.AssetSelection.assets(*map(place.key, names))

    def made_by(*stages: Stage) -> dg.AssetSelection:
        return selected(*(name for stage in stages for name in stage.asset_names))

    after_models = selected(*_MODELS).downstream().required_multi_asset_neighbors() & made_by(*STAGES)
    by_period = (stage for stage in LINE_STAGES + SNAPSHOT_STAGES if stage.is_partitioned)
    declared = (
        (
            INGEST_JOB,
            selected(*_SOURCES),
            "Read the source files that are new or changed, the record of experiments, and the contact log.",
        ),
        (
            REFRESH_JOB,
            made_by(*STAGES),
            "Read what changed in the source, make the chosen period (or range of periods) and publish.",
        ),
        (
            BACKFILL_JOB,
            made_by(*by_period),
            "Make a range of periods again from the rows already taken in, as one run; publishes nothing.",
        ),
        (
            RETRAIN_JOB,
            after_models,
            "Fit the models of the chosen snapshots again, make all that follows from them and publish.",
        ),
        (PUBLISH_JOB, made_by(*PUBLISHING_STAGES), "Publish what the warehouse holds, again."),
    )
    return {
        name: dg.define_asset_job(
            place.name(name), selection=selection, description=description, executor_def=dg.in_process_executor
        )
        for name, selection, description in declared
    }


def is_of(place: Place, run: dg.DagsterRun) -> bool:
    """Whether a run is the shop's: of one of its jobs, or of some of its assets."""
    if not place.is_shared:
        return True
    own = {place.key(name) for stage in STAGES for name in stage.asset_names}
    return run.job_name in {job.name for job in jobs(place).values()} or not own.isdisjoint(run.asset_selection or ())
