"""A small published file made from the contracts: seeded, plausible, with the awkward cases pages have to survive."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import ibis
import numpy as np
import pandas as pd

from genome_pipeline.calendar import Period
from genome_pipeline.contracts.columns import SPREAD
from genome_pipeline.contracts.genes import GENES, PROFILE_GENES
from genome_pipeline.contracts.published import PUBLISHED_VERSION
from genome_pipeline.contracts.tables import RAW_COLUMNS, TABLES
from genome_pipeline.contracts.tables.taste import TASTE_SHARES
from genome_pipeline.contracts.views import VIEWS
from genome_pipeline.models.actions import leave_alone
from genome_pipeline.models.experiments.assignment import LEAST_ARM, assign
from genome_pipeline.models.experiments.results import Terms, looks_until, proofs, results
from genome_pipeline.models.forecast.candidates import FORECAST
from genome_pipeline.models.forecast.risk import CANDIDATES as RISK_CANDIDATES
from genome_pipeline.models.forecast.totals import TARGETS, TotalError, error_rows, forecast_totals, own_variances
from genome_pipeline.models.forecast.value import CANDIDATES as VALUE_CANDIDATES
from genome_pipeline.transforms.cohorts import cohorts, first_purchase_cohorts
from genome_pipeline.transforms.totals import group_sums

SNAPSHOTS = (date(2017, 10, 1), date(2017, 11, 1), date(2017, 12, 1), date(2018, 1, 1))
LATEST, MATURED = SNAPSHOTS[-1], SNAPSHOTS[-2]
HOSTILE_ID = "<script>alert(1)</script>"
"""A customer id that must never run."""
ABSTAINED_ID = "C0003"
"""A customer with neither prediction nor confidence."""
HORIZON_DAYS = 28
LONG_HORIZON_DAYS = 84
COST_PER_CUSTOMER = 250.0
PROVEN_EXPERIMENT, RUNNING_EXPERIMENT = "cross-sell-2017-10-01", "activate-2017-12-01"
"""Experiments: one on orders that is over by the latest snapshot, and one on spend that still runs."""

_PERIODS = tuple(date(2017, month, 1) for month in range(1, 13))
_SEGMENTS = {1: "Loyal high spenders", 2: "Steady regulars", 3: "Occasional <b>visitors</b>", 4: "Lapsing one-timers"}
_ACTIONS = {1: "Reward", 2: "Cross-sell", 3: "Activate", 4: "Win back"}
_NOT_MATURED = "no snapshot that carries a forecast has matured yet"
_TOTAL_ERRORS = {HORIZON_DAYS: dict.fromkeys(TARGETS, TotalError(0.007, 0.01, 1.0))}
_NOW = datetime(2018, 1, 2, 6, 30)


def build_published_file(path: Path, *, customer_count: int = 300, seed: int = 7, as_of: date = SNAPSHOTS[-1]) -> Path:
    """Write a published file whose latest snapshot is ``as_of``."""
    rng = np.random.default_rng(seed)
    snapshots = [snapshot for snapshot in SNAPSHOTS if snapshot <= as_of]
    activity = _activity(rng, customer_count)
    genome = pd.concat([_genome(rng, activity, snapshot) for snapshot in snapshots], ignore_index=True).assign(
        is_provisional=False
    )
    genome = _leading(_next_order(_with_previous_segments(genome, snapshots)))
    experiments, members = _experiments(genome)
    genome = _left_alone(genome, experiments, members)
    outcomes = _outcomes(rng, genome, snapshots)
    frames = {
        "customer_activity": activity,
        "customer_features": genome.assign(recent_window_days=30),
        "customer_genome": genome,
        "customer_segments": genome,
        "customer_value": genome.assign(abstain_reason=genome["value_abstain_reason"]),
        "customer_risk": genome.assign(abstain_reason=genome["risk_abstain_reason"]),
        "customer_categories": _categories(genome),
        "customer_taste": genome.assign(
            category_concentration=0.625, top_category="GROCERY", top_category_share=0.75, taste_shift_share=0.1
        ),
        "next_category_model": pd.DataFrame(
            {
                "as_of": snapshots,
                "selection_as_of": snapshots[0],
                "training_snapshot_count": 2,
                "training_row_count": 4_000,
                "recall_at_ten_share": 0.9,
                "own_recall_at_ten_share": 0.8,
                "abstain_reason": None,
                "artifact_file": "next_category.json",
            }
        ),
        "customer_next_category": _next_categories(genome),
        "outlook_model": _outlook_model(snapshots),
        "customer_outlook": _outlook(genome),
        "customer_lifetime_value": genome.assign(
            lifetime_horizon_days=LONG_HORIZON_DAYS,
            lifetime_year_count=3,
            discount_rate_share=0.1,
            abstain_reason=genome["value_abstain_reason"],
        ),
        "customer_next_order": genome.assign(abstain_reason=genome["risk_abstain_reason"]),
        "forecast_totals": _totals(genome),
        "forecast_total_errors": pd.concat([error_rows(as_of, _TOTAL_ERRORS) for as_of in snapshots]),
        "cohorts": _cohorts(genome, activity),
        "first_purchase_cohorts": _first_purchase_cohorts(genome, activity),
        "acquisition_costs": pd.DataFrame(
            {"cohort_start_date": _PERIODS, "cost_per_customer_amount": [COST_PER_CUSTOMER] * len(_PERIODS)}
        ),
        "customer_confidence": genome.assign(abstain_reason=genome["value_abstain_reason"]),
        "customer_actions": genome,
        "customer_drivers": _drivers(genome, snapshots),
        "customer_neighbors": _neighbors(genome),
        "matured_neighbors": _matured_neighbors(genome, snapshots),
        "neighbor_estimates": genome.assign(
            neighbor_as_of=snapshots[0], neighbor_count=25, mean_similarity=0.9, abstain_reason=None
        ),
        "action_audiences": _audiences(genome),
        "experiments": experiments,
        "experiment_members": members,
        "contacts": pd.DataFrame(columns=list(TABLES["contacts"].columns)),
        **_experiment_results(experiments, members, snapshots),
        "segment_profiles": _profiles(genome),
        "segment_migrations": _migrations(genome, snapshots),
        "segment_model": _segment_model(snapshots),
        "segment_events": _segment_events(snapshots),
        "value_model": _prediction_model(VALUE_CANDIDATES, snapshots, orders_mae=1.1, spend_mae_amount=21.0),
        "risk_model": _prediction_model(RISK_CANDIDATES, snapshots, brier_score=0.14, log_loss=0.42, auc=0.81),
        "similarity_index": pd.DataFrame(
            {
                "as_of": snapshots,
                "method": "exact cosine",
                "customer_count": customer_count,
                "gene_count": 16,
                "recall_share": 1.0,
                "parameters": json.dumps(
                    {"categories": ["GROCERY", "<b>DAIRY</b>"], "genes": TASTE_SHARES[:2], "weights": [0.5, 0.5]}
                ),
                "artifact_file": "similarity.npz",
            }
        ),
        "prediction_outcomes": outcomes,
        "model_performance": _performance(outcomes),
        "outlook_performance": _outlook_performance(snapshots),
        "gene_drift": _gene_drift(snapshots),
        "quarantine_reasons": _quarantine(),
        "quarantine_samples": _quarantine_samples(),
        "data_quality": _data_quality(),
        "source_files": _source_files(),
        "pipeline_runs": _pipeline_runs(snapshots[-1]),
        "data_dictionary": _data_dictionary(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(path)) as connection:
        for table in TABLES.values():
            if not table.is_published:
                continue
            stored = f"{table.name}_history" if table.is_snapshot else table.name
            connection.execute(table.ddl(stored))
            rows = frames[table.name][list(table.columns)]
            connection.register("rows", rows)
            connection.execute(f"INSERT INTO {stored} BY NAME SELECT * FROM rows")
            connection.unregister("rows")
            if table.is_snapshot:
                connection.execute(
                    f"CREATE VIEW {table.name} AS SELECT * FROM {stored}"
                    f" WHERE {table.slice_by} = (SELECT max({table.slice_by}) FROM {stored})"
                )
        for view in VIEWS.values():
            connection.execute(view.ddl("main"))
    return path


def _outlook_model(snapshots: Sequence[date]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "as_of": snapshots,
            "horizon_days": LONG_HORIZON_DAYS,
            "selection_as_of": pd.NaT,
            "training_snapshot_count": 0,
            "training_row_count": 0,
            **dict.fromkeys(("brier_score", "log_loss", "auc", "orders_mae", "spend_mae_amount"), np.nan),
            "abstain_reason": _NOT_MATURED,
            "artifact_file": "outlook.json",
        }
    )


def _outlook_performance(snapshots: Sequence[date]) -> pd.DataFrame:
    """The first snapshot, whose further horizon has passed at the last."""
    return pd.DataFrame(
        {
            "matured_as_of": [snapshots[-1]],
            "as_of": snapshots[0],
            "horizon_days": LONG_HORIZON_DAYS,
            "customer_count": 120,
            "actual_churn_share": 0.2,
            "mean_churn_probability": 0.25,
            "expected_brier_score": 0.15,
            "log_loss": 0.4,
            "orders_total_ratio": 0.98,
            "spend_total_ratio": 1.04,
            "orders_coverage_share": 0.86,
            "spend_coverage_share": np.nan,
        }
    )


def _outlook(genome: pd.DataFrame) -> pd.DataFrame:
    """The main horizon as it stands, and three times it, extrapolated."""
    main = genome.assign(
        horizon_days=HORIZON_DAYS, is_extrapolated=False, abstain_reason=genome["value_abstain_reason"]
    )
    long = main.assign(
        horizon_days=LONG_HORIZON_DAYS,
        churn_probability=main["churn_probability"] ** 2,
        expected_orders=main["expected_orders"] * 3,
        expected_spend=main["expected_spend"] * 3,
        is_extrapolated=main["churn_probability"].notna(),
        abstain_reason=main["abstain_reason"].fillna(_NOT_MATURED),
        **{
            f"{name}_{end}": np.nan
            for name in ("churn_probability", "expected_orders", "expected_spend")
            for end in ("lower", "upper")
        },
    )
    return pd.concat([main, long], ignore_index=True)


def _totals(genome: pd.DataFrame) -> pd.DataFrame:
    """The outlook added up; over the main horizon with bounds."""
    outlook, customers = ibis.memtable(_outlook(genome)), ibis.memtable(genome)
    firsts = ibis.memtable(_firsts(genome))
    sums = group_sums(outlook, customers, customers, firsts, Period.MONTH, own_variances).execute()
    return pd.concat(
        [forecast_totals(rows, _TOTAL_ERRORS, 0.8, HORIZON_DAYS) for _, rows in sums.groupby("as_of")],
        ignore_index=True,
    )


def _cohorts(genome: pd.DataFrame, activity: pd.DataFrame) -> pd.DataFrame:
    found: pd.DataFrame = cohorts(ibis.memtable(genome), ibis.memtable(activity), Period.MONTH).execute()
    return found


def _firsts(genome: pd.DataFrame) -> pd.DataFrame:
    """All began in one of two categories, or nothing is known of it."""
    values = np.array(["GROCERY", "<b>DAIRY</b>", "not known"])[genome["purchase_day_count"].to_numpy() % 3]
    return genome[["as_of", "customer_id"]].assign(cohort_kind="first_category", cohort=values)


def _first_purchase_cohorts(genome: pd.DataFrame, activity: pd.DataFrame) -> pd.DataFrame:
    customers, months, firsts = map(ibis.memtable, (genome, activity, _firsts(genome)))
    found: pd.DataFrame = first_purchase_cohorts(customers, months, firsts, Period.MONTH).execute()
    return found


def _categories(genome: pd.DataFrame) -> pd.DataFrame:
    """Three quarters in one category, a quarter in another whose name must never run; of every third all in one."""
    is_third = genome["customer_id"].rank(method="dense") % 3 == 0
    parts = []
    for rank, name, part in ((1, "GROCERY", 0.75), (2, "<b>DAIRY</b>", 0.25)):
        share = np.where(is_third, float(rank == 1), part)
        bought = genome.assign(
            category_rank=rank, category=name, net_amount=genome["spend_amount"] * share, category_spend_share=share
        )
        parts.append(bought[share > 0])
    return pd.concat(parts, ignore_index=True)


def _next_categories(genome: pd.DataFrame) -> pd.DataFrame:
    """One with a rhythm, and one never bought; no probability of whoever has no forecast."""
    buys = 1 - genome["churn_probability"]
    own = genome.assign(
        next_category_rank=1,
        category="GROCERY",
        category_probability=buys * 0.9,
        reorder_date=pd.to_datetime(genome["as_of"]) + pd.Timedelta(days=6),
    )
    new = genome.assign(
        next_category_rank=2,
        category="<b>PASTRY</b>",
        category_probability=buys * 0.3,
        last_order_date=None,
        reorder_date=None,
    )
    return pd.concat([own, new], ignore_index=True).assign(abstain_reason=lambda rows: rows["risk_abstain_reason"])


def _leading(genome: pd.DataFrame) -> pd.DataFrame:
    """The likeliest of :func:`_next_categories`, and the one never bought."""
    buys = 1 - genome["churn_probability"]
    return genome.assign(
        next_category="GROCERY",
        next_category_probability=buys * 0.9,
        suggested_category="<b>PASTRY</b>",
        suggested_category_probability=buys * 0.3,
    )


def _next_order(genome: pd.DataFrame) -> pd.DataFrame:
    """Within the horizon for whoever is likelier than not to buy, else after a year; none for who is almost lost."""
    churn = genome["churn_probability"]
    days = pd.to_timedelta(np.where(churn < 0.5, HORIZON_DAYS // 2, 365), unit="D")
    expected = (pd.to_datetime(genome["as_of"]) + days).where(churn < 0.9)
    return genome.assign(
        next_order_date=expected,
        next_order_date_lower=expected - pd.Timedelta(days=5),
        next_order_date_upper=(expected + pd.Timedelta(days=9)).where(churn < 0.6),
        further_order_probability=1 - churn / 2,
        silence_probability=1 - churn,
        is_overdue=(churn > 0.9).astype(object).where(churn.notna(), None),
        **{f"lifetime_value_amount{end}": genome[f"expected_spend{end}"] * 20 for end in ("", "_lower", "_upper")},
    )


def _activity(rng: np.random.Generator, customer_count: int) -> pd.DataFrame:
    ids = [f"C{number:04d}" for number in range(1, customer_count)] + [HOSTILE_ID]
    rows = []
    for index, customer_id in enumerate(ids):
        first = int(rng.integers(0, 9)) if index else 0
        rate = rng.gamma(1.2, 1.6)
        basket = rng.lognormal(3.3, 0.6)
        leaves = rng.random() < 0.3
        for position in range(first, 12):
            fading = 0.5 ** (position - first) if leaves else 1.0
            days = int(min(rng.poisson(rate * fading), 20)) if position > first else 1 + int(rng.poisson(rate))
            if days == 0:
                continue
            start = _PERIODS[position]
            gross = round(float(basket * days * rng.lognormal(0, 0.2)), 2)
            first_day = int(rng.integers(0, 8))
            last_day = first_day if days == 1 else min(27, first_day + int(rng.integers(days, 20)))
            rows.append(
                {
                    "period_start_date": start,
                    "customer_id": customer_id,
                    "first_order_date": start + timedelta(days=first_day),
                    "last_order_date": start + timedelta(days=last_day),
                    "order_count": days,
                    "purchase_day_count": days,
                    "line_count": days * 6,
                    "order_product_count": days * 5,
                    "item_count": days * 8,
                    "weekend_purchase_day_count": int(rng.binomial(days, 0.3)),
                    "categories": ["DAIRY", "GROCERY"][: 1 + days % 2],
                    "gross_amount": gross,
                    "return_amount": round(gross * 0.1, 2) if rng.random() < 0.05 else 0.0,
                    "first_day_amount": round(gross / days, 2),
                    "squared_order_amount_sum": gross**2 / days,
                    "squared_gap_days_sum": float(days * 9),
                    "last_gap_days": 3 if days > 1 else None,
                    "return_line_count": 0,
                    "country": ["United Kingdom", "France", None][index % 3],
                }
            )
    return pd.DataFrame(rows)


def _genome(rng: np.random.Generator, activity: pd.DataFrame, as_of: date) -> pd.DataFrame:
    known = activity[activity["period_start_date"] < as_of].sort_values(["customer_id", "period_start_date"])
    by_customer = known.groupby("customer_id")
    recent_start, previous_start = _shifted(as_of, 1), _shifted(as_of, 2)
    recent = known[known["period_start_date"] == recent_start].set_index("customer_id")
    previous = known[known["period_start_date"] == previous_start].set_index("customer_id")
    frame = pd.DataFrame(
        {
            "first_order_date": by_customer["first_order_date"].min(),
            "last_order_date": by_customer["last_order_date"].max(),
            "country": by_customer["country"].first(),
            "order_count": by_customer["order_count"].sum(),
            "purchase_day_count": by_customer["purchase_day_count"].sum(),
            "active_period_count": by_customer.size(),
            "return_amount": by_customer["return_amount"].sum(),
            "return_line_count": by_customer["return_line_count"].sum(),
            "gross": by_customer["gross_amount"].sum(),
        }
    )
    size = len(frame)
    frame["as_of"] = as_of
    frame["spend_amount"] = (frame["gross"] - frame["return_amount"]).round(2)
    frame["frequency_count"] = frame["purchase_day_count"] - 1
    frame["t_days"] = [(as_of - first).days for first in frame["first_order_date"]]
    frame["days_since_last_order"] = [(as_of - last).days for last in frame["last_order_date"]]
    frame["recency_days"] = frame["t_days"] - frame["days_since_last_order"]
    frame["active_period_share"] = (frame["active_period_count"] / np.ceil(frame["t_days"] / 31)).clip(upper=1)
    repeat = frame["frequency_count"] > 0
    frame["average_order_value_amount"] = frame["gross"] / frame["order_count"]
    frame["monetary_value_amount"] = frame["average_order_value_amount"].where(repeat)
    frame["order_value_std_amount"] = (frame["average_order_value_amount"] * 0.4).where(repeat)
    frame["items_per_order_count"] = 8 * rng.lognormal(0, 0.3, size)
    frame["products_per_order_count"] = 5 * rng.lognormal(0, 0.3, size)
    frame["category_count"] = rng.integers(1, 20, size)
    frame["order_gap_mean_days"] = (frame["recency_days"] / frame["frequency_count"].where(repeat)).where(repeat)
    frame["order_gap_std_days"] = (frame["order_gap_mean_days"] * 0.6).where(frame["frequency_count"] > 1)
    frame["order_gap_cv_ratio"] = frame["order_gap_std_days"] / frame["order_gap_mean_days"].replace(0, np.nan)
    frame["overdue_ratio"] = frame["days_since_last_order"] / frame["order_gap_mean_days"].replace(0, np.nan)
    frame["weekend_share"] = rng.beta(2, 5, size)
    frame["recent_purchase_day_count"] = recent["purchase_day_count"].reindex(frame.index).fillna(0).astype(int)
    frame["previous_purchase_day_count"] = previous["purchase_day_count"].reindex(frame.index).fillna(0).astype(int)
    frame["recent_spend_amount"] = recent["gross_amount"].reindex(frame.index).fillna(0).round(2)
    frame["previous_spend_amount"] = previous["gross_amount"].reindex(frame.index).fillna(0).round(2)
    days = frame["recent_purchase_day_count"] + frame["previous_purchase_day_count"]
    frame["momentum_share"] = (frame["recent_purchase_day_count"] / days.where(days > 0)).astype(float)
    frame["return_share"] = frame["return_amount"] / frame["gross"]
    frame["last_gap_days"] = frame["order_gap_mean_days"].round()
    frame["active_year_share"] = 1.0
    for name in ("year_ago", "two_years_ago"):
        frame[f"{name}_purchase_day_count"] = pd.Series(np.nan, frame.index)

    is_recent = frame["days_since_last_order"] <= 31
    is_big = frame["spend_amount"] >= frame["spend_amount"].quantile(0.8)
    frame["segment_id"] = np.select([is_recent & is_big, is_recent, repeat], [1, 2, 3], 4)
    frame["segment_name"] = frame["segment_id"].map(_SEGMENTS)
    frame["membership_probability"] = rng.uniform(0.5, 1, size)
    frame["second_segment_id"] = frame["segment_id"] % 4 + 1
    frame["second_segment_name"] = frame["second_segment_id"].map(_SEGMENTS)
    frame["second_membership_probability"] = (1 - frame["membership_probability"]) * 0.8

    frame["churn_probability"] = (frame["days_since_last_order"] / 180 + rng.uniform(0, 0.15, size)).clip(0.02, 0.98)
    frame["churn_probability_lower"] = (frame["churn_probability"] - 0.07).clip(lower=0)
    frame["churn_probability_upper"] = (frame["churn_probability"] + 0.09).clip(upper=1)
    frame["naive_churn_probability"] = np.where(frame["recent_purchase_day_count"] > 0, 0.2, 0.7)
    frame["p_alive"] = (1 - frame["churn_probability"] * 0.8).clip(0, 1)
    frame["risk_band"] = np.select(
        [frame["churn_probability"] < 1 / 3, frame["churn_probability"] < 2 / 3], ["low", "medium"], "high"
    )
    pace = frame["purchase_day_count"] / frame["t_days"] * HORIZON_DAYS
    frame["orders_if_retained"] = pace.clip(lower=1)
    frame["spend_per_order_amount"] = frame["average_order_value_amount"]
    frame["expected_orders"] = frame["orders_if_retained"] * (1 - frame["churn_probability"])
    frame["expected_orders_lower"] = frame["expected_orders"] * 0.4
    frame["expected_orders_upper"] = frame["expected_orders"] * 1.8 + 1
    frame["naive_expected_orders"] = frame["recent_purchase_day_count"] * HORIZON_DAYS / 31
    frame["expected_spend"] = frame["expected_orders"] * frame["spend_per_order_amount"]
    frame["expected_spend_lower"] = frame["expected_spend"] * 0.3
    frame["expected_spend_upper"] = frame["expected_spend"] * 2 + 10
    frame["naive_expected_spend"] = frame["recent_spend_amount"] * HORIZON_DAYS / 31
    parts = {
        "churn_confidence": (1 - 4 * frame["churn_probability"] * (1 - frame["churn_probability"])).astype(float),
        "orders_confidence": pd.Series(rng.uniform(0.3, 0.9, size), frame.index),
        "spend_confidence": pd.Series(rng.uniform(0.2, 0.8, size), frame.index),
    }
    frame = frame.assign(**parts)
    frame["confidence"] = frame[list(parts)].mean(axis=1)
    frame["confidence_band"] = np.select(
        [frame["confidence"] < 1 / 3, frame["confidence"] < 2 / 3], ["low", "medium"], "high"
    )
    frame["action"] = frame["segment_id"].map(_ACTIONS)
    frame["action_rule"] = frame["action"].str.lower().str.replace(" ", "_")
    frame["action_reason"] = [f"last order {days} days ago" for days in frame["days_since_last_order"]]
    frame["is_for_review"] = frame["confidence"] < 1 / 3
    if_retained = frame["orders_if_retained"] * frame["spend_per_order_amount"]
    frame["revenue_at_stake_amount"] = frame["churn_probability"] * if_retained
    frame["revenue_at_stake_amount_lower"] = frame["revenue_at_stake_amount"] * 0.5
    frame["revenue_at_stake_amount_upper"] = frame["revenue_at_stake_amount"] * 2
    frame["neighbor_expected_orders"] = frame["expected_orders"] * 1.1
    frame["neighbor_expected_spend"] = frame["expected_spend"] * 0.9
    frame["neighbor_churn_probability"] = frame["churn_probability"] * 0.95
    frame["value_abstain_reason"] = pd.Series(None, frame.index, dtype=object)
    frame["risk_abstain_reason"] = pd.Series(None, frame.index, dtype=object)
    abstained = [customer_id for position, customer_id in enumerate(sorted(frame.index)) if position % 40 == 3]
    _abstain(frame, [*abstained, *([ABSTAINED_ID] if ABSTAINED_ID in frame.index else [])])
    return frame.reset_index()


def _abstain(frame: pd.DataFrame, ids: list[str]) -> None:
    predictions = [
        column
        for column in frame.columns
        if column.startswith(("expected_", "churn_", "revenue_", "neighbor_")) or column.endswith("_confidence")
    ]
    frame.loc[ids, [*predictions, "p_alive", "confidence"]] = np.nan
    frame.loc[ids, ["risk_band", "confidence_band"]] = None
    frame.loc[ids, ["value_abstain_reason", "risk_abstain_reason"]] = "fewer than two purchase days"


def _shifted(as_of: date, months: int) -> date:
    return (pd.Timestamp(as_of) - pd.DateOffset(months=months)).date()


def _with_previous_segments(genome: pd.DataFrame, snapshots: list[date]) -> pd.DataFrame:
    earlier = {later: earlier for earlier, later in pairwise(snapshots)}
    segment_of = genome.set_index(["as_of", "customer_id"])["segment_id"].to_dict()
    previous = [
        segment_of.get((earlier.get(as_of), customer_id))
        for as_of, customer_id in zip(genome["as_of"], genome["customer_id"], strict=True)
    ]
    moved = [None if was is None else was != now for was, now in zip(previous, genome["segment_id"], strict=True)]
    return genome.assign(
        previous_segment_id=pd.array(previous, dtype="Int64"), has_moved=pd.array(moved, dtype="boolean")
    )


def _neighbors(genome: pd.DataFrame) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    for as_of, snapshot in genome.groupby("as_of"):
        ids = snapshot["customer_id"].tolist()
        for position, customer_id in enumerate(ids):
            rows.extend(
                {
                    "as_of": as_of,
                    "customer_id": customer_id,
                    "neighbor_rank": rank,
                    "neighbor_customer_id": ids[(position + rank) % len(ids)],
                    "similarity": 1 - rank * 0.03,
                    "shared_traits": "high spend, short gaps",
                    "different_traits": "higher category count",
                }
                for rank in range(1, 6)
            )
    return pd.DataFrame(rows)


def _matured_neighbors(genome: pd.DataFrame, snapshots: list[date]) -> pd.DataFrame:
    pairs = _neighbors(genome)
    pairs["has_churned"] = pairs["neighbor_rank"] == 2
    pairs["actual_orders"] = np.where(pairs["has_churned"], 0.0, 3.0)
    pairs["actual_spend"] = pairs["actual_orders"] * 12.5
    return pairs[pairs["as_of"] > snapshots[0]].assign(neighbor_as_of=snapshots[0])


def _audiences(genome: pd.DataFrame) -> pd.DataFrame:
    audiences = (
        genome.groupby(["as_of", "action_rule", "action"])
        .agg(
            customer_count=("customer_id", "size"),
            review_customer_count=("is_for_review", "sum"),
            revenue_at_stake_amount=("revenue_at_stake_amount", "sum"),
            mean_confidence=("confidence", "mean"),
        )
        .reset_index()
    )
    return audiences.assign(
        rule_position=1,
        rule_condition="everyone else",
        customer_share=0.25,
        matured_customer_count=100,
        actual_churn_share=0.3,
        average_churn_share=0.2,
        churn_lift_ratio=1.5,
        concurrent_churn_share=0.22,
        actual_mean_spend_amount=10.0,
        spend_lift_ratio=0.8,
    )


def _experiments(genome: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Half of the rule's customers are left alone; nothing is drawn from an audience that is too small for it."""
    terms, drawn = [], []
    for number, (name, start, until, outcome, lift) in enumerate(
        (
            (PROVEN_EXPERIMENT, date(2017, 10, 1), date(2017, 12, 1), "orders", None),
            (RUNNING_EXPERIMENT, date(2017, 12, 1), date(2018, 2, 1), "spend", 0.3),
        )
    ):
        rule, key = name.removesuffix(f"-{start}"), f"{number:064x}"
        audience = genome[(genome["as_of"] == start) & (genome["action_rule"] == rule)]
        if len(audience) < 2 * LEAST_ARM:
            continue
        draw = assign(audience, 0.5, key).rename(columns={"stratum": "stratum_id"})
        known = ["customer_id", *(name for name in TABLES["experiment_members"].columns if name in audience)]
        drawn.append(draw.merge(audience[list(dict.fromkeys(known))], on="customer_id").assign(experiment_id=name))
        terms.append(
            {
                "experiment_id": name,
                "action_rule": rule,
                "action": audience["action"].iloc[0],
                "rule_condition": "everyone else",
                "as_of": start,
                "until_date": until,
                "started_at": _NOW,
                "stopped_date": None,
                "stopped_at": None,
                "horizon_days": HORIZON_DAYS,
                "control_share": 0.5,
                "draw_key": key,
                "outcome_name": outcome,
                "wished_lift_share": lift,
                "treated_count": int(draw["is_treated"].sum()),
                "control_count": int((~draw["is_treated"]).sum()),
            }
        )
    tables = (TABLES[name] for name in ("experiments", "experiment_members"))
    experiments, members = (pd.DataFrame(columns=list(table.columns)) for table in tables)
    return (pd.DataFrame(terms), pd.concat(drawn, ignore_index=True)) if terms else (experiments, members)


