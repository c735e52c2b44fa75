"""The published file in a notebook: frames of three libraries, names of the contract, errors of one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import genome_pipeline as genome
from genome_pipeline.contracts.published import PUBLISHED_FILE, published_schema
from genome_pipeline.errors import ConfigError
from genome_pipeline.notebook.genome import Genome
from genome_pipeline.published.reader import PublishedFileMissing, PublishedFileUnreadable
from genome_pipeline.warehouse.experiment_record import ExperimentRecord
from genome_pipeline_tests.support.pipelines import SHOP_CONFIG
from genome_pipeline_tests.support.published_file import HORIZON_DAYS, HOSTILE_ID, SNAPSHOTS

SCHEMA = published_schema()["tables"]


@pytest.fixture
def opened(published_path: Path) -> Genome[pd.DataFrame]:
    return genome.open(published_path)


def test_frames_have_the_columns_of_the_published_contract(opened: Genome[pd.DataFrame]) -> None:
    assert list(opened.customers().columns) == list(SCHEMA["customer_genome"])
    assert list(opened.segments().columns) == list(SCHEMA["segment_profiles"])
    assert list(opened.audiences().columns) == list(SCHEMA["action_audiences"])
    assert list(opened.outcomes().columns) == list(SCHEMA["prediction_outcomes"])
    rule = str(opened.audiences().set_index("action_rule")["customer_count"].idxmax())
    assert set(opened.audience(rule).columns) <= set(SCHEMA["customer_genome"])
    assert set(opened.similar("C0001", 3).columns) <= set(SCHEMA["customer_neighbors"])


def test_customers_are_those_of_the_latest_snapshot_or_of_one(opened: Genome[pd.DataFrame]) -> None:
    assert opened.snapshots == list(SNAPSHOTS)
    assert set(opened.customers()["as_of"].dt.date) == {SNAPSHOTS[-1]}
    for as_of in (SNAPSHOTS[1], str(SNAPSHOTS[1]), pd.Timestamp(SNAPSHOTS[1])):
        found = opened.customers(as_of=as_of)
        assert set(found["as_of"].dt.date) == {SNAPSHOTS[1]}
        assert list(found["customer_id"]) == sorted(found["customer_id"])
    assert set(opened.segments(SNAPSHOTS[0])["as_of"].dt.date) == {SNAPSHOTS[0]}
    assert len(set(opened.outcomes()["as_of"])) > 1


def test_a_customer_is_what_the_command_shows_of_them(opened: Genome[pd.DataFrame], published_path: Path) -> None:
    one = opened.customer("C0001")
    assert one.genome["customer_id"].tolist() == ["C0001"]
    assert one.outlook["horizon_days"].tolist() == sorted(one.outlook["horizon_days"])
    assert one.neighbors["neighbor_rank"].tolist() == list(range(1, len(one.neighbors) + 1))
    assert len(one.drivers) and len(one.categories)
    assert repr(one).startswith("Customer('C0001', as_of=2018-01-01: genome, outlook")
    assert opened.customer(HOSTILE_ID, SNAPSHOTS[2]).genome["customer_id"].tolist() == [HOSTILE_ID]


def test_an_id_is_read_as_a_source_writes_it(opened: Genome[pd.DataFrame]) -> None:
    assert opened.customer(" C0001\t").customer_id == "C0001"


def test_similar_takes_one_a_list_or_a_column(opened: Genome[pd.DataFrame]) -> None:
    group = opened.customers()["customer_id"].head(3)
    by_list, by_column = opened.similar(list(group), 4), opened.similar(group, 4)
    pd.testing.assert_frame_equal(by_list, by_column)
    assert len(by_list) == 4
    assert not set(group) & set(by_list["customer_id"])
    assert by_list["similarity"].is_monotonic_decreasing
    assert len(opened.similar("C0001")) == 20


def test_an_audience_is_whom_the_rule_picked_most_at_stake_first(opened: Genome[pd.DataFrame]) -> None:
    customers = opened.customers()
    for row in opened.audiences().itertuples():
        found = opened.audience(str(row.action_rule))
        assert set(found["customer_id"]) == set(
            customers.loc[customers["action_rule"] == row.action_rule, "customer_id"]
        )
        assert found["revenue_at_stake_amount"].dropna().round(6).is_monotonic_decreasing


def test_the_same_rows_come_as_pandas_polars_or_arrow(published_path: Path) -> None:
    with (
        genome.open(published_path) as first,
        genome.open(published_path, frames="polars") as second,
        genome.open(published_path, frames="arrow") as third,
    ):
        pandas, polars, arrow = first.customers(), second.customers(), third.customers()
        assert isinstance(pandas, pd.DataFrame)
        assert isinstance(polars, pl.DataFrame)
        assert isinstance(arrow, pa.Table)
        assert list(pandas.columns) == polars.columns == arrow.column_names
        assert pandas["customer_id"].tolist() == polars["customer_id"].to_list() == arrow["customer_id"].to_pylist()
        # Exact where the library can be.
        assert polars.schema["spend_amount"] == pl.Decimal(18, 2)
        assert arrow.schema.field("spend_amount").type == pa.decimal128(18, 2)
        assert pandas["spend_amount"].tolist() == pytest.approx([float(value) for value in polars["spend_amount"]])
        assert isinstance(second.similar("C0001"), pl.DataFrame)
        assert isinstance(third.similar("C0001"), pa.Table)
        assert isinstance(second.customer("C0001").drivers, pl.DataFrame)


def test_a_library_that_is_not_there_is_named_at_once(published_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ConfigError, match="frames = 'polars' needs polars, which is not installed"):
        genome.open(published_path, frames="polars")
    assert len(genome.open(published_path).customers())
    with pytest.raises(ConfigError, match="frames = 'spark' is none of pandas, polars, arrow"):
        genome.open(published_path, frames="spark")  # type: ignore[call-overload]


@pytest.fixture
def home(published_path: Path, tmp_path: Path) -> Path:
    """A home of the test's own, of which only the published file is there."""
    (tmp_path / "home" / PUBLISHED_FILE).parent.mkdir(parents=True)
    shutil.copy(published_path, tmp_path / "home" / PUBLISHED_FILE)
    return tmp_path / "home"


