"""Formatting results for a terminal."""
