"""The one reader of the published file, and the questions asked of it."""
