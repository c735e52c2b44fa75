"""Constants of the forecast that were chosen on other logs, leaving out one log at a time.

``benchmarks/constants.py`` chooses them. The other constants of this package (standard weights of experts, the factor
on boosting's correction of amounts, the margin of intervals) were set by hand with the whole panel in view: no log was
left out. ``docs/methodology.md`` says so, too.
"""

from __future__ import annotations

from typing import NamedTuple


class Constants(NamedTuple):
    """How strongly a log's own evidence changes the forecast.

    Attributes:
        penalty: number of customers, roughly, whose outcomes count as much as the standard weights of the experts.
        within_season: variance, in squared log-odds, of the miss of Pareto/NBD in one season from year to year. The
            variance between seasons is :data:`genome_pipeline.models.forecast.level.BETWEEN_SEASONS`.
        btyd_level_weight: weight, in [0, 1], of the level of Pareto/NBD beside the level of the experts that learned
            from outcomes, where an earlier season tells how far both were off.
    """

    penalty: float = 5_000.0
    within_season: float = 0.04
    btyd_level_weight: float = 0.4


CONSTANTS = Constants()
