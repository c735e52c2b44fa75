"""What is left of a forgotten customer: nothing, in any byte of any file; and everyone else is as before."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pandas.testing
import pytest
from dagster import DagsterInstance
from rich.console import Console
from typer.testing import CliRunner

from genome_pipeline.command.cli import app
from genome_pipeline.command.forgetting import _clear_leftovers, forget, rows_to_forget
from genome_pipeline.command.terminal.privacy import print_forgotten
from genome_pipeline.contracts.tables import ID_COLUMNS, TABLES
from genome_pipeline.contracts.views import VIEWS
from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.runs.rebuild import rebuild
from genome_pipeline.orchestration.runs.remaking import _MADE_AGAIN, coarse
from genome_pipeline.published.export import export_tables
from genome_pipeline.published.reader import Published
from genome_pipeline.published.totals import total_sums, with_bounds
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline.warehouse.erasure import NEIGHBORS, SUMS
from genome_pipeline.warehouse.forgotten import Forgotten, up_to_tens
from genome_pipeline_tests.support.files import files_with
from genome_pipeline_tests.support.landing import landing_settings
from genome_pipeline_tests.support.pipelines import assert_same, make, shop, shop_config, tables

KEY = "0123456789abcdef0123456789abcdef"
GONE = "c0000"


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
        if name not in (*SUMS, *NEIGHBORS):
            pandas.testing.assert_frame_equal(kept(after[name]), kept(frame), check_exact=True, obj=name)
    for name, frame in others(published_before).items():
        if name.removesuffix("_history") not in (*SUMS, *NEIGHBORS, *VIEWS, *COUNTING):
            pandas.testing.assert_frame_equal(kept(published_after[name]), kept(frame), check_exact=True, obj=name)
    assert "c0008: bought 1, returned 3" in notes_in_dagster(early)
    assert "\u2026 of \u2026 customers, e.g. [forgotten]: bought 1" in notes_in_dagster(early)
    with (early.exports_path / "customer_genome.csv").open(newline="") as file:
        assert len([*csv.DictReader(file)]) == len(published_before["customer_genome"]) - 1
    counted = query(early, "SELECT sum(row_count), sum(suppressed_row_count) FROM source_files")
    leaving = len(before["raw_transactions"]) - len(after["raw_transactions"])
    assert counted == [(len(after["raw_transactions"]), up_to_tens(leaving))]
    assert forget(early, [GONE])["files"] == {}, "once more changes nothing"
    assert_same(tables(early.warehouse_path), after)
    assert len(Forgotten.beside(early.warehouse_path).marks()) == 1


COUNTING = ("data_quality", "source_files", "pipeline_runs", "quarantine_reasons")


def kept(frame: pd.DataFrame) -> pd.DataFrame:
    """All but means over neighbours, which are made again, and what an average customer adds, which is made coarse."""
    changed = ["neighbor_expected_orders", "neighbor_expected_spend", "neighbor_churn_probability", "contribution"]
    return frame.drop(columns=changed, errors="ignore")


TOLD_AND_LEFT = {
    "customers of a segment": (
        "SELECT as_of, segment_id, customer_count FROM segment_profiles{h}",
        "SELECT as_of, segment_id, count(*) FROM customer_genome{h} GROUP BY ALL",
    ),
    "expected spend of a segment": (
        "SELECT as_of, segment_id, round(expected_spend_amount, 6) FROM segment_profiles{h}",
        "SELECT as_of, segment_id, round(sum(expected_spend), 6) FROM customer_genome{h} GROUP BY ALL",
    ),
    "recent spend of a segment": (
        "SELECT as_of, segment_id, recent_spend_amount FROM segment_profiles{h}",
        "SELECT as_of, segment_id, sum(recent_spend_amount) FROM customer_genome{h} GROUP BY ALL",
    ),
    "churn in a segment": (
        "SELECT as_of, segment_id, round(mean_churn_probability, 9) FROM segment_profiles{h}",
        "SELECT as_of, segment_id, round(avg(churn_probability), 9) FROM customer_genome{h} GROUP BY ALL",
    ),
    "moves": (
        "SELECT as_of, to_segment_id, sum(customer_count), sum(recent_spend_amount) FROM segment_migrations{h}"
        " GROUP BY ALL",
        "SELECT as_of, segment_id, count(*), sum(recent_spend_amount) FROM customer_genome{h} GROUP BY ALL",
    ),
    "means of genes": (
        "SELECT as_of, round(mean, 9), customer_count FROM gene_drift{h} WHERE gene = 't_days'"
        " AND baseline = 'previous'",
        "SELECT as_of, round(avg(t_days), 9), count(*) FROM customer_features{h} WHERE as_of IN (SELECT as_of FROM"
        " gene_drift{h}) GROUP BY ALL",
    ),
    "audiences": (
        "SELECT as_of, action_rule, customer_count, round(revenue_at_stake_amount, 6) FROM action_audiences{h}"
        " WHERE customer_count > 0",
        "SELECT as_of, action_rule, count(*), round(sum(revenue_at_stake_amount), 6) FROM customer_genome{h}"
        " GROUP BY ALL",
    ),
    "measured errors": (
        "SELECT as_of, customer_count, round(metric_value, 9) FROM model_performance{h} WHERE target = 'orders' AND"
        " metric = 'mae' AND slice_name = 'all' AND predictor = 'naive'",
        "SELECT as_of, count(*), round(avg(abs(actual_orders - naive_expected_orders)), 9) FROM prediction_outcomes{h}"
        " GROUP BY ALL",
    ),
    "the index": (
        "SELECT as_of, customer_count FROM similarity_index{h}",
        "SELECT as_of, count(*) FROM customer_features{h} GROUP BY ALL",
    ),
    "rows of the source": (
        "SELECT (parameters ->> 'raw_row_count')::BIGINT FROM pipeline_runs ORDER BY published_at DESC LIMIT 1",
        "SELECT sum(row_count) FROM source_files",
    ),
}
"""What is told of many customers, and the same from the rows of each: their difference is who was forgotten."""


def subtracted(database: Path, history: str) -> list[str]:
    """What of the customers told together is not of those who are left."""
    with duckdb.connect(database, read_only=True) as connection:
        pairs = {
            name: [sorted(connection.execute(query.format(h=history)).fetchall()) for query in queries]
            for name, queries in TOLD_AND_LEFT.items()
        }
    assert all(told for told, _ in pairs.values())
    return [name for name, (told, left) in pairs.items() if told != left]


def test_nothing_of_a_forgotten_customer_is_computed_by_subtraction(early: Settings) -> None:
    files = ((early.warehouse_path, ""), (early.published_path, "_history"))
    assert [subtracted(*file) for file in files] == [[], []], "both sides say the same while all are there"
    before = {name: frame for name, frame in tables(early.warehouse_path).items() if name in (*SUMS, *NEIGHBORS)}
    with duckdb.connect(early.published_path) as connection:
        connection.execute(
            "INSERT INTO acquisition_costs SELECT DISTINCT cohort_start_date, 5 FROM cohorts"
            " UNION ALL SELECT DATE '2019-01-01', 5"
        )

    forget(early, [GONE])

    assert [subtracted(*file) for file in files] == [[], []]
    with Published(early.published_path) as shown_file:
        costs = shown_file.rows("SELECT cohort_start_date FROM acquisition_costs ORDER BY 1")
        assert costs == shown_file.rows("SELECT DISTINCT cohort_start_date FROM cohorts ORDER BY 1"), "none of nobody"
        sums = shown_file.connection.execute(f"SELECT {total_sums()} FROM customer_genome").df()
        told = with_bounds(shown_file.connection, shown_file.latest(), early.predict.horizon_days, 0.8, sums).iloc[0]
        company = shown_file.row("SELECT * FROM forecast_totals WHERE group_kind = 'company'")
    for name in (
        f"expected_{what}{end}" for what in ("order_count", "spend_amount") for end in ("", "_lower", "_upper")
    ):
        assert told[name] == pytest.approx(company[name], rel=1e-9), "no two totals contradict each other"
    after, shown = tables(early.warehouse_path), published(early)
    for name in (*SUMS, *NEIGHBORS):
        assert len(after[name]) == len(shown[TABLES[name].published_name]), name
        if name not in _MADE_AGAIN and name not in NEIGHBORS:
            pandas.testing.assert_frame_equal(
                after[name].drop(columns=["customer_count", "smallest_share"], errors="ignore"),
                coarse(name, before[name]).drop(columns=["customer_count", "smallest_share"], errors="ignore"),
                obj=name,
            )
    mean = query(early, "SELECT count(*) FROM customer_genome WHERE neighbor_expected_orders IS NOT NULL")
    assert mean == query(early, "SELECT count(*) FROM neighbor_estimates WHERE neighbor_expected_orders IS NOT NULL")
    averages = query(early, "SELECT DISTINCT contribution FROM customer_drivers WHERE driver_rank = 0")
    assert [value for (value,) in averages if not math.isclose(value, float(f"{value:.1e}"))] == []
    added = (
        "SELECT count(*) FROM (SELECT as_of, customer_id, sum(contribution) AS added FROM customer_drivers WHERE"
        " prediction = 'expected_spend' GROUP BY ALL) JOIN customer_value USING (as_of, customer_id)"
        " WHERE abs(added - expected_spend) > 1e-6"
    )
    assert query(early, added) == [(0,)], "contributions add up to the prediction still"
    ranks = "SELECT DISTINCT count(*) FROM matured_neighbors GROUP BY as_of, customer_id"
    assert query(early, ranks) == [(10,)], "nobody is missing among the neighbours of others"
    found = query(early, "SELECT observed FROM data_quality")
    assert [text for (text,) in found if re.search(r"\d", text.partition("e.g. ")[0])] == []
    assert not re.search(r"(Int|Float)MetadataValue", notes_in_dagster(early))
    outcome = make(early_config(early), None, "2020-03-01")[1]
    assert outcome.as_of == (), "nothing is stale by that"


@pytest.mark.slow
def test_files_of_others_that_name_a_forgotten_customer_are_named(early: Settings) -> None:
    genome = "(SELECT customer_id, spend_amount FROM customer_genome)"
    with duckdb.connect(early.published_path, read_only=True) as connection:
        for name in ("audience.csv", "audience.parquet"):
            connection.execute(f"COPY {genome} TO '{early.home / name}'")
        connection.execute(f"COPY (FROM {genome} WHERE customer_id <> '{GONE}') TO '{early.home / 'others.csv'}'")
    (early.home / "note.txt").write_text(f"{GONE}7 is somebody else")
    named = ["audience.csv", "audience.parquet"]
    assert rows_to_forget(early, [GONE])["files_to_delete"] == named
    done = forget(early, [GONE])
    assert done["files_to_delete"] == named
    shown = io.StringIO()
    print_forgotten(Console(file=shown, width=200), done)
    assert "audience.parquet names them, and is left as it is: delete it, or write it again" in shown.getvalue()


def test_what_cannot_be_made_again_is_coarse() -> None:
    rows = pd.DataFrame(
        {
            "as_of": [date(2020, 3, 1)],
            "candidate": ["btyd, 12 parts"],
            "is_chosen": [True],
            "choice_reason": ["Explains 36.52% of the deviance on 2020-02-01: the best of 7."],
            "selection_as_of": [date(2020, 2, 1)],
            "training_snapshot_count": [3],
            "training_row_count": [1841],
            "orders_mae": [0.73372],
            "spend_mae_amount": [np.nan],
            "parameters": ['{"mean": 35.61381}'],
            "artifact_file": ["value_model/2020-03-01.json"],
        }
    )
    (made,) = coarse("value_model", rows).to_dict("records")
    assert made["choice_reason"] == "Explains \u2026% of the deviance on \u2026 the best of \u2026"
    assert (made["candidate"], made["training_row_count"], made["orders_mae"]) == ("btyd, 12 parts", 1850, 0.73)
    assert (made["parameters"], made["training_snapshot_count"]) == (None, 3)
    outlook = {**rows.iloc[0], "horizon_days": 90, "abstain_reason": "only 31 customers: a risk model needs 30"}
    unknown = dict.fromkeys(("brier_score", "log_loss", "auc"), np.nan)
    (made,) = coarse("outlook_model", pd.DataFrame([outlook | unknown])).to_dict("records")
    assert made["abstain_reason"] == "only \u2026 customers: a risk model needs \u2026"


def early_config(settings: Settings) -> Path:
    return settings.home.parent / "home.toml"


@pytest.mark.slow
def test_a_rebuild_without_the_key_is_refused_with_all_as_before(
    early: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(early, [GONE])
    before = early.warehouse_path.read_bytes()
    monkeypatch.delenv("GENOME_PRIVACY__KEY")
    with pytest.raises(
        ConfigError, match=r"customers were forgotten in .*none is set: set GENOME_PRIVACY__KEY to that"
    ):
        rebuild(load_settings(early_config(early)), lambda *_: None)
    assert early.warehouse_path.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["moved aside by a rebuild that was killed", "deleted"])
def test_a_forgotten_customer_stays_away_whatever_became_of_the_warehouse(
    early: Settings, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(early, [f"\u200b{GONE}"])  # the mark is that of the id as the source's is read
    if lost == "deleted":
        early.warehouse_path.unlink()
    else:
        early.warehouse_path.rename(early.home / "warehouse-before-rebuild.duckdb")
    make_first = (early_config(early), None, "2020-02-01")
    monkeypatch.delenv("GENOME_PRIVACY__KEY")
    with pytest.raises(ConfigError, match=r"customers were forgotten in .*none is set"):
        make(*make_first)
    monkeypatch.setenv("GENOME_PRIVACY__KEY", KEY)
    make(*make_first)
    assert rows_with(early.warehouse_path, GONE) == []


def published(settings: Settings) -> dict[str, pd.DataFrame]:
    """Every table and view of the published file, in its own order."""
    with duckdb.connect(settings.published_path, read_only=True) as connection:
        names = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
        return {name: connection.execute(f"FROM {name}").df() for (name,) in names}


def query(settings: Settings, sql: str) -> list[Any]:
    with duckdb.connect(settings.warehouse_path, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_what_processes_that_died_had_begun_to_write_goes(tmp_path: Path) -> None:
    settings = landing_settings(tmp_path)
    left_over = [
        settings.artifacts_path / "similarity_index" / ".2020-03-01.npz.4711",
        settings.exports_path / ".customer_genome.csv.part",
        settings.published_path.parent / "genome-2020-03-01-0123abcd.duckdb",
        settings.report_path.parent / "genome_report.building",
        settings.exchange_path / "rows.parquet",
    ]
    whole = [settings.artifacts_path / "similarity_index" / "2020-03-01.npz", settings.exports_path / "a.csv"]
    for path in [*left_over, *whole]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    _clear_leftovers(settings)
    assert not any(path.exists() for path in left_over)
    assert all(path.exists() for path in whole)


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
