import json
from datetime import date

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.forecast.candidates import CandidateRow, Judged, abstention, candidate_rows, candidate_table
from genome_pipeline.models.forecast.experts import Training
from genome_pipeline_tests.support.populations import AS_OF, assert_keeps_contract

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


def reasons(judged: dict[str, Judged], selection_as_of: date | None = None) -> list[str]:
    rows = candidate_rows(judged, {"btyd": 0.256}, {"boosting": "too few"}, Training((), ()), selection_as_of, 40)
    assert [row.training_row_count for row in rows] == [40 if name == "btyd" else 0 for name in judged]
    assert [row.is_chosen for row in rows] == [name == "forecast" for name in judged]
    assert [row.parameters for row in rows] == [{"weight": 0.256} if name == "btyd" else None for name in judged]
    return [row.choice_reason for row in rows]


def test_reasons() -> None:
    names = ("naive", "btyd", "boosting", "forecast")
    assert reasons({name: Judged({}, "Log loss 0.5.") for name in names}) == [
        "Not used: the baseline. Log loss 0.5.",
        "Weight 0.26. Log loss 0.5.",
        "Not used: too few.",
        "All experts joined. Log loss 0.5.",
    ]
    assert reasons({name: Judged({}, "") for name in names}) == [
        "Not used: the baseline.",
        "Weight 0.26. No snapshot has matured yet to measure it on.",
        "Not used: too few.",
        "All experts joined. No snapshot has matured yet to measure it on.",
    ]
    (reason,) = reasons({"btyd": Judged({}, "")}, AS_OF)
    assert reason == "Weight 0.26. At no earlier date was it fitted."
