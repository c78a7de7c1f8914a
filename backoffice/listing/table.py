"""What a list is as a plain table: its columns' values as one select, in its order."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select

from backoffice.listing.paths import PathKind, prefixes_of
from backoffice.listing.query import ListQuery
from backoffice.listing.sorting import effective_order
from backoffice.listing.spec import ListSpec
from backoffice.listing.statements import ordered, select_rows


@dataclass(frozen=True, slots=True)
class ListTable:
    """The select of all rows that a query lists, each column's head, and its path."""

    select: Select[Any]
    heads: tuple[str, ...]
    paths: tuple[str, ...]


def list_table(spec: ListSpec, query: ListQuery, dialect: str) -> ListTable:
    """All pages of a list as one table of values; no rows if the query has problems.

    A relationship is there by the column that its records are called by. Left out is
    what the database cannot say: plain properties, collections; and secrets.
    """
    paths = spec.paths
    columns = {
        path: paths.label_path(path)
        for path in spec.exported or spec.columns
        if _is_value(spec, paths.label_path(path))
    }
    rows = ordered(spec, query, select_rows(spec, query, dialect), dialect)
    order = effective_order(spec, query)
    filtered = () if query.problems else (f.path for f in query.filters)
    joined = prefixes_of((*filtered, *(o.path for o in order)))
    missing = [p for p in prefixes_of(columns.values()) if p not in joined]
    rows = paths.join(rows, missing, scopes=spec.reference_scopes)
    values = [paths.place(path).expression for path in columns.values()]
    named = [
        value.label(f"c{index}")
        for index, value in enumerate(values)
        if value is not None
    ]
    return ListTable(
        rows.with_only_columns(*named, maintain_column_froms=True),
        tuple(spec.label(path) for path in columns),
        tuple(columns),
    )


def _is_value(spec: ListSpec, path: str) -> bool:
    place = spec.paths.place(path)
    is_secret = place.column is not None and bool(place.column.info.get("secret"))
    is_value = place.kind in (PathKind.COLUMN, PathKind.EXPRESSION)
    return is_value and place.expression is not None and not is_secret
