"""The Proof page."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from urllib.parse import quote

import duckdb
import pytest

from genome_pipeline.dashboard.app import create_app
from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.experiments import experiments_at
from genome_pipeline.dashboard.pages.proof import figures, queries
from genome_pipeline.models.experiments.checks import Finding
from genome_pipeline_tests.support.published_file import (
    LATEST,
    PROVEN_EXPERIMENT,
    RUNNING_EXPERIMENT,
    SNAPSHOTS,
    build_published_file,
)
from genome_pipeline_tests.support.shown import changed, show

HOSTILE = "<img src=x onerror=alert(1)>"


def test_the_page_says_at_a_glance_what_was_run_and_shown(published_path: Path) -> None:
    page, _ = show(published_path, "/proof")
    assert "2 experiments were started, 1 is over: 1 has proven that acting brings more." in page
    assert "What acting brought: orders" in page
    assert "What acting brought: spend" in page
    assert "✓ proven" in page
    assert "○ not proven yet" in page
    assert f'"href": "/proof?experiment={PROVEN_EXPERIMENT}"' in page


def test_the_experiment_of_the_url_is_shown_by_default_the_latest(published_path: Path) -> None:
    for search, name in (
        ("", RUNNING_EXPERIMENT),
        (f"?experiment={PROVEN_EXPERIMENT}", PROVEN_EXPERIMENT),
        ("?experiment=nothing", RUNNING_EXPERIMENT),
    ):
        page, _ = show(published_path, "/proof", search)
        assert f'"Experiment {name}"' in page
        assert f"genome experiment show {name} --to treated.csv" in page
    assert '"✓ Balance"' in page
    assert "all who were drawn have an outcome" in page


def test_a_snapshot_knows_no_later_draw_look_or_stop(published_path: Path, tmp_path: Path) -> None:
    stopped = changed(
        tmp_path / "stopped.duckdb",
        published_path,
        f"UPDATE experiments SET stopped_date = '{SNAPSHOTS[2]}' WHERE experiment_id = '{PROVEN_EXPERIMENT}'",
    )
    first, _ = show(stopped, "/proof", f"?as_of={SNAPSHOTS[0]}")
    assert RUNNING_EXPERIMENT not in first
    assert "1 experiment was started and still runs: it has proven nothing yet." in first
    assert "No look at it yet: the first is made with the next snapshot." in first
    assert "look by look" not in first
    second, _ = show(stopped, "/proof", f"?as_of={SNAPSHOTS[1]}")
    assert "1 experiment was started and still runs: it has proven that acting brings more." in second
    assert "runs until 1 Dec 2017" in second
    assert "Orders, look by look" in second
    assert "1 Dec 2017, look" not in second
    third, _ = show(stopped, "/proof", f"?as_of={SNAPSHOTS[2]}&experiment={PROVEN_EXPERIMENT}")
    assert "stopped at 1 Dec 2017" in third
    assert "2 experiments were started, 1 is over" in third


def test_looks_are_those_by_the_snapshot(connection: duckdb.DuckDBPyConnection) -> None:
    for as_of, seen in zip(SNAPSHOTS, ([], SNAPSHOTS[1:2], SNAPSHOTS[1:3], SNAPSHOTS[1:3]), strict=True):
        looks = queries.looks(connection, PROVEN_EXPERIMENT, as_of)
        expected = [(look, outcome) for look in seen for outcome in ("orders", "spend")]
        assert list(zip(looks["look_date"].dt.date, looks["outcome_name"], strict=True)) == expected
    experiments = experiments_at(connection, SNAPSHOTS[1])
    assert experiments["look_date"].dt.date.tolist() == [SNAPSHOTS[1]]


def test_the_latest_snapshot_agrees_with_the_view_of_verdicts(connection: duckdb.DuckDBPyConnection) -> None:
    columns = "experiment_id, elapsed_share, effect, effect_lower, effect_upper, verdict, verdict_reason"
    view = connection.execute(f"SELECT {columns} FROM experiment_verdicts ORDER BY as_of DESC, experiment_id").df()
    shown = experiments_at(connection, LATEST)[columns.split(", ")]
    assert len(view) == 2
    assert shown.to_dict("records") == view.to_dict("records")


def test_before_anything_was_started_the_page_says_what_an_experiment_is(published_path: Path, tmp_path: Path) -> None:
    empty = changed(
        tmp_path / "empty.duckdb",
        published_path,
        "DELETE FROM experiment_results_history",
        "DELETE FROM experiment_members",
        "DELETE FROM experiments",
    )
    page, title = show(empty, "/proof")
    assert title == "Proof"
    assert "No experiment was started by this snapshot" in page
    assert "drawn by chance" in page
    assert "genome experiment plan RULE" in page


def test_a_check_that_failed_is_said_to_have(published_path: Path, tmp_path: Path) -> None:
    lost = changed(
        tmp_path / "lost.duckdb",
        published_path,
        f"DELETE FROM experiment_members WHERE experiment_id = '{RUNNING_EXPERIMENT}' AND NOT is_treated"
        " AND stratum_id < 3",
    )
    assert '"✓ Sample ratio"' in show(published_path, "/proof")[0]
    assert '"✗ Sample ratio"' in show(lost, "/proof")[0]


def test_the_checks_are_those_by_the_snapshot(published_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def went_as_drawn(_: object, experiment_id: str, as_of: date) -> dict[str, Finding]:
        asked.append((experiment_id, as_of))
        return {"balance": Finding(False, f"as known by {as_of}", {})}

    monkeypatch.setattr("genome_pipeline.published.experiments.went_as_drawn", went_as_drawn)
    page, _ = show(published_path, "/proof", f"?as_of={SNAPSHOTS[1]}")
    assert asked == [(PROVEN_EXPERIMENT, SNAPSHOTS[1])]
    assert "as known by 2017-11-01." in page


def test_an_earlier_snapshot_tells_no_later_check(published_path: Path, tmp_path: Path) -> None:
    later = changed(
        tmp_path / "later.duckdb",
        published_path,
        "UPDATE experiment_results_history SET reached_share = 0, contacted_control_count = 60,"
        f" unreached_treated_count = 60 WHERE as_of = '{SNAPSHOTS[2]}'",
    )
    assert "✗" not in show(later, "/proof", f"?as_of={SNAPSHOTS[1]}")[0]
    assert "✗" in show(later, "/proof", f"?as_of={SNAPSHOTS[2]}&experiment={PROVEN_EXPERIMENT}")[0]


def test_those_left_alone_now_are_as_many_as_on_the_card_of_their_audience(
    published_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    for as_of in (SNAPSHOTS[1], LATEST):
        told = connection.execute(
            "SELECT count(*) FROM customer_actions_history WHERE action_rule = 'left_alone' AND as_of = ?", [as_of]
        ).fetchall()[0][0]
        drawn = connection.execute(
            "SELECT sum(control_count) FROM experiments WHERE as_of <= $day AND until_date > $day", {"day": as_of}
        ).fetchall()[0][0]
        assert 0 < told < drawn
        assert queries.left_alone_count(connection, as_of) == told
        page = render_kpi(published_path, as_of)
        assert f'"{told}"' in page
        assert f'"{drawn}"' not in page


def render_kpi(path: Path, as_of: date) -> str:
    """The card "Left alone now"."""
    page, _ = show(path, "/proof", f"?as_of={as_of}")
    start = page.index('"Left alone now"')
    return page[start : page.index("running", page.index("by ", start)) + 10]


def test_all_runs_of_a_rule_are_told_together(published_path: Path, tmp_path: Path) -> None:
    path = changed(
        tmp_path / "together.duckdb",
        published_path,
        "UPDATE rule_proofs_history SET run_count = 3, verdict = 'not proven yet', effect = 0.01, effect_lower = -0.02,"
        " effect_upper = 0.04, verdict_reason = 'not proven yet: the sentence of three runs'"
        " WHERE outcome_name = 'orders'",
        "INSERT INTO rule_proofs_history SELECT * REPLACE ('everything' AS action_rule) FROM rule_proofs_history",
    )
    page, _ = show(path, "/proof")
    together = page[page.index('"All runs of a rule together"') :]
    for told in ('"cross-sell"', '"3"', '"+1.00"', f'"{formats.MINUS}2.00 to 4.00"', '"the sentence of three runs."'):
        assert told in together
    assert '"everything: all rules at once"' in together
    assert "All runs of a rule together" not in show(path, "/proof", f"?as_of={SNAPSHOTS[1]}")[0]


GROUPS = [
    f"INSERT INTO experiment_groups_history BY NAME SELECT DATE '{SNAPSHOTS[2]}' AS as_of, '{PROVEN_EXPERIMENT}' AS"
    f" experiment_id, 'orders' AS outcome_name, '{split}' AS split_by, '{group}' AS group_name, 40 AS treated_count,"
    f" 41 AS control_count, 0.3 AS own_effect, 0.1 AS own_standard_error, {effect} AS effect, {effect} - 0.1 AS"
    f" effect_lower, {effect} + 0.1 AS effect_upper"
    for split, group, effect in (
        ("churn_probability", "01: 0 to 0.2", 0.05),
        ("churn_probability", "02: 0.21 to 0.9", 0.25),
        ("segment_name", HOSTILE, -0.2),
    )
]


def test_an_experiment_that_is_over_tells_on_whom_it_worked(published_path: Path, tmp_path: Path) -> None:
    path = changed(tmp_path / "groups.duckdb", published_path, *GROUPS)
    page, _ = show(path, "/proof", f"?experiment={PROVEN_EXPERIMENT}")
    assert "On whom it worked" in page
    assert "whether to choose by the effect on each can be told from more than 2,000 of each." in page
    assert '"Orders by churn probability"' in page
    assert '"Orders by segment"' in page
    for search in ("", f"?experiment={PROVEN_EXPERIMENT}&as_of={SNAPSHOTS[1]}"):
        page, _ = show(path, "/proof", search)
        assert "On whom it worked" not in page
        assert "Orders by churn probability" not in page
    assert "Orders by churn probability" not in show(published_path, "/proof", f"?experiment={PROVEN_EXPERIMENT}")[0]


def test_effects_in_groups_are_drawn_with_their_intervals_beside_a_line_at_nothing(
    published_path: Path, tmp_path: Path
) -> None:
    path = changed(tmp_path / "groups.duckdb", published_path, *GROUPS)
    with duckdb.connect(str(path), read_only=True) as connection:
        groups = queries.groups(connection, PROVEN_EXPERIMENT, "orders", LATEST)
    churn = groups[groups["split_by"] == "churn_probability"]
    figure = figures.effect_by_group(churn, "orders", "churn_probability", "USD").figure
    (marks,) = figure.data
    assert list(marks.x) == pytest.approx([5.0, 25.0])
    assert [*marks.error_x.array, *marks.error_x.arrayminus] == pytest.approx([10.0] * 4)
    assert list(figure.layout.yaxis.ticktext) == ["01: 0 to 0.2", "02: 0.21 to 0.9"]
    assert list(marks.y) == [1, 0]
    assert figure.layout.shapes[0].x0 == figure.layout.shapes[0].x1 == 0
    assert "40 treated, 41 left alone" in marks.customdata[0]
    named = figures.effect_by_group(groups[groups["split_by"] == "segment_name"], "orders", "segment_name", "USD")
    assert "<img" not in str(named.figure.to_dict())


@pytest.fixture(scope="module")
def hostile(published_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment whose every text tries to run."""
    path = build_published_file(tmp_path_factory.mktemp("hostile") / "genome.duckdb")
    with duckdb.connect(str(path)) as connection:
        for table in ("experiment_members", "experiment_results_history", "experiments"):
            connection.execute(
                f"UPDATE {table} SET experiment_id = ? WHERE experiment_id = ?", [HOSTILE, PROVEN_EXPERIMENT]
            )
        connection.execute(
            "UPDATE experiments SET action_rule = $it, action = $it, rule_condition = $it WHERE experiment_id = $it",
            {"it": HOSTILE},
        )
        connection.execute("UPDATE experiment_results_history SET verdict_reason = ?", [HOSTILE])
    return path


def test_texts_of_experiments_are_literal(hostile: Path) -> None:
    client = create_app(hostile).server.test_client()
    page = client.get(f"/proof?experiment={quote(HOSTILE)}").get_data(as_text=True)
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<img" not in page
    with duckdb.connect(str(hostile), read_only=True) as connection:
        experiments = experiments_at(connection, LATEST)
        looks = queries.looks(connection, HOSTILE, LATEST)
    of_all = figures.effects_of_all(experiments[experiments["outcome_name"] == "orders"], "orders", "USD")
    by_look = figures.effect_by_look(looks[looks["outcome_name"] == "orders"], "orders", "USD")
    for chart in (of_all, by_look):
        assert "<img" not in str(chart.figure.to_dict())
        assert "&lt;img" in str(chart.figure.to_dict())
