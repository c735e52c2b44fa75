"""Runs from the command line: finding what is stale, and making it."""
