"""Each gene has every word that the places need in which it is used."""

from __future__ import annotations

import pytest

from genome_pipeline.contracts.column import share
from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.contracts.genes import (
    FINGERPRINT_GENES,
    GENES,
    PROFILE_GENES,
    QUALIFYING_GENES,
    SEGMENTING_GENES,
    SIMILARITY_GENES,
    Gene,
)
from genome_pipeline.contracts.playbook import FACTS
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.dashboard.kit.glossary import label
from genome_pipeline.models.segments.names import NAMING_RULES
from genome_pipeline.settings import BlockWeights


def test_a_gene_is_a_numeric_column_of_features_and_genome_and_a_fact_of_the_playbook() -> None:
    for name, gene in GENES.items():
        assert COLUMNS[name] is gene.column
        assert gene.column.unit is not None, name
    assert tuple(GENES) == TABLES["customer_features"].columns[-len(GENES) :]
    assert tuple(GENES) == TABLES["customer_genome"].columns[-len(GENES) :]
    assert set(GENES) <= set(FACTS)


@pytest.mark.parametrize(("is_nullable", "reason_if_null"), [(True, ""), (False, "not bought")])
def test_a_gene_tells_its_absence_where_it_may_be_absent_and_only_there(is_nullable: bool, reason_if_null: str) -> None:
    column = share("luck_share", "Lucky orders.", is_nullable=is_nullable)
    with pytest.raises(ValueError, match="gene luck_share: give reason_if_null where it may be null, and only there"):
        Gene(column, block="activity", label="Luck", reason="{value} lucky", reason_if_null=reason_if_null)


def test_what_genes_are_used_for_finds_its_words() -> None:
    ruled = {test.fact for _, tests in NAMING_RULES for test in tests} & set(GENES)
    named = {*SIMILARITY_GENES, *QUALIFYING_GENES, *ruled}
    assert [name for name in named if not GENES[name].trait] == []
    assert [name for name in QUALIFYING_GENES if not (GENES[name].low and GENES[name].high)] == []
    assert {*SIMILARITY_GENES, *SEGMENTING_GENES, *PROFILE_GENES, *FINGERPRINT_GENES} <= set(GENES)


def test_no_two_genes_share_a_word() -> None:
    for words in ("label", "reason", "trait", "low", "high"):
        said = [getattr(gene, words) for gene in GENES.values() if getattr(gene, words)]
        assert len(said) == len(set(said)), words


def test_every_gene_is_of_a_block_that_has_a_weight() -> None:
    assert {gene.block for gene in GENES.values()} | {"taste"} == set(BlockWeights.model_fields)


def test_screens_take_the_label_of_a_gene_and_of_its_median() -> None:
    assert [name for name, gene in GENES.items() if label(name) != gene.label] == []
    assert [name for name in PROFILE_GENES if label(f"median_{name}") != GENES[name].label] == []
