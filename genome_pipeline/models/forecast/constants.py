"""What the forecast takes from other logs, as far as it is chosen by leaving out one at a time.

``benchmarks/constants.py`` does so. The other constants of this package (standard weights of experts, the share of
boosting's correction of amounts, the margin of intervals) were set by hand with the panel in view; no log is left out
of them. ``docs/methodology.md`` says so, too.
"""

from __future__ import annotations

from typing import NamedTuple


class Constants(NamedTuple):
    """How far a log's own evidence moves the forecast.

    Attributes:
        penalty: customers, roughly, whose outcomes count as much as the standard weights of the experts.
        within_season: variance, in squared log-odds, of what Pareto/NBD misses in one season from year to year; beside
            that between seasons, which is :data:`genome_pipeline.models.forecast.level.BETWEEN_SEASONS`.
        btyd_level_weight: weight, in [0, 1], of the level of Pareto/NBD beside that of the experts that learned from
            outcomes, where a season tells how far both were off.
    """

    penalty: float = 5_000.0
    within_season: float = 0.04
    btyd_level_weight: float = 0.4


CONSTANTS = Constants()
