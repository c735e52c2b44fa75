"""Finding what is stale, and the runs that make it."""
