"""Confidence: how sure the predictions are, and whether they have earned it."""
