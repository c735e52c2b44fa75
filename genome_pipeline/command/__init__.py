"""The `genome` command and its output."""
