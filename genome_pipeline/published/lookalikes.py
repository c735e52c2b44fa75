"""The customers nearest to a group, from the published file alone: DuckDB finds candidates, the model ranks them.

DuckDB compares the genes of all customers in single precision, which takes some 70 MB per million customers, and twice
as much with taste. For the best of them, :class:`genome_pipeline.models.similarity.index.SimilarityIndex` computes
similarities and traits.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from genome_pipeline.contracts.tables.taste import TASTE_SHARES
from genome_pipeline.errors import ConfigError
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.genes import CLIP, SCALED_GENES, TASTE_GENES, GeneScaler, ScaledGene, by_customer
from genome_pipeline.models.similarity.compared import gene_labels
from genome_pipeline.models.similarity.index import SINGLE_ERROR, STANDS_OUT, SimilarityIndex
from genome_pipeline.published.versions import remembered

GROUP_LIMIT = 500
"""Largest group: a link has to hold all of its customers."""

_MORE_CANDIDATES = 20  # candidates beyond those asked for, as single precision may reorder near ties
_TRAIT_COUNT = 6
_MAKING = threading.Lock()  # two requests must not create the same table at the same time


def lookalikes(
    connection: duckdb.DuckDBPyConnection, as_of: date, customer_ids: Sequence[str], count: int = 20
) -> tuple[pd.DataFrame, list[str]]:
    """The ``count`` customers nearest to a group at the snapshot, best first, and the group's common traits.

    Columns are those of :meth:`~genome_pipeline.models.similarity.index.SimilarityIndex.lookalikes`. The group must
    not be empty. Raises :class:`ConfigError` for ids that are not in the snapshot.
    """
    space = _Space.of(connection, as_of)
    group = _features(connection, space, customer_ids)
    if unknown := sorted(set(customer_ids) - set(group["customer_id"])):
        more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
        raise ConfigError(
            f"not in the snapshot of {as_of}: {', '.join(unknown[:5])}{more}; ids are as in the source, take out those"
            " it does not know"
        )
    members = _index(group, space)
    wanted = count + len(group) + _MORE_CANDIDATES
    proposed = _candidates(connection, space, members.unit.mean(axis=0), wanted)
    among = _features(connection, space, [*customer_ids, *proposed])
    found = _index(among, space).lookalikes(customer_ids, count)
    return found, _traits(members.vectors.mean(axis=0), space)


@dataclass(frozen=True)
class _Space:
    """How customers of a snapshot are compared, as by the pipeline's own index."""

    as_of: date
    scaler: GeneScaler
    weights: Floats
    categories: tuple[str, ...]

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection, as_of: date) -> _Space:
        query = "SELECT parameters FROM similarity_index_history WHERE as_of = ?"
        found = connection.execute(query, [as_of]).fetchall()
        parameters = json.loads(found[0][0]) if found else {}
        categories = tuple(parameters.get("categories", ()))
        scaler = _scaler(connection, as_of, len(categories))
        weight = dict(zip(parameters.get("genes", ()), parameters.get("weights", ()), strict=True))
        weights = np.array([weight.get(gene, 1.0) for gene in scaler.genes])
        return cls(as_of, scaler, weights, categories)

    def customers(self, condition: str = "TRUE") -> str:
        """SQL of the customers' genes, with ``$as_of`` and what the condition on ``customer_id`` asks for."""
        at = f"WHERE as_of = $as_of AND {condition}"
        features = f"SELECT * FROM customer_features_history {at}"
        if not self.categories:
            return f"({features})"
        shares = ", ".join(
            f"coalesce(max(category_spend_share) FILTER (category_rank = {rank}), 0) AS {name}"
            for rank, name in enumerate(TASTE_SHARES[: len(self.categories)], start=1)
        )
        taste = f"SELECT customer_id, {shares} FROM customer_categories_history {at} GROUP BY customer_id"
        return f"(({features}) LEFT JOIN ({taste}) USING (customer_id))"


def _scaler(connection: duckdb.DuckDBPyConnection, as_of: date, category_count: int) -> GeneScaler:
    """The scaling of the pipeline's own index; fitted gene by gene, so that only one is in memory at a time."""

    def genes() -> Iterator[tuple[ScaledGene, pd.DataFrame]]:
        for gene in SCALED_GENES:
            query = f"SELECT {gene.name} FROM customer_features_history WHERE as_of = ?"
            yield gene, connection.execute(query, [as_of]).df()
        ((tasters,),) = connection.execute(
            "SELECT count(*) FROM customer_taste_history WHERE as_of = ?", [as_of]
        ).fetchall()
        for rank, gene in enumerate(TASTE_GENES[:category_count], start=1):
            query = "SELECT category_spend_share FROM customer_categories_history WHERE as_of = ? AND category_rank = ?"
            bought = connection.execute(query, [as_of, rank]).df()["category_spend_share"].to_numpy()
            yield gene, pd.DataFrame({gene.name: np.append(bought, np.zeros(tasters - len(bought)))})

    def fit() -> list[dict[str, list[object]]]:
        return [GeneScaler.fit(values, [gene]).to_dict() for gene, values in genes()]

    parts = [GeneScaler.from_dict(part) for part in remembered(connection, f"gene scaler {as_of}", fit)]
    return GeneScaler(
        tuple(gene for part in parts for gene in part.genes),
        tuple(center for part in parts for center in part.centers),
        tuple(scale for part in parts for scale in part.scales),
        tuple(unit for part in parts for unit in part.units),
    )


