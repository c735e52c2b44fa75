"""A shop with several horizons: made, checked, published, and shown."""

from __future__ import annotations

import io
import json
import os
from datetime import date
from itertools import pairwise

import duckdb
import pytest
from rich.console import Console

from genome_pipeline.command.terminal.customer import print_card
from genome_pipeline.contracts.columns.totals import TOTALS
from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.assets.totals import totals
from genome_pipeline.orchestration.failures import first_cause
from genome_pipeline.published.audience import audience_summary
from genome_pipeline.published.reader import Published
from genome_pipeline.published.summary import customer_card
from genome_pipeline.published.totals import total_sums, with_bounds
from genome_pipeline.settings import Settings
from genome_pipeline.warehouse.artifacts import Artifacts
from genome_pipeline_tests.support.pipelines import make, materialise, shop


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    config = shop(tmp_path_factory.mktemp("outlook"))
    text = config.read_text(encoding="utf-8").replace("horizon_days = 28", "horizons_days = [28, 84, 14, 365]")
    config.write_text(text, encoding="utf-8")
    settings, _ = make(config)
    os.environ.pop("DAGSTER_HOME", None)
    return settings


def test_every_customer_has_every_horizon_and_none_says_less_than_a_shorter_one(several: Settings) -> None:
    with Published(several.published_path) as published:
        found = published.rows(
            "SELECT horizon_days, count(*) AS customers, avg(1 - churn_probability) AS buys,"
            " sum(expected_orders) AS orders, bool_or(is_extrapolated) AS is_extrapolated"
            " FROM customer_outlook GROUP BY 1 ORDER BY 1",
            [],
        )
    assert [row["horizon_days"] for row in found] == [14, 28, 84, 365]
    assert len({row["customers"] for row in found}) == 1
    assert [row["is_extrapolated"] for row in found] == [False, False, False, True]
    for less, more in pairwise(found):
        assert less["buys"] < more["buys"] < 1
        assert less["orders"] < more["orders"]


def test_each_further_horizon_says_what_it_rests_on(several: Settings) -> None:
    with Published(several.published_path) as published:
        found = published.rows("SELECT * FROM outlook_model ORDER BY horizon_days", [])
    assert [(row["as_of"], row["horizon_days"]) for row in found] == [
        (date(2020, 8, 1), days) for days in (14, 84, 365)
    ]
    assert [row["training_snapshot_count"] > 0 for row in found] == [True, True, False]


def test_further_horizons_change_nothing_about_the_main_one(several: Settings, shop_run: Settings) -> None:
    query = (
        "SELECT as_of, customer_id, churn_probability, expected_orders_upper, expected_spend, abstain_reason"
        " FROM customer_outlook_history WHERE horizon_days = 28 ORDER BY 1, 2"
    )
    with Published(several.published_path) as published, Published(shop_run.published_path) as alone:
        assert published.rows(query, []) == alone.rows(query, [])
        assert alone.rows("SELECT DISTINCT horizon_days FROM customer_outlook_history", []) == [{"horizon_days": 28}]
        assert alone.rows("SELECT * FROM outlook_model_history", []) == []


def test_the_card_in_the_terminal_shows_every_horizon(several: Settings) -> None:
    shown = io.StringIO()
    print_card(Console(file=shown, width=240), customer_card(several, "c0000", date(2020, 8, 1)))
    for words in (
        "Next order",
        "84 days",
        "365 days",
        "earlier outcomes",
        "no snapshot that carries a",
    ):
        assert words in shown.getvalue()


def test_each_further_horizon_that_passed_is_measured_and_judged(several: Settings) -> None:
    with Published(several.published_path) as published:
        found = published.rows("SELECT * FROM outlook_performance_history ORDER BY as_of, horizon_days", [])
        checked = published.rows(
            "SELECT check_name, is_passed FROM data_quality WHERE starts_with(check_name, 'outlook_is_calibrated')", []
        )
    assert [(row["as_of"], row["matured_as_of"]) for row in found if row["horizon_days"] == 84] == [
        (date(2020, month, 1), date(2020, month + 3, 1)) for month in (2, 3, 4, 5)
    ]
    assert {row["horizon_days"] for row in found} == {14, 84}
    with duckdb.connect(str(several.warehouse_path), read_only=True) as warehouse:
        ((customers, silent),) = warehouse.execute(
            "SELECT count(*), sum((last_order.customer_id IS NULL)::INTEGER) FROM customer_outlook AS told LEFT JOIN"
            " (SELECT DISTINCT customer_id FROM validated_transactions WHERE NOT is_return AND ordered_at >="
            " DATE '2020-05-01' AND ordered_at < DATE '2020-07-24') AS last_order USING (customer_id)"
            " WHERE as_of = DATE '2020-05-01' AND horizon_days = 84"
        ).fetchall()
    (may,) = (row for row in found if (row["as_of"], row["horizon_days"]) == (date(2020, 5, 1), 84))
    assert (may["customer_count"], may["actual_churn_share"]) == (customers, pytest.approx(silent / customers))
    assert [row["check_name"] for row in checked].count("outlook_is_calibrated_84_days") == 4


