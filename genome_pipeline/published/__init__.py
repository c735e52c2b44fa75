"""The one reader of the published file, and what is asked of it."""