def test_a_file_a_home_or_a_config_may_be_named(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "genome.toml"
    config.write_text(SHOP_CONFIG.format(home=home, path="log.csv"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for place in (home / PUBLISHED_FILE, home, str(home), config, "genome.toml", None):
        with genome.open(place) as opened:
            assert opened.path.samefile(home / PUBLISHED_FILE)


def test_pseudonyms_are_found_by_the_ids_of_the_source(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "genome.toml"
    config.write_text(SHOP_CONFIG.format(home=home, path="log.csv") + "[privacy]\npseudonyms = true\n")
    monkeypatch.setenv("GENOME_PRIVACY__KEY", "0123456789abcdef" * 4)
    from genome_pipeline.settings import load_settings

    pseudonym = load_settings(config).stored_id("C0001")
    with duckdb.connect(home / PUBLISHED_FILE) as connection:
        for table in ("customer_genome_history", "customer_outlook_history"):
            connection.execute(f"UPDATE {table} SET customer_id = ? WHERE customer_id = 'C0001'", [pseudonym])
    assert genome.open(config).customer("C0001").customer_id == pseudonym
    with pytest.raises(ConfigError, match="no customer 'C0001'"):
        genome.open(home).customer("C0001")


def test_what_cannot_be_opened_is_said_as_by_the_commands(home: Path, tmp_path: Path) -> None:
    with pytest.raises(
        PublishedFileMissing, match=r"nothing is published at .*none\.duckdb yet: use `genome run` first"
    ):
        genome.open(tmp_path / "none.duckdb")
    with pytest.raises(PublishedFileMissing, match=r"nothing is published at .*genome\.duckdb yet"):
        genome.open(tmp_path)
    (tmp_path / "text.duckdb").write_text("no database at all, whatever its name says", encoding="utf-8")
    with pytest.raises(PublishedFileUnreadable, match=r"text\.duckdb cannot be read"):
        genome.open(tmp_path / "text.duckdb")
    with duckdb.connect(tmp_path / "foreign.duckdb") as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER)")
    named = (
        r"foreign\.duckdb is another program's database, .*: name published/genome\.duckdb in the home of a pipeline"
    )
    with pytest.raises(PublishedFileUnreadable, match=named):
        genome.open(tmp_path / "foreign.duckdb")
    with duckdb.connect(home / PUBLISHED_FILE) as connection:
        connection.execute("UPDATE pipeline_runs SET published_schema_version = '1.2.0'")
    with pytest.raises(PublishedFileUnreadable, match=r"its schema is version 1\.2\.0, .* publish it anew with"):
        genome.open(home)
    with pytest.raises(ConfigError, match="no config file"):
        genome.open(tmp_path / "none.toml")


def test_the_pipelines_own_database_is_not_for_readers(home: Path) -> None:
    path = home / PUBLISHED_FILE
    genome.open(path).close()
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE written_slices (table_name VARCHAR)")
    with pytest.raises(PublishedFileUnreadable, match=r"the pipeline's own database.*: name published/genome\.duckdb"):
        genome.open(path)


def test_mistakes_are_one_sentence(opened: Genome[pd.DataFrame]) -> None:
    with pytest.raises(ConfigError, match="no snapshot as of 2017-11-20, the nearest is 2017-12-01; there are 4, from"):
        opened.customers(as_of="2017-11-20")
    with pytest.raises(ConfigError, match="'tomorrow' is no date: write it as 2024-01-31"):
        opened.customers(as_of="tomorrow")
    with pytest.raises(ConfigError, match="no customer 'C000' in the snapshot of 2018-01-01; ids that start so: C0001"):
        opened.customer("C000")
    with pytest.raises(ConfigError, match="not in the snapshot of 2018-01-01: nobody"):
        opened.similar(["C0001", "nobody"])
    with pytest.raises(ConfigError, match="no customer is named"):
        opened.similar([])
    with pytest.raises(ConfigError, match="count = 0 is too small"):
        opened.similar("C0001", 0)
    with pytest.raises(ConfigError, match="there is no rule 'win_bak'"):
        opened.audience("win_bak")


def test_it_says_what_it_is_and_that_it_is_closed(published_path: Path) -> None:
    with genome.open(published_path) as opened:
        assert repr(opened) == (
            f"Genome('{published_path}', as_of=2018-01-01, customers={len(opened.customers()):,}, snapshots=4,"
            f" horizon_days={HORIZON_DAYS}, currency={opened.currency!r})"
        )
        assert opened.horizon_days == HORIZON_DAYS
    assert repr(opened) == f"Genome('{published_path}', closed)"
    opened.close()
    with pytest.raises(ConfigError, match="was closed: open it again with genome"):
        opened.customers()


def test_no_audience_of_a_file_that_does_not_know_of_a_draw(home: Path) -> None:
    record = ExperimentRecord.beside(home / "warehouse.duckdb")
    with duckdb.connect(home / PUBLISHED_FILE, read_only=True) as connection:
        cursor = connection.execute("FROM experiments ORDER BY started_at LIMIT 1")
        drawn = dict(zip([column[0] for column in cursor.description], cursor.fetchall()[0], strict=True))
        members = connection.execute("FROM experiment_members WHERE experiment_id = ?", [drawn["experiment_id"]]).df()
    record.add(drawn, members)
    with genome.open(home) as known:
        known.audience("reward")
    record.add({**drawn, "experiment_id": "drawn-since"}, members.assign(experiment_id="drawn-since"))
    with genome.open(home) as unknown, pytest.raises(ConfigError, match="experiment drawn-since was drawn, and whom"):
        unknown.audience("reward")


_READER = """
import sys, genome_pipeline as genome
g = genome.open(sys.argv[1])
print(g.snapshots[-1], flush=True)
sys.stdin.readline()
print(g.customers()["as_of"].dt.date.iloc[0], genome.open(sys.argv[1]).snapshots[-1])
"""


def test_a_publication_goes_on_and_each_reader_keeps_its_file(home: Path, published_path: Path) -> None:
    path, newer = home / PUBLISHED_FILE, home / "building.duckdb"
    shutil.copy(published_path, newer)
    with duckdb.connect(path) as connection:
        connection.execute("DELETE FROM customer_genome_history WHERE as_of > ?", [SNAPSHOTS[1]])
    reader = subprocess.Popen(
        [sys.executable, "-c", _READER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stdout.readline().strip() == str(SNAPSHOTS[1])
    with genome.open(path) as mine:
        os.replace(newer, path)
        assert mine.snapshots[-1] == SNAPSHOTS[1]
        with genome.open(path) as next_one:
            assert next_one.snapshots[-1] == SNAPSHOTS[3]
    told, _ = reader.communicate("\n", timeout=120)
    assert told.split() == [str(SNAPSHOTS[1]), str(SNAPSHOTS[3])]


def test_nothing_can_be_written_through_it(opened: Genome[pd.DataFrame]) -> None:
    with pytest.raises(duckdb.Error, match="read-only"):
        opened._open.connection.execute("DELETE FROM source_files")


_LOADED = """
import sys
import genome_pipeline as genome
before = sorted(name for name in sys.modules if name.startswith("genome_pipeline"))
genome.open
heavy = ("dagster", "great_expectations", "dash", "plotly", "pandas", "ibis", "sklearn", "pydantic", "numpy")
at_the_door = [name for name in heavy if name in sys.modules]
g = genome.open(sys.argv[1])
g.customers(), g.segments(), g.customer("C0001"), g.outcomes()
{more}
print(before, at_the_door, [name for name in heavy[:4] if name in sys.modules])
"""


@pytest.mark.parametrize(
    "more", ["", pytest.param('g.similar("C0001"), g.audience("reward"), genome.fit', marks=pytest.mark.slow)]
)
def test_the_door_does_without_the_libraries_of_other_rooms(published_path: Path, more: str) -> None:
    code = _LOADED.replace("{more}", more)
    done = subprocess.run([sys.executable, "-c", code, str(published_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['genome_pipeline'] [] []"


def test_the_package_offers_two_things_and_no_others() -> None:
    assert {"fit", "open"} <= set(dir(genome))
    with pytest.raises(AttributeError, match="has no attribute 'opne'"):
        genome.opne  # type: ignore[attr-defined] # noqa: B018
    assert (Path(genome.__file__).parent / "py.typed").exists()
