"""What customers of a shop buy: made, checked and published; and a shop without categories."""

from __future__ import annotations

from pathlib import Path

import pytest

from genome_pipeline.published.reader import Published
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
        for table in ("customer_categories_history", "customer_taste_history"):
            assert published.rows(f"SELECT * FROM {table}", []) == []
        assert published.rows("SELECT count(*) > 0 AS has_customers FROM customer_genome", []) == [
            {"has_customers": True}
        ]
