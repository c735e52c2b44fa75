"""An experiment from its draw to its verdict: controls are named for the action by no door, and effects are found."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from genome_pipeline.command.cli import app
from genome_pipeline.command.forgetting import forget
from genome_pipeline.command.terminal.experiments import print_experiment
from genome_pipeline.contracts.playbook import Condition, PlaybookRule
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.checks.declared import gate
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.orchestration.runs import experimenting
from genome_pipeline.orchestration.runs.experimenting import Wish, start_experiment, stop_experiment
from genome_pipeline.orchestration.runs.rebuild import rebuild
from genome_pipeline.published.audience import audience_summary, write_audience
from genome_pipeline.published.experiments import experiment_facts, experiment_list, experiment_plan, write_treated
from genome_pipeline.published.export import export_tables
from genome_pipeline.quality.gate import obstacles_in_words
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline.settings.sections import ActionSettings
from genome_pipeline.warehouse import publishing
from genome_pipeline.warehouse.experiment_record import ExperimentRecord
from genome_pipeline_tests.support.pipelines import assert_same, make, shop_config, tables, write_shop_log

PLAYBOOK = """
[[actions.rules]]
name = "write"
action = "Write to everyone"
reason = "Spent {spend_amount}"
"""
CONTACTS = """
[contacts]
path = "home/contacts.csv"
[contacts.columns]
customer_id = "who"
contacted_at = "when"
campaign = "what"
cost = "price"
"""
START, MIDDLE, END = date(2020, 4, 1), date(2020, 5, 1), date(2020, 6, 1)
NAME = "write-2020-04-01"
KEY = "k" * 8 + "0123456789abcdef" * 2
FURTHER_ORDERS = 2


@dataclass(frozen=True)
class Run:
    """A home in which an experiment was started, and the row that tells of it."""

    config: Path
    settings: Settings
    experiment: dict[str, Any]

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.settings.published_path), read_only=True) as connection:
            return connection.execute(query, values or None).fetchall()

    def arm(self, is_treated: bool) -> set[str]:
        found = self.rows(
            "SELECT customer_id FROM experiment_members WHERE experiment_id = ? AND is_treated = ?", NAME, is_treated
        )
        return {name for (name,) in found}


def _quiet(*_: str) -> None:
    """No progress."""


def _log_until(path: Path, day: date, whole: list[list[str]], treated: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """The shop's rows before a day; from the start on, the treated order more often."""
    header, *rows = whole
    kept = [row for row in rows if row[2][:10] < str(day) or not row[2].startswith("2020-0")]
    for customer in sorted(treated):
        for number in range(FURTHER_ORDERS):
            moment = datetime(2020, 4, 3, 12) + timedelta(days=9 * number + int(customer[1:]) % 7)
            kept.append([customer, f"x{customer}{number}", str(moment), "p1", "food", "1", "10.00"])
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *kept])


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("experiment")
    log = folder / "log.csv"
    write_shop_log(log, customers=300)
    whole = [*csv.reader(log.open(encoding="utf-8"))]
    (folder / "whole.json").write_text(json.dumps(whole), encoding="utf-8")
    _log_until(log, START, whole)
    config = shop_config(folder, more=PLAYBOOK)
    settings, _ = make(config)
    assert experiment_plan(settings, "write", 0.5, None)["rows"]
    with pytest.MonkeyPatch.context() as patched:
        # The same draw each time: by one in twenty, the interval would miss the effect.
        patched.setattr(experimenting, "new_key", lambda: "0f" * 32)
        experiment = start_experiment(settings, Wish("write", 0.5, END, lift=0.1), _quiet)
    yield Run(config, settings, experiment)
    os.environ.pop("DAGSTER_HOME", None)


@pytest.fixture(scope="module")
def ended(started: Run) -> Run:
    """The same, two months later: the treated have ordered more."""
    folder = started.config.parent
    whole = json.loads((folder / "whole.json").read_text(encoding="utf-8"))
    _log_until(folder / "log.csv", END, whole, started.arm(True))
    make(started.config)
    return started


