"""The pages: each folder is one question about the snapshot.

``page.py`` lays it out, ``queries.py`` asks the published file, ``figures.py`` draws the frames that come of it and
reads no file. DuckDB aggregates; values are bound as parameters, and identifiers put into SQL come from the module
itself or the contracts only. A question about a snapshot sees only what was known at it; ``matured`` is the snapshot
whose predictions are held against what happened. What several pages need stands in ``kit``: no page imports another.
"""
