"""Periods of a run. Without postponed annotations: Dagster reads the context's own."""

from datetime import date

import dagster as dg
import pytest

from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.partitions import period_starts


def test_a_run_without_a_period_is_told_to_take_one() -> None:
    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["2020-01-01"]))
    def lines(context: dg.AssetExecutionContext) -> None:
        assert period_starts(context) == [date(2020, 1, 1)]

    assert dg.materialize([lines], partition_key="2020-01-01").success
    with pytest.raises(ConfigError, match="execute the check, or the asset, for a period"):
        dg.materialize([lines])