def test_both_arms_are_kept_with_what_was_expected_of_them(started: Run) -> None:
    treated, controls = started.arm(True), started.arm(False)
    assert (len(treated), len(controls)) == (
        started.experiment["treated_count"],
        started.experiment["control_count"],
    )
    assert abs(len(treated) - len(controls)) <= 1
    assert not treated & controls
    frozen = started.rows(
        "SELECT count(*) FROM experiment_members AS members JOIN customer_genome USING (customer_id) WHERE"
        " members.expected_orders IS DISTINCT FROM customer_genome.expected_orders"
    )
    assert frozen == [(0,)]


def test_no_door_names_a_control_for_the_action(started: Run, tmp_path: Path) -> None:
    controls, treated = started.arm(False), started.arm(True)
    settings = started.settings
    write_audience(settings, "write", tmp_path / "audience.csv")
    write_treated(settings, NAME, tmp_path / "treated.parquet")
    export_tables(settings.published_path, tmp_path, ".parquet")
    assert {*pd.read_csv(tmp_path / "audience.csv")["customer_id"]} == treated
    assert {*pd.read_parquet(tmp_path / "treated.parquet")["customer_id"]} == treated
    told = 0
    for path in tmp_path.glob("*.parquet"):
        rows = pd.read_parquet(path)
        if "action" in rows and "customer_id" in rows and "as_of" in rows:
            latest = rows[pd.to_datetime(rows["as_of"]) >= pd.Timestamp(START)]
            named = {*latest.loc[latest["action"] == "Write to everyone", "customer_id"]}
            assert named == treated, path.name
            told += 1
    assert told == 5  # genome and actions, with their histories, and the audience view
    assert started.rows("SELECT count(*) FROM customer_genome WHERE action_rule = 'left_alone'") == [(len(controls),)]


def test_a_draw_that_is_not_published_is_told_at_every_door_of_the_command(started: Run, tmp_path: Path) -> None:
    record = ExperimentRecord.beside(started.settings.warehouse_path)
    unknown = started.experiment | {"experiment_id": "call-2020-04-01", "action": "Call"}
    record.add(unknown, pd.DataFrame(columns=TABLES["experiment_members"].columns))
    try:
        config = ["--config", str(started.config)]
        for arguments in (
            ["audience", "write", "--to", str(tmp_path / "write.csv")],
            ["export", "--to", str(tmp_path / "all")],
        ):
            done = CliRunner().invoke(app, [*arguments, *config])
            assert isinstance(done.exception, ConfigError)
            assert "experiment call-2020-04-01 was drawn, and whom it leaves alone is not published yet" in str(
                done.exception
            )
        assert not [*tmp_path.iterdir()]
    finally:
        record.remove("call-2020-04-01")


def test_the_command_tells_of_it(started: Run) -> None:
    def said(*arguments: str) -> str:
        done = CliRunner().invoke(
            app, ["experiment", *arguments, "--config", str(started.config)], env={"COLUMNS": "200"}
        )
        assert done.exit_code == 0, done.output
        return done.output

    assert NAME in said("list")
    shown = said("show", NAME)
    assert f"{started.experiment['treated_count']} to treat" in shown
    assert "No look at it yet" in shown
    (told,) = json.loads(said("list", "--json"))["experiments"]
    assert told["verdict"] == "not proven yet"
    with pytest.raises(ConfigError, match=r"--control 'a fifth' is no share from 0 to 100%: write it like 20% or 0\.2"):
        CliRunner().invoke(
            app,
            ["experiment", "plan", "write", "--control", "a fifth", "--config", str(started.config)],
            catch_exceptions=False,
        )


