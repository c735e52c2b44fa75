"""Where the transactions are, and in which format."""

from __future__ import annotations

import os
import re
import zoneinfo
from enum import Enum, auto
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import unquote

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)

from genome_pipeline.contracts.formats import Formats
from genome_pipeline.settings.section import Section, expanded, refuse_query, suggestion

_USER_AND_PASSWORD = re.compile(r"(?P<before>[^/]+://[^/:@]*):(?P<password>.*)(?=@)", re.DOTALL)
_PASSWORD_IN_QUERY = re.compile(r"[?&]\w*password=", re.IGNORECASE)
_FORMAT_CODES = "aAbBcdfgGHIjmMnpSuUVwWxXyYzZ%"


class SourceKind(Enum):
    """The kind of source that a path names."""

    LOCAL = auto()
    BUCKET = auto()
    DATABASE = auto()

    @classmethod
    def of(cls, path: str) -> SourceKind:
        """The kind of source that a path or URL names."""
        if path.startswith(("postgresql://", "postgres://")):
            return cls.DATABASE
        return cls.BUCKET if "://" in path else cls.LOCAL


class Columns(Section):
    """Names of a file's columns: ours = theirs. Columns of a file without a header are numbered from 1."""

    @property
    def mapped(self) -> dict[str, str]:
        """The columns that are mapped: ours -> theirs."""
        return {ours: theirs for ours, theirs in self.model_dump().items() if theirs is not None}

    @field_validator("*", mode="before")
    @classmethod
    def _by_number(cls, column: Any) -> Any:
        is_number = isinstance(column, int) and not isinstance(column, bool)
        return str(column) if is_number else column

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        theirs = list(self.mapped.values())
        twice = sorted({name for name in theirs if theirs.count(name) > 1})
        if twice:
            raise ValueError(f"column {twice[0]!r} is mapped twice; map each column of the file once")
        return self


class SourceColumns(Columns):
    """Names of the source's columns."""

    customer_id: str | None = Field(default=None, description="Who bought.")
    ordered_at: str | None = Field(default=None, description="When: a date, or a moment.")
    order_id: str | None = Field(default=None, description="Without it, a customer has one order a day.")
    product_id: str | None = Field(default=None, description="What was bought.")
    category: str | None = Field(default=None, description="The product's category.")
    quantity: str | None = Field(default=None, description="How many; negative for a return.")
    unit_price: str | None = Field(default=None, description="The price of one.")
    amount: str | None = Field(default=None, description="The line's total, where there is no unit_price.")
    country: str | None = Field(default=None, description="Country of the order.")
    currency: str | None = Field(
        default=None, description="The line's currency; rows in another than source.currency are set aside."
    )

    @property
    def has_amounts(self) -> bool:
        """Whether the source has amounts."""
        return self.amount is not None or self.unit_price is not None


class CompleteColumns(SourceColumns):
    """Names of columns, including those without which nothing can be measured."""

    customer_id: str = Field(description="Who bought.")
    ordered_at: str = Field(description="When: a date, or a moment.")


