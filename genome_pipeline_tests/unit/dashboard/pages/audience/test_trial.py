"""Whether acting on a rule works, on the page of its audience; and that controls are on no list of its action."""

from __future__ import annotations

import csv
from pathlib import Path
from urllib.parse import urlencode

import duckdb
import pytest
from flask.testing import FlaskClient

from genome_pipeline.dashboard.app import create_app
from genome_pipeline_tests.support.published_file import (
    LATEST,
    PROVEN_EXPERIMENT,
    RUNNING_EXPERIMENT,
    SNAPSHOTS,
)
from genome_pipeline_tests.support.shown import changed, show


def test_a_rule_nobody_has_tested_is_shown_with_the_command_that_does(published_path: Path) -> None:
    page, _ = show(published_path, "/audience", "?rule=win_back")
    assert "Test whether this works: " in page
    assert "genome experiment start win_back --control 20%" in page
    assert "genome experiment plan win_back" in page
    assert "genome experiment" not in show(published_path, "/audience")[0]


def test_a_rule_whose_action_is_tested_is_shown_with_the_verdict_so_far(published_path: Path) -> None:
    page, _ = show(published_path, "/audience", "?rule=activate")
    assert "Does this work? An experiment is running" in page
    assert f'"href": "/proof?experiment={RUNNING_EXPERIMENT}"' in page
    assert "○ not proven yet" in page
    assert f"genome experiment show {RUNNING_EXPERIMENT} --to treated.csv" in page
    assert "experiment start" not in page
    over, _ = show(published_path, "/audience", "?rule=cross-sell")
    assert f'"href": "/proof?experiment={PROVEN_EXPERIMENT}"' in over
    assert "✓ proven" in over
    assert "Test it again: " in over
    assert "genome experiment start cross-sell --control 20%" in over


def test_an_experiment_on_everything_is_one_on_each_rule(published_path: Path, tmp_path: Path) -> None:
    path = changed(
        tmp_path / "everything.duckdb",
        published_path,
        "UPDATE experiments SET action_rule = 'everything', action = 'Everything'"
        f" WHERE experiment_id = '{RUNNING_EXPERIMENT}'",
    )
    assert f'"href": "/proof?experiment={RUNNING_EXPERIMENT}"' in show(path, "/audience", "?rule=win_back")[0]


def test_an_experiment_on_everything_is_told_as_such_and_hides_nothing_of_a_rule(
    published_path: Path, tmp_path: Path
) -> None:
    path = changed(
        tmp_path / "everything.duckdb",
        published_path,
        "UPDATE experiments SET action_rule = 'everything', action = 'Everything'"
        f" WHERE experiment_id = '{RUNNING_EXPERIMENT}'",
    )
    page, _ = show(path, "/audience", "?rule=cross-sell")
    assert "An experiment on all rules at once is running" in page
    assert " on all rules at once, runs until 1 Feb 2018: " in page
    assert "The run of this rule that has ended" in page
    assert "experiment start" not in page
    over = changed(
        tmp_path / "over.duckdb",
        path,
        f"UPDATE experiments SET stopped_date = '{LATEST}' WHERE experiment_id = '{RUNNING_EXPERIMENT}'",
    )
    page, _ = show(over, "/audience", "?rule=cross-sell")
    assert " on all rules at once, stopped at 1 Jan 2018: " in page
    assert "The run of this rule that has ended" in page
    assert "Test it again: " in page
    # No evidence for a rule that was never tested alone.
    assert "Test whether this works: " in show(over, "/audience", "?rule=win_back")[0]


def test_a_rule_is_told_what_all_its_runs_have_shown_together(published_path: Path, tmp_path: Path) -> None:
    path = changed(
        tmp_path / "together.duckdb",
        published_path,
        "UPDATE rule_proofs_history SET run_count = 3, verdict = 'not proven yet', verdict_reason ="
        " 'not proven yet: +1.00 orders per 100 customers (-2.00 to 4.00), 3 runs' WHERE outcome_name = 'orders'",
    )
    page, _ = show(path, "/audience", "?rule=cross-sell")
    assert "All 3 runs of this rule that have ended" in page
    assert "+1.00 orders per 100 customers (-2.00 to 4.00), 3 runs." in page
    assert "All 3 runs" not in show(path, "/audience", f"?rule=cross-sell&as_of={SNAPSHOTS[1]}")[0]