def _features(connection: duckdb.DuckDBPyConnection, space: _Space, customer_ids: Sequence[str]) -> pd.DataFrame:
    customers = space.customers("customer_id IN (SELECT unnest($ids::VARCHAR[]))")
    return by_customer(
        connection.execute(
            f"SELECT customer_id, {', '.join(space.scaler.genes)} FROM {customers}",
            {"as_of": space.as_of, "ids": list(dict.fromkeys(customer_ids))},
        ).df()
    )


def _index(features: pd.DataFrame, space: _Space) -> SimilarityIndex:
    ids, vectors = features["customer_id"].to_numpy(dtype=np.str_), space.scaler.transform(features)
    return SimilarityIndex(
        ids, vectors, space.scaler, space.weights, neighbor_count=1, seed=0, categories=space.categories
    )


def _candidates(connection: duckdb.DuckDBPyConnection, space: _Space, center: Floats, count: int) -> list[str]:
    """The customers whose weighted, scaled genes point most nearly to ``center``, of shape (genes,).

    Near ties are included, as single precision may mistake them; ties go to the smaller id.
    """
    vectors = _vectors(connection, space)
    rows = connection.execute(
        "WITH compared AS (SELECT customer_id,"
        f" array_inner_product(unit, $center::FLOAT[{len(center)}]) AS closeness FROM {vectors}),"
        " nearest AS (SELECT closeness FROM compared ORDER BY closeness DESC LIMIT $count)"
        " SELECT customer_id FROM compared WHERE closeness >= (SELECT min(closeness) FROM nearest) - $error"
        " QUALIFY row_number() OVER (PARTITION BY closeness ORDER BY customer_id) <= $count",
        {"center": center.tolist(), "count": count, "error": SINGLE_ERROR},
    ).fetchall()
    return [row[0] for row in rows]


def _vectors(connection: duckdb.DuckDBPyConnection, space: _Space) -> str:
    """Name of the in-memory table of all customers' vectors of length 1, created when first needed."""
    name, scaler = f'memory.main."vectors {space.as_of}"', space.scaler
    is_skewed = {gene.name: gene.is_skewed for gene in SCALED_GENES}
    scaled: list[str] = []
    values: dict[str, Any] = {}
    for position, gene in enumerate(scaler.genes):
        unit, center, scale, weight = (f"${name}_{position}" for name in ("unit", "center", "scale", "weight"))
        raw = f"sign({gene}) * ln(1 + abs({gene}) / {unit})" if is_skewed.get(gene) else f"{gene} / {unit}"
        scaled.append(
            f"{weight} * greatest(least(coalesce((({raw}) - {center}) / {scale}, 0), {CLIP}), -{CLIP}) AS g{position}"
        )
        values |= {
            unit[1:]: scaler.units[position] if is_skewed.get(gene) else 1.0,
            center[1:]: scaler.centers[position],
            scale[1:]: scaler.scales[position],
            weight[1:]: float(np.sqrt(space.weights[position])),
        }
    genes = [f"g{position}" for position in range(len(scaler.genes))]
    length = f"sqrt({' + '.join(f'{gene} * {gene}' for gene in genes)})"
    unit_vector = ", ".join(f"coalesce({gene} / nullif(length, 0), 0)" for gene in genes)
    with _MAKING:
        connection.execute(
            f"""
            CREATE TABLE IF NOT EXISTS {name} AS
            SELECT customer_id, array_value({unit_vector})::FLOAT[{len(genes)}] AS unit
            FROM (SELECT *, {length} AS length FROM (
                SELECT customer_id, {", ".join(scaled)} FROM {space.customers()}
            ))
            """,
            values | {"as_of": space.as_of},
        )
    return name


def _traits(mean: Floats, space: _Space) -> list[str]:
    """The genes in which the group stands out on average, strongest first, by how much they weigh."""
    labels, size = gene_labels(space.scaler.genes, space.categories), np.abs(mean) * np.sqrt(space.weights)
    order = np.argsort(-size.round(9), kind="stable")[:_TRAIT_COUNT]
    return [
        f"{'high' if mean[position] > 0 else 'low'} {labels[position]}"
        for position in order
        if abs(mean[position]) >= STANDS_OUT and space.weights[position] > 0
    ]
