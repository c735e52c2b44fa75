"""From a draft and a look at its source to a whole config: given settings, completed by guesses."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import ibis
import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import Table

from genome_pipeline.calendar import FIRST_DAY, LAST_DAY
from genome_pipeline.contracts.formats import Formats
from genome_pipeline.errors import ConfigError
from genome_pipeline.settings import (
    DEFAULT_HOME,
    SCHEMA_FILE,
    SCHEMA_LINE,
    Draft,
    Settings,
    SourceColumns,
    settings_schema,
)
from genome_pipeline.sources.columns import wider_type
from genome_pipeline.sources.guessing import (
    KNOWN_NAMES,
    ColumnGuess,
    Sureness,
    guess_columns,
    guess_currency,
    guess_date_formats,
    guess_number_format,
    is_order_total,
    is_written,
    looks_like_data,
    plain_name,
    written,
)
from genome_pipeline.sources.source import Sample, SourceFile, read_file
from genome_pipeline.transforms.formats import moment

MOMENTS_ROWS = 1_000_000
"""Number of order dates to read: enough to settle their format and the first period."""

_DATES_TO_GUESS_BY = 1_000
# Numbers above 12 tell day from month; the first rows of a log in order of time often have none.
_TELLING = r"^\s*(1[3-9]|[23]\d)[/.-]|^\s*\d{1,2}[/.-](1[3-9]|[23]\d)[/.-]"
_NOTES_FROM = 33
_LONG = timedelta(days=366)
_ALL = list(SourceColumns.model_fields)
_NEEDED = ("customer_id", "ordered_at")
_NUMBERS = ("quantity", "unit_price", "amount")


@dataclass(frozen=True)
class Look:
    """What was found out about a source.

    ``settings`` are the draft's, completed; None if a required column was not found, which ``missing`` then names.
    ``guessed`` are the columns that were guessed, ``doubts`` sentences about decisions for the user. ``config`` is the
    whole text of ``genome.toml``, None if the draft was complete.
    ``first`` and ``last`` are the dates of the first ``dated_rows`` rows, at most :data:`MOMENTS_ROWS`.
    """

    settings: Settings | None
    mapped: Mapping[str, str]
    guessed: Mapping[str, ColumnGuess]
    missing: Sequence[str]
    doubts: Sequence[str]
    config: str | None
    first: datetime | None
    last: datetime | None
    dated_rows: int


def look_at(
    connection: duckdb.DuckDBPyConnection, draft: Draft, files: Sequence[SourceFile], sample: Sample, folder: Path
) -> Look:
    """Complete ``draft`` from the sample and the order dates of its ``files``; ``folder`` is the folder of the config.

    Raises :class:`ConfigError` for a file without a line of column names, or one that cannot be read.
    """
    doubts: list[str] = []
    known = draft.source.columns.mapped
    is_mapped = set(_NEEDED) <= known.keys()
    is_whole = is_mapped and draft.calendar.start is not None
    if is_mapped:
        guessed: dict[str, ColumnGuess] = {}
        doubts += _left_out(sample, known)
    else:
        if draft.source.header and looks_like_data(sample.names):
            raise ConfigError(
                f"{files[0].name}: the first line holds values ({', '.join(sample.names[:4])}), not the names of the"
                " columns: write the names above it, or save a config with source.header = false and name the columns"
                " by number (customer_id = 1)"
            )
        guessed = guess_columns(sample, known, _ALL, doubts)
    mapped = known | {ours: guess.theirs for ours, guess in guessed.items()}
    mapped = {ours: mapped[ours] for ours in _ALL if ours in mapped}
    _doubt_order_totals(sample, mapped, guessed, doubts)

    formats = _number_formats(sample, mapped, doubts)
    first = last = start = None
    dated_rows = 0
    if "ordered_at" in mapped:
        dated_rows = _read_moments(connection, draft, files, mapped["ordered_at"], doubts)
        date_formats = draft.source.formats.date_formats
        if not date_formats:
            guess = guess_date_formats(mapped["ordered_at"], _dates(connection), doubts)
            formats["date_format"] = guess[0] if len(guess) == 1 else guess
            date_formats = () if is_whole else guess
        first, last, start = _span(connection, draft, date_formats, doubts)
    new = {key: value for key, value in formats.items() if key not in draft.source.model_fields_set and value}

    said = draft.model_dump(exclude_unset=True, by_alias=True)
    if is_whole:
        doubts += [f"judging by the values, set source.{key} = {tomlkit.item(new[key]).as_string()}" for key in new]
        return Look(Settings(**said), mapped, guessed, (), doubts, None, first, last, dated_rows)
    said["source"] |= {**new, "columns": mapped}
    said["calendar"] = {"period": draft.calendar.period, "start": start, **said.get("calendar", {})}
    missing = [f"source.columns.{ours}" for ours in _NEEDED if ours not in mapped]
    if start is None:
        missing += [] if missing else ["source.date_format"]
        said["calendar"].pop("start")
    notes = {f"source.columns.{ours}": guess.sureness.value for ours, guess in guessed.items()}
    notes |= {f"source.{key}": "from the values" for key in new} | {"calendar.start": "the period of the first order"}
    config = config_text(_as_in_a_file(said, folder), notes, missing)
    return Look(
        None if missing else Settings(**said), mapped, guessed, missing, doubts, config, first, last, dated_rows
    )


def config_text(values: Mapping[str, Any], notes: Mapping[str, str], missing: Sequence[str] = ()) -> str:
    """A ``genome.toml`` with the values; a note, keyed by the setting's full name, follows its line as a comment.

    Settings that are ``missing`` are comments in the places where their values belong.
    """
    document = tomlkit.document()
    _add(document, values, "", notes, missing)
    return f"{SCHEMA_LINE}\n{tomlkit.dumps(document).strip()}\n"


def write_config(target: Path, text: str | None) -> list[str]:
    """Write the schema beside ``target`` and, where there is a text, the config itself; returns what was written.

    Raises :class:`ConfigError` for a text where there is a config already, which is left as it is.
    """
    schema = target.parent / SCHEMA_FILE
    if text is not None and target.exists():
        raise ConfigError(f"{target} is there, and was left as it is: add to it what is shown above, by hand")
    schema.write_text(json.dumps(settings_schema(), indent=2) + "\n", encoding="utf-8", newline="\n")
    if text is None:
        return [str(schema)]
    target.write_text(text, encoding="utf-8", newline="\n")
    return [str(target), str(schema)]


def _add(
    container: TOMLDocument | Table,
    values: Mapping[str, Any],
    prefix: str,
    notes: Mapping[str, str],
    missing: Sequence[str],
) -> None:
    """Add the values with their notes, then the sections, separated by blank lines."""
    for key, value in values.items():
        if not isinstance(value, Mapping):
            item = tomlkit.item(value)
            if note := notes.get(f"{prefix}{key}"):
                blanks = _NOTES_FROM - len(f"{key} = {item.as_string()}")
                item.comment(note).trivia.comment_ws = " " * max(blanks, 1)
            container.add(key, item)
    for name in missing:
        if name.rpartition(".")[0] == prefix.rstrip("."):
            container.add(tomlkit.comment(f"{name.removeprefix(prefix)} ="))
    for name, section in values.items():
        if isinstance(section, Mapping):
            table = tomlkit.table()
            _add(table, section, f"{prefix}{name}.", notes, missing)
            container.add(tomlkit.nl())
            container.add(name, table)


def _as_in_a_file(said: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The settings as they would be in a config in ``folder``, without those from the environment."""
    said["source"]["path"] = _from(folder, said["source"]["path"])
    home = _from(folder, said.pop("home", DEFAULT_HOME))
    is_said_elsewhere = "GENOME_HOME" in os.environ or home == str(DEFAULT_HOME)
    return said if is_said_elsewhere else {"home": home, **said}


