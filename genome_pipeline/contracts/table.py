"""The declaration of a table, from which its DDL is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from genome_pipeline.contracts.column import AS_READ, Column
from genome_pipeline.contracts.columns import COLUMNS


@dataclass(frozen=True)
class Reference:
    """A reference to rows of another table: ``columns`` of every row here equal ``their_columns`` of a row there.

    If it ``is_complete``, every row there is also referred to by a row here, slice by slice.
    """

    table: str
    columns: tuple[str, ...]
    their_columns: tuple[str, ...]
    is_complete: bool = False


@dataclass(frozen=True)
class Table:
    """One table of the flow.

    ``slice_by`` is the column whose values are replaced together (a partition); ``None`` means that the whole table is
    one slice. ``key`` identifies a row. ``never_null`` are columns that the dictionary lets be null, but this table
    does not. A table that ``is_made_at_publishing`` is in the published file only.
    """

    name: str
    group: str
    grain: str
    description: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    slice_by: str | None
    never_null: tuple[str, ...] = ()
    is_published: bool = False
    is_made_at_publishing: bool = False
    references: tuple[Reference, ...] = ()

    def __post_init__(self) -> None:
        unknown = [name for name in (*self.columns, *self.key, *self.never_null) if name not in COLUMNS]
        stray = [name for name in (*self.key, *self.never_null) if name not in self.columns]
        if unknown or stray or (self.slice_by and self.slice_by not in self.columns):
            raise ValueError(f"table {self.name}: undeclared columns {unknown}, not in the table {stray}")
        if needless := [name for name in self.never_null if not COLUMNS[name].is_nullable]:
            raise ValueError(f"table {self.name}: {needless} are null nowhere, so that never_null need not name them")

    @cached_property
    def fields(self) -> tuple[Column, ...]:
        """The columns in order."""
        return tuple(COLUMNS[name] for name in self.columns)

    @cached_property
    def nullable(self) -> frozenset[str]:
        """The columns that may be null; all others may not."""
        return frozenset(column.name for column in self.fields if column.is_nullable) - {*self.never_null}

    @property
    def is_by_period(self) -> bool:
        """Whether each period has a slice of its own: of its lines, or of the snapshot at its end."""
        return self.slice_by == "period_start_date" or self.is_snapshot

    @property
    def is_snapshot(self) -> bool:
        """Whether the table holds one slice per snapshot."""
        return self.slice_by in ("as_of", "matured_as_of")

    @property
    def published_name(self) -> str:
        """Its name in the published file, where a view of the latest snapshot has the plain name."""
        return f"{self.name}_history" if self.is_snapshot else self.name

    def ddl(self, name: str | None = None, types: dict[str, str] | None = None) -> str:
        """``CREATE TABLE`` statement; ``types`` gives the types of columns that keep the source's type."""
        lines = []
        for column in self.fields:
            type_ = column.type if column.type != AS_READ else (types or {}).get(column.name, "VARCHAR")
            lines.append(f'"{column.name}" {type_}' + ("" if column.name in self.nullable else " NOT NULL"))
        return f"CREATE TABLE {name or self.name} ({', '.join(lines)})"
