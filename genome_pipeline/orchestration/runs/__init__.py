"""Runs from the command line: what is stale, and making it."""
