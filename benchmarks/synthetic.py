"""A seeded transaction log of any size: customers who buy at their own pace until they stop.

The process is that of the BTYD literature (Fader, Hardie & Lee 2005): orders are Poisson with a gamma-distributed
rate, lifetimes exponential; the year's end brings more. A few lines are returns, a few are broken.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_CHUNK_CUSTOMERS = 10_000
_KINDS = (("p", 5_000), ("d", 40))

CONFIG = """
home = "{home}"
[source]
path = "{log}"
currency = "EUR"
[source.columns]
customer_id = "customer"
order_id = "order"
ordered_at = "moment"
product_id = "product"
category = "department"
quantity = "quantity"
unit_price = "price"
[calendar]
start = {start}
end = {end}
"""
"""Config of a run on :func:`write_log`; each benchmark adds the sections it measures."""


def write_log(
    target: Path, *, lines: int, customers: int, days: int = 365, start: date = date(2024, 1, 1), seed: int = 0
) -> int:
    """Write about ``lines`` transaction lines of ``customers`` over ``days`` from ``start``; returns the exact number.

    Columns: customer, order, moment, product, department, quantity, price. The same arguments give the same file.
    """
    written = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    lines_per_order = 4.0
    mean_orders = lines / customers / lines_per_order
    with pq.ParquetWriter(target, _SCHEMA, compression="zstd") as writer:
        for first in range(0, customers, _CHUNK_CUSTOMERS):
            count = min(_CHUNK_CUSTOMERS, customers - first)
            chunk = _lines(generator, first, count, mean_orders, lines_per_order, days, start)
            writer.write_table(chunk)
            written += chunk.num_rows
    return written


_SCHEMA = pa.schema(
    [
        ("customer", pa.string()),
        ("order", pa.string()),
        ("moment", pa.timestamp("us")),
        ("product", pa.string()),
        ("department", pa.string()),
        ("quantity", pa.int32()),
        ("price", pa.decimal128(10, 2)),
    ]
)


def _lines(
    generator: np.random.Generator,
    first: int,
    customers: int,
    mean_orders: float,
    lines_per_order: float,
    days: int,
    start: date,
) -> pa.Table:
    born = generator.uniform(0, 0.9 * days, customers)
    lifetime = np.minimum(generator.exponential(1.5 * days, customers), days - born)
    # On average a customer is there for about 0.43 of the days.
    rate = generator.gamma(2.0, 0.5, customers) * mean_orders / (0.43 * days)
    orders = 1 + generator.poisson(rate * lifetime)
    owner = np.repeat(np.arange(customers), orders)
    day = born[owner] + generator.random(owner.size) * lifetime[owner]
    season = 1 + 0.5 * np.sin(2 * np.pi * (day / 365 - 0.7))
    kept = generator.random(owner.size) < season / 1.5
    kept[np.concatenate(([0], np.cumsum(orders)[:-1]))] = True
    owner, day = owner[kept], day[kept]
    size = 1 + generator.poisson(lines_per_order * 1.5 - 1, owner.size)
    order = np.repeat(np.arange(owner.size), size)
    product = generator.zipf(1.3, order.size) % 5_000
    quantity = generator.integers(1, 5, order.size)
    quantity[generator.random(order.size) < 0.02] *= -1
    cents = 99 + (product * 37) % 4_000
    cents[generator.random(order.size) < 0.002] = 0
    moment = (day[order] * 86_400e6).astype("int64") + np.datetime64(start, "us").astype("int64")
    # Each name is made once, and taken as often as it is needed.
    names = pa.array([f"c{number:08}" for number in range(first, first + customers)])
    orders_named = pa.array([f"o{first}-{number}" for number in range(owner.size)])
    products, departments = (pa.array([f"{kind}{number % count}" for number in range(5_000)]) for kind, count in _KINDS)
    prices = pa.array(cents, pa.int64()).cast(pa.decimal128(19, 0))
    return pa.table(
        [
            names.take(pa.array(owner[order])),
            orders_named.take(pa.array(order)),
            pa.array(moment, pa.int64()).cast(pa.timestamp("us")),
            products.take(pa.array(product)),
            departments.take(pa.array(product)),
            pa.array(quantity, pa.int32()),
            pc.divide(prices, pa.scalar(100, pa.decimal128(3, 0))).cast(pa.decimal128(10, 2), safe=False),
        ],
        schema=_SCHEMA,
    )
