"""Customers as points of a plane: the two directions in which the genes that form segments vary most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from genome_pipeline.dashboard.kit.formats import MINUS
from genome_pipeline.models.genes import SEGMENT_GENES, GeneScaler

MAP_GENES = tuple(gene.name for gene in SEGMENT_GENES)
"""Columns of the customers that :func:`project` places."""

_NAMED_GENES = 2


@dataclass(frozen=True)
class Axis:
    """One direction: its share of the variation, in [0, 1], and the genes that weigh most in it, as ``+ orders``."""

    variance_share: float
    genes: tuple[str, ...]


@dataclass(frozen=True)
class CustomerMap:
    """``points`` are the customers given, with ``x`` and ``y``; ``axes`` say what each of the two stands for."""

    points: pd.DataFrame
    axes: tuple[Axis, Axis]


def project(customers: pd.DataFrame) -> CustomerMap | None:
    """The first two principal components of the scaled genes; None where there are not two directions to show.

    The sign of a component is free: the gene that weighs most in it points to the right, or up.

    Args:
        customers: one row per customer with the columns :data:`MAP_GENES`.
    """
    if len(customers) < 3:
        return None
    scaler = GeneScaler.fit(customers, SEGMENT_GENES)
    if len(scaler.genes) < 2:
        return None
    scaled = scaler.transform(customers)
    centered = scaled - scaled.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centered, full_matrices=False)
    if sizes[1] <= 1e-9:
        return None
    directions = directions[:2].round(9)  # which genes weigh most does not hang on the last bits of a product
    heaviest = np.abs(directions).argmax(axis=1)
    directions = directions * np.sign(directions[np.arange(2), heaviest])[:, None]
    shares = sizes**2 / np.sum(sizes**2)
    first, second = (
        Axis(
            float(shares[position]),
            tuple(
                f"{'+' if direction[gene] > 0 else MINUS} {scaler.labels[gene]}"
                for gene in np.argsort(-np.abs(direction), kind="stable")[:_NAMED_GENES]
            ),
        )
        for position, direction in enumerate(directions)
    )
    places = centered @ directions.T
    return CustomerMap(customers.assign(x=places[:, 0], y=places[:, 1]), (first, second))
