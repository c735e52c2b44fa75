"""Is a table what its contract says: Great Expectations run inside DuckDB, and reconciliation to the cent."""
