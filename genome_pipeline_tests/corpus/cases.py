"""Broken and odd inputs, and what becomes of each: the sentence that its owner reads, or the rows it gives."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from genome_pipeline_tests.support.landing import COLUMNS, HEADER
from genome_pipeline_tests.support.workbooks import Cell, write_workbook


@dataclass(frozen=True)
class Refused:
    """Nothing of the file is taken. FOLDER in the sentence stands for the folder that holds the config."""

    sentence: str


@dataclass(frozen=True)
class Taken:
    """The valid rows as "customer|moment|amount", the numbers of the quarantined ones with their reasons.

    ``renamed`` are the rows that are warned of because an id is taken for another than is written.
    """

    valid: tuple[str, ...] = ()
    quarantined: Mapping[int, str] = field(default_factory=dict)
    renamed: int = 0
    warning: str | None = None


@dataclass(frozen=True)
class Case:
    """A file and its outcome. ``content`` is what is in it, or makes it; ``meanwhile`` happens between hash and read.

    An ``is_alone`` file is not taken in beside the good one, whose types may be others; nor is one that ``is_first``,
    into a warehouse that holds nothing yet, as its columns are others. ``beside`` are more files.
    """

    name: str
    file: str
    content: str | bytes | Callable[[Path], object]
    outcome: Refused | Taken
    options: Mapping[str, Any] = field(default_factory=dict)
    is_alone: bool = False
    is_first: bool = False
    beside: Mapping[str, bytes] = field(default_factory=dict)
    meanwhile: Callable[[Path], object] = lambda _: None
    needs: bool = True


LINE = "7,A1,2020-02-03 10:00:00,1.25\n"
LINE_TAKEN = Taken(("7|2020-02-03 10:00:00|1.25",))
JOSE = LINE.replace("7", "José", 1)
OBJECT = '{"Customer": "7", "Order": "A1", "When": "2020-02-03 10:00", "Paid": 1.25}\n'
XLSX_HEADER: list[Cell] = ["Customer", "Order", "When", "Paid"]
XLSX_ROW: list[Cell] = ["7", "A1", "2020-02-03 10:00", 1.25]

RAGGED = "where the header has 4; repair it, or quote the field that holds a ',' or a line end"
QUOTE = "a quoted field is not closed, or more follows its closing quote; close it, and double each quote inside it"
MAP_ANOTHER = "map another column, or export the file again"
NO_DATE = "column 'When' holds no date in the expected format (ISO), but values such as {!r}: "
EPOCH = NO_DATE + "they look like seconds or milliseconds since 1970, so export them as dates (2026-01-31 18:30:00)"
OTHER_FORMAT = NO_DATE + 'set source.date_format to the file\'s own, such as "%d/%m/%Y %H:%M"'
PERMISSIONS = "check it and its permissions"
DAMAGED = "it was cut off, or is something else; copy or export it again"


def _lines(*paid_at: str) -> str:
    """A file with a line for each date."""
    return HEADER + "".join(f"7,A{number},{moment},1\n" for number, moment in enumerate(paid_at))


def _amounts(*amounts: str) -> str:
    return HEADER + "".join(f'7,A{number},2020-02-03,"{amount}"\n' for number, amount in enumerate(amounts))


def _customers(*customers: str) -> str:
    return HEADER + "".join(f"{customer},A{number},2020-02-03,1\n" for number, customer in enumerate(customers))


def _bought(*customers: str) -> tuple[str, ...]:
    return tuple(f"{customer}|2020-02-03 00:00:00|1.00" for customer in customers)


def _alone(*customers: str) -> Taken:
    return Taken(tuple(f"{customer}|2020-02-03 10:00:00|1.25" for customer in customers))


def _parquet(**columns: Any) -> bytes:
    """One row, or as many as the columns given have."""
    count = len(next(iter(columns.values()))) if columns else 1
    whole = {
        "Customer": pa.array(["7"] * count),
        "Order": pa.array([f"A{number}" for number in range(count)], pa.string()),
        "When": pa.array([datetime(2020, 2, 3, 10)] * count, pa.timestamp("us")),
        "Paid": pa.array([1.25] * count, pa.float64()),
    }
    out = io.BytesIO()
    pq.write_table(pa.table({**whole, **columns}), out)
    return out.getvalue()


def _latin_1(*texts: str) -> pa.Array:
    """Text of a type that says UTF-8, and is not."""
    encoded = pa.array([text.encode("latin-1") for text in texts], pa.binary())
    return pa.Array.from_buffers(pa.string(), len(texts), encoded.buffers())


def _workbook(**sheets: list[list[Cell]]) -> Callable[[Path], object]:
    return partial(write_workbook, sheets=sheets)


def _append(path: Path) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write("8,A2,2020-02-")


def _beside_itself(path: Path) -> None:
    path.write_text(HEADER + LINE, encoding="utf-8")
    (path.parent / "again.csv").symlink_to(path)


def _locked(path: Path) -> None:
    path.write_text(HEADER + LINE, encoding="utf-8")
    path.chmod(0)


ENCODINGS = [
    Case("UTF-8 with a mark", "a.csv", b"\xef\xbb\xbf" + (HEADER + LINE).encode(), LINE_TAKEN),
    Case("UTF-16 LE with a mark", "a.csv", b"\xff\xfe" + (HEADER + LINE).encode("utf-16-le"), LINE_TAKEN),
    Case("UTF-16 BE with a mark", "a.csv", b"\xfe\xff" + (HEADER + LINE).encode("utf-16-be"), LINE_TAKEN),
    Case("UTF-16 LE without a mark", "a.csv", (HEADER + LINE).encode("utf-16-le"), LINE_TAKEN),
    Case("UTF-16 BE without a mark", "a.csv", (HEADER + LINE).encode("utf-16-be"), LINE_TAKEN),
    Case(
        "Latin-1 and Windows-1252",
        "a.csv",
        (HEADER + JOSE.replace("A1", "€1")).encode("cp1252"),
        Taken(
            ("José|2020-02-03 10:00:00|1.25",),
            warning="a.csv is not UTF-8 text (byte 0xe9 at offset 28, line 2): read as Windows-1252; if names look"
            " wrong, set source.encoding to the encoding it was written in",
        ),
    ),
    Case(
        "Shift-JIS unsaid",
        "a.csv",
        (HEADER + LINE.replace("7", "田中", 1)).encode("shift-jis"),
        Taken(
            ("“c\u2019†|2020-02-03 10:00:00|1.25",),
            warning="a.csv is not UTF-8 text (byte 0x93 at offset 25, line 2): read as Windows-1252; if names look"
            " wrong, set source.encoding to the encoding it was written in",
        ),
    ),
    Case(
        "Shift-JIS said",
        "a.csv",
        (HEADER + LINE.replace("7", "田中", 1)).encode("shift-jis"),
        Taken(("田中|2020-02-03 10:00:00|1.25",)),
        {"encoding": "shift-jis"},
    ),
    Case(
        "UTF-8 with damage in the middle",
        "a.csv",
        (HEADER + JOSE).encode() + b"8,\xff\xfe,2020-02-03,1\n",
        Refused(
            "a.csv is UTF-8 text with damage in it (byte 0xff at offset 61, line 3): repair that line, or export the"
            " file again"
        ),
    ),
    Case(
        "neither UTF-8 nor Windows-1252",
        "a.csv",
        HEADER.encode() + b"\x81,A1,2020-02-03,1\n",
        Refused(
            "a.csv is neither UTF-8 nor Windows-1252 text (byte 0x81 at offset 25, line 2): set source.encoding to the"
            " encoding it was written in"
        ),
    ),
    Case(
        "NULs",
        "a.csv",
        HEADER + LINE + "8,A\0,2020-02-03,1\n",
        Refused(
            "a.csv is not a text file (NUL in line 3): give it the ending of what it is, or export it again as text"
        ),
    ),
]

SHAPES = [
    Case(
        "mixed line ends",
        "a.csv",
        HEADER + LINE + LINE.replace("\n", "\r\n"),
        Refused(
            "a.csv, line 3: the line ends otherwise than those before it (LF, CR LF or CR); save the file with one kind"
            " of line end"
        ),
    ),
    Case("line ends of an old Mac", "a.csv", (HEADER + LINE).replace("\n", "\r"), LINE_TAKEN),
    Case("no line end at the end", "a.csv", (HEADER + LINE).rstrip(), LINE_TAKEN),
    Case("too few fields", "a.csv", HEADER + LINE + "8,A2\n", Refused(f"a.csv, line 3: the row has 2 fields {RAGGED}")),
    Case(
        "too many fields",
        "a.csv",
        HEADER + LINE + "8,A2,2020-02-03,1,x\n",
        Refused(f"a.csv, line 3: the row has 5 fields {RAGGED}"),
    ),
    Case(
        "an extra empty field",
        "a.csv",
        HEADER + "Smith, J,A2,2020-02-03,\n",
        Refused(f"a.csv, line 2: the row has 5 fields {RAGGED}"),
    ),
    Case(
        "two columns of one name",
        "a.csv",
        "Customer,Order,When,Paid,Paid\n7,A1,2020-02-03,1,2\n",
        Refused(
            "a.csv has 2 columns named 'Paid' (source.columns.amount), number 4 and 5: rename all but the one that is"
            " meant"
        ),
    ),
    Case(
        "a column mapped twice",
        "a.csv",
        HEADER + LINE,
        Refused("FOLDER/genome.toml: source.columns: column 'Paid' is mapped twice; map each column of the file once"),
        {"columns": {**COLUMNS, "quantity": "Paid"}},
    ),
    Case(
        "names with blanks behind",
        "a.csv",
        "Customer ,Order,When,Paid\n7,A1,2020-02-03,1\n",
        Refused(
            "a.csv has no column 'Customer' (source.columns.customer_id); did you mean 'Customer '? It has:"
            " 'Customer ', 'Order', 'When', 'Paid'"
        ),
    ),
    Case(
        "names in small letters",
        "a.csv",
        HEADER.lower() + LINE,
        Refused(
            "a.csv has no column 'Customer' (source.columns.customer_id); did you mean 'customer'? It has: 'customer',"
            " 'order', 'when', 'paid'"
        ),
    ),
    Case("a header alone", "a.csv", HEADER, Taken()),
    Case(
        "a blank first line",
        "a.csv",
        "\n" + HEADER + LINE,
        Refused("a.csv: the first line is blank; the column names must stand there"),
    ),
    Case(
        "an empty file",
        "a.csv",
        "",
        Refused("a.csv is empty: remove it, or export it again with column names in its first line"),
    ),
    Case("a blank line between", "a.csv", HEADER + "\n" + LINE, LINE_TAKEN),
    Case(
        "a row of commas",
        "a.csv",
        HEADER + LINE + ",,,\n",
        Taken(LINE_TAKEN.valid, {2: "missing_customer missing_date missing_amount"}),
    ),
    Case("a quote left open", "a.csv", HEADER + '8,"A2,2020-02-03,1\n' + LINE, Refused(f"a.csv, line 2: {QUOTE}")),
    Case("text behind a quote", "a.csv", HEADER + LINE + '8,"5"x,2020-02-03,1\n', Refused(f"a.csv, line 3: {QUOTE}")),
    Case(
        "a quote escaped by a backslash",
        "a.csv",
        HEADER + LINE + '8,"5\\" pipe",2020-02-03,1\n',
        Refused(f"a.csv, line 3: {QUOTE}"),
    ),
    Case("a quote inside a field", "a.csv", HEADER + '5" pipe,A2,2020-02-03,1\n', Taken(_bought('5" pipe'))),
    Case(
        "one line of 10 MB",
        "a.csv",
        "x" * 10_000_000,
        Refused("a.csv is not delimited text: its first line is no list of column names"),
    ),
    Case(
        "a field of 10 MB",
        "a.csv",
        HEADER + LINE + "8," + "x" * 10_000_000 + ",2020-02-03,1\n",
        Refused(
            "a.csv, line 3: a field runs over 131,072 characters; close the quote that was left open, or repair the row"
        ),
    ),
    Case("semicolons", "a.csv", (HEADER + LINE).replace(",", ";"), LINE_TAKEN),
    Case("tabs", "a.txt", (HEADER + LINE).replace(",", "\t"), LINE_TAKEN),
    Case("pipes", "a.csv", (HEADER + LINE).replace(",", "|"), LINE_TAKEN),
    Case("blanks behind commas", "a.csv", (HEADER + LINE).replace(",", ", "), LINE_TAKEN),
    Case(
        "a comment first",
        "a.csv",
        "# exported 2020-03-01\n" + HEADER + LINE,
        Refused("a.csv: the column names do not stand in the first line; remove the line above them"),
    ),
    Case(
        "a title and a blank row first",
        "a.csv",
        "Sales report,,,\n,,,\n" + HEADER + LINE,
        Refused("a.csv: the column names do not stand in the first line; remove the 2 lines above them"),
    ),
    Case(
        "a line for a spreadsheet program first",
        "a.csv",
        "sep=;\n" + (HEADER + LINE).replace(",", ";"),
        Refused("a.csv: the column names do not stand in the first line; remove the line above them"),
    ),
    Case(
        "a summary at the end",
        "a.csv",
        HEADER + LINE + "Total,,,1.25\n,,,1.25\n",
        Taken(LINE_TAKEN.valid, {2: "missing_date", 3: "missing_customer missing_date"}),
    ),
    Case(
        "a short summary at the end",
        "a.csv",
        HEADER + LINE + "Total,1.25\n",
        Refused(f"a.csv, line 3: the row has 2 fields {RAGGED}"),
    ),
    Case(
        "two exports in one file",
        "a.csv",
        HEADER + LINE + "\ufeff" + HEADER + "8,A2,2020-02-03,1\n",
        Taken((*LINE_TAKEN.valid, *_bought("8")), {2: "unreadable_date unreadable_number"}, renamed=1),
    ),
    Case(
        "two exports in one file, without names in the second",
        "a.csv",
        HEADER + LINE + "\ufeff" + LINE.replace("A1", "A2"),
        Taken(LINE_TAKEN.valid * 2, renamed=1),
    ),
]

BY_NUMBER = {"header": False, "columns": {"customer_id": 1, "order_id": 2, "ordered_at": 3, "amount": 4}}
NO_HEADER = [
    Case("no header", "a.csv", LINE + LINE.replace("7", "8", 1), _alone("7", "8"), BY_NUMBER, is_first=True),
    Case(
        "no header, semicolons, a mark, a blank line first and no line end at the end",
        "a.csv",
        "\ufeff\n" + (LINE + LINE.replace("7", "8", 1)).replace(",", ";").rstrip(),
        _alone("7", "8"),
        BY_NUMBER,
        is_first=True,
    ),
    Case(
        "no header, one field more",
        "a.csv",
        LINE + "8,A2,2020-02-03,1,x\n",
        Refused(f"a.csv, line 2: the row has 5 fields {RAGGED.replace('header', 'first row')}"),
        BY_NUMBER,
        is_first=True,
    ),
    Case(
        "no header, and fewer columns than named",
        "a.csv",
        "7,A1,2020-02-03\n",
        Refused(
            "a.csv has no column '4' (source.columns.amount). It has: '1', '2', '3'",
        ),
        BY_NUMBER,
        is_first=True,
    ),
    Case(
        "no header, and nothing else",
        "a.csv",
        "\n",
        Refused("a.csv is empty: remove it, or export it again"),
        BY_NUMBER,
        is_first=True,
    ),
    Case("no header in a sheet", "a.xlsx", _workbook(One=[XLSX_ROW]), LINE_TAKEN, BY_NUMBER, is_first=True),
    Case(
        "no header, but JSON",
        "a.ndjson",
        OBJECT,
        Refused("a.ndjson names its columns itself: take source.header = false out, and map them by their names"),
        BY_NUMBER,
        is_first=True,
    ),
]

FILES = [
    Case("Parquet cut off", "a.parquet", _parquet()[:-9], Refused(f"a.parquet is not a whole Parquet file: {DAMAGED}")),
    Case("CSV named .parquet", "a.parquet", HEADER, Refused(f"a.parquet is not a whole Parquet file: {DAMAGED}")),
    Case(
        "gzip cut off",
        "a.csv.gz",
        gzip.compress((HEADER + LINE).encode(), mtime=0)[:-6],
        Refused(f"a.csv.gz is not a whole gzip file: {DAMAGED}"),
    ),
    Case(
        "gzip in gzip",
        "a.csv.gz",
        gzip.compress(gzip.compress((HEADER + LINE).encode(), mtime=0), mtime=0),
        Refused("a.csv.gz holds a gzip file, not text, when it is unpacked: unpack it, and name what comes out"),
    ),
    Case(
        "a name that is not UTF-8",
        "a\udcff.csv",
        HEADER + LINE,
        Refused("the name of FOLDER/in/a\\xff.csv is not UTF-8: rename the file"),
    ),
    Case(
        "Parquet with flipped bits",
        "a.parquet",
        _parquet()[:20] + bytes(byte ^ 0xFF for byte in _parquet()[20:60]) + _parquet()[60:],
        Refused(f"a.parquet is not a whole Parquet file: {DAMAGED}"),
        is_alone=True,
    ),
    Case("text named .gz", "a.csv.gz", HEADER, Refused(f"a.csv.gz is not a whole gzip file: {DAMAGED}")),
    Case(
        "gzip named .csv",
        "a.csv",
        gzip.compress((HEADER + LINE).encode(), mtime=0),
        Refused("a.csv is a gzip file by its content, not text: give it the ending .gz after its own"),
    ),
    Case(
        "Parquet named .csv",
        "a.csv",
        _parquet(),
        Refused("a.csv is a Parquet file by its content, not text: give it the ending .parquet"),
    ),
    Case(
        "a workbook named .csv",
        "a.csv",
        _workbook(One=[XLSX_HEADER]),
        Refused(
            "a.csv is a workbook or a ZIP archive by its content, not text: give it the ending .xlsx, or unpack it"
        ),
    ),
    Case(
        "a folder named .csv",
        "a.csv",
        Path.mkdir,
        Refused("FOLDER/in/a.csv is a folder named like a file: name the files in it, such as 'FOLDER/in/a.csv/*.csv'"),
    ),
    Case("a pipe named .csv", "a.csv", os.mkfifo, Refused("FOLDER/in/a.csv is not a regular file: name files on disk")),
    Case(
        "a link to itself",
        "a.csv",
        lambda path: path.symlink_to(path),
        Refused(f"FOLDER/in/a.csv cannot be read (too many levels of symbolic links): {PERMISSIONS}"),
    ),
    Case(
        "a file beside a link to it",
        "a.csv",
        _beside_itself,
        LINE_TAKEN,
    ),
    Case(
        "no permission",
        "a.csv",
        _locked,
        Refused(f"FOLDER/in/a.csv cannot be read (permission denied): {PERMISSIONS}"),
        needs=os.geteuid() != 0,
    ),
    Case(
        "a disk that fails",
        "a.csv",
        # Nothing is mapped where reading this file begins.
        lambda path: path.symlink_to("/proc/self/mem"),
        Refused(f"FOLDER/in/a.csv cannot be read (input/output error): {PERMISSIONS}"),
        needs=Path("/proc/self/mem").exists(),
    ),
    Case(
        "a file that grows while it is read",
        "a.csv",
        HEADER + LINE + LINE,
        Refused("a.csv changed while it was read: run again when it is complete"),
        meanwhile=lambda path: path.write_text(HEADER + LINE, encoding="utf-8"),
    ),
    Case(
        "a file that grows by half a line while it is read",
        "a.csv",
        HEADER + LINE,
        Refused(f"a.csv, line 3: the row has 3 fields {RAGGED}"),
        meanwhile=_append,
    ),
    Case(
        "a file that vanishes",
        "a.csv",
        HEADER + LINE,
        Refused(f"FOLDER/in/a.csv cannot be read (no such file or directory): {PERMISSIONS}"),
        meanwhile=Path.unlink,
    ),
    Case(
        "a Parquet file that vanishes",
        "a.parquet",
        _parquet(),
        Refused(f"FOLDER/in/a.parquet cannot be read (no such file or directory): {PERMISSIONS}"),
        meanwhile=Path.unlink,
    ),
    Case(
        "a workbook that vanishes",
        "a.xlsx",
        _workbook(One=[XLSX_HEADER, XLSX_ROW]),
        Refused(f"FOLDER/in/a.xlsx cannot be read (no such file or directory): {PERMISSIONS}"),
        meanwhile=Path.unlink,
    ),
]

VALUES = [
    Case(
        "dates that do not exist",
        "a.csv",
        _lines("2020-02-03", "2020-02-31", "2020-13-01", "2020-00-10", "2020-02-03 25:00", "2020-02-03 10:61:00"),
        Taken(("7|2020-02-03 00:00:00|1.00",), dict.fromkeys(range(2, 7), "unreadable_date")),
    ),
    Case(
        "offsets that no zone has",
        "a.csv",
        _lines("2020-02-03 10:00:00+99:99", "2020-02-03 10:00:00+15:30", "2020-02-03T10:00:00-23:00"),
        Taken(("7|2020-02-02 18:30:00|1.00",), {1: "unreadable_date", 3: "unreadable_date"}),
    ),
    Case(
        "offsets in other forms",
        "a.csv",
        _lines(
            "2020-02-03T10:00:00-08:00:00",
            "2020-02-03T10:00:00+05:30:15",
            "2020-02-03 10:00:00 utc",
            "2020-02-03T10:00:00+05:",
            "2020-02-03T10:00:00+16:00:00",
        ),
        Taken(
            ("7|2020-02-03 19:00:00|1.00", "7|2020-02-03 05:29:45|1.00", "7|2020-02-03 11:00:00|1.00"),
            {4: "unreadable_date", 5: "unreadable_date"},
        ),
        {"time_zone": "Europe/Paris"},
    ),
    Case("the last moment of a day", "a.csv", _lines("2020-02-03 24:00:00"), Taken(("7|2020-02-04 00:00:00|1.00",))),
    Case(
        "dates out of this world",
        "a.csv",
        _lines("0001-01-01", "-0044-03-15", "9999-12-31", "99999-01-01", "infinity", "-infinity", "epoch"),
        Taken(
            (),
            {
                **dict.fromkeys((1, 2, 6, 7), "outside_calendar"),
                **dict.fromkeys((3, 4, 5), "future_date"),
            },
        ),
    ),
    Case(
        "dates in other forms among good ones",
        "a.csv",
        _lines("2020-02-03", "03.02.2020", "20200203", "43864", "1580724000", "today", "2020-02"),
        Taken(("7|2020-02-03 00:00:00|1.00",), dict.fromkeys(range(2, 8), "unreadable_date")),
    ),
    Case(
        "epoch seconds",
        "a.csv",
        _lines("1580724000"),
        Refused(f"a.csv: {EPOCH.format('1580724000')}"),
    ),
    Case(
        "epoch milliseconds in NDJSON",
        "a.ndjson",
        OBJECT.replace('"2020-02-03 10:00"', "1580724000000"),
        Refused(f"a.ndjson: {EPOCH.format('1580724000000')}"),
    ),
    Case(
        "epoch milliseconds in Parquet",
        "a.parquet",
        _parquet(When=[1580724000000]),
        Refused(f"a.parquet: {EPOCH.format('1580724000000')}"),
        is_alone=True,
    ),
    Case(
        "numbers as words, NaN and infinity",
        "a.csv",
        _amounts(
            "1", "two", "NaN", "nan", "inf", "-Infinity", "true", "0x10", "1.2.3", "--5", "(-5)", "(5", "5 EUR", "$5"
        ),
        Taken(_bought("7"), dict.fromkeys(range(2, 15), "unreadable_number")),
    ),
    Case(
        "decimal commas and thousands marks",
        "a.csv",
        _amounts("1", "1,25", "1,234.56", "1.234,56", "1 234", "1'234"),
        Taken(_bought("7"), dict.fromkeys(range(2, 7), "unreadable_number")),
    ),
    Case(
        "huge and tiny amounts",
        "a.csv",
        _amounts(
            "999999999.99", "1000000000", "-1000000000", "1e30", "-1e30", "1e-30", "0.004", "0.005", "9" * 45, "1e3"
        ),
        Taken(
            ("7|2020-02-03 00:00:00|999999999.99", "7|2020-02-03 00:00:00|0.01", "7|2020-02-03 00:00:00|1000.00"),
            {
                **dict.fromkeys((2, 3), "absurd_number"),
                **dict.fromkeys((4, 5, 9), "unreadable_number"),
                **dict.fromkeys((6, 7), "zero_amount"),
            },
        ),
    ),
    Case(
        "ids as they are, without the blanks around them",
        "a.csv",
        _customers("007", " 8 ", "a b", "😀", "k" * 10_000, "1e5", "ab", "AB"),
        Taken(_bought("007", "8", "a b", "😀", "k" * 10_000, "1e5", "ab", "AB")),
    ),
    Case(
        "blanks of other kinds around and in ids",
        "a.csv",
        _customers("\u00a09\u00a0", "\u30009", "9\u202f", '"a\nb"', "a\u2003b"),
        Taken(_bought("9", "9", "9", "a b", "a b"), renamed=5),
    ),
    Case(
        "marks in ids that show nothing",
        "a.csv",
        _customers("9", "\ufeff9", "\u200b9\u200b", "9\u200e", "\x079", "\u200b"),
        Taken(_bought("9", "9", "9", "9", "9"), {6: "missing_customer"}, renamed=4),
    ),
    Case(
        "accents beside their letters and apart",
        "a.csv",
        _customers("Jos\u00e9", "Jose\u0301"),
        Taken(_bought("Jos\u00e9", "Jos\u00e9"), renamed=1),
    ),
    Case(
        "whole numbers as floats",
        "a.csv",
        _customers("17850", "17850.0", "17850.5", "0017850.0", "1.10"),
        Taken(_bought("17850", "17850", "17850.5", "0017850.0", "1.10"), renamed=1),
    ),
    Case(
        "ids that would be commands elsewhere",
        "a.csv",
        _customers(
            "'; DROP TABLE raw_transactions; --", "<script>alert(1)</script>", "=1+1", "@SUM(A1:A2)", "+1", "${x}"
        ),
        Taken(
            _bought(
                "'; DROP TABLE raw_transactions; --", "<script>alert(1)</script>", "=1+1", "@SUM(A1:A2)", "+1", "${x}"
            )
        ),
    ),
    Case(
        "ids that mean nothing",
        "a.csv",
        _customers("NULL", "null", "NaN", "nan", "None", "N/A", "#N/A", "\\N", '""', "  ", "\t", "\u00a0"),
        Taken((), dict.fromkeys(range(1, 13), "missing_customer")),
    ),
]

NDJSON = [
    Case(
        "an array on one line",
        "a.json",
        f"[{OBJECT.strip()}, {OBJECT.strip()}]",
        Refused("a.json, line 1: a JSON array, not an object; write one object on each line"),
    ),
    Case(
        "an array over several lines",
        "a.json",
        f"[\n{OBJECT.strip()},\n{OBJECT}]",
        Refused(
            "a.json, line 1: not one whole JSON object (expecting value at column 2); write one object on each line"
        ),
    ),
    Case(
        "nested objects",
        "a.ndjson",
        OBJECT + OBJECT.replace('"7"', '{"id": 7}'),
        Refused(
            "a.ndjson, line 2: 'Customer' is a JSON object, where one text or number is needed; flatten it, or map"
            " another key"
        ),
    ),
    Case(
        "an object as the customer, far down",
        "a.ndjson",
        OBJECT * 1_500 + OBJECT.replace('"7"', '{"id": 7}'),
        Refused(
            "a.ndjson, line 1,501: 'Customer' is a JSON object, where one text or number is needed; flatten it, or map"
            " another key"
        ),
    ),
    Case(
        "an array as the order, far down",
        "a.ndjson",
        OBJECT * 1_500 + OBJECT.replace('"A1"', '["A1", "A2"]'),
        Refused(
            "a.ndjson, line 1,501: 'Order' is a JSON array, where one text or number is needed; flatten it, or map"
            " another key"
        ),
    ),
    Case(
        "ids that look like objects and arrays",
        "a.ndjson",
        OBJECT.replace('"7"', '"{7}"') + OBJECT.replace('"7"', '"[7]"') + OBJECT.replace('"7"', '" {\\"a\\": 7}"'),
        Taken(("{7}|2020-02-03 10:00:00|1.25", "[7]|2020-02-03 10:00:00|1.25", '{"a": 7}|2020-02-03 10:00:00|1.25')),
    ),
    Case(
        "a NUL behind the id",
        "a.ndjson",
        OBJECT + OBJECT.replace('"7"', '"7\\u0000"').replace("A1", "A2"),
        Taken(LINE_TAKEN.valid * 2, renamed=1),
    ),
    Case(
        "missing keys and a null",
        "a.ndjson",
        OBJECT + '{"Customer": "8"}\nnull\n',
        Taken(
            LINE_TAKEN.valid,
            {2: "missing_date missing_amount", 3: "missing_customer missing_date missing_amount"},
        ),
    ),
    Case(
        "a key twice",
        "a.ndjson",
        OBJECT + '{"Customer": "8", "Paid": 1, "Paid": 2}\n',
        Refused("a.ndjson, line 2: key 'Paid' stands twice in the object; write it once"),
    ),
    Case(
        "a comma behind the last key",
        "a.ndjson",
        OBJECT + '{"Customer": "8",}\n',
        Refused(
            "a.ndjson, line 2: not one whole JSON object (expecting property name enclosed in double quotes at column"
            " 18); write one object on each line"
        ),
    ),
    Case(
        "a comma behind each object",
        "a.ndjson",
        OBJECT.replace("\n", ",\n") * 2,
        Refused("a.ndjson, line 1: not one whole JSON object (extra data at column 75); write one object on each line"),
    ),
    Case(
        "white space that JSON does not know",
        "a.ndjson",
        "\u00a0" + OBJECT,
        Refused(
            "a.ndjson, line 1: not one whole JSON object (expecting value at column 1); write one object on each line"
        ),
    ),
    Case(
        "a form feed behind an object",
        "a.ndjson",
        OBJECT.replace("\n", "\f\n"),
        Refused("a.ndjson, line 1: not one whole JSON object (extra data at column 75); write one object on each line"),
    ),
    Case(
        "a value nested deeply",
        "a.ndjson",
        OBJECT + OBJECT.replace("7", "8").replace("}", ', "More": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        Refused("a.ndjson, line 2: values are nested too deep to be read; flatten them, or leave them out"),
    ),
    Case(
        "half a character",
        "a.ndjson",
        OBJECT + OBJECT.replace("7", "\\ud83d", 1),
        Refused(
            "a.ndjson, line 2: half a character (a \\ud… escape without its other half); repair it, or export the file"
            " again"
        ),
    ),
    Case(
        "numbers that are none",
        "a.ndjson",
        OBJECT + "".join(OBJECT.replace("1.25", value) for value in ("NaN", "Infinity", "1e400", "true", '"x"')),
        Taken(LINE_TAKEN.valid, dict.fromkeys(range(2, 7), "unreadable_number")),
    ),
]

PARQUET = [
    Case(
        "Parquet beside CSV",
        "a.parquet",
        _parquet(),
        Refused(
            "a.parquet: column 'When' is TIMESTAMP, but VARCHAR in good.csv: bring the files to one type, or give them"
            " a config of their own"
        ),
    ),
    Case(
        "a column without values beside text",
        "a.parquet",
        _parquet(Order=pa.nulls(1)),
        Taken(("7|2020-02-03 10:00:00|1.25",) * 2),
        is_alone=True,
        beside={"b.parquet": _parquet(Order=["B1"])},
    ),
    Case(
        "text beside a column without values",
        "a.parquet",
        _parquet(Order=["B1"]),
        Taken(("7|2020-02-03 10:00:00|1.25",) * 2),
        is_alone=True,
        beside={"b.parquet": _parquet(Order=pa.array([float("nan")]))},
    ),
    Case(
        "whole numbers of two lengths as ids",
        "a.parquet",
        _parquet(Customer=pa.array([7], pa.int32())),
        Taken(("7|2020-02-03 10:00:00|1.25", "8000000000|2020-02-03 10:00:00|1.25")),
        is_alone=True,
        beside={"b.parquet": _parquet(Customer=pa.array([8_000_000_000], pa.int64()))},
    ),
    Case(
        "the longer whole numbers first, dates beside moments, decimals of two scales",
        "a.parquet",
        _parquet(
            Customer=pa.array([8_000_000_000], pa.int64()),
            When=[date(2020, 2, 3)],
            Paid=pa.array([Decimal("1.25")], pa.decimal128(10, 2)),
        ),
        Taken(("8000000000|2020-02-03 00:00:00|1.25", "7|2020-02-03 10:00:00|1.26")),
        is_alone=True,
        beside={
            "b.parquet": _parquet(
                Customer=pa.array([7], pa.int16()), Paid=pa.array([Decimal("1.2550")], pa.decimal128(9, 4))
            )
        },
    ),
    Case(
        "numbers beside text as ids",
        "a.parquet",
        _parquet(Customer=[7]),
        Refused(
            "b.parquet: column 'Customer' is VARCHAR, but BIGINT in a.parquet: bring the files to one type, or give"
            " them a config of their own"
        ),
        is_alone=True,
        beside={"b.parquet": _parquet(Customer=["007"])},
    ),
    Case("no rows", "a.parquet", _parquet(Paid=pa.array([], pa.float64())), Taken(), is_alone=True),
    Case(
        "decimals",
        "a.parquet",
        _parquet(Paid=pa.array([Decimal("1.255")], pa.decimal128(38, 10))),
        Taken(("7|2020-02-03 10:00:00|1.26",)),
        is_alone=True,
    ),
    Case(
        "decimals too long",
        "a.parquet",
        _parquet(Paid=pa.array([Decimal("1.255")], pa.decimal256(60, 10))),
        Refused(
            "a.parquet: column 'Paid' is DECIMAL(60,10) (source.columns.amount), where a decimal of at most 38 digits"
            f" is needed: {MAP_ANOTHER}"
        ),
        is_alone=True,
    ),
    Case(
        "a time stamp with its zone",
        "a.parquet",
        _parquet(When=pa.array([datetime(2020, 2, 3, 10)], pa.timestamp("us", "UTC"))),
        LINE_TAKEN,
        is_alone=True,
    ),
    Case(
        "dates without a time",
        "a.parquet",
        _parquet(When=[date(2020, 2, 3)]),
        Taken(("7|2020-02-03 00:00:00|1.25",)),
        is_alone=True,
    ),
    Case(
        "dates as whole numbers",
        "a.parquet",
        _parquet(When=[20200203]),
        Refused(f"a.parquet: {OTHER_FORMAT.format('20200203')}"),
        is_alone=True,
    ),
    Case(
        "a time of day as the date",
        "a.parquet",
        _parquet(When=pa.array([1], pa.time64("us"))),
        Refused(f"a.parquet: column 'When' is TIME (source.columns.ordered_at), where a date is needed: {MAP_ANOTHER}"),
        is_alone=True,
    ),
    Case(
        "truth values as amounts",
        "a.parquet",
        _parquet(Paid=[True]),
        Refused(
            f"a.parquet: column 'Paid' is BOOLEAN (source.columns.amount), where a number is needed: {MAP_ANOTHER}"
        ),
        is_alone=True,
    ),
    Case(
        "a list as the customer",
        "a.parquet",
        _parquet(Customer=[["7"]]),
        Refused(
            "a.parquet: column 'Customer' is VARCHAR[] (source.columns.customer_id), where one value a row is needed:"
            f" {MAP_ANOTHER}"
        ),
        is_alone=True,
    ),
    Case(
        "NaN, infinity and huge doubles",
        "a.parquet",
        _parquet(Paid=[1.25, float("nan"), float("inf"), float("-inf"), 1e300]),
        Taken(LINE_TAKEN.valid, {2: "missing_amount", **dict.fromkeys((3, 4, 5), "unreadable_number")}),
        is_alone=True,
    ),
    Case(
        "customers as doubles",
        "a.parquet",
        _parquet(Customer=[7.0, 7.5, float("nan"), 1e20]),
        Taken(
            ("7|2020-02-03 10:00:00|1.25", "7.5|2020-02-03 10:00:00|1.25", "1e+20|2020-02-03 10:00:00|1.25"),
            {3: "missing_customer"},
        ),
        is_alone=True,
    ),
    Case(
        "text that is not UTF-8",
        "a.parquet",
        _parquet(Order=_latin_1("A1", "Jos\u00e9")),
        Refused(
            "a.parquet, row 2, column 'Order': the text is not UTF-8, as all text in Parquet has to be; write the file"
            " again, with the text decoded from the encoding it was in"
        ),
        is_alone=True,
    ),
    Case(
        "NULs in ids",
        "a.parquet",
        _parquet(Customer=["7", "7\0", "\0"]),
        Taken(LINE_TAKEN.valid * 2, {3: "missing_customer"}, renamed=1),
        is_alone=True,
    ),
    Case(
        "nothing in any column",
        "a.parquet",
        _parquet(Customer=pa.nulls(1), Order=pa.nulls(1), When=pa.nulls(1), Paid=pa.nulls(1)),
        Taken((), {1: "missing_customer missing_date missing_amount"}),
        is_alone=True,
    ),
]

WORKBOOKS = [
    Case(
        "a password",
        "a.xlsx",
        bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504),
        Refused("a.xlsx is protected by a password, or an old .xls workbook: save it as .xlsx without a password"),
    ),
    Case(
        "an old workbook named .csv",
        "a.csv",
        bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504),
        Refused(
            "a.csv is an old .xls workbook by its content, not text: give it the ending .xlsx, saved so by a"
            " spreadsheet program"
        ),
    ),
    Case(
        "CSV named .xlsx",
        "a.xlsx",
        HEADER + LINE,
        Refused("a.xlsx is not a whole .xlsx workbook: it was cut off, or is something else; copy or save it again"),
    ),
    Case(
        "nothing in any sheet",
        "a.xlsx",
        _workbook(One=[], Two=[]),
        Refused(
            "a.xlsx is empty: remove it, or save it again with column names in the first row of a sheet that is not"
            " hidden"
        ),
    ),
    Case("an empty sheet beside a full one", "a.xlsx", _workbook(One=[XLSX_HEADER, XLSX_ROW], Two=[]), LINE_TAKEN),
    Case(
        "a hidden sheet beside a shown one",
        "a.xlsx",
        partial(
            write_workbook,
            sheets={"One": [XLSX_HEADER, XLSX_ROW], "Old": [XLSX_HEADER, XLSX_ROW]},
            hidden={"Old"},
        ),
        Taken(LINE_TAKEN.valid, warning="a.xlsx: sheet 'Old' is hidden and left out: show what is to be read"),
    ),
    Case(
        "a sheet of notes",
        "a.xlsx",
        _workbook(One=[XLSX_HEADER, XLSX_ROW], Notes=[["Made by Ann"]]),
        Refused("a.xlsx#Notes has no column 'Customer' (source.columns.customer_id). It has: 'Made by Ann'"),
    ),
    Case(
        "formulas",
        "a.xlsx",
        _workbook(
            One=[
                XLSX_HEADER,
                ["7", "A1", "2020-02-03 10:00", (1.25, "=1+0.25")],
                ["7", "A2", "2020-02-03", (None, "=1+0.25")],
                ["7", "A3", "2020-02-03", ("#DIV/0!", "=1/0")],
            ]
        ),
        Taken(LINE_TAKEN.valid, {2: "missing_amount", 3: "missing_amount"}),
    ),
    Case(
        "dates as serial numbers, truth values",
        "a.xlsx",
        _workbook(
            One=[
                XLSX_HEADER,
                [7, "A1", (43864.4166666667, "moment"), 1.25],
                [7, "A2", (43864, "date"), 1],
                [7, "A3", 43864, 1],
                [7, "A4", "2020-02-03", True],
            ]
        ),
        Taken((*LINE_TAKEN.valid, *_bought("7")), {3: "unreadable_date", 4: "unreadable_number"}),
    ),
]

CASES = [*ENCODINGS, *SHAPES, *NO_HEADER, *FILES, *VALUES, *NDJSON, *PARQUET, *WORKBOOKS]
