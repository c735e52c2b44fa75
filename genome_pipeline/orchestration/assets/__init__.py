"""Dagster wrappers only: read, call a pure function, write, report. One module per stage of the flow."""
