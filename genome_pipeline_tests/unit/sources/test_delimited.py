from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from genome_pipeline.settings import SourceColumns
from genome_pipeline.sources.source import SourceError, find_files, read_file, sniff
from genome_pipeline_tests.unit.sources.conftest import Landing

HEADER = "Customer ID,When,Paid\n"


def test_fields_are_as_written(landing: Landing) -> None:
    landing.put("a.csv", HEADER + '007, 1 Feb  2020 ,1.10\nNULL,"a ""b"", c\nd",\n"",,NaN\n')
    assert landing.read("a.csv") == [
        (1, "007", " 1 Feb  2020 ", "1.10"),
        (2, "NULL", 'a "b", c\nd', None),
        (3, None, None, "NaN"),
    ]


def test_every_raw_column_is_there_and_what_is_not_mapped_is_null(landing: Landing) -> None:
    landing.put("a.csv", "When,Customer ID\nd,c\n")
    columns = SourceColumns(customer_id="Customer ID", ordered_at="When")
    source = landing.source("a.csv", columns=columns)
    (file,) = find_files(source)
    with read_file(landing.connection, file, source) as rows:
        assert rows.columns == [
            "source_row",
            "raw_customer_id",
            "raw_order_id",
            "raw_ordered_at",
            "raw_product_id",
            "raw_category",
            "raw_quantity",
            "raw_unit_price",
            "raw_amount",
            "raw_country",
            "raw_currency",
        ]
        assert [str(type_) for type_ in rows.types] == ["BIGINT", *["VARCHAR"] * 10]
        assert rows.fetchall() == [(1, "c", None, "d", None, None, None, None, None, None, None)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(landing: Landing, delimiter: str) -> None:
    others = ",;|".replace(delimiter, "")
    landing.put("a.txt", delimiter.join(["Customer ID", "When", "Paid"]) + "\n" + delimiter.join(["1", others, "3"]))
    assert landing.read("a.txt") == [(1, "1", others, "3")]


def test_a_given_delimiter_is_used(landing: Landing) -> None:
    landing.put("a.csv", "Customer ID:When:Paid\n1:2:3\n")
    assert landing.read("a.csv", delimiter=":") == [(1, "1", "2", "3")]
    with pytest.raises(SourceError) as raised:
        landing.read("a.csv", delimiter="||")
    assert str(raised.value) == "source.delimiter = '||' must be one character, such as ',', ';' or \"\\t\""


def test_one_column_is_a_table_too(landing: Landing) -> None:
    landing.put("a.csv", "Customer ID\n1,5\n")
    with pytest.raises(SourceError) as raised:
        landing.read("a.csv")
    assert str(raised.value) == "a.csv has no column 'When' (source.columns.ordered_at). It has: 'Customer ID'"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_one_kind_are_read(landing: Landing, end: str) -> None:
    landing.put("a.csv", HEADER.strip() + f'{end}1,"x\ny",3{end}{end}4,5,6')
    assert landing.read("a.csv") == [(1, "1", "x\ny", "3"), (2, "4", "5", "6")]


def test_a_header_alone_is_no_rows(landing: Landing) -> None:
    landing.put("a.csv", HEADER)
    assert landing.read("a.csv") == []


def test_a_header_may_be_quoted_and_hold_a_line_end(landing: Landing) -> None:
    landing.put("a.csv", '"Customer ID", "When","Paid","Note\n(internal)"\n1,2,3,4\n')
    assert landing.read("a.csv") == [(1, "1", "2", "3")]


def test_a_path_of_any_characters_is_read(landing: Landing) -> None:
    landing.put("x1/a1.csv", HEADER + "wrong,wrong,wrong\n")
    landing.put("x[1]/a['*1?].csv", HEADER + "1,2,3\n")
    assert landing.read("x[1]/a['*1?].csv") == [(1, "1", "2", "3")]


def test_folders_named_key_equals_value_add_nothing(landing: Landing) -> None:
    landing.put("When=2020/a.csv", HEADER + "1,2,3\n")
    assert landing.read("**/*.csv") == [(1, "1", "2", "3")]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"], ids=["utf-8", "with BOM", "utf-16", "fallback"]
)
def test_the_encoding_is_found(landing: Landing, encoding: str) -> None:
    landing.put("a.csv", (HEADER + "Zoë,5 €,\n").encode(encoding))
    assert landing.read("a.csv") == [(1, "Zoë", "5 €", None)]


def test_a_given_encoding_is_used_unless_a_mark_says_otherwise(landing: Landing) -> None:
    text = HEADER + "Łódź,2,3\n"
    landing.put("a.csv", text.encode("iso-8859-2"))
    landing.put("b.csv", text.encode("utf-8-sig"))
    assert landing.read("*.csv", encoding="iso-8859-2") == [(1, "Łódź", "2", "3"), (1, "Łódź", "2", "3")]


