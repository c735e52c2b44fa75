import json
from datetime import date

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.forecast.candidates import CandidateRow, abstention, candidate_table, weight_reason
from genome_pipeline_tests.models.populations import AS_OF, assert_keeps_contract

ROW = CandidateRow(
    "btyd", False, "Weight 0.40.", date(2024, 4, 2), 8, 4_000, {"log_loss": 0.5, "auc": None}, {"weight": 0.4}
)


def test_rows_come_back_from_json() -> None:
    for row in (ROW, *abstention(["naive"], "too few")):
        assert CandidateRow.from_dict(json.loads(json.dumps(row.to_dict()))) == row


def test_the_table_has_null_where_an_error_is_not_known() -> None:
    table = candidate_table("risk_model", AS_OF, [ROW])
    assert_keeps_contract("risk_model", table.assign(artifact_file=None)[list(TABLES["risk_model"].columns)])
    (row,) = table.to_dict("records")
    assert (row["log_loss"], row["parameters"]) == (0.5, '{"weight": 0.4}')
    assert table[["auc", "brier_score"]].isna().all(axis=None)


def test_where_nothing_was_fitted_nothing_is_chosen() -> None:
    rows = abstention(["naive", "btyd"], "only 3 customers")
    assert [(row.is_chosen, row.choice_reason) for row in rows] == [(False, "Not fitted: only 3 customers.")] * 2


def test_reasons() -> None:
    assert weight_reason(None, "nothing to train on", "") == "Not used: nothing to train on."
    assert weight_reason(0.256, "", "Log loss 0.5.") == "Weight 0.26. Log loss 0.5."
    assert weight_reason(1.0, "", "") == "Weight 1.00. No snapshot has matured yet to measure it on."
