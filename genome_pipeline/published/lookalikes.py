"""The customers nearest to a group, from the published file alone: DuckDB finds candidates, the model ranks them.

DuckDB compares the genes of all customers in single precision, which takes some 70 MB per million customers. For the
best of them, :class:`genome_pipeline.models.similarity.index.SimilarityIndex` computes similarities and traits.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from datetime import date

import duckdb
import numpy as np
import pandas as pd

from genome_pipeline.errors import ConfigError
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.genes import CLIP, GENE_LABELS, SCALED_GENES, GeneScaler, by_customer
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
    scaler = _scaler(connection, as_of)
    weights = _weights(connection, as_of, scaler)
    group = _features(connection, as_of, scaler, customer_ids)
    if unknown := sorted(set(customer_ids) - set(group["customer_id"])):
        more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
        raise ConfigError(
            f"not in the snapshot of {as_of}: {', '.join(unknown[:5])}{more}; ids are as in the source, take out those"
            " it does not know"
        )
    members = _index(group, scaler, weights)
    wanted = count + len(group) + _MORE_CANDIDATES
    proposed = _candidates(connection, as_of, scaler, weights, members.unit.mean(axis=0), wanted)
    among = _features(connection, as_of, scaler, [*customer_ids, *proposed])
    found = _index(among, scaler, weights).lookalikes(customer_ids, count)
    return found, _traits(members.vectors.mean(axis=0), scaler)


def _scaler(connection: duckdb.DuckDBPyConnection, as_of: date) -> GeneScaler:
    """The scaling of the pipeline's own index; fitted gene by gene, so that only one is in memory at a time."""

    def fit() -> list[dict[str, list[object]]]:
        return [
            GeneScaler.fit(
                connection.execute(f"SELECT {gene.name} FROM customer_features_history WHERE as_of = ?", [as_of]).df(),
                [gene],
            ).to_dict()
            for gene in SCALED_GENES
        ]

    parts = [GeneScaler.from_dict(part) for part in remembered(connection, f"gene scaler {as_of}", fit)]
    return GeneScaler(
        tuple(gene for part in parts for gene in part.genes),
        tuple(center for part in parts for center in part.centers),
        tuple(scale for part in parts for scale in part.scales),
        tuple(unit for part in parts for unit in part.units),
    )


def _weights(connection: duckdb.DuckDBPyConnection, as_of: date, scaler: GeneScaler) -> Floats:
    """The weight of each gene in the cosine, as in the published index."""
    row = connection.execute("SELECT parameters FROM similarity_index_history WHERE as_of = ?", [as_of]).fetchone()
    parameters = json.loads(row[0]) if row else {}
    weight = dict(zip(parameters.get("genes", ()), parameters.get("weights", ()), strict=True))
    return np.array([weight.get(gene, 1.0) for gene in scaler.genes])


def _features(
    connection: duckdb.DuckDBPyConnection, as_of: date, scaler: GeneScaler, customer_ids: Sequence[str]
) -> pd.DataFrame:
    return by_customer(
        connection.execute(
            f"SELECT customer_id, {', '.join(scaler.genes)} FROM customer_features_history"
            " WHERE as_of = ? AND customer_id IN (SELECT unnest(?::VARCHAR[]))",
            [as_of, list(dict.fromkeys(customer_ids))],
        ).df()
    )


def _index(features: pd.DataFrame, scaler: GeneScaler, weights: Floats) -> SimilarityIndex:
    ids = features["customer_id"].to_numpy(dtype=np.str_)
    return SimilarityIndex(ids, scaler.transform(features), scaler, weights, neighbor_count=1, seed=0)


def _candidates(
    connection: duckdb.DuckDBPyConnection,
    as_of: date,
    scaler: GeneScaler,
    weights: Floats,
    center: Floats,
    count: int,
) -> list[str]:
    """The customers whose weighted, scaled genes point most nearly to ``center``, of shape (genes,).

    Near ties are included, as single precision may mistake them; ties go to the smaller id.
    """
    vectors = _vectors(connection, as_of, scaler, weights)
    rows = connection.execute(
        "WITH compared AS (SELECT customer_id,"
        f" array_inner_product(unit, $center::FLOAT[{len(center)}]) AS closeness FROM {vectors}),"
        " nearest AS (SELECT closeness FROM compared ORDER BY closeness DESC LIMIT $count)"
        " SELECT customer_id FROM compared WHERE closeness >= (SELECT min(closeness) FROM nearest) - $error"
        " QUALIFY row_number() OVER (PARTITION BY closeness ORDER BY customer_id) <= $count",
        {"center": center.tolist(), "count": count, "error": SINGLE_ERROR},
    ).fetchall()
    return [row[0] for row in rows]


def _vectors(connection: duckdb.DuckDBPyConnection, as_of: date, scaler: GeneScaler, weights: Floats) -> str:
    """Name of the in-memory table of all customers' vectors of length 1, created when first needed."""
    name = f'memory.main."vectors {as_of}"'
    is_skewed = {gene.name: gene.is_skewed for gene in SCALED_GENES}
    scaled, values = [], []
    for position, gene in enumerate(scaler.genes):
        raw = f"sign({gene}) * ln(1 + abs({gene}) / ?)" if is_skewed[gene] else f"{gene} / ?"
        scaled.append(f"? * greatest(least(coalesce((({raw}) - ?) / ?, 0), {CLIP}), -{CLIP}) AS g{position}")
        unit = scaler.units[position] if is_skewed[gene] else 1.0
        values += [float(np.sqrt(weights[position])), unit, scaler.centers[position], scaler.scales[position]]
    genes = [f"g{position}" for position in range(len(scaler.genes))]
    length = f"sqrt({' + '.join(f'{gene} * {gene}' for gene in genes)})"
    unit_vector = ", ".join(f"coalesce({gene} / nullif(length, 0), 0)" for gene in genes)
    with _MAKING:
        connection.execute(
            f"""
            CREATE TABLE IF NOT EXISTS {name} AS
            SELECT customer_id, array_value({unit_vector})::FLOAT[{len(genes)}] AS unit
            FROM (SELECT *, {length} AS length FROM (
                SELECT customer_id, {", ".join(scaled)} FROM customer_features_history WHERE as_of = ?
            ))
            """,
            [*values, as_of],
        )
    return name


def _traits(mean: Floats, scaler: GeneScaler) -> list[str]:
    """The genes in which the group stands out on average, strongest first."""
    order = np.argsort(-np.abs(mean).round(9), kind="stable")[:_TRAIT_COUNT]
    return [
        f"{'high' if mean[position] > 0 else 'low'} {GENE_LABELS[scaler.genes[position]]}"
        for position in order
        if abs(mean[position]) >= STANDS_OUT
    ]
