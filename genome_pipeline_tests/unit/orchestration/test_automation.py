import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.definitions import build_definitions
from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.assets.stage import REASON_TAG
from genome_pipeline.orchestration.automation.schedules import schedules
from genome_pipeline.orchestration.automation.sensors import sensors
from genome_pipeline.orchestration.place import ALONE
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline_tests.support.pipelines import shop, shop_config


def starting(period: Period) -> Calendar:
    return Calendar(period, date(2020, 1, 6) if period is Period.WEEK else date(2020, 1, 1))


def tick(calendar: Calendar, name: str, now: datetime) -> dg.RunRequest | dg.SkipReason:
    (schedule,) = (schedule for schedule in schedules(calendar, ALONE) if schedule.name == name)
    found = schedule(dg.build_schedule_context(scheduled_execution_time=now))
    assert isinstance(found, dg.RunRequest | dg.SkipReason)
    return found


@pytest.mark.parametrize(
    ("period", "now", "key"),
    [
        (Period.MONTH, datetime(2020, 3, 1, 5, tzinfo=UTC), "2020-02-01"),
        (Period.WEEK, datetime(2020, 3, 2, 5, tzinfo=UTC), "2020-02-24"),
        (Period.DAY, datetime(2020, 3, 2, 5, tzinfo=UTC), "2020-03-01"),
    ],
)
def test_the_schedule_asks_for_the_period_that_has_just_ended(period: Period, now: datetime, key: str) -> None:
    result = tick(starting(period), f"refresh_each_{period}", now)
    assert isinstance(result, dg.RunRequest)
    assert result.partition_key == key


@pytest.mark.parametrize(
    ("period", "now", "key"),
    [
        (Period.MONTH, datetime(2020, 3, 17, 5, 30, tzinfo=UTC), "2020-03-01"),
        (Period.WEEK, datetime(2020, 3, 8, 5, 30, tzinfo=UTC), "2020-03-02"),
    ],
)
def test_each_day_the_running_period_is_asked_for(period: Period, now: datetime, key: str) -> None:
    result = tick(starting(period), f"refresh_running_{period}", now)
    assert isinstance(result, dg.RunRequest)
    assert result.partition_key == key
    assert isinstance(
        tick(starting(period), f"refresh_running_{period}", datetime(2019, 1, 2, tzinfo=UTC)), dg.SkipReason
    )


def test_a_period_of_one_day_is_not_asked_for_while_it_runs() -> None:
    assert "refresh_running_day" not in {schedule.name for schedule in schedules(starting(Period.DAY), ALONE)}


@pytest.mark.parametrize("name", ["refresh_each_month", "refresh_running_month"])
def test_the_schedules_of_a_finished_log_skip(name: str) -> None:
    calendar = Calendar(Period.MONTH, date(2017, 1, 1), date(2018, 1, 1))
    assert isinstance(tick(calendar, name, datetime(2020, 3, 11, 5, tzinfo=UTC)), dg.SkipReason)


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def look(
    settings: Settings, instance: DagsterInstance, cursor: str | None
) -> tuple[list[dg.RunRequest], str, str | None]:
    """What the landing sensor asks for, why it asks for nothing, and its cursor."""
    (sensor,) = (sensor for sensor in sensors(settings, ALONE) if sensor.name == "landing")
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    data = sensor.evaluate_tick(context)
    return list(data.run_requests or []), data.skip_message or "", data.cursor


def test_the_landing_sensor_waits_until_files_have_stopped_changing_and_asks_once(
    tmp_path: Path, instance: DagsterInstance
) -> None:
    settings = load_settings(shop(tmp_path))
    requests, why, cursor = look(settings, instance, None)
    assert (requests, why) == ([], "the source is changing")
    requests, _, cursor = look(settings, instance, cursor)
    assert [request.job_name for request in requests] == ["ingest"]
    with (tmp_path / "log.csv").open("a", encoding="utf-8") as log:
        log.write("c0001,late,2020-02-10 10:00:00,p1,food,1,2.00\n")
    requests, why, cursor = look(settings, instance, cursor)
    assert (requests, why) == ([], "the source is changing")
    requests, _, cursor = look(settings, instance, cursor)
    assert [request.job_name for request in requests] == ["ingest"]
    # It was asked for; that nothing has been taken in yet is what the next look says.
    requests, why, _ = look(settings, instance, cursor)
    assert requests == []
    assert "nothing has been ingested yet" in why


def test_the_landing_sensor_watches_the_contact_log(tmp_path: Path, instance: DagsterInstance) -> None:
    shop(tmp_path)
    section = '[contacts]\npath = "contacts.csv"\ncolumns = { customer_id = "who", contacted_at = "when" }\n'
    settings = load_settings(shop_config(tmp_path, more=section))
    assert "contacts.csv is no file" in look(settings, instance, None)[1]
    (tmp_path / "contacts.csv").write_text("who,when\n", encoding="utf-8")
    _, _, cursor = look(settings, instance, None)
    _, _, cursor = look(settings, instance, cursor)
    (tmp_path / "contacts.csv").write_text("who,when\nc0001,2020-02-01\n", encoding="utf-8")
    requests, why, cursor = look(settings, instance, cursor)
    assert (requests, why) == ([], "the source is changing")
    assert [request.job_name for request in look(settings, instance, cursor)[0]] == ["ingest"]


