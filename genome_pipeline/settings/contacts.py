"""Where the log of contacts is: who was really reached, for experiments."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from genome_pipeline.settings.section import Section, expanded
from genome_pipeline.settings.source import Columns, SourceKind


class ContactColumns(Columns):
    """Names of the contact log's columns."""

    customer_id: str = Field(description="Who was reached, as in the source.")
    contacted_at: str = Field(description="When: a date, or a moment.")
    channel: str | None = Field(default=None, description="By which way.")
    campaign: str | None = Field(default=None, description="The rule, the action or the id of the experiment.")
    cost: str | None = Field(default=None, description="What the contact cost.")


class ContactSettings(Section):
    """A file with a row for each contact of a customer; dates and numbers are written as ISO, or as in the source."""

    path: str = Field(description="File on this machine.")
    columns: ContactColumns

    @field_validator("path")
    @classmethod
    def _a_file_of_this_machine(cls, path: str) -> str:
        if not path:
            raise ValueError("no file is named; name one, or take the section out")
        if SourceKind.of(path) is not SourceKind.LOCAL:
            raise ValueError("the contact log is a file on this machine; copy it there, and name that file")
        return str(expanded(Path(path)))
