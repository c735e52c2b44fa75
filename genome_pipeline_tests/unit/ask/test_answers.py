"""Questions whose answers SQL on the published file gives, too."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

from genome_pipeline.ask.measures import DIMENSIONS, MEASURES
from genome_pipeline.ask.records import NOTHING_MATURED
from genome_pipeline_tests.support.published_file import HOSTILE_ID
from genome_pipeline_tests.unit.ask.asking import Ask, asking, plain

SQL_OF = {
    "customer_count": "count(*)",
    "spend_amount": "sum(spend_amount)",
    "mean_spend_amount": "sum(spend_amount) / count(*)",
    "recent_spend_amount": "sum(recent_spend_amount)",
    "purchase_day_count": "sum(purchase_day_count)",
    "mean_purchase_day_count": "sum(purchase_day_count) / count(*)",
    "mean_days_since_last_order": "sum(days_since_last_order) / count(*)",
    "mean_order_gap_days": "avg(order_gap_mean_days)",
    "mean_average_order_value_amount": "avg(average_order_value_amount)",
    "mean_return_share": "avg(return_share)",
    "expected_buyer_count": "count(churn_probability) - sum(churn_probability)",
    "expected_order_count": "sum(expected_orders)",
    "expected_spend_amount": "sum(expected_spend)",
    "mean_churn_probability": "avg(churn_probability)",
    "mean_expected_orders": "sum(expected_orders) / count(expected_orders)",
    "mean_expected_spend": "sum(expected_spend) / count(expected_spend)",
    "revenue_at_stake_amount": "sum(revenue_at_stake_amount)",
    "lifetime_value_amount": "sum(lifetime_value_amount)",
    "mean_confidence": "avg(confidence)",
}
DAYS = (
    "CASE WHEN days_since_last_order < 30 THEN 'under 30' WHEN days_since_last_order < 90 THEN '30 to under 90'"
    " WHEN days_since_last_order < 180 THEN '90 to under 180' WHEN days_since_last_order < 365 THEN '180 to under 365'"
    " ELSE '365 or more' END"
)
COLUMNS = {
    **{name: f"{name}::VARCHAR" for name in DIMENSIONS if not name.endswith("_band")},
    "risk_band": "risk_band",
    "confidence_band": "confidence_band",
    "days_since_last_order_band": DAYS,
    "customer_age_days_band": (
        "CASE WHEN t_days < 90 THEN 'under 90' WHEN t_days < 180 THEN '90 to under 180'"
        " WHEN t_days < 365 THEN '180 to under 365' WHEN t_days < 730 THEN '365 to under 730' ELSE '730 or more' END"
    ),
    "purchase_day_count_band": (
        "CASE WHEN purchase_day_count < 2 THEN 'under 2' WHEN purchase_day_count < 3 THEN '2 to under 3'"
        " WHEN purchase_day_count < 6 THEN '3 to under 6' WHEN purchase_day_count < 11 THEN '6 to under 11'"
        " ELSE '11 or more' END"
    ),
    "spend_amount_band": (
        "CASE WHEN spend_amount < 10 THEN 'under 10' WHEN spend_amount < 100 THEN '10 to under 100'"
        " WHEN spend_amount < 1000 THEN '100 to under 1,000' WHEN spend_amount < 10000 THEN '1,000 to under 10,000'"
        " ELSE '10,000 or more' END"
    ),
}


class Case(NamedTuple):
    """A question, and the SQL that gives the same rows; ``reads`` says which part of the answer they are."""

    tool: str
    arguments: dict[str, Any]
    sql: str
    reads: str = "groups"
    columns: Sequence[str] = ()
    is_single: bool = False

    def __str__(self) -> str:
        return f"{self.tool} {self.arguments}"


def measure(
    *measures: str, by: Sequence[str] = (), where: Sequence[tuple[str, str | None]] = (), sql: str = "TRUE", **more: Any
) -> Case:
    """A question on groups: measures by columns, with filters, of which ``sql`` is the condition."""
    chosen = ", ".join([*(COLUMNS[name] for name in by), *(SQL_OF[name] for name in measures)])
    filters = [{"column": column, "value": value} for column, value in where]
    is_single = bool(more.pop("is_single", False))
    day = f"DATE '{more['as_of']}'" if "as_of" in more else "(SELECT max(as_of) FROM customer_genome_history)"
    return Case(
        "measure",
        {"measures": [*measures], "group_by": [*by], "filters": filters, **more},
        f"SELECT {chosen} FROM customer_genome_history WHERE as_of = {day} AND {sql}"
        + (f" GROUP BY {', '.join(COLUMNS[name] for name in by)}" if by else ""),
        is_single=is_single,
    )


WHOLE = ("segment_name", "action_rule", "country", "next_category", "suggested_category", "has_moved", "is_for_review")
"""Columns by which every group of the file is large enough."""

TOTALS = (
    "expected_buyer_count, expected_buyer_count_lower, expected_buyer_count_upper,"
    " expected_order_count, expected_order_count_lower, expected_order_count_upper,"
    " expected_spend_amount, expected_spend_amount_lower, expected_spend_amount_upper"
)
TELLING = "metric IN ('total_ratio', 'coverage', 'mae', 'predicted_rate', 'base_rate', 'brier', 'auc')"
RECORD = (
    "SELECT target, as_of, slice_value, metric, max(metric_value) FILTER (predictor = 'model'),"
    " max(metric_value) FILTER (predictor = 'naive') FROM {table} WHERE " + TELLING + " AND {rows} GROUP BY ALL"
)
OF_ALL = RECORD.format(table="model_performance_history", rows="slice_name = 'all'")
CUSTOMER = f"customer_id = '{HOSTILE_ID}'"

QUESTIONS: list[Case] = [
    *(measure(name) for name in MEASURES),
    *(measure(name, by=["segment_name"]) for name in MEASURES),
    *(measure("customer_count", "mean_confidence", by=[name]) for name in WHOLE),
    measure("customer_count", by=["days_since_last_order_band"]),
    measure("customer_count", by=["purchase_day_count_band"]),
    # Small groups are told where single customers are.
    *(
        measure("customer_count", "expected_spend_amount", by=["segment_name", name], is_single=True)
        for name in DIMENSIONS
        if name != "segment_name"
    ),
    # Filters.
    measure("spend_amount", where=[("country", "France")], sql="country = 'France'"),
    measure("spend_amount", where=[("country", None)], sql="country IS NULL"),
    measure(
        "customer_count",
        "mean_expected_spend",
        where=[("segment_name", "Occasional <b>visitors</b>")],
        sql="segment_name = 'Occasional <b>visitors</b>'",
    ),
    measure(
        "customer_count", where=[("suggested_category", "<b>PASTRY</b>")], sql="suggested_category LIKE '%PASTRY%'"
    ),
    measure("expected_spend_amount", where=[("has_moved", "true")], sql="has_moved"),
    measure("mean_churn_probability", where=[("action_rule", "win_back")], sql="action_rule = 'win_back'"),
    measure(
        "expected_order_count",
        by=["country"],
        where=[("days_since_last_order_band", "under 30")],
        sql="days_since_last_order < 30",
    ),
    measure(
        "recent_spend_amount",
        where=[("purchase_day_count_band", "11 or more"), ("country", "United Kingdom")],
        sql="purchase_day_count >= 11 AND country = 'United Kingdom'",
    ),
    measure(
        "lifetime_value_amount",
        where=[("risk_band", "high"), ("segment_name", "Lapsing one-timers"), ("has_moved", "false")],
        sql="risk_band = 'high' AND segment_name LIKE 'Lapsing%' AND NOT has_moved",
        is_single=True,
    ),
    # Earlier snapshots.
    *(
        measure("customer_count", "expected_spend_amount", "mean_churn_probability", as_of=day)
        for day in ("2017-10-01", "2017-11-01", "2017-12-01")
    ),
    measure("revenue_at_stake_amount", by=["segment_name"], as_of="2017-12-01"),
    # Intervals.
    Case(
        "measure",
        {"measures": ["expected_buyer_count", "expected_order_count", "expected_spend_amount"]},
        f"SELECT {TOTALS} FROM forecast_totals WHERE group_kind = 'company' AND horizon_days = 28",
        "bounds",
    ),
    Case(
        "measure",
        {
            "measures": ["expected_buyer_count", "expected_order_count", "expected_spend_amount"],
            "group_by": ["segment_name"],
        },
        f"SELECT group_name, {TOTALS} FROM forecast_totals WHERE group_kind = 'segment' AND horizon_days = 28",
        "bounds",
    ),
    Case(
        "measure",
        {"measures": ["mean_expected_spend"]},
        "SELECT expected_spend_amount / known, expected_spend_amount_lower / known, expected_spend_amount_upper / known"
        " FROM forecast_totals, (SELECT count(expected_spend) AS known FROM customer_genome)"
        " WHERE group_kind = 'company' AND horizon_days = 28",
        "bounds",
    ),
    Case(
        "measure",
        {"measures": ["mean_churn_probability"]},
        "SELECT 1 - expected_buyer_count / known, 1 - expected_buyer_count_upper / known,"
        " 1 - expected_buyer_count_lower / known"
        " FROM forecast_totals, (SELECT count(churn_probability) AS known FROM customer_genome)"
        " WHERE group_kind = 'company' AND horizon_days = 28",
        "bounds",
    ),
    # Totals over every horizon.
    *(
        Case(
            "forecast",
            {"group": kind, **({} if days is None else {"horizon_days": days})},
            f"SELECT group_name, horizon_days, customer_count, is_extrapolated, {TOTALS} FROM forecast_totals"
            f" WHERE group_kind = '{kind}' AND horizon_days = coalesce({days or 'NULL'}, horizon_days)",
            "totals",
        )
        for kind in ("company", "segment", "cohort")
        for days in (28, 84, None)
    ),
    # Segments and audiences.
    Case(
        "segments",
        {},
        "SELECT segment_name, customer_count, customer_share, mean_confidence_score, distinguishing_genes,"
        " overbought_categories FROM segment_profiles",
        "segments",
    ),
    Case(
        "audiences",
        {},
        "SELECT action_rule, customers, churn, lift, action FROM (SELECT action_rule, count(*) AS customers FROM"
        " customer_genome GROUP BY 1) LEFT JOIN (SELECT action_rule, actual_churn_share AS churn, churn_lift_ratio AS"
        " lift, action FROM action_audiences) USING (action_rule)",
        "audiences",
    ),
    # How forecasts did.
    Case("track_record", {}, OF_ALL, "record"),
    Case("track_record", {"about": "spend"}, f"FROM ({OF_ALL}) WHERE target = 'spend'", "record"),
    Case(
        "track_record",
        {"by": "segment"},
        RECORD.format(table="model_performance", rows="slice_name = 'segment'"),
        "record",
    ),
    Case(
        "track_record",
        {"by": "value_decile", "about": "orders"},
        RECORD.format(table="model_performance", rows="slice_name = 'value_decile' AND target = 'orders'"),
        "record",
    ),
    Case(
        "track_record",
        {"about": "orders"},
        "SELECT orders_total_ratio FROM outlook_performance_history UNION ALL"
        " SELECT orders_coverage_share FROM outlook_performance_history",
        "further",
    ),
    # Data quality.
    Case(
        "data_quality",
        {},
        "SELECT reason, sum(row_count) FROM quarantine_reasons GROUP BY 1",
        "quarantine",
        ("reason", "row_count"),
    ),
    Case(
        "data_quality",
        {},
        "SELECT check_name, observed FROM data_quality WHERE run_id = 'run-2' AND NOT is_passed",
        "failed_checks",
        ("check_name", "observed"),
    ),
    Case(
        "data_quality",
        {},
        "SELECT gene, baseline, psi FROM gene_drift WHERE has_drifted",
        "drifted_genes",
        ("gene", "baseline", "psi"),
    ),
    # Experiments.
    Case(
        "experiments",
        {},
        "SELECT experiment_id, verdict, effect, effect_lower, effect_upper, treated_count FROM experiment_verdicts",
        "experiments",
        ("experiment_id", "verdict", "effect", "effect_lower", "effect_upper", "treated_count"),
    ),
    *(
        Case(
            "experiments",
            {"experiment_id": name},
            "SELECT as_of, outcome_name, effect_total, effect_total_lower, effect_total_upper, verdict_reason FROM"
            f" experiment_results_history WHERE experiment_id = '{name}'",
            "looks",
            ("as_of", "outcome_name", "effect_total", "effect_total_lower", "effect_total_upper", "verdict_reason"),
        )
        for name in ("cross-sell-2017-10-01", "activate-2017-12-01")
    ),
    # Single customers.
    *(
        Case(
            "customers",
            {"order_by": name, "count": 5},
            f"SELECT customer_id, {name} FROM customer_genome ORDER BY {name} DESC NULLS LAST, customer_id LIMIT 5",
            "customers",
            ("customer_id", name),
            is_single=True,
        )
        for name in ("revenue_at_stake_amount", "expected_spend", "spend_amount")
    ),
    Case(
        "customers",
        {"filters": [{"column": "country", "value": "France"}, {"column": "is_overdue", "value": "true"}], "count": 50},
        "SELECT customer_id, churn_probability FROM customer_genome WHERE country = 'France' AND is_overdue",
        "customers",
        ("customer_id", "churn_probability"),
        is_single=True,
    ),
    *(
        Case(
            "customer",
            {"customer_id": HOSTILE_ID},
            f"SELECT {columns} FROM {table} WHERE {CUSTOMER}",
            part,
            names,
            True,
        )
        for part, table, names in (
            ("outlook", "customer_outlook", ("horizon_days", "expected_spend", "expected_spend_upper")),
            ("categories", "customer_categories", ("category", "category_spend_share")),
            ("next_categories", "customer_next_category", ("category", "category_probability", "reorder_date")),
            ("neighbors", "customer_neighbors", ("neighbor_rank", "neighbor_customer_id", "similarity")),
            ("drivers", "customer_drivers", ("prediction", "driver", "contribution", "explanation")),
        )
        for columns in [", ".join(names)]
    ),
    Case(
        "customer",
        {"customer_id": HOSTILE_ID},
        "SELECT segment_name, spend_amount, churn_probability, next_order_date, action FROM customer_genome"
        f" WHERE {CUSTOMER}",
        "genome",
        ("segment_name", "spend_amount", "churn_probability", "next_order_date", "action"),
        is_single=True,
    ),
    Case(
        "customer",
        {"customer_id": "C0010", "as_of": "2017-11-01"},
        "SELECT expected_spend FROM customer_genome_history WHERE customer_id = 'C0010' AND as_of = '2017-11-01'",
        "genome",
        ("expected_spend",),
        is_single=True,
    ),
]


def told(case: Case, answer: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of an answer that the case is about."""
    if case.reads == "groups":
        return [
            (*map(plain, group["of"].values()), *(measured["value"] for measured in group["measured"]))
            for group in answer["groups"]
        ]
    ends = ("value", "lower", "upper")
    if case.reads == "bounds":
        return [
            (*map(plain, group["of"].values()), *(each[end] for each in group["measured"] for end in ends))
            for group in answer["groups"]
        ]
    if case.reads == "totals":
        return [
            (
                plain(total["group"]).replace("all customers", "All customers"),
                *(total[name] for name in ("horizon_days", "customer_count", "is_extrapolated")),
                *(each[end] for each in total["measured"] for end in ends),
            )
            for total in answer["totals"]
        ]
    if case.reads == "segments":
        names = ("customer_count", "customer_share", "mean_confidence", "what_sets_it_apart", "overbought_categories")
        return [
            (plain(each["of"]["segment_name"]), *(plain(each[name]) for name in names)) for each in answer["segments"]
        ]
    if case.reads == "audiences":
        return [
            (
                plain(each["of"]["action_rule"]),
                each["customer_count"],
                *(each["backtest"].get(name) for name in ("actual_churn_share", "churn_lift_ratio")),
                plain(each["action"]),
            )
            for each in answer["audiences"]
        ]
    if case.reads in ("record", "further"):
        kept = [each for each in answer["track_record"] if (each["horizon_days"] == 28) == (case.reads == "record")]
        columns = ("about", "as_of", "of", "metric", "model", "naive") if case.reads == "record" else ("model",)
        return [tuple(plain(each[name]) for name in columns) for each in kept]
    rows = [answer[case.reads]] if case.reads == "genome" else answer[case.reads]
    return [tuple(plain(each[name]) for name in case.columns) for each in rows]