def test_totals_of_all_of_segments_and_of_cohorts_agree_and_have_bounds_over_every_matured_horizon(
    several: Settings,
) -> None:
    with Published(several.published_path) as published:
        found = published.rows(
            "SELECT group_kind, horizon_days, sum(customer_count) AS customers, sum(expected_spend_amount) AS spend,"
            " bool_and(expected_spend_amount_upper IS NOT NULL) AS has_bounds,"
            " bool_and(abstain_reason IS NULL) AS is_told,"
            " sum(expected_order_count_upper - expected_order_count_lower) AS width FROM forecast_totals"
            " WHERE customer_count >= 4 GROUP BY 1, 2 ORDER BY 2, 1",
            [],
        )
        bounds = published.rows(
            "SELECT horizon_days, sum(expected_orders_upper - expected_orders_lower) AS width FROM customer_outlook"
            " GROUP BY 1 ORDER BY 1",
            [],
        )
        shown = published.rows("SELECT sum(expected_spend) AS spend FROM customer_genome", [])[0]["spend"]
    assert [row["horizon_days"] for row in found] == [days for days in (14, 28, 84, 365) for _ in range(4)]
    for cohorts, company, categories, segments in (found[i : i + 4] for i in range(0, 16, 4)):
        for groups in (cohorts, categories, segments):
            assert groups["customers"] == company["customers"]
            assert groups["spend"] == pytest.approx(company["spend"], rel=1e-9)
        is_matured = company["horizon_days"] < 365
        assert {row["has_bounds"] for row in (cohorts, company, categories, segments)} == {is_matured}
        assert {row["is_told"] for row in (cohorts, company, categories, segments)} == {is_matured}
    assert next(row for row in found if row["horizon_days"] == 28)["spend"] == pytest.approx(shown, rel=1e-9)
    for row, summed in zip([row for row in found if row["group_kind"] == "company"][:3], bounds, strict=False):
        assert 0 < row["width"] < summed["width"]


def test_any_customers_have_a_total_with_an_interval_and_none_contradicts_a_group_s_own(several: Settings) -> None:
    with Published(several.published_path) as published:
        connection, parameters = published.connection, published.parameters()
        days, level = parameters["horizon_days"], parameters["interval_level"]
        sums = connection.execute(
            f"SELECT 'all' AS group_key, {total_sums()} FROM customer_genome UNION ALL BY NAME SELECT"
            f" segment_id::VARCHAR AS group_key, {total_sums()} FROM customer_genome GROUP BY segment_id"
        ).df()
        found = with_bounds(connection, published.latest(), days, level, sums).set_index("group_key").sort_index()
        groups = connection.execute(
            "SELECT * FROM forecast_totals WHERE group_kind IN ('company', 'segment') AND horizon_days = ?", [days]
        ).df()
        rows = audience_summary(several)["audiences"]
    groups = groups.set_index("group_key").sort_index()
    assert len(groups) > 2
    for name in TOTALS:
        for end in ("", "_lower", "_upper"):
            assert found[f"{name}{end}"].tolist() == pytest.approx(groups[f"{name}{end}"].tolist(), rel=1e-9)
    assert groups["expected_spend_amount_upper"].notna().all()
    somebody = [row for row in rows if row["customer_count"] >= 4]
    assert somebody
    assert all(
        row["expected_spend_amount_lower"] <= row["expected_spend_amount"] <= row["expected_spend_amount_upper"]
        for row in somebody
    )
    assert {row["expected_spend_amount"] for row in rows if not row["customer_count"]} <= {None}


def test_totals_over_models_of_before_they_were_learned_of_say_what_to_make_again(
    several: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_spreads(store: Artifacts, name: str) -> bytes:
        model = json.loads(read(store, name))
        model.pop("spreads", None)
        return json.dumps(model).encode()

    read = Artifacts.read
    monkeypatch.setattr(Artifacts, "read", without_spreads)
    stopped = materialise(several, [totals], date(2020, 7, 1), date(2020, 7, 1))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert not stopped.success
    assert str(first_cause(stopped.all_events)) == (
        "the models of 2020-08-01 were made by an earlier version and do not say how far totals were off: materialise"
        " value_model and outlook_model of that period first, or use `genome run`"
    )


@pytest.mark.slow
def test_a_changed_cost_is_published_without_making_a_snapshot_again(
    several: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def paid(settings: Settings) -> list[tuple[float | None, bool | None]]:
        with Published(settings.published_path) as published:
            rows = published.rows("SELECT * FROM cohort_payback WHERE as_of = DATE '2020-08-01' ORDER BY 2", [])
        return [(row["cost_per_customer_amount"], row["is_paid_back"]) for row in rows]

    config = several.home.parent / "home.toml"
    text = config.read_text(encoding="utf-8")
    assert {cost for cost, _ in paid(several)} == {None}
    config.write_text(f"{text}\n[acquisition]\ncost_per_customer = 1\n", encoding="utf-8")
    settings, outcome = make(config)
    assert outcome.as_of == ()
    assert set(paid(settings)) == {(1.0, True)}
    costs = config.with_name("costs.csv")
    costs.write_text("cohort,cost\n2020-02,100000\n", encoding="utf-8")
    config.write_text(f'{text}\n[acquisition]\ncost_file = "costs.csv"\n', encoding="utf-8")
    settings, outcome = make(config)
    assert outcome.as_of == ()
    assert paid(settings)[:3] == [(None, None), (100000.0, False), (None, None)]
    assert make(config)[1].run_id is None, "nothing is left to publish"
    costs.write_text("cohort,cost\n2020-02,cheap\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"costs\.csv line 2: 'cheap' is no cost; write a number from 0"):
        make(config)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
