"""The Great Expectation that asks a query for what is broken, and asks it once."""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.expectations.core.unexpected_rows_expectation import UnexpectedRowsExpectation

_ROWS = "unexpected_rows_query.table"
_ROW_COUNT = "unexpected_rows_query.row_count"


class ExpectNoRows(UnexpectedRowsExpectation):
    """Holds where its query returns nothing.

    The original sends the query twice, once to count what the other time it reads: half the time of a check. The rows
    here are few (a query returns one for each check that fails), so they are counted as they were read.
    """

    metric_dependencies: ClassVar[tuple[str, ...]] = (_ROWS,)

    def _validate(self, metrics: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        return super()._validate({**metrics, _ROW_COUNT: len(metrics[_ROWS])}, *args, **kwargs)
