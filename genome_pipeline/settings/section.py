"""The base class of all sections of the settings."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationInfo,
    field_validator,
)

_QUERY_OF_URL = re.compile(r"[?&][^?&/*=]+=")


class Section(BaseModel):
    """A section: frozen, without unknown keys, and without booleans for numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _a_number_is_no_truth_value(cls, value: Any, info: ValidationInfo) -> Any:
        is_number = cls.model_fields[str(info.field_name)].annotation in (int, float, float | None)
        for one in value if isinstance(value, list) else [value] if is_number else []:
            if isinstance(one, bool):
                raise ValueError(f"{str(one).lower()} is no number; write one")
        return value


def expanded(path: Path) -> Path:
    """The path with ``~`` expanded as the shell does."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError(f"'{path}' names a user of whom no home is known; write the whole path") from None


def refuse_query(name: str, path: str) -> None:
    """Raise :class:`ValueError` for a URL with a query string, which may hold a secret."""
    if "://" in path and _QUERY_OF_URL.search(path):
        raise ValueError(
            f"{name} holds a query, such as a signature; take it out, credentials of a bucket come from its own"
            " variables"
        )


def suggestion(name: str, known: Any) -> str:
    """A known name similar to an unknown one, as the end of a sentence; empty if there is none."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""
