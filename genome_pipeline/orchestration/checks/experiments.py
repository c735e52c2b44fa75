"""Whether experiments went as they were drawn, at each of their looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from genome_pipeline.models.experiments.checks import as_drawn
from genome_pipeline.orchestration.checks.bridge import Subject, check
from genome_pipeline.quality.validation import CheckResult


@check(
    "experiment_results",
    description="Of every experiment looked at, as large a part of either arm is left as chance would have it, and both"
    " were alike before the start.",
    is_blocking=False,
)
def arms_are_as_drawn(subject: Subject) -> Sequence[CheckResult]:
    """One result for each check of each experiment that has a look at a snapshot of the run."""
    return [*_results(subject, "arms_are_as_drawn", ("sample ratio", "balance"))]


@check(
    "experiment_results",
    description="Of every experiment looked at, by the contact log, hardly a control was contacted, and most of the"
    " treated were.",
    is_blocking=False,
)
def reached_as_drawn(subject: Subject) -> Sequence[CheckResult]:
    """One result for each experiment that has a look at a snapshot of the run, where there is a contact log."""
    return [*_results(subject, "reached_as_drawn", ("contamination",))]


def _results(subject: Subject, check_name: str, wanted: Sequence[str]) -> Iterator[CheckResult]:
    connection = subject.database.con
    for period, as_of in zip(subject.periods, subject.snapshots, strict=True):
        looks = connection.execute(
            "SELECT DISTINCT ON (experiment_id) experiment_id, treated_count, control_count, reached_share,"
            " contacted_control_count, unreached_treated_count FROM experiment_results WHERE as_of = ?"
            " ORDER BY experiment_id, outcome_name",
            [as_of],
        ).df()
        for look in looks.to_dict("records"):
            name = look["experiment_id"]
            drawn = connection.execute(
                "SELECT treated_count, control_count FROM experiments WHERE experiment_id = ?", [name]
            ).df()
            members = connection.execute(
                "FROM experiment_members WHERE experiment_id = ? ORDER BY customer_id", [name]
            ).df()
            for kind, finding in as_drawn(drawn.iloc[0].to_dict(), members, look).items():
                if kind in wanted:
                    yield CheckResult(
                        "experiment_results",
                        check_name,
                        "WARN",
                        finding.passed,
                        f"{name}, {kind}: {finding.sentence}",
                        len(members),
                        period,
                    )


CHECKS = (arms_are_as_drawn, reached_as_drawn)
