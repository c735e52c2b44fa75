"""Customer Genome: raw transactions in, a trustworthy behavioural profile of every customer out.

In a notebook: ``import genome_pipeline as genome``, then ``genome.open(place)`` for what a pipeline published, and
``genome.fit(frame)`` for the forecast on transactions in memory. ``docs/python.md`` tells more.
"""

__version__ = "0.1.0"

__all__ = ["__version__", "fit", "open"]

TYPE_CHECKING = False  # for type checkers it is true; `typing` would double the time of this import

if TYPE_CHECKING:
    from genome_pipeline.notebook.forecast import fit
    from genome_pipeline.notebook.genome import open
else:
    _OFFERED = {"fit": "genome_pipeline.notebook.forecast", "open": "genome_pipeline.notebook.genome"}

    def __getattr__(name: str) -> object:
        """What the package offers, imported once it is asked for: the command starts without it."""
        from importlib import import_module

        if name not in _OFFERED:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_OFFERED[name]), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *_OFFERED})