def test_compressed_files_are_read(landing: Landing) -> None:
    landing.put("a.csv.gz", gzip.compress(HEADER.encode(), mtime=0) + gzip.compress(b"1,2,3\n", mtime=0))
    landing.put("b.CSV.GZ", gzip.compress((HEADER + "\xe9,2,3\n").encode("cp1252")))
    landing.put("c.tsv.zst", pa.compress((HEADER + "1,2,3\n").replace(",", "\t").encode(), codec="zstd", asbytes=True))
    assert landing.read("*") == [(1, "1", "2", "3"), (1, "é", "2", "3"), (1, "1", "2", "3")]


def test_a_transcoded_copy_is_removed(landing: Landing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    landing.put("a.csv", (HEADER + "1,2,3\n").encode("utf-16"))
    source = landing.source("a.csv")
    (file,) = find_files(source)
    with read_file(landing.connection, file, source) as rows:
        assert len(list(copies.iterdir())) == 1
        assert rows.count("*").fetchall() == [(1,)]
    assert list(copies.iterdir()) == []


def test_rows_are_numbered_in_the_order_of_the_file(landing: Landing) -> None:
    path = landing.folder / "a.csv"
    landing.connection.execute(
        """COPY (SELECT i AS "Customer ID", 'a, "b"' || chr(10) || i AS "When", i % 7 AS "Paid"
        FROM range(1, 1200001) AS t(i)) TO '"""
        + str(path)
        + "' (HEADER)"
    )
    source = landing.source("a.csv")
    (file,) = find_files(source)
    with read_file(landing.connection, file, source) as rows:
        rows.create("taken")
    counted = landing.connection.execute("SELECT count(*), count_if(source_row = raw_customer_id::BIGINT) FROM taken")
    assert counted.fetchone() == (1_200_000, 1_200_000)


RAGGED = "repair it, or quote the field that holds a ',' or a line end"
QUOTE = "a quoted field is not closed, or more follows its closing quote; close it, and double each quote inside it"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "a.csv is empty: remove it, or export it again with column names in its first line"),
        ("\n" + HEADER, "a.csv: the first line is blank; the column names must stand there"),
        (HEADER + "1,2,3\n1,2\n", f"a.csv, line 3: the row has 2 fields where the header has 3; {RAGGED}"),
        (HEADER + "1\n", f"a.csv, line 2: the row has 1 field where the header has 3; {RAGGED}"),
        (HEADER + '1,"2\n2",3\n\n1,2,3,4\n', f"a.csv, line 5: the row has 4 fields where the header has 3; {RAGGED}"),
        (HEADER + "1,2,3,4,5\n", f"a.csv, line 2: the row has 5 fields where the header has 3; {RAGGED}"),
        # A comma in an unquoted name, and an empty last field: the others would move by one.
        (HEADER + "Smith, J,2,\n", f"a.csv, line 2: the row has 4 fields where the header has 3; {RAGGED}"),
        (HEADER + '1,"2,3\n1,2,3\n', f"a.csv, line 2: {QUOTE}"),
        (HEADER + '1,2,3\n1,2,"3\n1,2,3\n', f"a.csv, line 3: {QUOTE}"),
        (HEADER + '1,"2"x,3\n', f"a.csv, line 2: {QUOTE}"),
        # A quote left open in the first field, or behind the last one, must not swallow the rest of the file.
        (HEADER + '1,2,3\n"1,2,3\n1,2,3\n', f"a.csv, line 3: {QUOTE}"),
        (HEADER + '1,2,3\n1,2,3,"\n1,2,3\n', f"a.csv, line 3: {QUOTE}"),
        (HEADER + '5",2,3\n"1,2,3\n1,2,3\n', f"a.csv, line 3: {QUOTE}"),
        (
            HEADER + "1,2,3\r\n",
            "a.csv, line 2: the line ends otherwise than those before it (LF, CR LF or CR); save the file with one kind"
            " of line end",
        ),
        (
            HEADER + "1," + "x" * 10_000_000 + ",3\n",
            "a.csv, line 2: a field runs over 131,072 characters; close the quote that was left open, or repair the"
            " row",
        ),
        ("x" * 10_000_000, "a.csv is not delimited text: its first line is no list of column names"),
        (
            HEADER + "1,\0,3\n",
            "a.csv is not a text file (NUL in line 2): give it the ending of what it is, or export it again as text",
        ),
        (
            gzip.compress(HEADER.encode(), mtime=0),
            "a.csv is a gzip file by its content, not text: give it the ending .gz after its own",
        ),
        (
            HEADER.encode() + b"\xe9,2,3\n1,2,\x81\n",
            "a.csv is neither UTF-8 nor Windows-1252 text (byte 0x81 at offset 32, line 3): set source.encoding to the"
            " encoding it was written in",
        ),
        (
            "Custmer ID,When,Paid\n",
            "a.csv has no column 'Customer ID' (source.columns.customer_id); did you mean 'Custmer ID'? It has:"
            " 'Custmer ID', 'When', 'Paid'",
        ),
        (
            "Customer ID,When,Paid,x,Paid\n",
            "a.csv has 2 columns named 'Paid' (source.columns.amount), number 3 and 5: rename all but the one that is"
            " meant",
        ),
    ],
)
def test_faults_are_said(landing: Landing, data: str | bytes, message: str) -> None:
    landing.put("a.csv", data)
    with pytest.raises(SourceError) as raised:
        landing.read("a.csv")
    assert str(raised.value) == message


