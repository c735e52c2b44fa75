"""The example notebook: its cells run, in a kernel of Jupyter and one by one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from genome_pipeline.contracts.published import PUBLISHED_FILE
from genome_pipeline.warehouse.experiment_record import ExperimentRecord
from genome_pipeline_tests.support.pipelines import EXAMPLES


def _notebook(published_path: Path) -> Any:
    """The notebook, with the file to open in place of the demo's home."""
    notebook = nbformat.read(EXAMPLES / "explore.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    assert 'PLACE = "../.genome/complete_journey"' in parameters.source
    parameters.source = parameters.source.replace("../.genome/complete_journey", str(published_path))
    return notebook


def test_it_is_a_notebook_without_results(published_path: Path) -> None:
    notebook = _notebook(published_path)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_its_cells_on_the_published_file_run(published_path: Path) -> None:
    cells = _notebook(published_path).cells
    (end,) = (place for place, cell in enumerate(cells) if cell.source.startswith("## The forecast on a frame"))
    known: dict[str, Any] = {}
    for cell in cells[:end]:
        if cell.cell_type == "code":
            exec(compile(cell.source, "explore.ipynb", "exec"), known)
    assert len(known["customers"]) > 0
    assert 0 < known["within"].mean() < 1


@pytest.mark.slow
def test_a_kernel_runs_it_whole_on_a_home_with_a_record_of_experiments(published_path: Path, tmp_path: Path) -> None:
    (tmp_path / PUBLISHED_FILE).parent.mkdir()
    shutil.copy(published_path, tmp_path / PUBLISHED_FILE)
    ExperimentRecord.beside(tmp_path / "warehouse.duckdb").remove("none")
    notebook = _notebook(tmp_path)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    (shown,) = (output for output in code[-1].outputs if output.output_type == "execute_result")
    assert shown.data["text/plain"].split()[:3] == ["buyers", "orders", "expected"]
