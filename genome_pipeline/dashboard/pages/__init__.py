"""The pages: each folder is one question about the snapshot.

``page.py`` lays it out, ``queries.py`` queries the published file, and ``figures.py`` draws the frames that it returns.
DuckDB aggregates; values are bound as parameters, and identifiers in SQL come only from the module or the contracts. A
query about a snapshot sees only what was known at it; ``matured`` is the snapshot whose predictions are compared with
what happened. Code that several pages need is in ``kit``: no page imports another.
"""
