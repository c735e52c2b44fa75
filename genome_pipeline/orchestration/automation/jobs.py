"""The jobs that make and publish periods, and the names of all jobs."""

import dagster as dg

from genome_pipeline.orchestration.assets.flow import LINE_STAGES, SNAPSHOT_STAGES
from genome_pipeline.orchestration.internals import UnresolvedAssetJobDefinition

INGEST_JOB = "ingest"
REFRESH_JOB = "refresh"
BACKFILL_JOB = "backfill"
RETRAIN_JOB = "retrain"
PUBLISH_JOB = "publish"
REBUILD_JOB = "rebuild"
HOUSEKEEPING_JOB = "housekeeping"

_MODELS = ("segment_model", "value_model", "risk_model", "outlook_model", "similarity_index")

INGEST = dg.define_asset_job(
    INGEST_JOB,
    selection=dg.AssetSelection.assets("raw_transactions", "experiments", "experiment_members", "contacts"),
    description="Read the source files that are new or changed, the record of experiments, and the contact log.",
)
REFRESH = dg.define_asset_job(
    REFRESH_JOB,
    selection=dg.AssetSelection.all(),
    description="Read what changed in the source, make the chosen period (or range of periods) and publish.",
)


def jobs() -> list[UnresolvedAssetJobDefinition]:
    """The jobs of the code location; those with periods take one, or a range of them as one run."""
    partitioned = [
        name for stage in LINE_STAGES + SNAPSHOT_STAGES if stage.is_partitioned for name in stage.asset_names
    ]
    return [
        INGEST,
        REFRESH,
        dg.define_asset_job(
            BACKFILL_JOB,
            selection=dg.AssetSelection.assets(*partitioned),
            description="Make a range of periods again from the rows already taken in, as one run; publishes nothing.",
        ),
        dg.define_asset_job(
            RETRAIN_JOB,
            selection=dg.AssetSelection.assets(*_MODELS).downstream().required_multi_asset_neighbors(),
            description="Fit the models of the chosen snapshots again, make all that follows from them and publish.",
        ),
        dg.define_asset_job(
            PUBLISH_JOB,
            selection=dg.AssetSelection.assets("published_genome", "genome_report"),
            description="Publish what the warehouse holds, again.",
        ),
    ]