def known(value: Any) -> Any:
    """A value of DuckDB as JSON has it."""
    if isinstance(value, date | datetime):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


@pytest.fixture(scope="module")
def sql(published_path: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(published_path), read_only=True)


def test_there_are_a_hundred_questions_about_every_tool_measure_and_column() -> None:
    assert len({str(case) + case.reads for case in QUESTIONS}) >= 100
    asked = set(chain.from_iterable(case.arguments.get("measures", ()) for case in QUESTIONS))
    assert asked == set(MEASURES) == set(SQL_OF)
    assert set(chain.from_iterable(case.arguments.get("group_by", ()) for case in QUESTIONS)) == set(DIMENSIONS)


@pytest.mark.parametrize("case", QUESTIONS, ids=str)
def test_an_answer_is_what_sql_says(
    case: Case, sql: duckdb.DuckDBPyConnection, groups_only: Ask, everything: Ask
) -> None:
    answer = (everything if case.is_single else groups_only)(case.tool, **case.arguments)
    basis = answer["basis"]
    assert basis["as_of"] == case.arguments.get("as_of", "2018-01-01")
    assert (basis["interval_level"], basis["horizon_days"], plain(basis["currency"])) == (0.8, 28, "USD")
    found = sorted(told(case, answer), key=str)
    wanted = sorted((tuple(map(known, row)) for row in sql.execute(case.sql).fetchall()), key=str)
    assert wanted
    assert len(found) == len(wanted)
    for mine, theirs in zip(found, wanted, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            is_number = isinstance(other, float) and one is not None
            assert one == (pytest.approx(other, abs=6e-5) if is_number else other)


def test_a_forecast_says_how_such_forecasts_did_and_how_sure_it_is(
    everything: Ask, sql: duckdb.DuckDBPyConnection
) -> None:
    answer = everything("measure", measures=["expected_spend_amount", "spend_amount"])
    assert {each["about"] for each in answer["track_record"]} == {"spend"}
    (mae,) = [each for each in answer["track_record"] if each["metric"] == "mae"]
    assert (mae["as_of"], mae["model"], mae["naive"]) == ("2017-12-01", 21.3, 26.8)
    (confidence,) = sql.execute("SELECT avg(confidence) FROM customer_genome").fetchall()[0]
    assert answer["groups"][0]["mean_confidence"] == pytest.approx(confidence, abs=6e-5)
    assert everything("measure", measures=["spend_amount"])["track_record"] == []


def test_what_is_not_known_is_refused_with_the_reason(published_path: Path, tmp_path: Path, everything: Ask) -> None:
    customer = everything("customer", customer_id="C0003")
    assert {(each["what"], plain(each["why"])) for each in customer["refusals"]} >= {
        ("expected orders and spend", "fewer than two purchase days"),
        ("churn probability", "fewer than two purchase days"),
    }
    spend = everything("measure", measures=["revenue_at_stake_amount"])["groups"][0]["measured"][0]
    assert spend["upper"] is None
    assert spend["why_missing"].startswith("no interval: the bounds of single customers do not add up")
    far = everything("forecast", horizon_days=84)["totals"][0]["measured"][0]
    assert (far["lower"], plain(far["why_missing"])) == (None, "no snapshot that carries a forecast has matured yet")
    young = tmp_path / "young.duckdb"
    shutil.copy(published_path, young)
    with duckdb.connect(str(young)) as connection:
        for table in ("model_performance_history", "experiments"):
            connection.execute(f"DELETE FROM {table}")
    ask = asking(young)
    refusals = ask("measure", measures=["expected_spend_amount"])["refusals"]
    assert {"what": "how forecasts of spend did before", "why": NOTHING_MATURED} in refusals
    assert ask("experiments")["refusals"] == [{"what": "verdicts", "why": "no experiment was started yet"}]
