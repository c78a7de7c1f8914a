"""Which rows come after a row in an order, by the row's own values.

Null counts as the greatest value, as in PostgreSQL: last where the order ascends,
first where it descends. Both databases are told so, so they agree.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any

from sqlalchemy import ColumnElement, UnaryExpression, and_, literal, or_, tuple_


@dataclass(frozen=True, slots=True, eq=False)
class SortColumn:
    """One column of a total order; columns of one `table` may share an index."""

    expression: ColumnElement[Any]
    descending: bool = False
    is_nullable: bool = False
    table: Hashable = ""

    def reversed(self) -> "SortColumn":
        """The same column in the opposite order."""
        return SortColumn(
            self.expression, not self.descending, self.is_nullable, self.table
        )


def order_by(columns: Sequence[SortColumn]) -> list[UnaryExpression[Any]]:
    """The order in SQL, saying where nulls stand wherever there may be some."""
    clauses = []
    for column in columns:
        if column.descending:
            clause = column.expression.desc()
            clauses.append(clause.nulls_first() if column.is_nullable else clause)
        else:
            clause = column.expression.asc()
            clauses.append(clause.nulls_last() if column.is_nullable else clause)
    return clauses


def ranges_after(
    columns: Sequence[SortColumn], values: Sequence[Any]
) -> list[ColumnElement[bool]]:
    """Conditions of which exactly one holds for each row that comes after `values`.

    Each is one stretch of an index on these columns: equal at the front, one
    comparison, nothing after it. The list is empty where no row can come after.
    """
    found: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    start = 0
    while start < len(columns):
        column = columns[start]
        if values[start] is None:
            if column.descending:
                found.append(and_(*equal, column.expression.is_not(None)))
            equal.append(column.expression.is_(None))
            start += 1
            continue
        end = _run(columns, values, start)
        run = range(start, end)
        found.append(and_(*equal, _beyond(columns, values, run)))
        for index in run:
            if columns[index].is_nullable and not columns[index].descending:
                null = columns[index].expression.is_(None)
                found.append(and_(*equal, null))
            equal.append(_equals(columns[index], values[index]))
        start = end
    return found


def after(
    columns: Sequence[SortColumn], values: Sequence[Any]
) -> ColumnElement[bool] | None:
    """One condition for the rows after `values`; None where no row can be.

    It starts with a bound on the first column, so that an index on that column alone
    is still of use.
    """
    ranges = ranges_after(columns, values)
    if len(ranges) <= 1:
        return ranges[0] if ranges else None
    bound = _bound(columns[0], values[0])
    return or_(*ranges) if bound is None else and_(bound, or_(*ranges))


def _run(columns: Sequence[SortColumn], values: Sequence[Any], start: int) -> int:
    """The end of the columns that one row comparison can compare."""
    first = columns[start]
    end = start + 1
    while (
        end < len(columns)
        and values[end] is not None
        and columns[end].descending == first.descending
        and columns[end].table == first.table
    ):
        end += 1
    return end


def _beyond(
    columns: Sequence[SortColumn], values: Sequence[Any], run: range
) -> ColumnElement[bool]:
    left = [columns[index].expression for index in run]
    right = [_value(columns[index], values[index]) for index in run]
    compare = lt if columns[run.start].descending else gt
    found: ColumnElement[bool] = (
        compare(left[0], right[0])
        if len(left) == 1
        else compare(tuple_(*left), tuple_(*right))
    )
    return found


def _bound(column: SortColumn, value: Any) -> ColumnElement[bool] | None:
    """What every row after has in its first column, as far as an index can use it."""
    if value is None or (column.is_nullable and not column.descending):
        return None
    compare = le if column.descending else ge
    found: ColumnElement[bool] = compare(column.expression, _value(column, value))
    return found


def _equals(column: SortColumn, value: Any) -> ColumnElement[bool]:
    return column.expression == _value(column, value)


def _value(column: SortColumn, value: Any) -> ColumnElement[Any]:
    """The value, bound with the column's own type."""
    return literal(value, column.expression.type)
