"""The JSON Schema of ``genome.toml``, by which an editor completes settings, explains them and marks mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from genome_pipeline.settings.settings import Settings

SCHEMA_FILE = "genome.schema.json"
SCHEMA_LINE = f"#:schema ./{SCHEMA_FILE}"
"""First line of a config, by which editors find the schema beside it."""

_COLUMNS = ("CompleteColumns", "ContactColumns")


def settings_schema() -> dict[str, Any]:
    """Every setting that the file may hold: type, bounds, default, and what it is."""
    schema = Settings.model_json_schema()
    sections = schema["$defs"]
    # What comes from the environment only is refused in the file.
    del (
        schema["properties"]["dashboard"],
        sections["DashboardSettings"],
        sections["PrivacySettings"]["properties"]["key"],
        sections["AudienceSettings"]["properties"]["secret"],
    )
    for node in _nodes(schema):
        _as_in_toml(node)
    for name in _COLUMNS:
        for column in sections[name]["properties"].values():
            column["type"] = ["string", "integer"]
    tested = sections["Condition"]["properties"]
    about = tested["is"].pop("description")
    tested["is"] = {"description": about, "anyOf": [tested["is"], *tested["is"]["items"]["anyOf"]]}
    del sections["ActionSettings"]["properties"]["rules"]["default"]  # longer than all else together
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "genome.toml"}


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    """The schema of every section and setting, the outer ones first."""
    if isinstance(node, dict):
        if "type" in node or "anyOf" in node or "$ref" in node:
            yield node
        for inner in [*node.values()]:
            yield from _nodes(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _nodes(inner)


def _as_in_toml(node: dict[str, Any]) -> None:
    """Without the null that TOML does not know, and without defaults of whole sections, whose settings have theirs."""
    kinds = [kind for kind in node.pop("anyOf", []) if kind != {"type": "null"}]
    node |= {"anyOf": kinds} if len(kinds) > 1 else dict(*kinds)
    if node.get("default", ...) is None or "$ref" in node:
        node.pop("default", None)
    node.pop("title", None)
    if "description" in node:
        node["description"] = node["description"].replace("``", "`")
