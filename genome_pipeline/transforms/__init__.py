"""Row-level stages as pure functions from Ibis tables to Ibis tables; they open nothing and know no orchestrator."""
