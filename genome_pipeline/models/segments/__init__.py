"""Behavioural segments: finding them, assigning customers to them, and following them over time."""
