"""`genome audience`: the list, and the file."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from genome_pipeline.command.cli import app
from genome_pipeline.contracts.playbook import DEFAULT_PLAYBOOK
from genome_pipeline.errors import ConfigError
from genome_pipeline.published.audience import audience_summary, write_audience
from genome_pipeline.published.export import neutral, write_rows
from genome_pipeline.settings import Settings


def test_audiences_cover_every_customer_once_in_the_order_of_the_playbook(shop_run: Settings) -> None:
    rows = audience_summary(shop_run)["audiences"]
    assert [row["action_rule"] for row in rows] == ["wait", *(rule.name for rule in DEFAULT_PLAYBOOK)]
    with duckdb.connect(str(shop_run.published_path), read_only=True) as connection:
        counts = dict(connection.execute("SELECT action_rule, count(*) FROM customer_actions GROUP BY 1").fetchall())
        (matured,) = connection.execute("SELECT count(*) FROM prediction_outcomes_history").fetchone() or (0,)
    assert {row["action_rule"]: row["customer_count"] for row in rows if row["customer_count"]} == counts
    assert sum(row["matured_customer_count"] for row in rows) == matured > 0


def test_the_backtest_is_what_the_outcomes_say(shop_run: Settings) -> None:
    with duckdb.connect(str(shop_run.published_path), read_only=True) as connection:
        expected = connection.execute(
            "SELECT action_rule, avg(has_churned::INT), avg(has_churned::INT) / (SELECT avg(has_churned::INT) FROM"
            " prediction_outcomes_history) FROM prediction_outcomes_history JOIN customer_actions_history"
            " USING (as_of, customer_id) GROUP BY 1"
        ).fetchall()
    found = {row["action_rule"]: row for row in audience_summary(shop_run)["audiences"]}
    assert len(expected) > 3
    for rule, share, lift in expected:
        assert found[rule]["actual_churn_share"] == pytest.approx(share)
        assert found[rule]["churn_lift_ratio"] == pytest.approx(lift)


def test_the_command_lists_audiences_and_writes_one_out(shop_run: Settings, tmp_path: Path) -> None:
    config = ["--config", str(shop_run.home.parent / "home.toml")]
    listed = CliRunner().invoke(app, ["audience", *config], env={"COLUMNS": "200"})
    assert listed.exit_code == 0, listed.output
    assert "keep_in_contact" in listed.output
    assert "Expected of them together in 28 days" in listed.output
    (told,) = (row for row in audience_summary(shop_run)["audiences"] if row["action_rule"] == "keep_in_contact")
    assert f"{told['expected_spend_amount_lower']:,.0f} to {told['expected_spend_amount_upper']:,.0f}" in listed.output
    target = tmp_path / "nudge.csv"
    done = CliRunner().invoke(app, ["audience", "nudge", "--to", str(target), *config], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    with target.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert f"{len(rows):,} customers written" in done.output
    assert {row["action_rule"] for row in rows} == {"nudge"}
    stakes = [float(row["revenue_at_stake_amount"]) for row in rows]
    assert stakes == sorted(stakes, reverse=True)


def test_mistakes_are_one_sentence_and_leave_no_file(shop_run: Settings, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no rule 'nudg' \(did you mean 'nudge'\?\); rules there are: wait, win_back"
    ):
        write_audience(shop_run, "nudg", tmp_path / "a.csv")
    with pytest.raises(ConfigError, match=r"must end in \.csv or \.parquet"):
        write_audience(shop_run, "nudge", tmp_path / "a.txt")
    with pytest.raises(ConfigError, match="is no folder"):
        write_audience(shop_run, "nudge", tmp_path / "none" / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_no_text_or_name_in_a_csv_file_is_a_formula_and_parquet_is_as_it_was(tmp_path: Path) -> None:
    query = "SELECT '=1+1' AS \"=name\", '-5' AS n, -5 AS m, 'a' AS \"=name\""
    with duckdb.connect() as connection:
        assert write_rows(connection, query, [], tmp_path / "a.csv")["row_count"] == 1
        write_rows(connection, "SELECT '=1+1' AS a", [], tmp_path / "a.parquet")
        assert connection.execute("FROM read_parquet(?)", [str(tmp_path / "a.parquet")]).fetchall() == [("=1+1",)]
    assert (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()[1] == '"\'=1+1","-5","-5","a"'
    assert (tmp_path / "a.csv").read_text(encoding="utf-8").startswith('"\'=name",')


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("shirt;=1+1", "shirt;'=1+1"),
        ("shirt; @x;-2+3", "shirt;' @x;'-2+3"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("\uff0b1;\uff0d1;\uff20a", "'\uff0b1;'\uff0d1;'\uff20a"),
        ("a\n=1", "a\n'=1"),
        ("  =1", "'  =1"),
        ("-1,234.50", "-1,234.50"),
        ("a;b, c=d - e", "a;b, c=d - e"),
    ],
)
def test_no_text_is_a_formula_where_cells_are_parted_by_semicolons(tmp_path: Path, text: str, written: str) -> None:
    with duckdb.connect() as connection:
        write_rows(connection, "SELECT ?::VARCHAR AS text, [?]::VARCHAR[] AS texts", [text, text], tmp_path / "a.csv")
    content = (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert content.startswith(f'"text","texts"\n"{written}",')
    assert neutral(text) == written
