# Everything runs in .venv, made from requirements.lock; `make` alone lists the targets.
PYTHON ?= python3
BIN    := .venv/bin
DEMO   := examples/complete_journey.toml
LINES  ?= 1000000 10000000 50000000
LOG    := .genome/complete_journey/landing/complete_journey.parquet

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-cluster lint format docs bench lock sbom ui dashboard clean

help:            ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/.installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $$($(PYTHON) -V) was found: set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	awk '/^uv==/ {found = 1} found {print} found && !/\\$$/ {exit}' requirements.lock > .venv/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.lock
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(LOG): .venv/.installed
	$(BIN)/python -m genome_pipeline.command.demo $@

demo: $(LOG)      ## the whole pipeline on The Complete Journey, and a summary
	$(BIN)/genome run --config $(DEMO)

test: .venv/.installed  ## the tests (minutes)
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

test-all: demo  ## the tests, the long ones too, and the dashboard's on the demo; with what they cover
	$(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered

test-cluster: .venv/.installed  ## both engines on a real Spark cluster of this machine (minutes; needs Java 17)
	@command -v java >/dev/null || [ -n "$$JAVA_HOME" ] || { echo "Java 17 is needed: install it, or set JAVA_HOME"; exit 1; }
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints requirements.lock --editable ".[spark]"
	$(BIN)/pytest genome_pipeline_tests/unit/warehouse/test_spark.py

lint: .venv/.installed  ## format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/.installed  ## put the code in its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.installed  ## write the generated parts of the documentation
	$(BIN)/python -m genome_pipeline.contracts.dictionary docs/data_dictionary.md
	$(BIN)/python -m genome_pipeline.contracts.published genome_pipeline/contracts/published_schema.json
	$(BIN)/python -m genome_pipeline.contracts.dbt examples/dbt/models/sources.yml
	$(BIN)/python docs/modules.py

bench: $(LOG)  ## speed on this machine beside the bars and the baseline (half an hour; LINES="1000000" for less)
	$(BIN)/python -m benchmarks.speed --lines $(LINES)

lock: .venv/.installed  ## resolve the dependencies anew
	$(BIN)/uv pip compile --quiet --extra demo --extra dev --universal --generate-hashes --python-version 3.11 \
		--upgrade --output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --extra production --universal --generate-hashes --python-version 3.11 \
		--constraints requirements.lock --output-file requirements.runtime.lock pyproject.toml

sbom: .venv/.installed  ## the bill of materials of what runs in production (CycloneDX, dist/sbom.cdx.json)
	@mkdir -p dist
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		--output-file dist/sbom.cdx.json requirements.runtime.lock

ui: $(LOG)        ## the Dagster UI on the demo
	$(BIN)/genome ui --config $(DEMO)

dashboard: .venv/.installed  ## the dashboard on the demo
	$(BIN)/genome dashboard --config $(DEMO)

clean:           ## remove the environment and all that was made
	rm -rf .venv .genome
