"""Whether errors fall as confidence rises, by more than chance and by more than the chance to buy already tells.

The statistic is the mean error weighted by confidence, over the plain mean: 1 where the two have nothing to do with
each other, below 1 where the error falls. It is held against two permutation nulls. In the one *confidence* is dealt
anew among customers, in the other their *outcomes* are. The first says that the error falls with confidence. The second
says that it does because the forecasts of confident customers fit them: where confidence goes with the commonest
outcome, or with large forecasts, the error falls as far with anyone's outcome.

Customers change places within groups of :data:`GROUP`. Given a covariate, a group are neighbours in it, and weights
hold of confidence what a straight line in the covariate leaves over within the group: a confidence that only repeats
the covariate has equal weights, and shows nothing. Without one, groups are drawn at random.

Permutations need not be drawn: the mean and the variance of a sum of a[i, j(i)] over all permutations j of a group are
known (Hoeffding, W. (1951), "A Combinatorial Central Limit Theorem", Annals of Mathematical Statistics 22(4)), and a
sum over many groups is normal. So a test takes milliseconds, whatever the seed; the tests hold it to 1,000 draws.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import rankdata

Floats = NDArray[np.float64]

GROUP = 20
MOST_CUSTOMERS = 100_000
"""Of more, so many are drawn: what they cannot show does not matter."""

_SEED = 0
_ROUNDING = 1e-9  # relative: what is smaller is what a sum in another order would change


def permutation_metrics(
    error: Callable[[NDArray[np.intp], Floats], Floats], actual: Floats, confidence: Floats, given: Floats | None = None
) -> dict[str, float]:
    """What is published of the two tests; none for fewer customers than a group has, or where no error is above 0.

    ``confidence_error_ratio`` is the statistic; ``confidence_p_value`` and ``outcome_p_value`` are the probabilities
    that it is as small by chance when confidence, or outcomes, are dealt anew.

    Args:
        error: of the forecasts of customers by row number, had these been their outcomes; at least 0. Its two arguments
            are to be broadcast.
        actual: outcomes, shape (customers,).
        confidence: finite, higher is surer, shape (customers,).
        given: covariate, finite, shape (customers,), or None. Of customers that fill no group, those with its largest
            values are left out.
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
    # [group, i, j]: what customer i adds with the error, or the outcome, of customer j.
    of_errors = weights[:, :, None] * errors[:, None, :]
    of_outcomes = weights[:, :, None] * error(rows[:, :, None], actual[rows][:, None, :])
    observed = float((weights * errors).sum())
    return {
        "confidence_error_ratio": observed / total,
        "confidence_p_value": _probability_below(observed, of_errors),
        "outcome_p_value": _probability_below(observed, of_outcomes),
    }


def _probability_below(observed: float, added: Floats) -> float:
    """Probability of a sum of at most this when each group is permuted at random; 1 where permuting changes nothing."""
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
    """What a straight line in the covariate leaves of the ranks in each group, both centred, shape (groups, size)."""
    spread = (covariate**2).sum(axis=1, keepdims=True)
    slope = (ranks * covariate).sum(axis=1, keepdims=True) / np.where(spread > 0, spread, 1.0)
    return np.asarray(ranks - slope * covariate)
