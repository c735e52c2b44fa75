"""What is left in Dagster's log of a forgotten customer: in old runs, and in errors that nobody foresaw."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from genome_pipeline.command.event_logs import _text_without, forget_in_logs

GONE, STAYS = "käthe-7", "ida-8"
FINDING = f"1 of 9 customers, e.g. {GONE}: bought 1, returned 2; {STAYS}: bought 1, returned 3"


@pytest.fixture
def instance(tmp_path: Path) -> dg.DagsterInstance:
    """Its log holds a failed check and a materialisation of an older version."""
    instance = dg.DagsterInstance.local_temp(str(tmp_path))
    key = dg.AssetKey("customer_activity")
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=key,
            check_name="returns_within_purchases",
            passed=False,
            metadata={"failures": dg.TextMetadataValue(FINDING), "failed": 1},
            description=FINDING,
        )
    )
    instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata={"dagster/row_count": 4711}))
    return instance


def _bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_ids_facts_and_numbers_leave_the_log_and_records_stay(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    escaped = json.dumps(GONE)[1:-1].encode()
    (tmp_path / "run.err").write_text(f"KeyError: {GONE!r}\n", encoding="utf-8")
    assert escaped in _bytes(tmp_path)
    assert forget_in_logs(instance, tmp_path, [GONE]) > 0
    left = _bytes(tmp_path)
    assert not any(text in left for text in (escaped, GONE.encode(), b"4711", b"1 of 9"))
    assert (tmp_path / "run.err").read_text(encoding="utf-8") == "KeyError: '[forgotten]'\n"
    key = dg.AssetKey("customer_activity")
    (record,) = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(key, "returns_within_purchases"), limit=2
    )
    assert record.event is not None
    evaluation = record.event.asset_check_evaluation
    assert evaluation is not None
    assert (evaluation.passed, dict(evaluation.metadata)) == (False, {})
    assert evaluation.description == (
        "\u2026 of \u2026 customers, e.g. [forgotten]: bought 1, returned 2; ida-8: bought 1, returned 3"
    )
    made = instance.get_latest_materialization_event(key)
    assert made is not None
    assert made.asset_materialization is not None
    assert dict(made.asset_materialization.metadata) == {}
    assert forget_in_logs(instance, tmp_path, [GONE]) == 0, "once more changes nothing"


def test_an_id_like_a_number_is_no_number_of_dagsters() -> None:
    event = json.dumps({"storage_id": 17, "message": "KeyError: 17"})
    assert json.loads(_text_without(event, ["17"])) == {"storage_id": 17, "message": "KeyError: [forgotten]"}


def test_other_texts_stay_as_they_are_written() -> None:
    assert _text_without('{"a":  1}', ["ida-8"]) == '{"a":  1}'
