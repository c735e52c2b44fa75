"""The share of all customers who buy, called the level of the forecast; rankings of customers do not tell it.

The level is the logit of the share of customers who buy within the horizon. Pareto/NBD gives a level from purchase
histories alone, but knows no seasons. The error it made in the same season a year before is likely to come again. Part
of that error is expected again, by its credibility ``between / (between + within + sampling)`` (Buhlmann, H. and
Straub, E. (1970), "Glaubwuerdigkeit fuer Schadensaetze", Bulletin of the Swiss Association of Actuaries 70). The three
are the variance between seasons, the variance of one season from year to year, and the sampling variance of a share and
of a forecast of few customers. Experts that learned from outcomes give a second level, corrected in the same way; its
weight falls with the number of customers who came back.

Where no such season was seen, the level is that of Pareto/NBD. Its recent errors do not predict its next ones, as the
panel of logs shows (``docs/methodology.md``), and experts trained on a young log treat its customers as if they were
still as new as in the training data.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.forecast.constants import Constants

LARGEST_MISS = 2.0
"""Log-odds by which Pareto/NBD may miss the share who buy, plus three standard errors: a factor of seven in the odds.

Recurring seasons miss by a few tenths (:data:`BETWEEN_SEASONS`). Where purchases stop altogether, or start again, no
history of single customers shows it, and a correction learned from such a miss would be just as wrong.
"""

BETWEEN_SEASONS = 0.06
"""Variance, in squared log-odds, of the miss of Pareto/NBD from one season of a year to another."""

_OTHER_VARIANCE = 0.08
"""Variance, in squared log-odds, of the level in a season that was not seen."""


class Levels(NamedTuple):
    """Levels, in log-odds, from Pareto/NBD and from experts trained on outcomes; None where there is none."""

    btyd: float
    trained: float | None


class Season(NamedTuple):
    """The levels forecast for the same season of an earlier year, and the share of ``customers`` who then bought."""

    levels: Levels
    share: float
    customers: int


def expected_level(
    levels: Levels, season: Season | None, learned_weight: float, constants: Constants
) -> tuple[float, float]:
    """The level to expect, in log-odds, and the variance of its error.

    ``learned_weight``, in [0, 1), is the weight of experts that learned from outcomes:
    :func:`genome_pipeline.models.forecast.weights.learned_weight`.
    """
    if season is None:
        return levels.btyd, level_variance(season, constants)
    credibility = _credibility(season, constants)
    level = levels.btyd + credibility * (logit(season.share) - season.levels.btyd)
    if levels.trained is not None and season.levels.trained is not None:
        trained = levels.trained + credibility * (logit(season.share) - season.levels.trained)
        level += learned_weight * (1 - constants.btyd_level_weight) * (trained - level)
    return float(level), level_variance(season, constants)


def level_variance(season: Season | None, constants: Constants) -> float:
    """The variance of the error of :func:`expected_level`, in squared log-odds."""
    if season is None:
        return constants.within_season + _OTHER_VARIANCE
    return (1 - _credibility(season, constants)) * BETWEEN_SEASONS + constants.within_season


def _credibility(season: Season, constants: Constants) -> float:
    # Twice the variance of a share: the level forecast then was fitted to equally few customers.
    sampling = 2 / (season.customers * season.share * (1 - season.share))
    return BETWEEN_SEASONS / (BETWEEN_SEASONS + constants.within_season + sampling)


def is_refuted(level: float, share: float, customers: int) -> bool:
    """Whether a level, in log-odds, was so far from the share of customers who bought that it is useless."""
    forecast = expit(level)
    error = 1 / np.sqrt(customers * forecast * (1 - forecast))
    return bool(abs(logit(share) - level) > LARGEST_MISS + 3 * error)


def smoothed_share(is_event: NDArray[np.bool_]) -> float:
    """Share of events, in (0, 1), with half an event and half a non-event added: a few customers alike prove little.

    >>> smoothed_share(np.array([True, True, True, True]))
    0.9
    """
    return float((is_event.sum() + 0.5) / (is_event.size + 1))


def level_of(log_odds: Floats) -> float:
    """Logit of the mean probability, between -9.2 and 9.2, from log-odds of shape (customers,)."""
    return float(logit(np.clip(expit(log_odds).mean(), 1e-4, 1 - 1e-4)))


def shift_to_level(log_odds: Floats, level: float) -> float:
    """The number that, added to all log-odds of shape (customers,), brings them to a finite level."""
    share = float(expit(level))
    low, high = level - log_odds.max() - 1, level - log_odds.min() + 1
    return float(brentq(lambda shift: expit(log_odds + shift).mean() - share, low, high, xtol=1e-12))
