"""``genome.toml`` and the environment become :class:`Settings`; every mistake is named, with its fix."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import (
    BaseModel,
    ValidationError,
)
from pydantic_settings import SettingsError

from genome_pipeline.errors import ConfigError
from genome_pipeline.privacy import KEY_VARIABLE
from genome_pipeline.settings.audiences import SECRET_VARIABLE
from genome_pipeline.settings.mistakes import is_guessable, not_json, sentence
from genome_pipeline.settings.settings import DEFAULT_HOME, Draft, Settings
from genome_pipeline.settings.source import SourceKind, SourceSettings, without_password

CONFIG_VARIABLE = "GENOME_CONFIG"
DEFAULT_CONFIG = Path("genome.toml")
DEMO_CONFIG = Path(__file__).parents[2] / "examples" / "complete_journey.toml"
_M = TypeVar("_M", bound=BaseModel)


def load_settings(config: Path | None = None) -> Settings:
    """Read ``config`` (default: ``$GENOME_CONFIG``, else ``genome.toml`` here) and the environment.

    Paths in the file, including the home, are relative to the file; those in the environment to the working directory.
    Raises :class:`ConfigError` naming what is wrong, where, and the fix.
    """
    return _load(Settings, config)


def load_draft(config: Path | None = None) -> Draft:
    """As :func:`load_settings`, for a config in which columns and calendar may be missing."""
    return _load(Draft, config)


def draft_of(path: str, config: Path | None = None) -> Draft:
    """A draft for the transactions at ``path``: other settings as in ``config``, or none if there is no config."""
    draft = _load(Draft, config) if config else _validated(Draft, {"source": {"path": path}}, None)
    settings = draft.source.model_dump(exclude_unset=True) | {"path": path}
    return draft.model_copy(update={"source": _validated(SourceSettings, settings, config)})


def config_path(config: Path | None) -> Path:
    """The config file: the one given, else ``$GENOME_CONFIG``, else ``genome.toml`` in the working directory."""
    return config or Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG))


def _load(model: type[_M], chosen: Path | None) -> _M:
    config = config_path(chosen)
    try:
        text = config.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise ConfigError(
            f"no config file {config}: `genome check PATH` prints one for the log at PATH, to be saved and passed with"
            " --config"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config} cannot be read ({error}): it must be a UTF-8 text file you may read") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{config} is not valid TOML: {error}") from None
    for name, key, variable in (("privacy", "key", KEY_VARIABLE), ("audiences", "secret", SECRET_VARIABLE)):
        if isinstance(data.get(name), dict) and key in data[name]:
            raise ConfigError(f"{config}: {name}.{key} is a secret; take it out, and set {variable}")
    folder = config.parent.resolve()
    data["home"] = _beside(folder, data.get("home", str(DEFAULT_HOME)))
    source = data.get("source")
    path = source.get("path") if isinstance(source, dict) else None
    if isinstance(source, dict) and isinstance(path, str) and SourceKind.of(path) is SourceKind.LOCAL:
        source["path"] = _beside(folder, path)
    elif without_password(str(path))[1] is not None:
        raise ConfigError(
            f"{config}: source.path holds a password; take it out, and set PGPASSWORD, or GENOME_SOURCE__PATH to the"
            " whole URL"
        )
    for name, key in (("acquisition", "cost_file"), ("contacts", "path"), ("quality", "suites")):
        section = data.get(name)
        if isinstance(section, dict) and key in section and "://" not in str(section[key]):
            section[key] = _beside(folder, section[key])
    if "dashboard" in data:
        raise ConfigError(
            f"{config}: [dashboard] is not for the file, which others may read; take it out, and set"
            " GENOME_DASHBOARD__PASSWORD or GENOME_DASHBOARD__TOKEN"
        )
    return _validated(model, data, config)


def database_at(url: str, table: str) -> SourceSettings:
    """A database table that a command names. Raises :class:`ConfigError`, without the URL, as a config does."""
    try:
        return SourceSettings(path=url, table=table)
    except ValidationError as error:
        raise ConfigError("; ".join(str(item["ctx"]["error"]) for item in error.errors() if "ctx" in item)) from None


def _validated(model: type[_M], data: dict[str, Any], config: Path | None) -> _M:
    try:
        return model(**data)
    except SettingsError:
        raise ConfigError(not_json()) from None
    except ValidationError as error:
        sentences = [sentence(config, item) for item in error.errors() if not is_guessable(item)]
        missing = [".".join(map(str, item["loc"])) for item in error.errors() if is_guessable(item)]
        missing = ["calendar.start" if name == "calendar" else name for name in missing]
        if missing:
            option = "" if config in (None, DEFAULT_CONFIG) else f" --config {config}"
            sentences.append(
                f"{config} does not say {' and '.join(missing)}: `genome check{option}` looks at the source and prints"
                " what to add"
            )
        raise ConfigError("; ".join(sentences)) from None


def load_settings_or_demo() -> Settings:
    """As :func:`load_settings`; if nothing names a config, the demo's, so that a first look shows something."""
    is_chosen = CONFIG_VARIABLE in os.environ or DEFAULT_CONFIG.exists()
    return load_settings(None if is_chosen or not DEMO_CONFIG.exists() else DEMO_CONFIG)


def _beside(folder: Path, path: Any) -> Any:
    """The path relative to the folder; a value that is no path is left for validation to report."""
    if not isinstance(path, str) or not path or path.startswith("~"):
        return path
    return os.path.normpath(folder / path)
