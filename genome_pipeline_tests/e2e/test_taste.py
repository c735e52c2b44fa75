"""What customers of a shop buy: made, checked and published; and a shop without categories."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from genome_pipeline.command.terminal.customer import print_card
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


def test_without_categories_a_run_succeeds_and_the_tables_are_empty(uncategorised: Settings) -> None:
    with Published(uncategorised.published_path) as published:
        for table in ("customer_categories", "customer_taste", "customer_next_category"):
            assert published.rows(f"SELECT * FROM {table}_history", []) == []
        models = published.rows("SELECT abstain_reason FROM next_category_model_history", [])
        assert models == [{"abstain_reason": NO_CATEGORIES}] * 2
        assert published.rows("SELECT count(*) > 0 AS has_customers FROM customer_genome", []) == [
            {"has_customers": True}
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
