"""Labels, ids and integers are identical, doubles equal to 1e-9, on whatever processor and in whatever order."""

from __future__ import annotations

import random
from pathlib import Path

import pandas as pd
import pandas.testing
import pytest

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.settings import load_settings
from genome_pipeline_tests.support.pipelines import assert_same, shop, shop_config, tables
from genome_pipeline_tests.support.processors import PROCESSORS, work

ORDINARY, *OTHERS = PROCESSORS


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    return _model_tables(ORDINARY, tmp_path_factory.mktemp("ordinary"), 0)


@pytest.mark.parametrize("processor", [OTHERS[0], *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS[1:])])
def test_models_say_the_same_whatever_the_processor_the_order_and_the_chunks(
    processor: str, expected: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    found = _model_tables(processor, tmp_path, 1 + OTHERS.index(processor))
    assert found.keys() == expected.keys()
    for name, table in expected.items():
        pandas.testing.assert_frame_equal(found[name], table, rtol=1e-9, atol=1e-9, obj=f"{name}, {processor}")


def test_a_difference_would_be_seen(expected: dict[str, pd.DataFrame]) -> None:
    table = expected["customer_neighbors"]
    swapped = table.assign(neighbor_customer_id=table["neighbor_customer_id"].shift(-1).fillna(""))
    with pytest.raises(AssertionError):
        pandas.testing.assert_frame_equal(swapped, table, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_run_makes_the_same_tables_whatever_the_processor_and_the_order_of_rows(tmp_path: Path) -> None:
    shop(tmp_path)
    header, *lines = (tmp_path / "log.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    found = {}
    for number, processor in enumerate(PROCESSORS):
        random.Random(number).shuffle(lines)
        (tmp_path / f"{number}.csv").write_text(header + "".join(lines), encoding="utf-8")
        config = shop_config(tmp_path, f"{number}.csv", f"home{number}")
        work(processor, "pipeline", str(config))
        made = tables(load_settings(config).warehouse_path)
        found[processor] = {name: table for name, table in made.items() if "source_row" not in TABLES[name].columns}
    for processor in OTHERS:
        assert_same(found[ORDINARY], found[processor])


def _model_tables(processor: str, folder: Path, seed: int) -> dict[str, pd.DataFrame]:
    work(processor, "models", str(folder), str(seed))
    return {path.stem: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}
