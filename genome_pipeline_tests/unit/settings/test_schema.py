"""The JSON Schema of a config says what the program says."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from genome_pipeline.settings.schema import settings_schema

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.toml"))
PLAYBOOK = Path(__file__).parents[3] / "genome_pipeline" / "contracts" / "playbook.toml"
LEAST: dict[str, Any] = {
    "source": {"path": "a.csv", "columns": {"customer_id": "c", "ordered_at": 2}},
    "calendar": {"start": "2024-01-01"},
}


def mistakes(config: dict[str, Any]) -> list[str]:
    return [error.json_path for error in Draft202012Validator(settings_schema()).iter_errors(as_json(config))]


def as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    return value.isoformat() if isinstance(value, date) else value


def settings_of(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each setting and section with what is said of it."""
    for section in [schema, *schema["$defs"].values()]:
        for name, setting in section.get("properties", {}).items():
            ends = schema["$defs"][setting["$ref"].rpartition("/")[2]] if "$ref" in setting else {}
            yield name, setting.get("description") or ends.get("description", "")


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(settings_schema())


def test_every_setting_is_described_and_no_secret_is_one() -> None:
    described = dict(settings_of(settings_schema()))
    assert [name for name, description in described.items() if not description] == []
    assert {"currency", "horizon_days", "key", "password", "token"} & described.keys() == {
        "currency",
        "horizon_days",
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_fit(example: Path) -> None:
    assert mistakes(tomllib.loads(example.read_text(encoding="utf-8"))) == []


def test_a_playbook_fits() -> None:
    rules = tomllib.loads(PLAYBOOK.read_text(encoding="utf-8"))["actions"]["rules"]
    assert mistakes(LEAST | {"actions": {"rules": rules}}) == []


@pytest.mark.parametrize(
    ("wrong", "at"),
    [
        ({"predict": {"horizon": 90}}, "$.predict"),
        ({"predict": {"horizon_days": 0}}, "$.predict.horizon_days"),
        ({"engine": "sqlite"}, "$.engine"),
        ({"dashboard": {"token": "t"}}, "$"),
        ({"privacy": {"key": "k"}}, "$.privacy"),
        ({"contacts": {"path": "contacts.csv"}}, "$.contacts"),
        ({"actions": {"rules": [{"name": "a", "action": "b"}]}}, "$.actions.rules[0]"),
    ],
    ids=str,
)
def test_a_mistake_is_marked_where_it_stands(wrong: dict[str, Any], at: str) -> None:
    assert mistakes(LEAST) == []
    assert mistakes(LEAST | wrong) == [at]
