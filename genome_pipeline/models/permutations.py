"""Whether errors fall as confidence rises, by more than chance and by more than the churn probability explains.

The statistic is the confidence-weighted mean error over the plain mean error: 1 where error and confidence are
unrelated, below 1 where the error falls as confidence rises. It is tested against two permutation nulls: in one,
*confidence* is permuted among customers, in the other their *outcomes* are. The first test shows that the error falls
as confidence rises. The second shows that it does so because forecasts of confident customers fit those very customers.
Where confidence merely goes with the commonest outcome, or with large forecasts, the error falls as far with anyone's
outcomes.

Customers are permuted within groups of :data:`GROUP`. Given a covariate, a group consists of neighbours in it, and the
weights are the residuals of confidence after a linear fit on the covariate within the group: a confidence that only
repeats the covariate gets equal weights and shows nothing. Without a covariate, groups are drawn at random.

No permutation has to be drawn: the mean and variance of a sum of a[i, j(i)] over all permutations j of a group are
known (Hoeffding, W. (1951), "A Combinatorial Central Limit Theorem", Annals of Mathematical Statistics 22(4)), and a
sum over many groups is normal. So a test takes milliseconds and needs no seed; unit tests compare it with 1,000 draws.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import rankdata

from genome_pipeline.models.arrays import Floats

GROUP = 20
MOST_CUSTOMERS = 100_000
"""At most this many customers are used, drawn at random: an effect they cannot show does not matter."""

_SEED = 0
_ROUNDING = 1e-9  # relative: a smaller difference may come from the order of a sum


def permutation_metrics(
    error: Callable[[NDArray[np.intp], Floats], Floats], actual: Floats, confidence: Floats, given: Floats | None = None
) -> dict[str, float]:
    """The published metrics of the two tests; empty for fewer customers than a group, or where no error is above 0.

    ``confidence_error_ratio`` is the statistic; ``confidence_p_value`` and ``outcome_p_value`` are the probabilities
    that it is as small by chance when confidence, or outcomes, are permuted.

    Args:
        error: gives the forecast errors, at least 0, of customers by row number if their outcomes were the second
            argument; the two arguments are broadcast against each other.
        actual: outcomes, shape (customers,).
        confidence: finite, shape (customers,); higher means surer.
        given: covariate, finite, shape (customers,), or None. If customers do not fill the last group, those with the
            largest covariate are left out.
    """
    order = np.random.default_rng(_SEED).permutation(actual.size)[:MOST_CUSTOMERS]
    if given is not None:
        order = order[np.lexsort((order, given[order]))]
    rows = order[: order.size // GROUP * GROUP].reshape(-1, GROUP)
    weights = _centred_ranks(confidence[rows])
    if given is not None:
        weights = _left_over(weights, _centred_ranks(given[rows]))
    # Ranks become weights from 0 to 2 with a mean of 1.
    weights = 1 + 2 * weights / GROUP
    errors = error(rows, actual[rows])
    total = float(errors.sum())
    if total == 0:
        return {}
    # [group, i, j]: the contribution of customer i with the error, or the outcome, of customer j.
    of_errors = weights[:, :, None] * errors[:, None, :]
    of_outcomes = weights[:, :, None] * error(rows[:, :, None], actual[rows][:, None, :])
    observed = float((weights * errors).sum())
    return {
        "confidence_error_ratio": observed / total,
        "confidence_p_value": _probability_below(observed, of_errors),
        "outcome_p_value": _probability_below(observed, of_outcomes),
    }


def _probability_below(observed: float, added: Floats) -> float:
    """Probability that the sum is at most ``observed`` when groups are permuted; 1 where permuting changes nothing."""
    by_group = added.mean(axis=(1, 2), keepdims=True)
    centred = added - added.mean(axis=1, keepdims=True) - added.mean(axis=2, keepdims=True) + by_group
    deviation = float(np.sqrt((centred**2).sum() / (GROUP - 1)))
    mean = float(by_group.sum()) * GROUP
    if deviation <= _ROUNDING * abs(mean):
        return 1.0
    return float(ndtr((observed - mean) / deviation))


def _centred_ranks(values: Floats) -> Floats:
    return np.asarray(rankdata(values, axis=1) - (values.shape[1] + 1) / 2)


def _left_over(ranks: Floats, covariate: Floats) -> Floats:
    """Residuals of the ranks after a linear fit on the covariate in each group, both centred, shape (groups, size)."""
    spread = (covariate**2).sum(axis=1, keepdims=True)
    slope = (ranks * covariate).sum(axis=1, keepdims=True) / np.where(spread > 0, spread, 1.0)
    return np.asarray(ranks - slope * covariate)
