"""In which order a list stands; always total, so that no row is lost or doubled."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeGuard

from sqlalchemy import Column, Index, Table, UnaryExpression, UniqueConstraint
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.operators import asc_op, desc_op

from backoffice.database.keyset import SortColumn
from backoffice.listing.paths import PathKind
from backoffice.listing.query import ListQuery
from backoffice.listing.spec import ListSpec, Order


def effective_order(spec: ListSpec, query: ListQuery) -> tuple[Order, ...]:
    """The order that was asked for, or the list's own, ended by the key.

    The key goes the way of the last column: an index on (name, id) then serves both
    directions. Behind a column that is unique nothing more is of use.
    """
    asked = query.order or spec.default_order
    order = [Order(spec.paths.label_path(o.path), o.descending) for o in asked]
    descending = order[-1].descending if order else True
    keys = key_paths(spec.paths.mapper)
    order += [Order(key, descending) for key in keys]
    total: dict[str, Order] = {}
    for each in order:
        total.setdefault(each.path, each)
        if set(keys) <= total.keys() or _is_unique(spec, each.path):
            break
    return tuple(total.values())


def sort_columns(spec: ListSpec, order: Sequence[Order]) -> tuple[SortColumn, ...]:
    """The order's columns, on the aliases that the list joins."""
    columns = []
    for each in order:
        place = spec.paths.place(each.path)
        if place.expression is None:
            raise LookupError(f"{spec.identity} cannot be ordered by {each.path}.")
        columns.append(
            SortColumn(
                place.expression, each.descending, place.is_nullable, place.prefix
            )
        )
    return tuple(columns)


def order_name(spec: ListSpec, order: Sequence[Order]) -> str:
    """The list and its order in one text, which a cursor is bound to."""
    words = (f"{'-' if o.descending else ''}{o.path}" for o in order)
    return f"{spec.identity}?{','.join(words)}"


def key_paths(mapper: Mapper[Any]) -> tuple[str, ...]:
    """The attributes of the primary key."""
    return tuple(mapper.get_property_by_column(c).key for c in mapper.primary_key)


def is_indexed(spec: ListSpec, order: Sequence[Order]) -> bool:
    """Whether an index leads with the order's first column."""
    column = spec.paths.place(order[0].path).column
    return column is not None and any(
        columns[0] is column for columns in _indexes(column.table)
    )


def is_distinct_by_index(column: Column[Any]) -> bool:
    """Whether an index that leads with the column can be skipped through."""
    return any(columns[0] is column for columns in _indexes(column.table))


def _is_unique(spec: ListSpec, path: str) -> bool:
    """Whether no two rows of the list's own table have the same value here."""
    place = spec.paths.place(path)
    if place.prefix or place.kind is not PathKind.COLUMN or place.column is None:
        return False
    column = place.column
    return not column.nullable and (column,) in _unique_keys(column.table)


@lru_cache(maxsize=1024)
def _unique_keys(table: Table) -> frozenset[tuple[Column[Any], ...]]:
    found = {tuple(table.primary_key.columns)}
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint) and not constraint.deferrable:
            found.add(tuple(constraint.columns))
    for index in table.indexes:
        columns = _columns(index)
        if (
            index.unique
            and not _is_partial(index)
            and len(columns) == len(index.expressions)
        ):
            found.add(columns)
    return frozenset(found)


@lru_cache(maxsize=1024)
def _indexes(table: Table) -> tuple[tuple[Column[Any], ...], ...]:
    """The plain leading columns of each index that can be walked in order."""
    found = [*_unique_keys(table)]
    for index in table.indexes:
        method = index.dialect_options["postgresql"].get("using")
        if method in (None, False, "btree") and not _is_partial(index):
            found.append(_columns(index))
    return tuple(columns for columns in found if columns)


def _columns(index: Index) -> tuple[Column[Any], ...]:
    """The index's leading plain columns of one direction; an expression ends them."""
    columns: list[Column[Any]] = []
    directions = set()
    for expression in index.expressions:
        directions.add(getattr(expression, "modifier", None) is desc_op)
        column = expression.element if _is_directed(expression) else expression
        if not isinstance(column, Column) or len(directions) > 1:
            break
        columns.append(column)
    return tuple(columns)


def _is_directed(expression: Any) -> TypeGuard[UnaryExpression[Any]]:
    return isinstance(expression, UnaryExpression) and expression.modifier in (
        asc_op,
        desc_op,
    )


def _is_partial(index: Index) -> bool:
    return any(
        index.dialect_options[name].get("where") is not None
        for name in ("postgresql", "sqlite")
    )
