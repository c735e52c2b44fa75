"""The dashboard and the report: queries on the published file, figures, pages. Nothing here writes a table."""
