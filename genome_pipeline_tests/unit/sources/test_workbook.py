from __future__ import annotations

import pytest

from genome_pipeline.sources.source import SourceError, find_files, sniff
from genome_pipeline_tests.support.workbooks import Cell, write_workbook
from genome_pipeline_tests.unit.sources.conftest import Landing

HEADER: list[Cell] = ["Customer ID", "When", "Paid"]


def test_cells_are_text_as_typed(landing: Landing) -> None:
    write_workbook(
        landing.folder / "book.xlsx",
        {
            "One": [
                HEADER,
                [12345, (40513.3513888889, "moment"), 0.1],
                ["007", (40513, "date"), -3],
                [None, None, None],
                [None, "12/2010", True],
            ],
        },
    )
    assert landing.read("book.xlsx") == [
        (1, "12345", "2010-12-01 08:26:00", "0.1"),
        (2, "007", "2010-12-01", "-3"),
        (4, None, "12/2010", "true"),
    ]


def test_sheets_are_read_apart_and_blank_rows_above_the_header_passed_over(landing: Landing) -> None:
    write_workbook(
        landing.folder / "book.xlsx",
        {"One": [[], [None, *HEADER], [None, 1, 2, 3]], "Two": [HEADER], "Three": [HEADER, [4, 5, 6]]},
    )
    assert landing.read("book.xlsx") == [(1, "1", "2", "3"), (1, "4", "5", "6")]


def test_sniff_gives_the_header(landing: Landing) -> None:
    write_workbook(landing.folder / "book.xlsx", {"One": [[*HEADER, None, 2020]]})
    source = landing.source("book.xlsx")
    (file,) = find_files(source)
    assert sniff(file, source) == (("Customer ID", "When", "Paid", "", "2020"), ("VARCHAR",) * 5)


def test_a_missing_column_is_said_with_its_sheet(landing: Landing) -> None:
    write_workbook(landing.folder / "book.xlsx", {"One": [HEADER], "Notes": [["Made by", "Customer Id"]]})
    with pytest.raises(SourceError) as raised:
        landing.read("book.xlsx")
    assert str(raised.value) == (
        "book.xlsx#Notes has no column 'Customer ID' (source.columns.customer_id); did you mean 'Customer Id'? It has:"
        " 'Made by', 'Customer Id'"
    )
