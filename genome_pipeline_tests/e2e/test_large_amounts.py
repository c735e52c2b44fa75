"""A shop whose currency has small units: orders of tens of millions, up to the largest amount the rules accept."""

import csv
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from genome_pipeline_tests.support.pipelines import make, shop

DONG = Decimal(2_500_000)  # a line of 5.00 becomes one of 12,500,000.00


@pytest.mark.slow
def test_a_shop_in_dong_is_published_to_the_last_cent(tmp_path: Path) -> None:
    config = shop(tmp_path)
    log = tmp_path / "log.csv"
    with log.open(newline="", encoding="utf-8") as file:
        header, *lines = csv.reader(file)
    lines = [[*line[:-1], str(Decimal(line[-1]) * DONG)] for line in lines]
    largest = next(line for line in lines if line[5] == "1" and line[2].startswith("2020-01"))
    largest[-1] = "999999999.99"
    with log.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *lines])
    settings, outcome = make(config, None, "2020-03-01")
    assert len(outcome.as_of) == 2
    bought = sum(
        Decimal(line[5]) * Decimal(line[6]) for line in lines if line[0] and line[2] < "2020-03-01" and line[6] != "0"
    )
    with duckdb.connect(str(settings.published_path), read_only=True) as published:
        (total, largest_std), *_ = published.execute(
            "SELECT sum(spend_amount), max(order_value_std_amount) FROM customer_features WHERE as_of = '2020-03-01'"
        ).fetchall()
        returned = published.execute(
            "SELECT sum(return_amount - gross_amount) FROM customer_activity WHERE customer_id NOT IN"
            " (SELECT customer_id FROM customer_features) AND period_start_date < '2020-03-01'"
        ).fetchall()[0][0]
    assert total - (returned or 0) == bought
    assert 10_000_000 < largest_std < 1_000_000_000