def _left_alone(genome: pd.DataFrame, experiments: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Controls of a running experiment do not get its action."""
    told = ["experiment_id", "action", "action_rule", "as_of", "until_date"]
    controls = members.loc[~members["is_treated"].astype(bool), ["experiment_id", "customer_id"]].merge(
        experiments[told], on="experiment_id"
    )
    return pd.concat(
        [
            leave_alone(rows, controls[(controls["as_of"] <= as_of) & (controls["until_date"] > as_of)])
            for as_of, rows in genome.groupby("as_of")
        ],
        ignore_index=True,
    )


def _experiment_results(
    experiments: pd.DataFrame, members: pd.DataFrame, snapshots: Sequence[date]
) -> dict[str, pd.DataFrame]:
    """Treated customers order half as much again as was expected of them; spend varies more."""
    rng = np.random.default_rng(11)
    names = ("experiment_results", "experiment_groups", "rule_proofs")
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in names}
    for _, row in experiments.iterrows():
        wish = None if pd.isna(row["wished_lift_share"]) else float(row["wished_lift_share"])
        terms = Terms(
            row["experiment_id"],
            row["as_of"],
            row["until_date"],
            None,
            HORIZON_DAYS,
            wish,
            row["outcome_name"],
            0.5,
            None,
        )
        mine = members[members["experiment_id"] == row["experiment_id"]]
        looks = looks_until(terms, snapshots, snapshots[-1])
        pace = mine["expected_orders"].fillna(0.5).to_numpy(float) / HORIZON_DAYS * (1 + 0.5 * mine["is_treated"])
        done, orders, spend = [], np.zeros(len(mine)), np.zeros(len(mine))
        for before, look in pairwise([terms.start, *looks]):
            new = rng.poisson(pace * (look - before).days)
            orders, spend = orders + new, spend + new * rng.lognormal(3.2, 0.5, len(mine))
            done.append(
                pd.DataFrame({"customer_id": mine["customer_id"], "look_date": look, "orders": orders, "spend": spend})
            )
            shown, groups = results(terms, looks[: len(done)], mine, pd.concat(done), None, "USD", 0)
            found["experiment_results"].append(shown)
            found["experiment_groups"].append(groups)
            if look == terms.end:
                about = shown[shown["outcome_name"] == row["outcome_name"]]
                runs = about.assign(action_rule=row["action_rule"], action=row["action"])
                found["rule_proofs"] += [proofs(as_of, runs, "USD") for as_of in snapshots if as_of >= look]
    return {
        name: pd.concat(
            [pd.DataFrame(columns=list(TABLES[name].columns)), *(rows for rows in found[name] if len(rows))]
        )
        for name in names
    }


def _drivers(genome: pd.DataFrame, snapshots: list[date]) -> pd.DataFrame:
    """Two thirds of what a prediction is more than the average are the history's, a third is the recent window's."""
    frames = []
    for prediction in ("churn_probability", "expected_spend"):
        known = genome.dropna(subset=[prediction])
        base = known.groupby("as_of")[prediction].transform("mean")
        excess = known[prediction] - base
        days = [f"last order {days} days ago" for days in known["days_since_last_order"]]
        drivers = (
            ("average_customer", base, 0.0, "the average customer"),
            ("silence", excess * 2 / 3, 0.01, days),
            ("recent_purchase_day_count", excess / 3, -0.03, "bought <b>lately</b>"),
        )
        for rank, (driver, contribution, change, explanation) in enumerate(drivers):
            rows = known[["as_of", "customer_id"]].assign(
                prediction=prediction,
                driver_rank=rank,
                driver=driver,
                contribution=contribution,
                contribution_change=np.where(known["as_of"] == snapshots[0], np.nan, change),
                explanation=explanation,
            )
            frames.append(rows)
    return pd.concat(frames, ignore_index=True)


def _profiles(genome: pd.DataFrame) -> pd.DataFrame:
    grouped = genome.groupby(["as_of", "segment_id", "segment_name"])
    profile = grouped.agg(
        customer_count=("customer_id", "size"),
        recent_spend_amount=("recent_spend_amount", "sum"),
        expected_spend_amount=("expected_spend", "sum"),
        mean_churn_probability=("churn_probability", "mean"),
        mean_confidence_score=("confidence", "mean"),
        **{
            f"{statistic}_{gene}": (gene, lambda values, share=share: values.quantile(share))
            for gene in PROFILE_GENES
            for statistic, share in zip(SPREAD, (0.25, 0.5, 0.75), strict=True)
        },
    ).reset_index()
    totals = profile.groupby("as_of")[["customer_count", "recent_spend_amount"]].transform("sum")
    return profile.assign(
        naming_rule="highest median spend and shortest days since last order",
        jaccard_score=0.8,
        distinguishing_genes="total spend 900.00 beside 120.00 of all",
        overbought_categories=profile["segment_id"].map(
            {1: "<b>DAIRY</b>: 40.0% of a member's spend, 25.0% of anyone's (1.6 times)"}
        ),
        customer_share=profile["customer_count"] / totals["customer_count"],
        spend_share=profile["recent_spend_amount"] / totals["recent_spend_amount"],
    )


def _migrations(genome: pd.DataFrame, snapshots: list[date]) -> pd.DataFrame:
    moved = genome[genome["as_of"] > snapshots[0]] if len(snapshots) > 1 else genome
    moved = moved.assign(from_segment_id=moved["previous_segment_id"].fillna(0).astype(int))
    counts = (
        moved.groupby(["as_of", "from_segment_id", "segment_id"])
        .agg(customer_count=("customer_id", "size"), recent_spend_amount=("recent_spend_amount", "sum"))
        .reset_index()
        .rename(columns={"segment_id": "to_segment_id"})
    )
    return counts.assign(
        net_customer_count=counts["customer_count"],
        net_spend_amount=counts["recent_spend_amount"],
        from_segment_name=counts["from_segment_id"].map({0: "New customers", **_SEGMENTS}),
        to_segment_name=counts["to_segment_id"].map(_SEGMENTS),
    )


def _segment_model(snapshots: list[date]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "as_of": as_of,
                "candidate": f"k-means, {segment_count} segments",
                "is_chosen": segment_count == 4,
                "choice_reason": "highest silhouette" if segment_count == 4 else "lower silhouette",
                "method": "k-means",
                "segment_count": segment_count,
                "silhouette_score": 0.5 - abs(segment_count - 4) * 0.05,
                "smallest_share": 0.06,
                "stability_score": 0.9 if segment_count == 4 else None,
                "smallest_jaccard_score": 0.8 if segment_count == 4 else None,
                "training_row_count": 290,
                "artifact_file": None,
            }
            for as_of in snapshots
            for segment_count in (3, 4, 5)
        ]
    )


def _segment_events(snapshots: list[date]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "as_of": snapshots,
            "segment_id": 3,
            "event": "rename",
            "segment_name": _SEGMENTS[3],
            "previous_segment_name": "Fading",
            "related_segment_id": None,
            "related_segment_name": None,
            "event_reason": "its profile no longer met the rule of Fading, or another met it better",
        }
    )


def _prediction_model(candidates: Sequence[str], snapshots: list[date], **scores: float) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "as_of": as_of,
                "candidate": candidate,
                "is_chosen": candidate == FORECAST,
                "choice_reason": "All experts joined." if candidate == FORECAST else "Weight 0.30.",
                "selection_as_of": _shifted(as_of, 1),
                "training_snapshot_count": 3,
                "training_row_count": 800,
                "parameters": None,
                "artifact_file": None,
                **{name: score * (1.0 if candidate == FORECAST else 1.2) for name, score in scores.items()},
            }
            for as_of in snapshots
            for candidate in candidates
        ]
    )


def _outcomes(rng: np.random.Generator, genome: pd.DataFrame, snapshots: list[date]) -> pd.DataFrame:
    matured = []
    for as_of, matured_as_of in pairwise(snapshots):
        snapshot = genome[genome["as_of"] == as_of]
        noise = rng.lognormal(0, 0.4, len(snapshot))
        churned = rng.random(len(snapshot)) < snapshot["churn_probability"].fillna(0.5)
        kept = np.where(churned, 0, 1)
        matured.append(
            snapshot.assign(
                matured_as_of=matured_as_of,
                has_churned=churned,
                actual_orders=np.ceil(snapshot["expected_orders"].fillna(1) * noise) * kept,
                actual_spend=(snapshot["expected_spend"].fillna(20) * noise * kept * 1.3).round(2),
            )
        )
    return (
        pd.concat(matured, ignore_index=True)
        if matured
        else genome.head(0).assign(matured_as_of=[], has_churned=[], actual_orders=[], actual_spend=[])
    )


def _performance(outcomes: pd.DataFrame) -> pd.DataFrame:
    scores = {
        ("orders", "mae"): (1.05, 1.31),
        ("orders", "coverage"): (0.82, None),
        ("spend", "mae"): (21.3, 26.8),
        ("spend", "gini"): (0.74, 0.69),
        ("spend", "bias"): (-0.8, 2.4),
        ("churn", "brier"): (0.142, 0.171),
        ("churn", "log_loss"): (0.44, 0.52),
        ("churn", "auc"): (0.83, 0.74),
        ("churn", "ece"): (0.021, 0.017),
        ("churn", "base_rate"): (0.24, 0.24),
    }
    slices = [
        ("all", "all", 1),
        *[("value_decile", str(decile), 10) for decile in range(1, 11)],
        *[("segment", name, 4) for name in _SEGMENTS.values()],
    ]
    return pd.DataFrame(
        [
            {
                "matured_as_of": matured_as_of,
                "as_of": as_of,
                "target": target,
                "predictor": predictor,
                "slice_name": slice_name,
                "slice_value": slice_value,
                "metric": metric,
                "metric_value": value,
                "customer_count": len(snapshot) // parts,
            }
            for (matured_as_of, as_of), snapshot in outcomes.groupby(["matured_as_of", "as_of"])
            for (target, metric), pair in scores.items()
            for slice_name, slice_value, parts in (slices if metric == "coverage" else slices[:1])
            for predictor, value in zip(("model", "naive"), pair, strict=True)
        ],
        columns=list(TABLES["model_performance"].columns),
    )


def _quarantine() -> pd.DataFrame:
    rows = [
        {
            "period_start_date": period,
            "reason": reason,
            "row_count": count + position,
            "amount_sum": None if reason == "missing_customer" and position == 0 else (count + position) * 12.34,
        }
        for position, period in enumerate(_PERIODS)
        for reason, count in (("missing_customer", 40), ("exact_duplicate", 12), ("non_product_code", 3))
    ]
    rows.append({"period_start_date": None, "reason": "unreadable_date", "row_count": 5, "amount_sum": None})
    return pd.DataFrame(rows)


def _quarantine_samples() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                **dict.fromkeys(RAW_COLUMNS),
                "reason": "missing_customer",
                "source_file": "sales_2017_h1.csv",
                "source_row": row,
                "period_start_date": _PERIODS[0],
                "line_amount": 12.34,
                "raw_customer_id": " ",
                "raw_product_id": "<b>P1</b>",
            }
            for row in (17, 18)
        ]
    )


def _gene_drift(snapshots: list[date]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "as_of": as_of,
                "baseline": baseline,
                "gene": gene,
                "baseline_as_of": before,
                "measure": "value",
                "psi": psi,
                "ks_statistic": 0.05,
                "ks_p_value": 0.5,
                "median": 3.0,
                "baseline_median": 2.0,
                "mean": 3.5,
                "baseline_mean": 2.5,
                "missing_share": 0.0,
                "baseline_missing_share": 0.0,
                "customer_count": 290,
                "baseline_customer_count": 280,
                "has_drifted": None if gene == "t_days" else psi > 0.1,
                "unjudged_reason": "the calendar moves it, whatever customers do" if gene == "t_days" else None,
            }
            for before, as_of in pairwise(snapshots)
            for baseline in ("previous", "training")
            for gene, psi in (("t_days", 0.9), ("order_count", 0.3), ("spend_amount", 0.02))
        ],
        columns=list(TABLES["gene_drift"].columns),
    )


def _data_quality() -> pd.DataFrame:
    checks = [
        ("validated_transactions", "rows_reconcile", "ERROR", True, "raw = validated + quarantined: 0 rows apart"),
        ("validated_transactions", "amounts_reconcile", "ERROR", True, "0 cents apart"),
        ("customer_features", "columns_within_bounds", "ERROR", True, "0 of 300 rows outside"),
        ("customer_value", "interval_coverage", "WARN", False, "0.71 of outcomes in an 80% interval"),
        ("customer_segments", "segment_sizes", "WARN", True, "smallest segment 6% of customers"),
    ]
    return pd.DataFrame(
        [
            {
                "run_id": run_id,
                "checked_at": checked_at,
                "table_name": table_name,
                "check_name": check_name,
                "period_start_date": _PERIODS[0],
                "severity": severity,
                # The older run failed; only the latest result counts.
                "is_passed": is_passed and run_id == "run-2",
                "observed": observed,
            }
            for run_id, checked_at in (("run-1", _NOW - timedelta(days=1)), ("run-2", _NOW))
            for table_name, check_name, severity, is_passed, observed in checks
        ]
    )


def _source_files() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "source_file": name,
                "content_hash": f"{position:064x}",
                "copy_of_source_file": None,
                "row_count": 10_000 + position,
                "raw_types": "{}",
                "ingested_at": _NOW,
                "suppressed_row_count": 0,
            }
            for position, name in enumerate(("sales_2017_h1.csv", "sales_2017_h2.csv"))
        ]
    )


def _pipeline_runs(as_of: date) -> pd.DataFrame:
    parameters = {
        "horizon_days": HORIZON_DAYS,
        "interval_level": 0.8,
        "currency": "USD",
        "period": "month",
        "raw_row_count": 20_001,
        "validated_row_count": 19_200,
        "quarantined_row_count": 801,
        "source_name": "Synthetic shop",
    }
    return pd.DataFrame(
        [
            {
                "run_id": "run-2",
                "as_of": as_of,
                "version": "0.1.0",
                "settings_hash": "0" * 64,
                "parameters": json.dumps(parameters),
                "published_at": _NOW,
                "published_schema_version": PUBLISHED_VERSION,
                "forced_past": None,
            }
        ]
    )


def _data_dictionary() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "table_name": table.name,
                "column_name": column.name,
                "column_type": column.type,
                "unit": column.unit,
                "minimum": None,
                "maximum": None,
                "grain": table.grain,
                "description": column.description,
            }
            for table in TABLES.values()
            if table.is_published
            for column in table.fields
        ]
    )


assert set(GENES) <= set(TABLES["customer_genome"].columns)
