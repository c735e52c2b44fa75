"""Customer Genome: raw transactions in, a trustworthy behavioural profile of every customer out."""

__version__ = "0.1.0"
