"""How many of all customers buy: the level of the forecast, which no ranking of customers tells.

The level is the logit of the share of customers who buy within the horizon. Pareto/NBD gives one from purchase
histories alone. It knows no season: at the same season a year before it missed what it is likely to miss now.
Part of that is expected again, by its credibility (Buhlmann, H. and Straub, E. (1970), "Glaubwuerdigkeit fuer
Schadensaetze", Bulletin of the Swiss Association of Actuaries 70): ``between / (between + within + sampling)``, with
the variance between seasons, that of one season from year to year, and that of a share, and of a forecast, of few
customers. Experts that learned from outcomes give a second level, corrected in the same way; it counts the less the
fewer customers came back.

Without such a season the level is that of Pareto/NBD: what it missed lately says nothing of what it will miss, as the
panel of logs shows (``docs/methodology.md``), and experts trained on a young log take its customers to be as young as
they were.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from genome_pipeline.models.forecast.constants import Constants

Floats = NDArray[np.float64]

LARGEST_MISS = 2.0
"""Log-odds by which Pareto/NBD may miss the share who buy, beside three standard errors of it: seven times the odds.

Seasons that come again miss by a few tenths (:data:`BETWEEN_SEASONS`). Where purchases stop altogether, or begin again,
no history of single customers tells of it, and a correction that was learned from it would be as wrong.
"""

BETWEEN_SEASONS = 0.06
"""Variance, in squared log-odds, of what Pareto/NBD misses from one season of a year to another."""

_OTHER_VARIANCE = 0.08
"""Variance of the level of a season that was not seen, in squared log-odds."""


class Levels(NamedTuple):
    """Levels given by Pareto/NBD and by experts trained on outcomes, in log-odds; None where there are none."""

    btyd: float
    trained: float | None


class Season(NamedTuple):
    """What was said of the level at the same season of an earlier year, and what share of ``customers`` bought."""

    said: Levels
    share: float
    customers: int


def expected_level(
    said: Levels, season: Season | None, learned_share: float, constants: Constants
) -> tuple[float, float]:
    """The level to expect, in log-odds, and the variance of its error.

    ``learned_share`` is how much experts that learned from outcomes count here, in [0, 1):
    :func:`genome_pipeline.models.forecast.weights.learned_share`.
    """
    if season is None:
        return said.btyd, constants.within_season + _OTHER_VARIANCE
    # Twice that of a share: the level said then was fitted to as few customers.
    sampling = 2 / (season.customers * season.share * (1 - season.share))
    credibility = BETWEEN_SEASONS / (BETWEEN_SEASONS + constants.within_season + sampling)
    level = said.btyd + credibility * (logit(season.share) - season.said.btyd)
    if said.trained is not None and season.said.trained is not None:
        trained = said.trained + credibility * (logit(season.share) - season.said.trained)
        level += learned_share * (1 - constants.btyd_level_weight) * (trained - level)
    variance = (1 - credibility) * BETWEEN_SEASONS + constants.within_season
    return float(level), variance


def is_refuted(said: float, share: float, customers: int) -> bool:
    """Whether a level, in log-odds, was so far from the share of customers who bought that it tells nothing."""
    expected = expit(said)
    error = 1 / np.sqrt(customers * expected * (1 - expected))
    return bool(abs(logit(share) - said) > LARGEST_MISS + 3 * error)


def share_of(is_event: NDArray[np.bool_]) -> float:
    """Share of events, in (0, 1), as if there were one more by half: few who end alike are no proof that all do.

    >>> share_of(np.array([True, True, True, True]))
    0.9
    """
    return float((is_event.sum() + 0.5) / (is_event.size + 1))


def level_of(log_odds: Floats) -> float:
    """Logit of the mean probability of log-odds of shape (customers,), between -9.2 and 9.2."""
    return float(logit(np.clip(expit(log_odds).mean(), 1e-4, 1 - 1e-4)))


def shift_to_level(log_odds: Floats, level: float) -> float:
    """What, added to all log-odds, shape (customers,), brings them to a level, which is finite."""
    share = float(expit(level))
    low, high = level - log_odds.max() - 1, level - log_odds.min() + 1
    return float(brentq(lambda shift: expit(log_odds + shift).mean() - share, low, high, xtol=1e-12))
