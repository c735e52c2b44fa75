"""Whether acting on forecasts spoils the next ones: a simulated year of monthly win-back on the top churn decile.

``python -m benchmarks.poisoning [--seeds 0 1 2]`` simulates customers who buy at their own pace until they stop, for
two years. In the second year, every month, the program's churn forecast over 30 days is made, and the tenth of the
customers with the highest probability is an experiment: a fifth of it is left alone, drawn by chance, and the treated
place one order more within the month with a probability of 35%. The same customers are followed in three worlds:

- *none*: nobody is treated;
- *naive*: models learn from all customers, as though nobody had been treated;
- *honest*: models learn as the program does: controls stand for the treated, whose outcomes are left out.

The log loss of churn is that of customers who are not treated in the month, and of those who have never been: whoever
was treated before may have ordered for that reason, which tells less of them. Beside it stands the loss that the
forecast of the world without campaigns has on the same customers in the same month. Writes ``poisoning.json`` and
``.md`` in ``benchmarks/results/experiments/``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis.backends.duckdb import Backend
from threadpoolctl import threadpool_limits

from benchmarks.accuracy import SEED
from benchmarks.panel.run import measure_each
from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.models.experiments.assignment import assign
from genome_pipeline.models.forecast.risk import fit_risk_model
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.losses import log_losses
from genome_pipeline.models.snapshots import LabelledSnapshot, labelled_with_stand_ins, snapshots_to_learn_from
from genome_pipeline.transforms.activity import customer_activity
from genome_pipeline.transforms.experiments import stand_ins, without_treated
from genome_pipeline.transforms.features import customer_features
from genome_pipeline.transforms.outcomes import realised_outcomes

RESULTS = Path(__file__).parent / "results" / "experiments"

START, CUSTOMERS, MONTHS, DAYS = date(2020, 1, 1), 4_000, 24, 30
CAMPAIGN_MONTHS = range(12, MONTHS - 1)
CONTROL_SHARE, DECILE, FURTHER_ORDER = 0.2, 0.1, 0.35
SEEDS = ["0", "1", "2"]
WORLDS = ("none", "naive", "honest")


def orders_without_campaigns(seed: int) -> pd.DataFrame:
    """Lines of customers who order at a gamma-distributed pace until an exponentially distributed end."""
    generator = np.random.default_rng(seed)
    length = MONTHS * DAYS
    rows = []
    for number in range(CUSTOMERS):
        born = generator.uniform(0, 0.6 * length)
        pace, end = generator.gamma(1.2, 1 / 25), born + generator.exponential(300)
        count = 1 + generator.poisson(max(min(end, length) - born, 0) * pace)
        moments = np.concatenate([[born], generator.uniform(born, min(end, length), count - 1)])
        rows += [(f"c{number:05d}", int(moment)) for moment in moments]
    return pd.DataFrame(rows, columns=["customer_id", "day"]).drop_duplicates()


class World:
    """The log of one world, and the experiments in it.

    Attributes:
        name: of :data:`WORLDS`.
        database: with ``lines``, ``experiments`` and ``experiment_members``.
    """

    def __init__(self, name: str, orders: pd.DataFrame) -> None:
        self.name = name
        self.database: Backend = ibis.duckdb.connect()
        self._orders = orders
        connection = self.database.con
        connection.execute(
            "CREATE TABLE experiments (experiment_id VARCHAR, as_of DATE, until_date DATE, stopped_date DATE)"
        )
        connection.execute(
            "CREATE TABLE experiment_members (experiment_id VARCHAR, customer_id VARCHAR, is_treated BOOLEAN,"
            " stratum_id INTEGER, churn_probability DOUBLE)"
        )

    def forecast(self, month: int) -> pd.DataFrame:
        """``customer_id``, ``churn_probability`` and ``has_churned`` of all customers at the end of a month's days."""
        self._write_lines()
        as_of = _day(month)
        known = [_day(before) for before in range(1, month)]
        labelled = [self._labelled(day, days) for day, days in snapshots_to_learn_from(known, as_of, as_of, DAYS)]
        features = self._features(as_of)
        model = fit_risk_model(features, labelled, DAYS, SEED)
        churn = numbers(model.predict(features)["churn_probability"])
        actual = self._outcomes(as_of, DAYS)
        return pd.DataFrame(
            {
                "customer_id": features["customer_id"],
                "churn_probability": churn,
                "has_churned": by_customer(actual)["has_churned"].to_numpy(bool),
            }
        )

    def act(self, month: int, forecast: pd.DataFrame, seed: int) -> set[str]:
        """Treat the customers likeliest to leave, but for controls; returns the treated."""
        if self.name == "none":
            return set()
        count = round(DECILE * len(forecast))
        order = np.lexsort((forecast["customer_id"], -forecast["churn_probability"].round(6)))
        audience = forecast.iloc[order[:count]].assign(expected_spend=0.0)
        drawn = assign(audience, CONTROL_SHARE, f"{1_000 * seed + month:064x}").assign(
            experiment_id=f"m{month}", churn_probability=by_customer(audience)["churn_probability"].to_numpy()
        )
        treated = drawn.loc[drawn["is_treated"], "customer_id"]
        generator = np.random.default_rng([seed, month])
        comes = generator.random(len(treated)) < FURTHER_ORDER
        days = month * DAYS + generator.integers(0, DAYS, len(treated))
        more = pd.DataFrame({"customer_id": treated[comes].to_numpy(), "day": days[comes]})
        self._orders = pd.concat([self._orders, more]).drop_duplicates()
        connection = self.database.con
        if self.name == "honest":
            connection.execute(
                "INSERT INTO experiments VALUES (?, ?, ?, NULL)", [f"m{month}", _day(month), _day(month + 1)]
            )
            connection.register("drawn", drawn)
            connection.execute(
                "INSERT INTO experiment_members BY NAME SELECT experiment_id, customer_id, is_treated,"
                " stratum AS stratum_id, churn_probability FROM drawn"
            )
        return set(treated)

    def _write_lines(self) -> None:
        lines = self._orders.assign(
            ordered_at=pd.Timestamp(START) + pd.to_timedelta(self._orders["day"], unit="D"),
            order_id=[f"o{number}" for number in range(len(self._orders))],
        )
        self.database.con.register("orders", lines)
        self.database.con.execute(
            "CREATE OR REPLACE TABLE lines AS SELECT customer_id, order_id, ordered_at,"
            " date_trunc('day', ordered_at)::DATE AS period_start_date, 'p' AS product_id, 'food' AS category,"
            " NULL::VARCHAR AS country, 1.000::DECIMAL(18,3) AS quantity, 10.00::DECIMAL(18,2) AS amount,"
            " false AS is_return FROM orders"
        )
        self.database.con.execute("DROP TABLE IF EXISTS activity")
        self.database.create_table("activity", customer_activity(self.database.table("lines")))

    def _features(self, as_of: date) -> pd.DataFrame:
        calendar = Calendar(Period.DAY, START)
        rows = customer_features(self.database.table("activity"), calendar, as_of, DAYS)
        return by_customer(self._frame(rows))

    def _outcomes(self, as_of: date, days: int) -> pd.DataFrame:
        return self._realised(self._customers(as_of), days)

    def _labelled(self, as_of: date, days: int) -> LabelledSnapshot:
        customers = self._customers(as_of)
        experiments, members = (self.database.table(name) for name in ("experiments", "experiment_members"))
        outcomes = self._realised(without_treated(customers, experiments, members, days), days)
        instead = self._frame(stand_ins(customers, experiments, members, days)).drop(columns="as_of")
        return labelled_with_stand_ins(as_of, days, self._features(as_of), outcomes, instead)

    def _customers(self, as_of: date) -> ir.Table:
        self.database.con.register("known", self._features(as_of)[["as_of", "customer_id"]])
        self.database.con.execute(
            "CREATE OR REPLACE TABLE customers AS SELECT as_of::DATE AS as_of, customer_id FROM known"
        )
        return self.database.table("customers")

    def _realised(self, customers: ir.Table, days: int) -> pd.DataFrame:
        return self._frame(realised_outcomes(self.database.table("lines"), customers, days)).drop(columns="as_of")

    def _frame(self, rows: ir.Table) -> pd.DataFrame:
        frame: pd.DataFrame = self.database.con.execute(ibis.to_sql(rows, dialect="duckdb")).df()
        return frame


