"""Experiments: who is left alone, how much can be seen, and what acting on the others brought."""
