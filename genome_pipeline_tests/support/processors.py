"""The same work as other processors would do it: other matrix products, other vector units, other numbers of threads.

Run as ``python -m genome_pipeline_tests.support.processors models FOLDER SEED`` or ``... pipeline CONFIG``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from genome_pipeline.models.drift import gene_drift
from genome_pipeline.models.segments.model import compare_segments, fit_segments
from genome_pipeline.models.segments.profiles import profile_segments
from genome_pipeline.models.similarity import index as similarity
from genome_pipeline.models.similarity import nearest
from genome_pipeline_tests.support.populations import AS_OF, shop

_ROOT = Path(__file__).parents[2]


def _threads(count: int) -> dict[str, str]:
    return dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(count))


PROCESSORS: dict[str, dict[str, str]] = {
    "of 2008, one thread": {
        "OPENBLAS_CORETYPE": "Nehalem",
        "FAISS_SIMD_LEVEL": "NONE",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
        **_threads(1),
    },
    "AVX2, two threads": {
        "OPENBLAS_CORETYPE": "Haswell",
        "FAISS_SIMD_LEVEL": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
        **_threads(2),
    },
    "AVX-512, one thread": {"OPENBLAS_CORETYPE": "SkylakeX", "FAISS_SIMD_LEVEL": "AVX512", **_threads(1)},
}
"""What makes the libraries take the ways that they take on another processor. A way this one lacks is not taken."""


def work(processor: str, *arguments: str) -> None:
    """Do the work of this module in a process of its own. Raises :class:`subprocess.CalledProcessError`."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("GENOME_", "DAGSTER_"))}
    subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "genome_pipeline_tests.support.processors", *arguments],
        check=True,
        env=given | PROCESSORS[processor],
        cwd=_ROOT,
        capture_output=True,
        timeout=1100,
    )


def model_tables(seed: int) -> dict[str, pd.DataFrame]:
    """Tables of two snapshots of a population with doubles and near ties; the seed orders rows and cuts chunks."""
    before, now = (_population(part).sample(frac=1, random_state=seed) for part in (1, 2))
    nearest._CHUNK_QUERIES, similarity._CHUNK_VALUES = 1_000 + 37 * seed, 100_000 + seed
    first = fit_segments(before, None, seed=0)
    model = fit_segments(now, first, seed=0)
    found = compare_segments(model.assign(now), now, first.assign(before))
    index = similarity.SimilarityIndex.build(now, exact_customers=100)
    exact = similarity.SimilarityIndex.build(now)
    genome = now.merge(found.customers[["customer_id", "segment_id"]], on="customer_id")
    genome = genome.assign(expected_spend=genome["spend_amount"], churn_probability=0.5, confidence=0.5)
    return {
        "segment_model": model.candidates(AS_OF),
        "segment_events": model.events(AS_OF),
        "customer_segments": found.customers.sort_values("customer_id", ignore_index=True),
        "segment_migrations": found.migrations,
        "segment_profiles": profile_segments(genome, model.described, "EUR"),
        "customer_neighbors": index.neighbors(AS_OF),
        "similarity_index": index.summary(AS_OF),
        "customer_neighbors of all": exact.neighbors(AS_OF),
        "lookalikes": index.lookalikes(index.customer_ids[::40].tolist(), 30),
        "gene_drift": gene_drift(now, before, 0.2),
    }


def _population(part: int) -> pd.DataFrame:
    customers = shop(part, 150)
    doubles = customers.head(90)
    return pd.concat([customers, doubles.assign(customer_id="z" + doubles["customer_id"])])


def main(what: str, target: str, seed: str = "0") -> None:
    """Write the tables of the models into a folder, or run the pipeline."""
    if what == "pipeline":
        from genome_pipeline_tests.support.pipelines import make

        make(Path(target))
        return
    for name, table in model_tables(int(seed)).items():
        table.to_parquet(Path(target) / f"{name}.parquet")


if __name__ == "__main__":
    main(*sys.argv[1:])
