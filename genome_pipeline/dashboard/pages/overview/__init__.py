"""Overview: what happened."""
