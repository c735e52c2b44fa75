"""Mistakes in a config or in the environment, in one sentence each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from genome_pipeline.contracts.documents import EVERY_SETTING
from genome_pipeline.settings.section import suggestion
from genome_pipeline.settings.settings import DELIMITER, PREFIX, Settings

_SECRETS_IN = ("privacy", "dashboard", "audiences")
_GUESSED = (("source", "columns"), ("calendar",), ("calendar", "start"))


def is_guessable(error: Any) -> bool:
    """Whether ``genome check`` can guess the missing setting from the source."""
    return bool(error["type"] == "missing" and error["loc"][:2] in _GUESSED)


def sentence(config: Path | None, error: Any) -> str:
    """One mistake of the config or of the environment, in words."""
    location = ".".join(str(part) for part in error["loc"])
    place = _place(config, error["loc"])
    match error["type"]:
        case "extra_forbidden":
            known = _keys_beside(error["loc"])
            return f"{place}: unknown key {location!r}{suggestion(str(error['loc'][-1]), known)}; known here: " + (
                ", ".join(known)
            )
        case "missing":
            return f"{place}: {location} is missing; add it (every setting stands in {EVERY_SETTING})"
        case "model_type":
            return f"{place}: {location} is one value; it is a section, so give each of its settings by name"
        case "value_error":
            return f"{place}: {location}: {error['ctx']['error']}"
        case "tuple_type":
            return f"{place}: {location} is one value; write a list, as [{json.dumps(error['input'])}]"
        case _:
            # The value of a whole section, or of one with secrets, is not shown.
            is_shown = error["loc"][0] not in _SECRETS_IN and "://" not in str(error["input"])
            value = f" = {error['input']!r}" if is_shown else ""
            return f"{place}: {location}{value} is wrong: {error['msg'].lower()}"


def _place(config: Path | None, location: tuple[Any, ...]) -> str:
    """Where the setting, or a part of a section, was set: variables of the environment, else the config."""
    variables = [name for name in _variables() if location[: len(_parts(name))] == _parts(name)]
    within = [name for name in _variables() if _parts(name)[: len(location)] == location]
    file = str(config or "without a config")
    return variables[-1] if variables else " with ".join([file, *within])


def not_json() -> str:
    """The mistake in the first variable that should hold JSON and does not."""
    for name in _variables():
        annotation = _annotation(_parts(name))
        is_section = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        if is_section or get_origin(annotation) in (tuple, dict):
            try:
                json.loads(os.environ[name])
            except ValueError:
                advice = (
                    f"set {name}{DELIMITER}{next(iter(annotation.model_fields)).upper()} and the like"
                    if is_section
                    else 'write a list as ["a", "b"]'
                    if get_origin(annotation) is tuple
                    else 'write a table as {"name": value}'
                )
                return f"{name} is not valid JSON: {advice}, or unset it"
    return f"a variable that begins with {PREFIX} is not valid JSON: correct it, or unset it"


def _variables() -> list[str]:
    """Names of the environment variables that are settings, in order."""
    return sorted(
        name for name in os.environ if name.upper().startswith(PREFIX) and _parts(name)[0] in Settings.model_fields
    )


def _parts(variable: str) -> tuple[str, ...]:
    """The path of the setting that an environment variable sets."""
    return tuple(variable.lower().removeprefix(PREFIX.lower()).split(DELIMITER))


def _annotation(location: tuple[Any, ...]) -> Any:
    """The type of the setting at that path; None if there is none."""
    found: Any = Settings
    for part in location:
        fields = getattr(found, "model_fields", {})
        # Members of a list are numbered, and all have the same type.
        found = get_args(found)[0] if isinstance(part, int) else fields[part].annotation if part in fields else None
        if isinstance(found, UnionType):
            # A section that may be left out is one or None.
            found = next((each for each in get_args(found) if hasattr(each, "model_fields")), found)
    return found


def _keys_beside(location: tuple[Any, ...]) -> list[str]:
    return [field.alias or name for name, field in _annotation(location[:-1]).model_fields.items()]
