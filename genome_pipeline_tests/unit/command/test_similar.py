"""`genome similar`: one customer, and lookalikes of a group."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from genome_pipeline.command.cli import app
from genome_pipeline.errors import ConfigError
from genome_pipeline.published.lookalikes import lookalikes
from genome_pipeline.published.similar import ids_in, similar_customers, similar_to_group
from genome_pipeline.published.versions import PublishedFile
from genome_pipeline.settings import Settings, load_settings


def _command(settings: Settings, *arguments: str) -> str:
    config = str(settings.home.parent / "home.toml")
    done = CliRunner().invoke(app, [*arguments, "--config", config], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


def test_a_customer_is_shown_beside_those_they_resemble_and_what_such_customers_did(shop_run: Settings) -> None:
    facts = json.loads(_command(shop_run, "similar", "c0000", "--json"))
    assert facts["as_of"] == "2020-08-01"
    assert [row["neighbor_rank"] for row in facts["neighbors"]] == list(range(1, 11))
    assert len(facts["matured_neighbors"]) == 10
    # The horizon of 28 days had passed by then, and no later snapshot's.
    assert {row["neighbor_as_of"] for row in facts["matured_neighbors"]} == {"2020-07-01"}
    assert facts["estimate"]["neighbor_count"] == 25
    shown = _command(shop_run, "similar", "c0000")
    assert "Customers like c0000 as of 2020-08-01" in shown
    assert "Customers who were so at 2020-07-01, and what they did in the 28 days after" in shown
    assert "Mean of 25 such customers" in shown


def test_lookalikes_of_a_group_come_from_ids_or_a_file(shop_run: Settings, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("c0004\n\n  c0008 \nc0000\n", encoding="utf-8")
    shown = _command(shop_run, "similar", "--from", str(tmp_path / "ids.txt"), "--count", "3")
    assert "Customers nearest to the group of 3 as of 2020-08-01" in shown
    found = similar_to_group(shop_run, ["c0000", "c0004", "c0008"], 3)["lookalikes"]
    assert len(found) == 3
    assert all(row["customer_id"] in shown for row in found)
    assert not {"c0000", "c0004", "c0008"} & {row["customer_id"] for row in found}


@pytest.mark.parametrize("ids", [["c0000", "c0004", "c0008"], [f"c{number:04d}" for number in range(0, 200, 4)]])
def test_the_command_and_the_dashboard_answer_the_same(shop_run: Settings, ids: list[str]) -> None:
    facts = json.loads(_command(shop_run, "similar", *ids, "--json"))
    with PublishedFile(shop_run.published_path).connect() as connection:
        found, traits = lookalikes(connection, date(2020, 8, 1), ids)
    assert facts["lookalikes"] == found.to_dict("records")
    assert facts["group_traits"] == traits


def test_a_group_needs_the_published_file_alone(early_shop: Path) -> None:
    settings = load_settings(early_shop)
    shutil.rmtree(settings.artifacts_path)
    assert len(similar_to_group(settings, ["c0000", "c0004"], 3)["lookalikes"]) == 3


def test_mistakes_are_one_sentence(shop_run: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no customer 'c00' in the snapshot of 2020-08-01; ids that start so: c0000"):
        similar_customers(shop_run, "c00")
    with pytest.raises(ConfigError, match="not in the snapshot of 2020-08-01: x1, x2; ids are as in the source"):
        similar_to_group(shop_run, ["x2", "c0000", "x1"], 3)
    with pytest.raises(ConfigError, match=r"nothing\.txt cannot be read"):
        ids_in(tmp_path / "nothing.txt")
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds no customer id: write one a line"):
        ids_in(tmp_path / "empty.txt")


def test_only_the_last_indexes_are_kept(shop_run: Settings) -> None:
    kept = sorted(path.name for path in (shop_run.artifacts_path / "similarity_index").iterdir())
    assert kept == ["2020-06-01.npz", "2020-07-01.npz", "2020-08-01.npz"]
