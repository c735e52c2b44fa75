"""What is said of an experiment, word for word."""

import pytest

from genome_pipeline.models.experiments.pooling import Run, pooled
from genome_pipeline.models.experiments.sequential import Look, Verdict, VerdictName
from genome_pipeline.models.experiments.words import of_rule, of_run

LOOKS = (Look(0.5, 0.001, -0.02, 0.022, 3.0), Look(1.0, 0.0031, 0.0012, 0.005, 2.0))
UNDECIDED = Verdict(VerdictName.NOT_PROVEN_YET, None, LOOKS, None, 0.0, "")


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict(VerdictName.PROVEN, 1, LOOKS, None, 0.0, ""), "proven: +0.31 orders per 100 customers (0.12 to 0.50)"),
        (
            UNDECIDED._replace(looks=LOOKS[:1], remaining_share=0.5),
            "not proven yet: +0.10 orders per 100 customers (-2.00 to 2.20); 50% of the run is still to come",
        ),
        (
            UNDECIDED._replace(more_customers=1_200),
            "not proven yet: +0.31 orders per 100 customers (0.12 to 0.50); 1,200 more customers would show the wished"
            " lift",
        ),
        (
            UNDECIDED._replace(reason="a few customers weigh too much"),
            "not proven yet: +0.31 orders per 100 customers (0.12 to 0.50); a few customers weigh too much",
        ),
        (UNDECIDED, "not proven yet: +0.31 orders per 100 customers (0.12 to 0.50); the run is over"),
    ],
)
def test_a_verdict_is_said_with_its_numbers(verdict: Verdict, words: str) -> None:
    assert of_run(verdict, "orders", "EUR") == words


def test_amounts_are_per_customer() -> None:
    verdict = Verdict(VerdictName.HARMFUL, 0, (Look(1.0, -1_234.5, -2_000.0, -469.0, 2.0),), None, 0.0, "")
    assert of_run(verdict, "spend", "EUR") == "harmful: -1,234.50 EUR of spend per customer (-2,000.00 to -469.00)"


def test_runs_are_counted() -> None:
    runs = pooled([Run(100, 0.003, 0.0005**2, 0.1)] * 3)
    assert of_rule(runs, "orders", "").startswith("proven: +0.30 orders per 100 customers (0.2")
    assert of_rule(runs, "orders", "").endswith("), 3 runs")
