"""What customers of a shop buy: made, checked and published; and a shop without categories."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from genome_pipeline.command.terminal.customer import print_card
from genome_pipeline.contracts.tables.taste import TASTE_SHARES
from genome_pipeline.models.categories.next_category import NO_CATEGORIES
from genome_pipeline.published.reader import Published
from genome_pipeline.published.summary import customer_card
from genome_pipeline.settings import Settings
from genome_pipeline_tests.support.pipelines import make, shop


def test_every_snapshot_has_the_shares_and_the_genes_of_taste(shop_run: Settings) -> None:
    with Published(shop_run.published_path) as published:
        (found,) = published.rows(
            "SELECT count(DISTINCT as_of) AS snapshots, count(DISTINCT category) AS categories,"
            " max(abs(total - 1)) AS error FROM (SELECT *, sum(category_spend_share) OVER (PARTITION BY as_of,"
            " customer_id) AS total FROM customer_categories_history)",
            [],
        )
        (differences,) = published.rows(
            "SELECT count(*) AS customers, count(*) FILTER (taste.category_count <> features.category_count) AS counts,"
            " count(*) FILTER (NOT EXISTS (FROM customer_categories AS own WHERE own.customer_id = taste.customer_id"
            " AND category = top_category AND abs(category_spend_share - top_category_share) < 1e-12)) AS tops"
            " FROM customer_taste AS taste JOIN customer_features AS features USING (as_of, customer_id)",
            [],
        )
    assert (found["snapshots"], found["categories"]) == (7, 3)
    assert found["error"] < 1e-9
    assert differences["customers"] > 100
    assert (differences["counts"], differences["tops"]) == (0, 0)


def test_the_card_in_the_terminal_shows_what_they_buy_and_what_next(shop_run: Settings) -> None:
    shown = io.StringIO()
    print_card(Console(file=shown, width=200), customer_card(shop_run, "c0000"))
    for words in ("Spends on", "food", "Next categories, next 28 days", "Last bought"):
        assert words in shown.getvalue()


@pytest.fixture(scope="module")
def uncategorised(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A shop of which no column is mapped as category."""
    config: Path = shop(tmp_path_factory.mktemp("taste"))
    text = config.read_text(encoding="utf-8").replace('category = "department"\n', "")
    config.write_text(text, encoding="utf-8")
    settings, _ = make(config, None, "2020-03-01")
    return settings


@pytest.mark.slow
def test_without_categories_a_run_succeeds_and_the_tables_are_empty(uncategorised: Settings) -> None:
    with Published(uncategorised.published_path) as published:
        for table in ("customer_categories", "customer_taste", "customer_next_category"):
            assert published.rows(f"SELECT * FROM {table}_history", []) == []
        models = published.rows("SELECT abstain_reason FROM next_category_model_history", [])
        assert models == [{"abstain_reason": NO_CATEGORIES}] * 2
        (told,) = published.rows(
            "SELECT count(*) > 0 AS has_customers, count(next_category) AS known, count(*) FILTER (contains("
            "action_reason, '[') OR contains(action_reason, 'suggest')) AS broken FROM customer_genome",
            [],
        )
        assert told == {"has_customers": True, "known": 0, "broken": 0}
        assert published.rows("SELECT DISTINCT overbought_categories FROM segment_profiles", []) == [
            {"overbought_categories": None}
        ]


def test_next_categories_have_no_probability_until_a_snapshot_has_matured(shop_run: Settings) -> None:
    with Published(shop_run.published_path) as published:
        found = published.rows(
            "SELECT as_of, count(DISTINCT customer_id) AS customers, max(next_category_rank) AS ranks,"
            " count(category_probability) > 0 AS is_told, max(abstain_reason) AS reason"
            " FROM customer_next_category_history GROUP BY 1 ORDER BY 1",
            [],
        )
        everyone = published.rows("SELECT count(*) AS customers FROM customer_genome_history GROUP BY as_of", [])
        models = published.rows("SELECT * FROM next_category_model_history ORDER BY as_of", [])
    assert [row["is_told"] for row in found] == [False] * 2 + [True] * 5
    assert str(found[0]["reason"]).startswith("no snapshot with enough customers has matured")
    assert sorted(row["customers"] for row in found) == sorted(row["customers"] for row in everyone)
    assert {row["ranks"] for row in found} == {3}
    assert [row["training_snapshot_count"] for row in models] == [0, 0, 1, 1, 2, 3, 3]
    assert models[-1]["recall_at_ten_share"] == 1


def test_the_genome_has_the_next_category_and_the_one_to_suggest(shop_run: Settings) -> None:
    with Published(shop_run.published_path) as published:
        wrong = published.rows(
            "SELECT customer_id FROM customer_genome_history AS genome"
            " LEFT JOIN customer_next_category_history AS first USING (as_of, customer_id)"
            " WHERE first.next_category_rank = 1 AND (next_category <> first.category"
            " OR next_category_probability IS DISTINCT FROM first.category_probability"
            " OR suggested_category NOT IN (SELECT category FROM customer_next_category))",
            [],
        )
        (told,) = published.rows(
            "SELECT count(*) AS customers, count(next_category) AS known, count(suggested_category) AS suggested,"
            " count(*) FILTER (contains(action_reason, '[') OR contains(action_reason, 'unknown')) AS broken"
            " FROM customer_genome",
            [],
        )
    assert wrong == []
    assert told["customers"] == told["known"] == told["suggested"] > 100
    assert told["broken"] == 0


@pytest.mark.slow
def test_neighbours_are_compared_by_taste_where_there_are_categories(
    shop_run: Settings, uncategorised: Settings
) -> None:
    compared = []
    for settings in (shop_run, uncategorised):
        with Published(settings.published_path) as published:
            (index,) = published.rows("SELECT parameters FROM similarity_index", [])
            compared.append(json.loads(index["parameters"]))
    assert len(compared[0]["categories"]) == 3
    assert [gene for gene in compared[0]["genes"] if gene.startswith("category_share")] == list(TASTE_SHARES[:3])
    assert compared[1]["categories"] == []
    assert not [gene for gene in compared[1]["genes"] if gene.startswith("category_share")]


def test_the_reorder_date_follows_from_the_customers_own_rhythm(shop_run: Settings) -> None:
    with Published(shop_run.published_path) as published:
        wrong = published.rows(
            "SELECT * FROM customer_next_category WHERE reorder_date < as_of"
            " OR (reorder_date IS NOT NULL AND last_order_date IS NULL)",
            [],
        )
        (rhythms,) = published.rows("SELECT count(reorder_date) AS known FROM customer_next_category", [])
    assert wrong == []
    assert rhythms["known"] > 50
