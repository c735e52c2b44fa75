"""Audience: leave with a list."""
