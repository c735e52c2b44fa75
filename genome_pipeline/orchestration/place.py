"""Where a shop stands in a Dagster project: what its names begin with, so that several shops stand side by side."""

from __future__ import annotations

import re
from dataclasses import dataclass

import dagster as dg

WAREHOUSE_POOL = "genome_warehouse"
"""Pool of every step that may open the warehouse: only one process can hold it at a time."""


@dataclass(frozen=True)
class Place:
    """The prefixes of a shop's names, who owns its assets, and whether others use the same Dagster.

    Keys of assets begin with ``key_prefix``, groups with ``group_prefix``. ``owners`` are as Dagster takes them: mail
    addresses, or teams as in ``team:crm``.
    """

    key_prefix: tuple[str, ...] = ()
    group_prefix: str = ""
    owners: tuple[str, ...] = ("team:customer-genome",)
    is_shared: bool = False

    @property
    def pool(self) -> str:
        """The pool of its warehouse."""
        return self.name(WAREHOUSE_POOL)

    def key(self, asset: str) -> dg.AssetKey:
        """The key of an asset.

        >>> Place(("shops", "north")).key("customer_genome").to_user_string()
        'shops/north/customer_genome'
        """
        return dg.AssetKey([*self.key_prefix, asset])

    def name(self, name: str) -> str:
        """The name of an op, a job, a schedule, a sensor, a resource or a pool, which are unique as keys are.

        >>> Place(("shops", "north-1")).name("refresh"), Place().name("refresh")
        ('shops__north_1__refresh', 'refresh')
        """
        return re.sub(r"\W", "_", "__".join((*self.key_prefix, name)))

    def group(self, group: str) -> str:
        """The name of a group of assets."""
        return f"{self.group_prefix}{group}"


ALONE = Place()
"""The place of a shop that has Dagster to itself."""