def test_an_earlier_snapshot_knows_no_later_experiment(published_path: Path) -> None:
    page, _ = show(published_path, "/audience", f"?rule=win_back&as_of={SNAPSHOTS[1]}")
    assert RUNNING_EXPERIMENT not in page
    assert "genome experiment start win_back --control 20%" in page


def _held(connection: duckdb.DuckDBPyConnection, condition: str) -> int:
    return int(
        connection.execute(
            "SELECT count(*) FROM customer_actions_history AS actions JOIN experiment_members USING (customer_id)"
            f" WHERE actions.as_of = ? AND experiment_id = ? AND NOT is_treated AND {condition}",
            [SNAPSHOTS[1], RUNNING_EXPERIMENT],
        ).fetchall()[0][0]
    )


def test_an_earlier_list_that_names_controls_of_a_running_experiment_is_history(
    client: FlaskClient, published_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    count = _held(connection, "action = 'Activate'")
    assert count > 1
    sentence = (
        f"{count} of these customers are left alone by experiment {RUNNING_EXPERIMENT} until 1 Feb 2018: nothing is"
        " exported; choose the latest snapshot, which leaves them out."
    )
    for search in (f"rule=activate&as_of={SNAPSHOTS[1]}", f"where=action:eq:Activate&as_of={SNAPSHOTS[1]}"):
        for kind in ("csv", "parquet"):
            refused = client.get(f"/export/audience.{kind}?{search}")
            assert (refused.status_code, refused.text) == (409, sentence)
        page, _ = show(published_path, "/audience", f"?{search}")
        assert sentence in page
        assert "Test whether this works" not in page
    assert client.get(f"/export/audience.csv?rule=activate&as_of={LATEST}").status_code == 200
    assert client.get(f"/export/audience.csv?rule=win_back&as_of={SNAPSHOTS[1]}").status_code == 200
    assert "left alone by experiment" not in show(published_path, "/audience", "?rule=activate")[0]


def test_an_earlier_list_without_its_controls_is_exported(
    client: FlaskClient, connection: duckdb.DuckDBPyConnection
) -> None:
    treated = connection.execute(
        "SELECT customer_id FROM customer_actions_history AS actions JOIN experiment_members USING (customer_id)"
        " WHERE is_treated AND action = 'Activate' AND actions.as_of = ? AND experiment_id = ?",
        [SNAPSHOTS[1], RUNNING_EXPERIMENT],
    ).fetchall()
    named = ",".join(row[0] for row in treated[:3])
    rows = _exported(client, ("rule", "activate"), ("where", f"customer_id:in:{named}"), ("as_of", str(SNAPSHOTS[1])))
    assert len(rows) == 3


def test_an_earlier_list_is_free_again_once_the_experiment_was_stopped(published_path: Path, tmp_path: Path) -> None:
    path = changed(
        tmp_path / "stopped.duckdb",
        published_path,
        f"UPDATE experiments SET stopped_date = '{LATEST}' WHERE experiment_id = '{RUNNING_EXPERIMENT}'",
    )
    client = create_app(path).server.test_client()
    assert client.get(f"/export/audience.csv?rule=activate&as_of={SNAPSHOTS[1]}").status_code == 200


@pytest.mark.parametrize(("is_provisional", "status"), [(True, 409), (False, 200)])
def test_a_run_until_a_provisional_snapshot_still_holds_its_controls(
    published_path: Path, tmp_path: Path, is_provisional: bool, status: int
) -> None:
    path = changed(
        tmp_path / "provisional.duckdb",
        published_path,
        f"UPDATE experiments SET until_date = '{LATEST}' WHERE experiment_id = '{RUNNING_EXPERIMENT}'",
        f"UPDATE customer_genome_history SET is_provisional = {is_provisional} WHERE as_of = '{LATEST}'",
    )
    client = create_app(path).server.test_client()
    assert client.get(f"/export/audience.csv?rule=activate&as_of={SNAPSHOTS[1]}").status_code == status


def test_an_experiment_on_everything_holds_back_a_list_of_any_action(
    published_path: Path, tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    path = changed(
        tmp_path / "everything.duckdb",
        published_path,
        "UPDATE experiments SET action_rule = 'everything', action = 'Everything'"
        f" WHERE experiment_id = '{RUNNING_EXPERIMENT}'",
    )
    client = create_app(path).server.test_client()
    refused = client.get(f"/export/audience.csv?as_of={SNAPSHOTS[1]}")
    count = _held(connection, "action_rule <> 'left_alone'")
    assert count > _held(connection, "action = 'Activate'")
    assert refused.status_code == 409
    assert refused.text.startswith(f"{count} of these customers are left alone by experiment {RUNNING_EXPERIMENT}")
    assert client.get(f"/export/audience.csv?rule=left_alone&as_of={SNAPSHOTS[1]}").status_code == 200


def test_those_left_alone_have_a_card_and_the_experiments_that_leave_them(published_path: Path) -> None:
    page, _ = show(published_path, "/audience", "?rule=left_alone")
    assert '"✓ Leave alone"' in page
    assert "Nobody is to act on these until their experiment is over" in page
    assert RUNNING_EXPERIMENT in page
    assert PROVEN_EXPERIMENT not in page
    assert "audience-left-alone" not in page


def test_a_list_by_other_conditions_says_how_many_in_it_are_left_alone(
    published_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    where = "churn_probability >= 0.5 AND action_rule = 'left_alone'"
    count = connection.execute(f"SELECT count(*) FROM customer_genome WHERE {where}").fetchall()[0][0]
    assert count > 1
    page, _ = show(published_path, "/audience", "?where=churn_probability:ge:0.5")
    assert f"{count} of these are left alone by an experiment" in page
    assert "left alone by an experiment" not in show(published_path, "/audience", "?rule=win_back")[0]


def test_texts_of_an_experiment_are_literal(published_path: Path, tmp_path: Path) -> None:
    hostile = changed(
        tmp_path / "hostile.duckdb",
        published_path,
        f"UPDATE experiments SET experiment_id = '<img src=x>' WHERE experiment_id = '{RUNNING_EXPERIMENT}'",
    )
    page = create_app(hostile).server.test_client().get("/audience?rule=activate").get_data(as_text=True)
    assert "&lt;img src=x&gt;" in page
    assert "<img" not in page


def _exported(client: FlaskClient, *parameters: tuple[str, str]) -> list[dict[str, str]]:
    answer = client.get(
        f"/export/audience.csv?{urlencode([('columns', 'customer_id,action,action_rule'), *parameters])}"
    )
    assert answer.status_code == 200
    return list(csv.DictReader(line for line in answer.text.splitlines() if not line.startswith("# ")))


@pytest.mark.parametrize(
    "parameters",
    [
        (("rule", "activate"),),
        (("where", "action:eq:Activate"),),
        (("where", "action_rule:in:activate,cross-sell"), ("where", "action:eq:Activate")),
        (),
    ],
    ids=["by rule", "by action", "by both", "everyone"],
)
def test_no_export_names_a_control_for_the_action_of_its_running_experiment(
    client: FlaskClient, connection: duckdb.DuckDBPyConnection, parameters: tuple[tuple[str, str], ...]
) -> None:
    members = dict(
        connection.execute(
            "SELECT customer_id, is_treated FROM experiment_members WHERE experiment_id = ?", [RUNNING_EXPERIMENT]
        ).fetchall()
    )
    rows = _exported(client, *parameters, ("as_of", str(LATEST)))
    acted_on = [row["customer_id"] for row in rows if row["action"] == "Activate"]
    # The check can fail: customers of the same experiment are on the list, those whom it treats.
    assert [customer_id for customer_id in acted_on if members.get(customer_id)]
    assert [customer_id for customer_id in acted_on if members.get(customer_id) is False] == []
    controls = [row for row in rows if members.get(row["customer_id"]) is False]
    assert {row["action_rule"] for row in controls} <= {"left_alone", "win_back", "cross-sell", "reward"}


def test_the_controls_of_an_experiment_that_is_over_get_its_action_again(
    client: FlaskClient, connection: duckdb.DuckDBPyConnection
) -> None:
    controls = {
        row[0]
        for row in connection.execute(
            "SELECT customer_id FROM experiment_members WHERE experiment_id = ? AND NOT is_treated", [PROVEN_EXPERIMENT]
        ).fetchall()
    }

    def named(as_of: object) -> set[str]:
        return controls & {
            row["customer_id"] for row in _exported(client, ("rule", "cross-sell"), ("as_of", str(as_of)))
        }

    assert named(SNAPSHOTS[0]) == named(SNAPSHOTS[1]) == set()
    assert named(SNAPSHOTS[2])
