"""What is left of a forgotten customer: nothing, in any byte of any file; and everyone else is as before."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pandas.testing
import pytest
from dagster import DagsterInstance
from typer.testing import CliRunner

from genome_pipeline.cli import app
from genome_pipeline.contracts.tables import ID_COLUMNS
from genome_pipeline.contracts.views import VIEWS
from genome_pipeline.errors import ConfigError
from genome_pipeline.export import export_tables
from genome_pipeline.forgetting import forget, rows_to_forget
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline_tests.pipelines import make, shop, shop_config, tables

KEY = "0123456789abcdef0123456789abcdef"
GONE = "c0000"


def files_with(folder: Path, text: str) -> list[str]:
    """Files in which the bytes of the text stand, also those of each array in a NumPy archive."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                content += b"".join(array.tobytes() for array in arrays.values())
        if any(text.encode(encoding) in content for encoding in ("utf-8", "utf-16-le", "utf-32-le")):
            found.append(str(path.relative_to(folder)))
    return found


def rows_with(database: Path, text: str) -> list[str]:
    """Tables in which any value holds the text: files may be compressed, values are not."""
    with duckdb.connect(database, read_only=True) as connection:
        names = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        return [
            name
            for name in names
            if connection.execute(f"SELECT count(*) FROM {name} AS r WHERE contains(r::VARCHAR, ?)", [text]).fetchone()
            != (0,)
        ]