def test_a_column_twice_is_fine_where_it_is_not_mapped(landing: Landing) -> None:
    landing.put("a.csv", "x,Customer ID,x,When,Paid\n0,1,0,2,3\n")
    assert landing.read("a.csv") == [(1, "1", "2", "3")]


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        (
            "utf-8",
            "a.csv is not utf-8 text (byte 0xe9 at offset 22, line 2): set source.encoding to the encoding it was"
            " written in",
        ),
        (
            "klingon",
            "source.encoding = 'klingon' is not a text encoding: use a name such as 'utf-8', 'latin-1' or 'cp1252'",
        ),
        ("hex", "source.encoding = 'hex' is not a text encoding: use a name such as 'utf-8', 'latin-1' or 'cp1252'"),
        (
            "utf-16",
            "a.csv has no byte order mark, which utf-16 needs: set source.encoding to 'utf-16-le' or 'utf-16-be'",
        ),
    ],
)
def test_a_wrong_given_encoding_is_said(landing: Landing, encoding: str, message: str) -> None:
    landing.put("a.csv", HEADER.encode() + b"\xe9,2,3\n")
    with pytest.raises(SourceError) as raised:
        landing.read("a.csv", encoding=encoding)
    assert str(raised.value) == message


def test_the_place_of_a_wrong_byte_is_right_far_into_a_file(landing: Landing) -> None:
    landing.put("a.csv", HEADER.encode() + "é,2,3\n".encode() * 400_000 + b"\xe9,2,3\n")
    with pytest.raises(SourceError, match=r"byte 0xe9 at offset 2,800,022, line 400,002"):
        landing.read("a.csv", encoding="UTF8")


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.zst"])
def test_damaged_compression_is_said(landing: Landing, name: str) -> None:
    data = (HEADER + "1,2,3\n" * 100).encode()
    kind, whole = (
        ("gzip", gzip.compress(data, mtime=0))
        if name.endswith("gz")
        else ("Zstandard", pa.compress(data, codec="zstd", asbytes=True))
    )
    for damaged in (whole[:-6], b"hello"):
        landing.put(name, damaged)
        with pytest.raises(SourceError) as raised:
            landing.read(name)
        assert str(raised.value) == (
            f"{name} is not a whole {kind} file: it was cut off, or is something else; copy or export it again"
        )


def test_an_error_of_the_reader_stays_its_own(landing: Landing) -> None:
    landing.put("a.csv", HEADER + "1,2,3\n")
    with pytest.raises(duckdb.InvalidInputException, match="mine"):
        landing.read("a.csv", "error('mine')")


def test_a_fault_is_said_within_a_transaction_too(landing: Landing) -> None:
    landing.put("a.csv", HEADER + "1,2\n")
    source = landing.source("a.csv")
    (file,) = find_files(source)
    landing.connection.execute("CREATE TABLE taken (source_row BIGINT)")
    landing.connection.begin()
    with pytest.raises(SourceError, match="line 2"), read_file(landing.connection, file, source) as rows:
        landing.connection.execute("INSERT INTO taken SELECT source_row FROM rows")
        assert rows
    landing.connection.rollback()
    assert landing.connection.execute("SELECT count(*) FROM taken").fetchone() == (0,)


def test_sniff_gives_all_columns(landing: Landing) -> None:
    landing.put("a.csv", "When,Customer ID,Paid,x\n")
    source = landing.source("a.csv")
    (file,) = find_files(source)
    assert sniff(file, source) == (("When", "Customer ID", "Paid", "x"), ("VARCHAR",) * 4)


def test_a_folder_for_temporary_files_that_takes_none_is_named(
    landing: Landing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.put("a.csv", "Customer ID,When,Paid\n1,2020-01-05,10\n".encode("utf-16"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(SourceError) as raised:
        landing.read("a.csv")
    assert str(raised.value) == (
        "a.csv has to be copied to the folder for temporary files to be read, and that fails (No such file or"
        " directory): free some space there, or set TMPDIR to another folder"
    )
