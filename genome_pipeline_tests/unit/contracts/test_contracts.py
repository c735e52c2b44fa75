import re
from pathlib import Path

import duckdb
import pytest

from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.contracts.dictionary import as_markdown, data_dictionary
from genome_pipeline.contracts.tables import TABLES, Table
from genome_pipeline.contracts.views import VIEWS

DOCS = Path(__file__).parents[3] / "docs"


def test_every_column_is_used() -> None:
    used = {name for table in TABLES.values() for name in table.columns}
    used |= {name for view in VIEWS.values() for name in view.columns}
    assert set(COLUMNS) == used


def test_every_column_and_table_says_what_it_is() -> None:
    descriptions = {
        name: described.description for known in (COLUMNS, TABLES, VIEWS) for name, described in known.items()
    }
    assert [name for name, text in descriptions.items() if len(text) < 5 or not text.endswith((".", "?"))] == []


@pytest.mark.parametrize("name", [name for name in COLUMNS if re.search(r"_(days|count|amount|share|ratio)$", name)])
def test_a_number_whose_name_carries_a_unit_declares_it(name: str) -> None:
    kinds = {"days": "DAYS", "count": "COUNT", "amount": "CURRENCY", "share": "SHARE", "ratio": "RATIO"}
    if COLUMNS[name].type in ("AS_READ", "VARCHAR"):
        return
    unit = COLUMNS[name].unit
    assert unit is not None
    assert unit.name == kinds[name.rsplit("_", 1)[1]]


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_the_ddl_makes_the_table(table: Table) -> None:
    with duckdb.connect() as connection:
        connection.execute(table.ddl())
        made = connection.execute(f"DESCRIBE {table.name}").fetchall()
    assert tuple(row[0] for row in made) == table.columns
    assert {row[0] for row in made if row[2] == "YES"} == table.nullable


def test_a_key_column_is_null_only_where_a_slice_is() -> None:
    for table in TABLES.values():
        assert set(table.key) & table.nullable <= {"period_start_date"}, table.name


def test_an_undeclared_column_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Table("t", "g", "row", "A table.", ("as_of", "nonsense"), ("as_of",), "as_of")


def test_what_may_be_null_is_said_of_the_column_and_a_table_may_except_it() -> None:
    columns = ("as_of", "country")
    assert Table("t", "g", "row", "A table.", columns, ("as_of",), "as_of").nullable == {"country"}
    assert Table("t", "g", "row", "A table.", columns, ("as_of",), "as_of", ("country",)).nullable == frozenset()


def test_an_exception_that_excepts_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\['as_of'\] are null nowhere"):
        Table("t", "g", "row", "A table.", ("as_of",), ("as_of",), "as_of", ("as_of",))


def test_the_dictionary_covers_every_published_column() -> None:
    rows = data_dictionary()
    expected = sum(len(table.columns) for table in TABLES.values() if table.is_published)
    expected += sum(len(view.columns) for view in VIEWS.values())
    assert len(rows) == expected


def test_the_documented_dictionary_is_up_to_date() -> None:
    assert (DOCS / "data_dictionary.md").read_text(encoding="utf-8") == as_markdown(), "run `make docs`"
