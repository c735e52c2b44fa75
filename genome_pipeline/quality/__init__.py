"""Validation of tables against their contracts, by Great Expectations inside DuckDB, and reconciliation to the cent."""
