"""The sources of a dbt project, as the contracts declare them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from genome_pipeline.contracts.dbt import sources
from genome_pipeline.contracts.published import published_schema

EXAMPLE = Path(__file__).parents[3] / "examples" / "dbt"


def tables() -> dict[str, Any]:
    (source,) = yaml.safe_load(sources())["sources"]
    return {table["name"]: table for table in source["tables"]}


def test_the_example_has_the_sources_that_the_contracts_declare() -> None:
    written = (EXAMPLE / "models" / "sources.yml").read_text(encoding="utf-8")
    assert written == sources(), "run `make docs`"


def test_every_published_column_is_described() -> None:
    found = {name: [column["name"] for column in table["columns"]] for name, table in tables().items()}
    assert found == {name: [*columns] for name, columns in published_schema()["tables"].items()}
    assert all(column["description"] for table in tables().values() for column in table["columns"])


def test_tests_say_what_the_contract_says() -> None:
    genome = tables()["customer_genome"]
    unique, within = genome["data_tests"]
    assert unique["unique_together"]["arguments"] == {"columns": ["as_of", "customer_id"]}
    assert within["within_bounds"]["arguments"]["bounds"]["churn_probability"] == {"least": 0, "most": 1}
    columns = {column["name"]: column for column in genome["columns"]}
    assert columns["customer_id"]["data_tests"] == ["not_null"]
    assert "data_tests" not in columns["churn_probability"]
    verdicts = {column["name"]: column for column in tables()["experiment_members"]["columns"]}
    assert verdicts["experiment_id"]["data_tests"][1]["relationships"]["arguments"]["field"] == "experiment_id"


def test_all_snapshots_are_tested_by_their_key_only() -> None:
    history = tables()["customer_genome_history"]
    assert [*history["data_tests"][0]] == ["unique_together"]
    assert not any("data_tests" in column for column in history["columns"])