def test_the_same_action_is_not_drawn_twice_at_once(started: Run) -> None:
    with pytest.raises(ConfigError, match=f"experiment {NAME} on the same action runs until 2020-06-01"):
        start_experiment(started.settings, Wish("write", 0.5), _quiet)
    assert len(ExperimentRecord.beside(started.settings.warehouse_path).experiments()) == 1


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish("wrote", 0.5), "no rule 'wrote' .did you mean 'write'"),
        (Wish("left_alone", 0.5), "get no action"),
        (Wish("write", 0.0), "a control of 0%: nobody would be left alone to compare with; choose a share"),
        (Wish("write", 1.0), "a control of 100%: nobody would be treated; choose a share between"),
        (Wish("write", 0.5, date(2020, 4, 15)), "2020-04-15 is not the end of a month"),
        (Wish("write", 0.5, lift=0.0), "a lift of 0%: choose one from 0.1% to 50%"),
        (Wish("write", 0.5, lift=float("nan")), "a lift of nan%"),
        (Wish("write", 0.5, date(2020, 9, 1)), "2020-09-01 is too far: choose a day up to 2020-08-01"),
        (Wish("write", 0.5, date(2020, 4, 1)), "2020-04-01 is not after 2020-04-01"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(started: Run, wish: Wish, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        start_experiment(started.settings, wish, _quiet)
    assert len(ExperimentRecord.beside(started.settings.warehouse_path).experiments()) == 1


@pytest.mark.slow
def test_the_effect_is_found_and_proven(ended: Run) -> None:
    facts = experiment_facts(ended.settings, NAME)
    orders = [look for look in facts["looks"] if look["outcome_name"] == "orders"]
    assert [look["as_of"] for look in orders] == [MIDDLE, END]
    assert [look["elapsed_share"] for look in orders] == [30 / 61, 1.0]
    last = orders[-1]
    assert last["verdict"] == "proven"
    assert last["effect_lower"] < FURTHER_ORDERS < last["effect_upper"]
    assert all(check["is_passed"] for check in facts["checks"].values())
    (row,) = experiment_list(ended.settings)["experiments"]
    assert (row["verdict"], row["elapsed_share"]) == ("proven", 1.0)
    assert [(proof["action_rule"], proof["outcome_name"]) for proof in audience_summary(ended.settings)["proofs"]] == [
        ("write", "orders")
    ]


@pytest.mark.slow
def test_outcomes_are_those_of_the_log(ended: Run) -> None:
    counted = ended.rows(
        "SELECT avg(orders) FILTER (is_treated) - avg(orders) FILTER (NOT is_treated) FROM (SELECT is_treated,"
        " coalesce(sum(purchase_day_count), 0) AS orders FROM experiment_members LEFT JOIN (FROM customer_activity"
        " WHERE period_start_date >= DATE '2020-04-01') USING (customer_id) GROUP BY customer_id, is_treated)"
    )
    told = ended.rows(
        "SELECT unadjusted_effect FROM experiment_results_history WHERE outcome_name = 'orders' AND as_of = ?", END
    )
    assert told[0][0] == pytest.approx(counted[0][0])


@pytest.mark.slow
def test_controls_are_left_alone_until_the_end_and_no_longer(ended: Run) -> None:
    found = ended.rows(
        "SELECT as_of, count(*) FILTER (action_rule = 'left_alone') > 0 FROM customer_actions_history WHERE as_of >= ?"
        " GROUP BY 1 ORDER BY 1",
        START,
    )
    assert found == [(START, True), (MIDDLE, True), (END, False)]


@pytest.mark.slow
def test_a_draw_that_cannot_be_published_is_taken_back_with_the_actions_that_followed(
    ended: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ended.rows("SELECT customer_id, action_rule FROM customer_genome ORDER BY customer_id")
    with monkeypatch.context() as patched:
        patched.setattr(publishing, "_build", full_disk)
        with pytest.raises(ConfigError, match="no space is left"):
            start_experiment(ended.settings, Wish("write", 0.5), _quiet)
    record = ExperimentRecord.beside(ended.settings.warehouse_path).experiments()
    assert [each["experiment_id"] for each in record] == [NAME]
    with Pipeline.of(ended.settings).warehouse.open() as database:
        obstacles = obstacles_in_words(gate().obstacles(database.con, ended.settings.time))
        assert "check contract of experiments has not run since it was written" in obstacles
    make(ended.config)
    assert ended.rows("SELECT customer_id, action_rule FROM customer_genome ORDER BY customer_id") == before


def full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.slow
def test_a_second_experiment_overlaps_and_is_stopped(ended: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    second = start_experiment(ended.settings, Wish("write", 0.5), _quiet)
    assert second["experiment_id"] == "write-2020-06-01"
    first, other = (
        {
            name
            for (name,) in ended.rows(
                "SELECT customer_id FROM experiment_members WHERE experiment_id = ? AND NOT is_treated", each
            )
        }
        for each in (NAME, second["experiment_id"])
    )
    assert first != other
    with monkeypatch.context() as patched:
        patched.setattr(publishing, "_build", full_disk)
        with pytest.raises(ConfigError, match="no space is left"):
            stop_experiment(ended.settings, second["experiment_id"], _quiet)
    stopped = stop_experiment(ended.settings, second["experiment_id"], _quiet)
    assert stopped["stopped_date"] == END
    assert ended.rows("SELECT count(*) FROM customer_genome WHERE action_rule = 'left_alone'") == [(0,)]
    with pytest.raises(ConfigError, match="write-2020-06-01 is over since 2020-06-01"):
        stop_experiment(ended.settings, second["experiment_id"], _quiet)


@pytest.mark.slow
def test_the_next_run_has_nothing_to_make(ended: Run) -> None:
    _, outcome = make(ended.config)
    assert outcome.as_of == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([("greet", "Write to everyone", ())], "the playbook has no rule 'write' any more."),
        ([("write", "Call everyone", ())], "the rule has changed since: its action is now 'Call everyone'."),
        (
            [("write", "Write to everyone", (("order_count", 2.0),)), ("rest", "Wait for them", ())],
            "the rule has changed since: its audience is now 'order count at least 2'.",
        ),
    ],
)
def test_a_rule_that_changed_in_mid_run_is_told_and_the_lists_count(
    ended: Run, rules: list[tuple[str, str, tuple[tuple[str, float], ...]]], said: str
) -> None:
    playbook = tuple(
        PlaybookRule(
            name=name,
            action=action,
            reason="Why not",
            when=tuple(Condition(column=column, at_least=least) for column, least in when),
        )
        for name, action, when in rules
    )
    changed = ended.settings.model_copy(update={"actions": ActionSettings(rules=playbook)})
    facts = experiment_facts(changed, NAME)
    assert facts["rule_change"] == (
        f"{said} The lists count as they were drawn, and whoever is left alone does not get 'Write to everyone'"
    )
    console = Console(file=StringIO(), width=300)
    print_experiment(console, facts)
    assert facts["rule_change"] in console.file.getvalue()  # type: ignore[attr-defined]
    as_it_was = experiment_facts(ended.settings, NAME)
    assert as_it_was["rule_change"] is None
    assert facts["looks"] == as_it_was["looks"]


@pytest.fixture(scope="module")
def contacted(ended: Run) -> Run:
    """The same with a contact log: nine of ten treated were reached, and one control."""
    treated, controls = sorted(ended.arm(True)), sorted(ended.arm(False))
    soon, first_look = START + timedelta(days=1), MIDDLE
    rows = [f"{name},{soon} 10:00,Write,0.5" for name in treated[: len(treated) * 9 // 10]]
    rows += [
        rows[0],  # twice
        f"{controls[0]},{first_look}T01:00:00+02:00,{NAME},1",  # before the first look, in UTC
        f"{controls[1]},{START - timedelta(days=1)} 23:00,write,1",  # before the start
        f"{controls[2]},{soon} 10:00,newsletter,1",
        f"stranger,{soon} 10:00,write,1",
        "c0001,soon,write,1",
    ]
    ended.settings.home.joinpath("contacts.csv").write_text("\n".join(["who,when,what,price", *rows]), encoding="utf-8")
    shop_config(ended.config.parent, more=PLAYBOOK + CONTACTS)
    settings, outcome = make(ended.config)
    assert outcome.as_of == ()  # only results are made again
    return Run(ended.config, settings, ended.experiment)


@pytest.mark.slow
def test_the_contact_log_tells_who_was_reached(contacted: Run) -> None:
    facts = experiment_facts(contacted.settings, NAME)
    missed = len(contacted.arm(True)) - len(contacted.arm(True)) * 9 // 10
    looks = [look for look in facts["looks"] if look["outcome_name"] == "orders"]
    assert [look["as_of"] for look in looks] == [MIDDLE, END]
    for look in looks:
        assert (look["contacted_control_count"], look["unreached_treated_count"]) == (1, missed)
        assert look["reached_effect"] == pytest.approx(look["effect"] / look["reached_share"])
    contamination = facts["checks"]["contamination"]
    assert contamination["is_passed"] is (len(contacted.arm(False)) >= 100)
    assert contacted.rows("SELECT count(*), count(cost_amount) FROM contacts WHERE customer_id = 'stranger'") == [
        (1, 1)
    ]


@pytest.mark.slow
def test_what_is_wrong_with_the_contact_log_is_told(contacted: Run) -> None:
    told = contacted.rows(
        "SELECT DISTINCT check_name, observed FROM data_quality WHERE table_name IN ('contacts', 'experiment_results')"
        " AND NOT is_passed AND check_name LIKE 'contacts_%'"
    )
    assert {name for name, _ in told} == {"contacts_are_read", "contacts_stand_once", "contacts_are_of_customers"}
    assert not any("stranger" in observed for _, observed in told)


@pytest.mark.slow
def test_a_contact_log_that_is_gone_stops_the_run_and_loses_nothing(contacted: Run) -> None:
    path = contacted.settings.home / "contacts.csv"
    before = contacted.rows("FROM contacts ORDER BY contact_id")
    aside = path.rename(path.with_name("aside.csv"))
    with pytest.raises(ConfigError, match=r"contacts.path = .*contacts.csv is no file: correct it"):
        make(contacted.config)
    assert contacted.rows("FROM contacts ORDER BY contact_id") == before
    aside.rename(path)
    _, outcome = make(contacted.config)
    assert (outcome.as_of, outcome.run_id) == ((), None)


@pytest.mark.slow
def test_what_was_drawn_outlives_the_warehouse(contacted: Run) -> None:
    before = tables(contacted.settings.warehouse_path)
    rebuild(contacted.settings, _quiet)
    assert_same(tables(contacted.settings.warehouse_path), before)


@pytest.mark.slow
def test_a_forgotten_control_leaves_the_arms_and_not_the_counts(
    contacted: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENOME_PRIVACY__KEY", KEY)
    gone = sorted(contacted.arm(False))[0]
    drawn = contacted.rows("SELECT treated_count, control_count FROM experiments WHERE experiment_id = ?", NAME)
    settings = load_settings(contacted.config)
    assert "contacts.csv" in forget(settings, [gone])["files_to_delete"]
    for path in settings.home.rglob("*.duckdb"):
        with duckdb.connect(str(path), read_only=True) as connection:
            for (table,) in connection.execute(
                "SELECT table_name FROM duckdb_columns() WHERE column_name = 'customer_id' AND NOT internal"
            ).fetchall():
                found = connection.execute(f'SELECT count(*) FROM "{table}" WHERE customer_id = ?', [gone]).fetchall()
                assert found == [(0,)], (path.name, table)
    assert contacted.rows("SELECT treated_count, control_count FROM experiments WHERE experiment_id = ?", NAME) == drawn
    left = contacted.rows(
        "SELECT control_count, contacted_control_count FROM experiment_results_history WHERE experiment_id = ?"
        " AND outcome_name = 'orders'",
        NAME,
    )
    assert left == [(drawn[0][1] - 1, 0)] * 2
    assert experiment_facts(settings, NAME)["checks"]["sample ratio"]["is_passed"]