def test_what_keeps_a_publication_waiting_is_told_once_as_an_event(tmp_path: Path, instance: DagsterInstance) -> None:
    settings = load_settings(shop(tmp_path))
    cursor = None
    for _ in range(2):  # until it has asked for the log to be taken in, which nobody does
        cursor = look(settings, instance, cursor)[2]
    (sensor,) = (sensor for sensor in sensors(settings, ALONE) if sensor.name == "landing")
    told = []
    for _ in range(2):
        data = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor))
        told.append([event.metadata["waits_because"].value for event in data.asset_events])
        cursor = data.cursor
    assert told == [[data.skip_message], []]
    assert "nothing has been ingested yet" in (data.skip_message or "")


def test_the_landing_sensor_waits_for_a_run_at_work(tmp_path: Path, instance: DagsterInstance) -> None:
    settings = load_settings(shop(tmp_path))
    instance.create_run_for_job(
        build_definitions(settings).resolve_job_def("ingest"), status=dg.DagsterRunStatus.STARTED
    )
    assert look(settings, instance, None)[:2] == ([], "a run is at work")


def test_the_landing_sensor_asks_for_touched_periods_and_the_snapshots_after_them(
    early_shop: Path, instance: DagsterInstance
) -> None:
    settings = load_settings(early_shop)
    (mark,) = {look(settings, instance, None)[2]}
    settled = json.dumps({"seen": json.loads(mark or "")["seen"], "asked": json.loads(mark or "")["seen"]})
    (request,), _, _ = look(settings, instance, settled)
    # January and February are published; the log goes on to July.
    assert request.job_name == "refresh"
    assert request.tags["dagster/asset_partition_range_start"] == "2020-03-01"
    assert request.tags["dagster/asset_partition_range_end"] == "2020-07-01"
    assert request.tags[REASON_TAG] == "landing: periods are stale"
    assert {dg.AssetKey("customer_activity"), dg.AssetKey("published_genome")} <= set(request.asset_selection or ())
    (again,), _, _ = look(settings, instance, settled)
    assert again.run_key == request.run_key


def test_the_landing_sensor_takes_in_orders_that_are_no_longer_in_the_future(
    early_shop: Path, instance: DagsterInstance
) -> None:
    settings = load_settings(early_shop)
    mark = json.loads(look(settings, instance, None)[2] or "")["seen"]
    settled = json.dumps({"seen": mark, "asked": mark})
    with Pipeline.of(settings).warehouse.open() as database:
        database.con.execute("UPDATE raw_transactions SET ingested_at = '2020-02-15'")
        database.con.execute(
            "INSERT INTO quarantined_transactions BY NAME SELECT source_file, source_row, ['future_date'] AS reasons"
            " FROM raw_transactions LIMIT 1"
        )
    (request,), _, cursor = look(settings, instance, settled)
    assert (request.job_name, request.tags[REASON_TAG]) == ("ingest", "landing: future orders have come")
    requests, _, _ = look(settings, instance, cursor)
    assert "ingest" not in [request.job_name for request in requests]


def test_a_publication_sends_audiences_and_a_failure_is_told_of(
    tmp_path: Path, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENOME_AUDIENCES__SECRET", "whsec_" + "A" * 32)
    hooks = f'[alerts]\ncommand = ["tee", "{tmp_path}/told"]\n[audiences]\nwebhooks = {{ win_back = "https://x" }}\n'
    settings = load_settings(shop_config(tmp_path, more=hooks))
    (sensor,) = (sensor for sensor in sensors(settings, ALONE) if sensor.name == "send_audiences")
    sent: list[Settings] = []

    @dg.asset
    def customer_genome() -> None: ...

    @dg.asset
    def published_genome() -> None: ...

    def tell_of(asset: dg.AssetsDefinition) -> None:
        done = dg.materialize([asset], instance=instance)
        (success,) = (event for event in done.all_events if event.event_type is dg.DagsterEventType.RUN_SUCCESS)
        sensor(dg.build_run_status_sensor_context("send_audiences", success, instance, done.dagster_run))

    monkeypatch.setattr("genome_pipeline.orchestration.automation.sensors.send_changes", sent.append)
    tell_of(customer_genome)
    assert sent == []
    tell_of(published_genome)
    assert sent == [settings]

    def refused(_: Settings) -> None:
        raise ConfigError("the webhook of win_back (HTTP 500)")

    monkeypatch.setattr("genome_pipeline.orchestration.automation.sensors.send_changes", refused)
    with pytest.raises(ConfigError):
        tell_of(published_genome)
    assert "win_back (HTTP 500)" in (tmp_path / "told").read_text(encoding="utf-8")
