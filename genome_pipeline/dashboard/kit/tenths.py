"""Tenths of customers by a prediction."""

from __future__ import annotations

TENTHS = [tenth / 10 for tenth in range(1, 10)]


def decile(column: str) -> str:
    """Tenth that the value belongs to, 1 the lowest, by the ``ends`` of the first nine; equal values share one."""
    return "1 + " + " + ".join(f"({column} > ends[{position}])::INT" for position in range(1, 10))
