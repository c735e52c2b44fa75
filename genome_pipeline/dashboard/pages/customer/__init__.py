"""Customer: who is this."""
