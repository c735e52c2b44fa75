"""The `genome` command, and what it shows."""
