"""Row-level stages as pure functions from Ibis tables to Ibis tables: no orchestrator, nothing opened."""
