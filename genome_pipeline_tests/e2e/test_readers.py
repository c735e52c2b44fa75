"""Readers that keep the published file open, while it is published again and again."""

from pathlib import Path

import dagster as dg
import pytest

from genome_pipeline.definitions import build_definitions
from genome_pipeline.orchestration.automation.jobs import PUBLISH_JOB
from genome_pipeline.settings import Settings
from genome_pipeline_tests.support.pipelines import make, shop_config, write_shop_log
from genome_pipeline_tests.support.readers import reading

PUBLICATIONS = 50
CHANGES = 5


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_three_readers_neither_hold_up_fifty_publications_nor_see_half_of_one(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    write_shop_log(log, customers=30)
    config = shop_config(tmp_path)
    config.write_text(config.read_text(encoding="utf-8").replace("2020-08-01", "2020-03-01"), encoding="utf-8")
    settings, _ = make(config)
    made = set()
    with reading(settings.published_path, 3, seconds_open=15) as reports:
        for number in range(PUBLICATIONS):
            if number % (PUBLICATIONS // CHANGES) == 0:
                with log.open("a", encoding="utf-8") as file:  # one customer more in the next snapshot
                    file.write(f"new{number},new{number},2020-02-10 10:00:00,p1,food,1,2.00\n")
                made.add(make(config)[1].run_id)
            else:
                made.add(published_again(settings))
    print(
        f"\nreaders saw {len(reports.publications & made)} of {len(made)} publications, {reports.question_count} looks"
    )
    assert len(made) == PUBLICATIONS
    assert reports.faults == []
    assert len(reports.publications & made) > PUBLICATIONS / 2


def published_again(settings: Settings) -> str:
    """Publish what the warehouse holds; returns the run's id."""
    with dg.DagsterInstance.get() as instance:
        done = build_definitions(settings).resolve_job_def(PUBLISH_JOB).execute_in_process(instance=instance)
    assert done.success
    return str(done.run_id)
