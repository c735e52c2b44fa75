"""What other Dagster projects use: the component that puts a shop into a project."""

from genome_pipeline.components.customer_genome import CustomerGenomeComponent

__all__ = ["CustomerGenomeComponent"]
