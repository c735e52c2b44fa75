import os
import time
from datetime import date
from pathlib import Path

from genome_pipeline.warehouse.artifacts import KEPT_SNAPSHOTS, Artifacts

LONG_AGO = time.time() - 30 * 86_400


def test_models_of_old_snapshots_go_but_not_those_just_written(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    for number in range(KEPT_SNAPSHOTS + 3):
        name = artifacts.write("value_model", date(2020 + number, 1, 1), ".json", b"{}")
        if number != 1:
            os.utime(tmp_path / name, (LONG_AGO, LONG_AGO))
    left_over = tmp_path / "value_model" / ".2020-01-01.json.4711"
    left_over.write_bytes(b"")
    os.utime(left_over, (LONG_AGO, LONG_AGO))
    artifacts.prune()
    years = [int(path.name[:4]) for path in sorted((tmp_path / "value_model").iterdir())]
    assert years == [2021, *range(2023, 2023 + KEPT_SNAPSHOTS)]