def _from(folder: Path, path: str | Path) -> str:
    """The path relative to the folder, if it is inside it."""
    for whole in (folder.absolute(), folder.resolve()):
        if Path(path).is_absolute() and Path(path).is_relative_to(whole):
            return str(Path(path).relative_to(whole))
    return str(path)


def _left_out(sample: Sample, known: Mapping[str, str]) -> list[str]:
    """Sentences on columns that are not mapped but look like ours."""
    guesses = guess_columns(sample, known, _ALL, [])
    likely = [guess for guess in guesses.values() if guess.sureness is Sureness.EXACT_NAME]
    return [
        f"column {guess.theirs!r} looks like {guess.ours}, and is not mapped"
        for guess in likely
        # Unit price and amount both state what was paid.
        if not (guess.ours in ("unit_price", "amount") and {"unit_price", "amount"} & known.keys())
    ]


def _doubt_order_totals(
    sample: Sample, mapped: dict[str, str], guessed: dict[str, ColumnGuess], doubts: list[str]
) -> None:
    """Doubt an amount that is the order's total; leave it out if it was guessed and there are prices."""
    amount = mapped.get("amount", "")
    orders, amounts = _values(sample, mapped.get("order_id", "")), _values(sample, amount)
    if not (orders and amounts and is_order_total(orders, amounts)):
        return
    if "amount" in guessed and "unit_price" in mapped:
        del mapped["amount"], guessed["amount"]
        doubts.append(f"{amount!r} is left out: it is the same on all lines of an order, so it is the order's total")
    else:
        doubts.append(
            f"{amount!r} is the same on all lines of an order: if it is the order's total, it will be counted once per"
            " line; map the line's own amount, or unit_price and quantity"
        )