def others(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The rows that do not name the customer who is gone."""
    return {
        name: frame[~frame[[*{*ID_COLUMNS} & {*frame.columns}]].isin([GONE]).any(axis=1)].reset_index(drop=True)
        for name, frame in frames.items()
    }


@pytest.fixture
def early(early_shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("GENOME_PRIVACY__KEY", KEY)
    yield load_settings(early_shop)


def note_in_dagster(settings: Settings, text: str) -> None:
    """A check that failed, as Dagster keeps it."""
    with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey("customer_activity"),
                check_name="returns_within_purchases",
                passed=False,
                metadata={"failures": dg.TextMetadataValue(text)},
                description=text,
            )
        )


def notes_in_dagster(settings: Settings) -> str:
    with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        records = instance.get_event_records(dg.EventRecordsFilter(dg.DagsterEventType.ASSET_CHECK_EVALUATION))
        return " ".join(str(record.event_log_entry.dagster_event) for record in records)


def test_no_byte_of_a_forgotten_customer_is_left_and_all_others_are_as_before(early: Settings) -> None:
    export_tables(early.published_path, early.exports_path, ".csv")
    export_tables(early.published_path, early.exports_path, ".parquet")
    note_in_dagster(early, f"1 of 9 customers, e.g. {GONE}: bought 1, returned 2; c0008: bought 1, returned 3")
    with duckdb.connect(early.warehouse_path) as connection:
        connection.execute(
            "UPDATE data_quality SET observed = ? WHERE check_name = 'returns_within_purchases'", [f"e.g. {GONE}: ..."]
        )
    (early.exchange_path / "of a run that died").mkdir(parents=True)
    (early.exchange_path / "of a run that died" / "0.parquet").write_text(GONE)
    before, published_before = tables(early.warehouse_path), published(early)
    kinds = {path.split("/")[0] for path in files_with(early.home, GONE)}
    assert kinds >= {"warehouse.duckdb", "published", "artifacts", "dagster", "exports", "exchange"}
    facts = rows_to_forget(early, [GONE])
    assert facts["files"]["warehouse.duckdb"]["customer_genome"] == 2
    assert files_with(early.home, GONE) != [], "to tell removes nothing"

    done = forget(early, [GONE])

    assert done["files"] == facts["files"]
    assert files_with(early.home, GONE) == []
    for database in (early.warehouse_path, early.published_path):
        assert rows_with(database, GONE) == []
    after, published_after = tables(early.warehouse_path), published(early)
    for name, frame in others(before).items():
        pandas.testing.assert_frame_equal(after[name], frame, check_exact=True, obj=name)
    for name, frame in others(published_before).items():
        if name != "data_quality" and name not in VIEWS:  # these count who is there
            pandas.testing.assert_frame_equal(published_after[name], frame, check_exact=True, obj=name)
    assert "c0008: bought 1, returned 3" in notes_in_dagster(early)
    assert "1 of 9 customers, e.g. [forgotten]: bought 1" in notes_in_dagster(early)
    with (early.exports_path / "customer_genome.csv").open(newline="") as file:
        assert len([*csv.DictReader(file)]) == len(published_before["customer_genome"]) - 1
    (erasure,) = query(early, "SELECT forgotten_customer_count, removed_rows FROM erasures")
    assert (erasure[0], json.loads(erasure[1])["customer_genome"]) == (1, 2)
    counted = query(early, "SELECT sum(row_count), sum(suppressed_row_count) FROM source_files")
    assert counted == [
        (len(after["raw_transactions"]), len(before["raw_transactions"]) - len(after["raw_transactions"]))
    ]
    assert forget(early, [GONE])["files"] == {}, "once more changes nothing"
    assert len(query(early, "FROM forgotten_customers")) == 1


def published(settings: Settings) -> dict[str, pd.DataFrame]:
    """Every table and view of the published file, in its own order."""
    with duckdb.connect(settings.published_path, read_only=True) as connection:
        names = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
        return {name: connection.execute(f"FROM {name}").df() for (name,) in names}


def query(settings: Settings, sql: str) -> list[Any]:
    with duckdb.connect(settings.warehouse_path, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_nobody_is_forgotten_without_a_key(early_shop: Path) -> None:
    settings = load_settings(early_shop)
    before = settings.warehouse_path.read_bytes()
    with pytest.raises(ConfigError, match=r"no key is set: make one with `python -c .*set GENOME_PRIVACY__KEY"):
        forget(settings, [GONE])
    assert settings.warehouse_path.read_bytes() == before


def test_one_unknown_id_among_others_and_nothing_is_removed(early: Settings) -> None:
    with pytest.raises(ConfigError, match=r"no customer 'c9999' is in .* and nothing was removed"):
        forget(early, [GONE, "c9999"])
    assert rows_with(early.warehouse_path, GONE) != []


def test_nothing_is_removed_while_a_run_is_in_progress(early: Settings) -> None:
    with DagsterInstance.from_config(str(early.dagster_home)) as instance:
        run = instance.add_run(dg.DagsterRun("refresh", status=dg.DagsterRunStatus.STARTED))
    with pytest.raises(ConfigError, match=f"run {run.run_id} is in progress"):
        forget(early, [GONE])
    assert rows_with(early.warehouse_path, GONE) != []


def test_the_command_asks_before_it_does_harm(early: Settings, early_shop: Path) -> None:
    told = CliRunner().invoke(app, ["forget", GONE, "--dry-run", "--config", str(early_shop)])
    assert (told.exit_code, "customer_genome" in told.stdout) == (0, True)
    asked = CliRunner().invoke(app, ["forget", GONE, "--config", str(early_shop)])
    assert isinstance(asked.exception, ConfigError)
    assert "say --yes" in str(asked.exception)
    assert rows_with(early.warehouse_path, GONE) != []


@pytest.mark.slow
def test_a_forgotten_customer_stays_away_when_the_source_brings_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENOME_PRIVACY__KEY", KEY)
    config = shop(tmp_path)
    settings, _ = make(config, None, "2020-03-01")
    forget(settings, [GONE])
    before = tables(settings.warehouse_path)
    assert make(config, None, "2020-03-01")[1].as_of == (), "nothing is stale"
    with (tmp_path / "log.csv").open("a", encoding="utf-8") as log:
        log.write(f"{GONE},back,2020-03-10 10:00:00,p1,food,1,2.00\nc0008,late,2020-03-11 10:00:00,p1,food,1,2.00\n")
    _, outcome = make(config, None, "2020-04-01")  # `nothing_lost` and all else that blocks has passed
    assert [str(day) for day in outcome.as_of] == ["2020-04-01"]
    assert files_with(settings.home, GONE) == []
    after = tables(settings.warehouse_path)
    assert len(after["raw_transactions"]) == len(before["raw_transactions"]) + 1
    for name in ("customer_genome", "customer_activity", "customer_neighbors"):
        kept = after[name][after[name].iloc[:, 0].isin(before[name].iloc[:, 0])].reset_index(drop=True)
        pandas.testing.assert_frame_equal(kept, before[name], check_exact=True, obj=name)


@pytest.mark.slow
def test_with_pseudonyms_no_raw_id_is_ever_stored(early: Settings, early_shop: Path) -> None:
    folder, gone = early_shop.parent, "shopper-0000"
    log = (folder / "log.csv").read_text(encoding="utf-8")
    # Names that no hex digits make by chance.
    (folder / "named.csv").write_text(re.sub(r"^c(?=\d{4},)", "shopper-", log, flags=re.M), encoding="utf-8")
    config = shop_config(folder, "named.csv", home="masked", more="[privacy]\npseudonyms = true\n")
    settings, _ = make(config, None, "2020-03-01")
    assert files_with(settings.home, "shopper") == []
    assert files_with(settings.home, KEY) == []
    pseudonym = settings.stored_id(gone)
    card = CliRunner().invoke(app, ["customer", gone, "--config", str(config), "--json"])
    assert json.loads(card.stdout)["genome"]["customer_id"] == pseudonym
    for name in ("customer_activity", "validated_transactions", "quarantined_transactions", "customer_genome"):
        counts = [query(each, f"SELECT count(*) FROM {name}") for each in (settings, early)]
        assert counts[0] == counts[1], name
    forget(settings, [gone])
    assert files_with(settings.home, pseudonym) == []
