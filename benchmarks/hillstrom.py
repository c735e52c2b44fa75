"""The statistics of experiments on a real one: Hillstrom's e-mail test of 2008, 64,000 customers in three arms.

``python -m benchmarks.hillstrom`` sets the differences of visits and spend beside the published ones, gives verdicts
and intervals by channel and by newbie, and asks whether a model of the effect of an e-mail on visits chooses better
than sending to all, to nobody, or to as many by their predicted visit. For that, customers are split into halves 50
times: the model is fitted on one half, by which it is also decided whether to use it, and the choices are valued on the
other. Mailing costs nothing, or as many visits as it brings on average in the half that is fitted on, where it matters
most whom one chooses. Writes ``benchmarks/results/experiments/hillstrom.json`` and ``.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from benchmarks.experiments import RESULTS
from benchmarks.panel.logs import LogAbsent
from benchmarks.panel.run import measure_each
from genome_pipeline.models.experiments.effect import adjusted_effects
from genome_pipeline.models.experiments.pooling import effects_by_group
from genome_pipeline.models.experiments.sequential import judge
from genome_pipeline.models.experiments.uplift import Sample, compare, fit_uplift, unseen_effect
from genome_pipeline.models.genes import numbers
from genome_pipeline_tests.support.pipelines import SHARED_LOGS

Floats = NDArray[np.float64]

SPLITS = 50
_E_MAILS = ("Mens E-Mail", "Womens E-Mail")
_PUBLISHED = {
    ("Mens E-Mail", "visit"): 0.077,
    ("Mens E-Mail", "spend"): 0.77,
    ("Womens E-Mail", "visit"): 0.045,
    ("Womens E-Mail", "spend"): 0.42,
}


def customers() -> pd.DataFrame:
    """One row per customer. Raises :class:`benchmarks.panel.logs.LogAbsent`."""
    path = SHARED_LOGS / "hillstrom.parquet"
    if not path.exists():
        raise LogAbsent(f"Hillstrom's test is not here: {path.name} is wanted in {SHARED_LOGS.name}/")
    return pd.read_parquet(path).sort_values("customer_id", ignore_index=True)


def known(frame: pd.DataFrame) -> Floats:
    """What was known of each customer before the e-mail, shape (customers, covariates)."""
    plain = frame[["recency", "history", "mens", "womens", "newbie"]]
    names = pd.get_dummies(frame[["channel", "zip_code"]])
    return pd.concat([plain, names], axis=1).to_numpy(np.float64)


def differences(e_mail: str, frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Visits and spend, of all and by channel and newbie, adjusted by the spend of the year before."""
    is_treated = (frame["treatment"] == e_mail).to_numpy()
    for outcome in ("visit", "spend"):
        y, x = numbers(frame[outcome]), numbers(frame["history"])
        plain = adjusted_effects(y[:, None], None, is_treated)
        yield (
            {"e_mail": e_mail, "outcome": outcome, "group": "all"}
            | _row(y, x, is_treated)
            | {
                "difference": float(plain.estimate[0]),
                "published": _PUBLISHED[e_mail, outcome],
            }
        )
        for column in ("channel", "newbie"):
            names = frame[column].astype(str).to_numpy(object)
            for group in effects_by_group(y, x, is_treated, names):
                mine = names == group.name
                shrunk = {"shrunk": group.estimate, "shrunk_lower": group.lower, "shrunk_upper": group.upper}
                yield (
                    {
                        "e_mail": e_mail,
                        "outcome": outcome,
                        "group": f"{column} {group.name}",
                    }
                    | _row(y[mine], x[mine], is_treated[mine])
                    | shrunk
                )


def _row(outcome: Floats, expected: Floats, is_treated: NDArray[np.bool_]) -> dict[str, Any]:
    verdict = judge(adjusted_effects(outcome[:, None], expected, is_treated), [1.0])
    look = verdict.looks[0]
    return {
        "customers": is_treated.size,
        "estimate": look.estimate,
        "lower": look.lower,
        "upper": look.upper,
        "verdict": verdict.name.value,
        "reason": verdict.reason,
    }


def split(e_mail: str, frame: pd.DataFrame, seed: int) -> Iterator[dict[str, Any]]:
    """One split into halves: what each choice is worth on the second, for both costs."""
    x, y = known(frame), numbers(frame["visit"])
    is_treated = (frame["treatment"] == e_mail).to_numpy()
    order = np.random.default_rng(seed).permutation(y.size)
    first, second = order[: y.size // 2], order[y.size // 2 :]
    controls = first[~is_treated[first]]
    visit = HistGradientBoostingClassifier(max_iter=50, max_leaf_nodes=8, random_state=seed).fit(
        x[controls], y[controls]
    )
    sample = Sample(x, y, is_treated, 0.5, visit.predict_proba(x)[:, 1])
    learned, held_out = sample.of(first), sample.of(second)
    effect = fit_uplift(learned, seed).effect(held_out.known)
    unseen = unseen_effect(learned, seed)
    average = float(adjusted_effects(learned.outcome[:, None], None, learned.is_treated).estimate[0])
    for name, cost in (("nothing", 0.0), ("the average effect", average)):
        found = compare(held_out, effect, cost)
        yield {
            "e_mail": e_mail,
            "split": seed,
            "cost": name,
            "chosen_share": found.chosen_share,
            **{choice: value.estimate for choice, value in found.values.items()},
            "wins_held_out": found.is_used,
            "is_used": compare(learned, unseen, cost).is_used,
        }


def _measured(e_mail: str) -> Iterator[dict[str, Any]]:
    everyone = customers()
    frame = everyone[everyone["treatment"].isin([e_mail, "No E-Mail"])].reset_index(drop=True)
    with threadpool_limits(1):
        yield from differences(e_mail, frame)
        for seed in range(SPLITS):
            yield from split(e_mail, frame, seed)


def summary(found: list[dict[str, Any]]) -> str:
    """The differences, and what choices are worth."""
    effects = pd.DataFrame([row for row in found if "group" in row])
    splits = pd.DataFrame([row for row in found if "split" in row])
    choices = ["model", "all", "none", "predicted"]
    splits["decided"] = splits["model"].where(splits["is_used"], splits[["all", "none"]].max(axis=1))
    worth = splits.groupby(["e_mail", "cost"]).agg(
        splits=("split", "size"),
        chosen_share=("chosen_share", "mean"),
        **{name: (name, "mean") for name in choices},
        best_of_others=("model", lambda model: (model > splits.loc[model.index, choices[1:]].max(axis=1)).mean()),
        used=("is_used", "mean"),
        wins_held_out=("wins_held_out", "mean"),
    )
    return "\n\n".join(
        [
            "# Hillstrom's e-mail test",
            "Effects per customer beside no e-mail. Estimates are adjusted by the spend of the year before; differences"
            " are plain, as the published ones; shrunk ones are drawn to the mean of their groups.",
            effects.to_markdown(index=False, floatfmt=".4f"),
            f"Visits per customer by whom the e-mail is sent to, less its cost, on held-out halves: means of {SPLITS}"
            " splits. Best: share of splits in which the model was worth more than each other choice. Used: share in"
            " which the half it was fitted on shows that it is, each interval included. Wins: the held-out half shows"
            " it.",
            worth.reset_index().rename(columns={"best_of_others": "best"}).to_markdown(index=False, floatfmt=".4f"),
        ]
    )


if __name__ == "__main__":
    measure_each("hillstrom", list(_E_MAILS), list(_E_MAILS), _measured, summary, RESULTS)