def _number_formats(sample: Sample, mapped: Mapping[str, str], doubts: list[str]) -> dict[str, Any]:
    """The settings for the format of numbers, where they differ from the defaults."""
    types = dict(zip(sample.names, sample.types, strict=True))
    texts = {
        ours: written(_values(sample, mapped[ours]))
        for ours in _NUMBERS
        if ours in mapped and is_written(types.get(mapped[ours], ""))
    }
    decimal, thousands = guess_number_format([text for values in texts.values() for text in values], doubts)
    named = [name for name in sample.names if plain_name(name) in KNOWN_NAMES["currency"]]
    amounts = texts.get("amount", []) + texts.get("unit_price", [])
    currency = guess_currency(amounts, written(_values(sample, named[0])) if named else [], doubts)
    return {"decimal": "" if decimal == "." else decimal, "thousands": thousands, "currency": currency}


def _values(sample: Sample, name: str) -> Sequence[str | None]:
    return sample.values[sample.names.index(name)] if name in sample.names else ()


def _read_moments(
    connection: duckdb.DuckDBPyConnection,
    draft: Draft,
    files: Sequence[SourceFile],
    ordered_at: str,
    doubts: list[str],
) -> int:
    """Create table ``moments`` with the raw dates of the first rows of all files; returns their number."""
    source = draft.source.model_copy(update={"columns": SourceColumns(ordered_at=ordered_at)})
    left, type_ = MOMENTS_ROWS, ""
    for file in files:
        with read_file(connection, file, source) as rows:
            moments = rows.project("raw_ordered_at").limit(left)
            found = str(moments.types[0])
            if not type_:
                type_ = found
                connection.execute(f"CREATE TABLE moments (raw_ordered_at {type_})")
            elif (wider := wider_type(type_, found)) is None:
                doubts.append(f"{file.name}: column {ordered_at!r} is {found}, but {type_} in {files[0].name}")
                continue
            elif wider != type_:
                type_ = wider
                connection.execute(f"ALTER TABLE moments ALTER raw_ordered_at TYPE {type_}")
            moments.insert_into("moments")
        left = MOMENTS_ROWS - _count(connection)
        if left <= 0:
            break
    return _count(connection)


def _count(connection: duckdb.DuckDBPyConnection) -> int:
    ((count,),) = connection.execute("SELECT count(*) FROM moments").fetchall()
    return int(count)


def _dates(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Dates to guess a format from: some from everywhere, and those that tell day from month."""
    found = connection.execute(
        "SELECT raw_ordered_at::VARCHAR FROM moments WHERE rowid % ? = 0"
        " UNION ALL (SELECT raw_ordered_at::VARCHAR FROM moments"
        "            WHERE regexp_matches(raw_ordered_at::VARCHAR, ?) LIMIT ?)",
        [max(1, _count(connection) // _DATES_TO_GUESS_BY), _TELLING, _DATES_TO_GUESS_BY],
    ).fetchall()
    return written([text for (text,) in found])


def _span(
    connection: duckdb.DuckDBPyConnection, draft: Draft, date_formats: tuple[str, ...], doubts: list[str]
) -> tuple[datetime | None, datetime | None, date | None]:
    """First and last order, and the start of the first period, ignoring isolated dates long before."""
    table = ibis.duckdb.from_connection(connection).table("moments")
    formats = Formats(date_formats=date_formats, time_zone=draft.source.time_zone)
    connection.register("ordered", table.select(ordered_at=moment(table.raw_ordered_at, formats)).to_pyarrow())
    ((first, last, early),) = connection.execute(
        "SELECT min(ordered_at), max(ordered_at), quantile_disc(ordered_at, 0.001) FROM ordered"
    ).fetchall()
    if first is None:
        return None, None, None
    is_lone = early - first > _LONG
    if is_lone:
        doubts.append(
            f"some dates are long before the others, the first {first:%Y-%m-%d}: they would be set aside; to count"
            " them, set an earlier calendar.start"
        )
    start = draft.calendar.period.start_of((early if is_lone else first).date())
    if not FIRST_DAY <= start <= LAST_DAY:
        doubts.append(f"the orders begin in the year {start.year}: see how their dates are written")
        return first, last, None
    return first, last, start
