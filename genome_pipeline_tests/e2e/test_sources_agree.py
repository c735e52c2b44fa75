"""One log as Parquet, CSV, XLSX and in PostgreSQL gives the same lines, valid and quarantined."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import ibis
import pytest
import xlsxwriter

from genome_pipeline.contracts.rules import active_rules
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import load_settings
from genome_pipeline.transforms.validation import judged_lines, rejected_lines, rejections, valid_lines
from genome_pipeline.warehouse.database import stored
from genome_pipeline.warehouse.ingestion import ingest, typed_raw
from genome_pipeline_tests.support.pipelines import EXAMPLES, SHARED_LOGS
from genome_pipeline_tests.support.postgres import PASSWORD, running_server

LOG = SHARED_LOGS / "online_retail_ii.parquet"

ORIGINAL = {
    "order_id": "Invoice",
    "product_id": "StockCode",
    "description": "Description",
    "quantity": "Quantity",
    "timestamp": "InvoiceDate",
    "unit_price": "Price",
    "customer_id": "Customer ID",
    "country": "Country",
}
MAPPED = {ours: theirs for ours, theirs in ORIGINAL.items() if ours not in ("description", "timestamp")}

TABLE = """
CREATE TABLE lines AS SELECT "Invoice", "StockCode", "Description", "Quantity"::int, "InvoiceDate",
"Price"::numeric(12, 4), "Customer ID"::int, "Country" FROM staged
"""


@contextmanager
def as_parquet(_: Path) -> Iterator[str]:
    yield str(LOG)


def original(more: str = "") -> duckdb.DuckDBPyRelation:
    """The log under the column names of the file its publisher gives."""
    columns = ", ".join(f'"{ours}"::TIMESTAMP AS "{theirs}"' if ours == "timestamp" else f'"{ours}" AS "{theirs}"'
                        for ours, theirs in ORIGINAL.items())  # fmt: skip
    return duckdb.sql(f"SELECT {columns} FROM '{LOG}' {more}")


@contextmanager
def as_csv(folder: Path) -> Iterator[str]:
    path = folder / "online_retail_ii.csv"
    original().write_csv(str(path), header=True)
    yield str(path)


@contextmanager
def as_xlsx(folder: Path) -> Iterator[str]:
    """Two sheets, as its publisher gives it; what is all digits is a number."""
    path = folder / "online_retail_ii.xlsx"
    with xlsxwriter.Workbook(path, {"constant_memory": True, "default_date_format": "yyyy-mm-dd hh:mm"}) as book:
        for name in ("2009-2010", "2010-2011"):
            sheet = book.add_worksheet(f"Year {name}")
            sheet.write_row(0, 0, ORIGINAL.values())
            number = 0
            rows = original(f"WHERE source_sheet = '{name}'")
            while chunk := rows.fetchmany(20_000):
                for row in chunk:
                    number += 1
                    for column, value in enumerate(row):
                        if isinstance(value, str) and str(value).isdecimal() and value == str(int(value)):
                            sheet.write_number(number, column, int(value))
                        elif isinstance(value, str):
                            sheet.write_string(number, column, value)
                        elif value is not None:
                            sheet.write(number, column, value)
    yield str(path)


@contextmanager
def in_postgresql(_: Path) -> Iterator[str]:
    with running_server() as server:
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.adbc_ingest("staged", original().to_arrow_reader(), mode="create")
        server.run(TABLE)
        os.environ |= {"GENOME_SOURCE__TABLE": "lines"}
        yield server.url.replace("genome@", f"genome:{PASSWORD}@")


def written_as_text(column: str) -> str:
    """A raw column of the quarantine in a form that every format shares: numbers and moments by their value."""
    match column:
        case "raw_quantity" | "raw_unit_price":
            return f"{column}::DECIMAL(18, 4) AS {column}"
        case "raw_ordered_at":
            return f"{column}::TIMESTAMP AS {column}"
        case _:
            return column


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not LOG.exists(), reason="UCI Online Retail II is not part of the project and is not here")
def test_every_format_gives_the_same_lines(tmp_path: Path) -> None:
    found: dict[str, tuple[Path, Path]] = {}
    for write in (as_parquet, as_csv, as_xlsx, in_postgresql):
        home = tmp_path / write.__name__
        home.mkdir()
        with pytest.MonkeyPatch.context() as environment, write(home) as source:
            environment.setenv("GENOME_HOME", str(home))
            environment.setenv("GENOME_SOURCE__PATH", source)
            if write is not as_parquet:
                environment.setenv("GENOME_SOURCE__COLUMNS__ORDERED_AT", "InvoiceDate")
                for ours, theirs in MAPPED.items():
                    environment.setenv(f"GENOME_SOURCE__COLUMNS__{ours.upper()}", theirs)
            found[write.__name__] = validated(home)
        os.environ.pop("GENOME_SOURCE__TABLE", None)
    parquet = found.pop("as_parquet")
    assert [duckdb.sql(f"SELECT count(*) > 0 FROM '{path}'").fetchall() for path in parquet] == [[(True,)]] * 2
    assert sum(duckdb.sql(f"SELECT count(*) FROM '{path}'").fetchall()[0][0] for path in parquet) == 1_067_370
    for name, tables in found.items():
        for path, other in zip(tables, parquet, strict=True):
            for one, two in ((path, other), (other, path)):
                differing = duckdb.sql(f"FROM '{one}' EXCEPT ALL FROM '{two}' LIMIT 3").fetchall()
                assert differing == [], f"{name}: in {one.name} and not in {two}"


def validated(folder: Path) -> tuple[Path, Path]:
    """Valid and quarantined lines of the source, as files, without what names the file, the row and the run."""
    settings = load_settings(EXAMPLES / "online_retail_ii.toml")
    paths = folder / "valid.parquet", folder / "quarantined.parquet"
    with Pipeline.of(settings).warehouse.open() as database:
        ingest(database, settings)
        rules = active_rules(list(settings.source.columns.mapped), settings.rules.disabled)
        typed = typed_raw(database, settings)
        with stored(database, rejections(judged_lines(typed, rules)), "rejections") as rejected:
            valid = valid_lines(typed, rejected), TABLES["validated_transactions"]
            aside = rejected_lines(rejected, database.table("raw_transactions")), TABLES["quarantined_transactions"]
            for (lines, table), path in zip((valid, aside), paths, strict=True):
                kept = [written_as_text(name) for name in table.columns if name not in ("source_file", "source_row")]
                database.con.execute(f"COPY (SELECT {', '.join(kept)} FROM ({ibis.to_sql(lines)})) TO '{path}'")
    return paths
