"""A shop as a component of a Dagster project: its assets, checks, jobs, schedules and sensors, from a config file.

Dagster reads annotations at run time, so this module does not postpone them; it imports the pipeline where it is
used, as every `dg` command loads all components.
"""

import os

import dagster as dg
from dagster.components.component.component import ComponentTypeSpec
from pydantic import Field

_OF_ONE_SHOP = ("GENOME_HOME", "GENOME_SOURCE__")


class CustomerGenomeComponent(dg.Component, dg.Model, dg.Resolvable):
    """A shop of Customer Genome: its assets, checks, jobs, schedules and sensors."""

    config: str = Field(
        description="The shop's genome.toml; a relative path is relative to this component's folder.",
        examples=["genome.toml", "{{ context.project_root }}/shops/north.toml"],
    )
    key_prefix: list[str] = Field(
        default=[],
        description="What the shop's asset keys begin with; its jobs, pool and resources are named after it, too.",
        examples=[["north"]],
    )
    group_prefix: str = Field(default="", description="What its groups of assets begin with.", examples=["north_"])
    owners: list[str] = Field(
        default=["team:customer-genome"], description="Who owns its assets: mail addresses, or teams."
    )

    @classmethod
    def get_spec(cls) -> ComponentTypeSpec:
        """What Dagster shows of the component."""
        return ComponentTypeSpec(
            tags=["customers", "duckdb"], produces=["asset", "asset_check", "job", "resource", "schedule", "sensor"]
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The shop's definitions.

        Raises :class:`~genome_pipeline.errors.ConfigError` for a mistake in the config, and for environment variables
        that would give all shops one home or one source.
        """
        from genome_pipeline.definitions import build_definitions
        from genome_pipeline.errors import ConfigError
        from genome_pipeline.orchestration.place import Place
        from genome_pipeline.settings import load_settings

        shared = sorted(name for name in os.environ if name.startswith(_OF_ONE_SHOP))
        if shared:
            raise ConfigError(
                f"{shared[0]} is set for every shop of this project: take it out, and set it in each config file"
            )
        folder = context.path if context.path.is_dir() else context.path.parent
        place = Place(tuple(self.key_prefix), self.group_prefix, tuple(self.owners), is_shared=True)
        return build_definitions(load_settings(folder / self.config), place)
