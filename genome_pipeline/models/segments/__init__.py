"""Behavioural segments: which there are, who is in them, and whether they last."""
