"""Segments: how customers group, and where they move."""
