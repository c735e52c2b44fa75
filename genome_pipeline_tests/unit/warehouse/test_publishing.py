"""What stands in the published file's place, and is not ours, is not replaced."""

from pathlib import Path

import duckdb
import pytest

from genome_pipeline.command.inspection import pipeline_status
from genome_pipeline.contracts.published import PUBLISHED_VERSION
from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.published.reader import Published
from genome_pipeline.settings import Settings
from genome_pipeline.warehouse.errors import WarehouseError
from genome_pipeline.warehouse.published_changes import is_current
from genome_pipeline.warehouse.publishing import check_replaceable
from genome_pipeline_tests.support.landing import landing_settings


@pytest.fixture
def published(tmp_path: Path) -> Settings:
    """Settings whose warehouse says that something was published, with the published file."""
    settings = landing_settings(tmp_path)
    with Pipeline.of(settings).warehouse.open() as database:
        database.con.execute(
            "INSERT INTO pipeline_runs BY NAME SELECT 'run' AS run_id, DATE '2020-03-01' AS as_of, '1' AS version,"
            " 'hash' AS settings_hash, '{}' AS parameters, TIMESTAMP '2020-03-02 10:00' AS published_at"
        )
    settings.published_path.parent.mkdir()
    with duckdb.connect(settings.published_path) as connection:
        connection.execute(
            "CREATE TABLE pipeline_runs AS"
            " SELECT TIMESTAMP '2020-03-02' AS published_at, ? AS published_schema_version",
            [PUBLISHED_VERSION],
        )
    return settings


def foreign_database(path: Path) -> None:
    path.unlink(missing_ok=True)
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE invoices AS SELECT 1 AS id")


def test_another_programs_database_is_named_and_stays(published: Settings) -> None:
    path = published.published_path
    check_replaceable(path)
    foreign_database(path)
    sentence = (
        f"{path} is another program's database, without a table 'pipeline_runs': move it away, then publish with"
        " `genome run`"
    )
    with pytest.raises(WarehouseError) as raised:
        check_replaceable(path)
    assert str(raised.value) == sentence
    with pytest.raises(ConfigError) as read:
        Published(path)
    assert str(read.value) == sentence


def test_a_link_is_named_and_stays(published: Settings, tmp_path: Path) -> None:
    path = published.published_path
    path.replace(tmp_path / "elsewhere.duckdb")
    path.symlink_to(tmp_path / "elsewhere.duckdb")
    with pytest.raises(WarehouseError, match=r"is a link to .*elsewhere.duckdb, which would be replaced"):
        check_replaceable(path)


def test_what_is_damaged_or_gone_is_published_again(tmp_path: Path) -> None:
    path = tmp_path / "genome.duckdb"
    check_replaceable(path)
    path.write_bytes(b"garbage" * 1000)
    check_replaceable(path)
    assert not is_current(path)


@pytest.mark.parametrize(
    ("disturb", "sentence"),
    [
        (Path.unlink, "nothing that can be read: nothing is published at FILE yet: use `genome run` first"),
        (lambda path: path.write_bytes(b"garbage" * 1000), "nothing that can be read: FILE cannot be read (IO Error:"),
        (foreign_database, "nothing that can be read: FILE is another program's database, without a table"),
        (lambda _: None, "as of 2020-03-01, at "),
    ],
    ids=["gone", "garbage", "foreign", "as it was"],
)
def test_the_status_tells_what_readers_find(published: Settings, disturb: object, sentence: str) -> None:
    assert callable(disturb)
    disturb(published.published_path)
    assert pipeline_status(published)["published"].startswith(sentence.replace("FILE", str(published.published_path)))


def test_the_status_counts_the_checks_of_what_is_published_not_those_of_the_last_run(published: Settings) -> None:
    """Materialised from the Dagster UI, what is published comes of several runs."""
    with Pipeline.of(published).warehouse.open() as database:
        database.con.execute(
            "INSERT INTO data_quality BY NAME"
            " SELECT * REPLACE (checked_at::TIMESTAMP AS checked_at), 'WARN' AS severity, '' AS observed"
            " FROM (VALUES ('made', '2020-03-02 09:00', 'customer_value', 'contract', true),"
            " ('made', '2020-03-02 09:00', 'customer_value', 'level', false),"
            " ('run', '2020-03-02 10:01', 'published_genome', 'published_is_whole', true))"
            " AS checks (run_id, checked_at, table_name, check_name, is_passed)"
        )
    assert pipeline_status(published)["checks"] == "1 of 2 passed"


def test_a_foreign_warehouse_is_named_and_not_written_to(published: Settings) -> None:
    foreign_database(published.warehouse_path)
    content = published.warehouse_path.read_bytes()
    warehouse = Pipeline.of(published).warehouse
    for opened in (warehouse.open, warehouse.open_to_read):
        with (
            pytest.raises(WarehouseError, match=r"is another program's database, with a table 'invoices': set"),
            opened(),
        ):
            pass
    with pytest.raises(WarehouseError, match="another program's database"):
        pipeline_status(published)
    assert published.warehouse_path.read_bytes() == content
