"""Measurements, one command each; results as JSON and Markdown in ``results/``."""