class SourceSettings(Section):
    """Where the transactions are and how to read them.

    ``path`` is a file, a folder or a glob, local or in a bucket, or the URL of a PostgreSQL database. A password in
    that URL is stored separately, so that ``path`` can be shown.
    """

    path: str = Field(description="File, folder or glob, relative to this file; s3://, gs://, az:// or postgresql://.")
    table: str | None = Field(default=None, description="Table of the database, with its schema: sales.lines.")
    query: str | None = Field(default=None, description="SELECT statement, in place of the table.")
    columns: SourceColumns = SourceColumns()
    currency: str = Field(default="", max_length=3, description="ISO code of the amounts, which are never converted.")
    date_format: str | tuple[str, ...] | None = Field(
        default=None, description="strptime format of ordered_at, where it is not ISO; of several, the first that fits."
    )
    time_zone: str = Field(default="UTC", description="IANA zone whose wall time counts.")
    decimal: Literal[".", ","] = Field(default=".", description="The mark in numbers written as text.")
    thousands: Literal[",", ".", "'", " ", "_"] | None = Field(
        default=None, description="The mark between thousands in numbers written as text."
    )
    encoding: str | None = Field(default=None, description="Text encoding; detected when not given.")
    delimiter: str | None = Field(default=None, description="CSV delimiter; detected when not given.")
    header: bool = Field(default=True, description="Without one, columns are named by number: '1' is the first.")
    _password: SecretStr | None = PrivateAttr(default=None)

    @field_validator("path")
    @classmethod
    def _from_the_users_folder(cls, path: str) -> str:
        return str(expanded(Path(path))) if path.startswith("~") else path

    @property
    def kind(self) -> SourceKind:
        """The kind of source that the path names."""
        return SourceKind.of(self.path)

    @property
    def is_database(self) -> bool:
        """Whether the rows come from PostgreSQL."""
        return self.kind is SourceKind.DATABASE

    @property
    def place(self) -> str:
        """The path, with the table or query of a database; it identifies the log."""
        path = os.path.abspath(self.path) if self.kind is SourceKind.LOCAL else self.path  # noqa: PTH100, links stay as named
        return " ".join([path, *(part for part in (self.table, self.query) if part)])

    @property
    def password(self) -> str | None:
        """The password from the URL. Never show or store it."""
        return self._password.get_secret_value() if self._password else None

    @model_validator(mode="wrap")
    @classmethod
    def _password_apart(cls, data: Any, handler: ModelWrapValidatorHandler[SourceSettings]) -> SourceSettings:
        if not isinstance(data, dict) or not isinstance(data.get("path"), str):
            return handler(data)
        path, password = without_password(data["path"])
        source = handler(data | {"path": path})
        if password is not None:
            if not source.is_database:
                raise ValueError(
                    "path holds a password; take it out, credentials of a bucket come from its own variables"
                )
            source._password = SecretStr(password)
        return source

    @model_validator(mode="after")
    def _table_or_query(self) -> SourceSettings:
        given = [name for name in ("table", "query") if getattr(self, name) is not None]
        if self.is_database and len(given) != 1:
            raise ValueError(
                "a database needs either table or query; " + ("take one out" if given else "add one of them")
            )
        if self.is_database and not self.header:
            raise ValueError(
                "header = false is for text files and workbooks; take it out, a database names its columns"
            )
        if given and not self.is_database:
            raise ValueError(f"{given[0]} is for a database, which path does not name; take it out")
        if self.is_database and _PASSWORD_IN_QUERY.search(unquote(self.path)):
            raise ValueError("path holds a password; take it out, and set PGPASSWORD")
        if not self.is_database:
            refuse_query("path", self.path)
        return self

    @property
    def formats(self) -> Formats:
        """The formats of numbers and dates."""
        written = self.date_format or ()
        return Formats(
            date_formats=(written,) if isinstance(written, str) else written,
            time_zone=self.time_zone,
            decimal=self.decimal,
            thousands=self.thousands,
            currency=self.currency.upper(),
        )

    @field_validator("date_format")
    @classmethod
    def _of_known_codes(cls, formats: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for format_ in (formats,) if isinstance(formats, str) else formats or ():
            codes = re.findall("%-?(.?)", format_)
            unknown = [code for code in codes if code not in _FORMAT_CODES or not code]
            if unknown or not codes:
                fault = f"%{unknown[0]} is no strptime code" if unknown else "there is no strptime code in it"
                raise ValueError(f'{format_!r}: {fault}; write the format as in "%d/%m/%Y %H:%M"')
        return formats

    @field_validator("time_zone")
    @classmethod
    def _of_known_zone(cls, zone: str) -> str:
        known = zoneinfo.available_timezones()
        if zone not in known:
            raise ValueError(
                f"{zone!r} is no IANA time zone{suggestion(zone, known)}; use a name such as 'Europe/London'"
            )
        return zone

    @model_validator(mode="after")
    def _marks_differ(self) -> SourceSettings:
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}; set source.decimal to the other mark")
        return self


class CompleteSource(SourceSettings):
    """Where the transactions are and how to read them; the columns are named."""

    columns: CompleteColumns


def without_password(path: str) -> tuple[str, str | None]:
    """The URL without its password, and the password: everything between the user's name and the last "@"."""
    found = _USER_AND_PASSWORD.match(path)
    return (found["before"] + path[found.end() :], unquote(found["password"])) if found else (path, None)