def _day(month: int) -> date:
    return START + timedelta(days=DAYS * month)


def measured(asked: str) -> Iterator[dict[str, Any]]:
    """A row for each world with campaigns and month."""
    seed = int(asked)
    with threadpool_limits(1):
        orders = orders_without_campaigns(seed)
        worlds = {name: World(name, orders) for name in WORLDS}
        ever: dict[str, set[str]] = {name: set() for name in WORLDS}
        for month in CAMPAIGN_MONTHS:
            forecasts = {name: world.forecast(month).set_index("customer_id") for name, world in worlds.items()}
            for name in WORLDS[1:]:
                treated = worlds[name].act(month, forecasts[name].reset_index(), seed)
                # What was to happen to whoever is not treated is not changed by this month's campaign.
                ever[name] |= treated
                for whom, left_out in (("in the month", treated), ("ever", ever[name])):
                    untreated = forecasts[name].index.difference(sorted(left_out))
                    mine, alone = forecasts[name].loc[untreated], forecasts["none"].loc[untreated]
                    yield {
                        "seed": seed,
                        "month": month,
                        "world": name,
                        "not treated": whom,
                        "customers": len(untreated),
                        "log loss": _loss(mine),
                        "without campaigns": _loss(alone),
                        "mean probability": float(mine["churn_probability"].mean()),
                        "actual share": float(mine["has_churned"].mean()),
                    }


def _loss(forecast: pd.DataFrame) -> float:
    return float(log_losses(forecast["has_churned"].to_numpy(bool), forecast["churn_probability"].to_numpy()).mean())


def summary(found: list[dict[str, Any]]) -> str:
    """Means over months, by world and seed."""
    rows = pd.DataFrame(found)
    rows = rows[rows["month"] > CAMPAIGN_MONTHS[0]]
    means = rows.groupby(["not treated", "world", "seed"], as_index=False)[
        ["customers", "log loss", "without campaigns", "mean probability", "actual share"]
    ].mean()
    means["ratio"] = means["log loss"] / means["without campaigns"]
    return "\n\n".join(
        [
            "# Forecasts in a year of campaigns",
            f"Simulated: {CUSTOMERS:,} customers, monthly win-back on the top churn decile, {CONTROL_SHARE:.0%} of it"
            f" left alone, {FURTHER_ORDER:.0%} of the treated order once more. Log loss of churn over {DAYS} days of"
            " customers who are not treated in the month, or have never been, beside that of the forecast without"
            f" campaigns on the same customers; means of {len(CAMPAIGN_MONTHS) - 1} months.",
            means.to_markdown(index=False, floatfmt=".4f"),
        ]
    )


def main() -> None:
    """Measure, seed by seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", default=SEEDS)
    measure_each("poisoning", parser.parse_args().seeds, SEEDS, measured, summary, RESULTS)


if __name__ == "__main__":
    main()
