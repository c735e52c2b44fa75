"""Data quality: can the input be trusted."""
