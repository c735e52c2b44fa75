"""A Great Expectation that runs a query for violations, once."""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.expectations.core.unexpected_rows_expectation import UnexpectedRowsExpectation

_ROWS = "unexpected_rows_query.table"
_ROW_COUNT = "unexpected_rows_query.row_count"


class ExpectNoRows(UnexpectedRowsExpectation):
    """Holds where its query returns nothing.

    The original sends the query twice, once to count the rows and once to read them: half the time of a check. Here
    rows are few (a query returns one per failed check), so they are counted after reading them.
    """

    metric_dependencies: ClassVar[tuple[str, ...]] = (_ROWS,)

    def _validate(self, metrics: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        return super()._validate({**metrics, _ROW_COUNT: len(metrics[_ROWS])}, *args, **kwargs)
