"""The select that a list is: its rows, their order, and the rows of one page.

`select_rows` and `ordered` are what a page, an export, an action over all rows and
EXPLAIN have in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    and_,
    false,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.sql.expression import FromClause

from backoffice.database.keyset import SortColumn, after, order_by, ranges_after
from backoffice.listing.cutting import cut_columns
from backoffice.listing.filters import filter_condition
from backoffice.listing.loading import eager_prefixes, loading_options
from backoffice.listing.paths import prefixes_of
from backoffice.listing.query import ListQuery
from backoffice.listing.search import search_condition, search_parts
from backoffice.listing.sorting import (
    effective_order,
    is_indexed,
    key_paths,
    sort_columns,
)
from backoffice.listing.spec import ListSpec, Order


def select_rows(spec: ListSpec, query: ListQuery, dialect: str) -> Select[Any]:
    """The model's rows that a query lists, in no order; none if it has problems.

    `dialect` is the database's name in SQLAlchemy. Columns may be exchanged by
    `with_only_columns(…, maintain_column_froms=True)`.
    """
    paths = spec.paths
    rows: Select[Any] = select(paths.model)
    if spec.scope is not None:
        rows = spec.scope(rows)
    rows = paths.join(rows, _filter_prefixes(query), scopes=spec.reference_scopes)
    if query.problems:
        return rows.where(false())
    if query.terms:
        found = search_condition(
            paths, spec.search, query.terms, dialect, spec.reference_scopes
        )
        rows = rows.where(found)
    for each in query.filters:
        rows = rows.where(filter_condition(paths, each))
    return rows


def ordered(
    spec: ListSpec, query: ListQuery, rows: Select[Any], dialect: str
) -> Select[Any]:
    """The rows in the query's order, which is always total."""
    order = effective_order(spec, query)
    rows = _joined_for_order(spec, query, order, rows, dialect)
    return rows.order_by(*order_by(sort_columns(spec, order)))


def select_page(
    spec: ListSpec,
    query: ListQuery,
    rows: Select[Any],
    dialect: str,
    *,
    most: int | None = None,
) -> Select[Any] | None:
    """One page of `rows` and one row more, each with its sort values behind it.

    Only keys are read and ordered; the records are read for those of the page. With
    `most`, which the rows do not exceed, all keys are read first, then put in order;
    without it they are read in their order until the page is full. None where no row
    can be on the page.
    """
    order = effective_order(spec, query)
    if most is not None:
        keys = gather_keys(spec, query, rows, most, dialect, is_sorted=True).page
    else:
        columns = sort_columns(spec, order)
        rows = _joined_for_order(spec, query, order, rows, dialect)
        rows = _only(rows, _named(spec, order))
        names = _sort_names(spec, order)
        is_one_scan = not is_indexed(spec, order)
        keys = _stretch(rows, columns, names, query, is_one_scan=is_one_scan)
    return None if keys is None else _with_records(spec, order, keys.subquery("page"))


def select_records(
    spec: ListSpec, query: ListQuery, keys: Sequence[Any], dialect: str
) -> Select[Any]:
    """The records of a page whose keys are known, as `select_page` gives them.

    PostgreSQL only, for keys of one part. The scope still holds.
    """
    order = effective_order(spec, query)
    query = replace(query, terms=(), filters=())
    key = _keys(spec)[0]
    values = literal(list(keys), ARRAY(key.type))
    rows = select_rows(spec, query, dialect).where(key == func.any(values))
    rows = _joined_for_order(spec, query, order, rows, dialect)
    rows = _only(rows, _named(spec, order))
    return _with_records(spec, order, rows.subquery("page"))


@dataclass(frozen=True, slots=True)
class Gathered:
    """All matching keys, read first whatever the order; and of them the page's.

    `page` is None where no row can be on the page.
    """

    matching: CTE
    page: Select[Any] | None


def gather_keys(
    spec: ListSpec,
    query: ListQuery,
    rows: Select[Any],
    most: int,
    dialect: str,
    *,
    is_sorted: bool,
) -> Gathered:
    """The keys of at most `most` matching rows, and those of the page among them.

    With `is_sorted` the sort values are read along: of use where each row is looked
    at anyway. Without, an index may do, and they are read for keys that are there.
    """
    order = effective_order(spec, query)
    columns: Sequence[SortColumn] = sort_columns(spec, order)
    names = _sort_names(spec, order)
    named = _named_keys(spec)
    parts = _parts(spec, query, rows, dialect)
    if is_sorted:
        parts = [_joined_for_order(spec, query, order, each, dialect) for each in parts]
        named = _named(spec, order)
    limit = literal(most, literal_execute=True)
    selects = [_only(each, named) for each in parts]
    keys = selects[0] if len(selects) == 1 else union_all(*selects)
    # Materialized: the planner shall not walk the order's index in search of them.
    matching = keys.limit(limit).cte("matching").prefix_with("MATERIALIZED")
    if is_sorted:
        found = select(matching)
        columns = _on(matching, columns, names)
    else:
        bare = replace(query, terms=(), filters=())
        found = select(spec.model).select_from(matching)
        found = found.join(spec.model, _same_keys(spec, matching))
        found = _joined_for_order(spec, bare, order, found, dialect)
        found = found.with_only_columns(*_named(spec, order))
    page = _stretch(found, columns, names, query, is_one_scan=True)
    return Gathered(matching, page)


def count_and_keys(
    spec: ListSpec, query: ListQuery, rows: Select[Any], most: int, dialect: str
) -> Select[Any]:
    """The number of matching rows, at most `most`, and the page's keys as an array.

    As (`rows`, `page`), of one row. PostgreSQL only, for an order by a key of one part
    that is quickly compared: all keys are put in order in one pass, which takes half
    the time of keeping them to be counted first and put in order then.
    """
    first, *_ = sort_columns(spec, effective_order(spec, query))
    parts = [
        _only(each, _named_keys(spec)) for each in _parts(spec, query, rows, dialect)
    ]
    keys = parts[0] if len(parts) == 1 else union_all(*parts)
    matching = keys.limit(literal(most, literal_execute=True)).subquery("matching")
    key = matching.c.k0
    column = SortColumn(key, first.descending)
    if query.before is not None:
        column = column.reversed()
    listed: ColumnElement[Any] = func.array_agg(
        aggregate_order_by(key, *order_by([column])), type_=ARRAY(key.type)
    )
    cursor = query.after or query.before
    skipped = 0 if cursor else (query.page - 1) * query.page_size
    if cursor is not None:
        beyond = after([column], cursor.values[:1])
        listed = listed.filter(false() if beyond is None else beyond)
    page = listed[skipped + 1 : skipped + 1 + query.page_size]
    return select(func.count().label("rows"), page.label("page")).select_from(matching)


def _parts(
    spec: ListSpec, query: ListQuery, rows: Select[Any], dialect: str
) -> list[Select[Any]]:
    """The rows of a query; those of a search in the parts that indexes serve."""
    if query.problems or not query.terms:
        return [rows]
    found = search_parts(spec.paths, spec.search, query.terms, dialect)
    if not found:
        return [rows]
    rows = select_rows(spec, replace(query, terms=()), dialect)
    return [rows.where(part) for part in found]


def _only(rows: Select[Any], columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
    return rows.with_only_columns(*columns, maintain_column_froms=True)


def _keys(spec: ListSpec) -> list[ColumnElement[Any]]:
    return [getattr(spec.model, path) for path in key_paths(spec.paths.mapper)]


def _named_keys(spec: ListSpec) -> list[ColumnElement[Any]]:
    return [key.label(f"k{index}") for index, key in enumerate(_keys(spec))]


def _named(spec: ListSpec, order: Sequence[Order]) -> list[ColumnElement[Any]]:
    """The keys and, behind them, the sort values that are no keys.

    A key that stood there twice would have to be copied for each row that is skipped.
    """
    columns = zip(_sort_names(spec, order), sort_columns(spec, order), strict=True)
    sorts = [c.expression.label(name) for name, c in columns if name[0] == "s"]
    return [*_named_keys(spec), *sorts]


def _sort_names(spec: ListSpec, order: Sequence[Order]) -> tuple[str, ...]:
    """What the order's columns are called in a subquery: k0… of the key, else s0…."""
    keys = key_paths(spec.paths.mapper)
    return tuple(
        f"k{keys.index(each.path)}" if each.path in keys else f"s{index}"
        for index, each in enumerate(order)
    )


def _same_keys(spec: ListSpec, source: FromClause) -> ColumnElement[bool]:
    keys = enumerate(_keys(spec))
    return and_(*(key == source.c[f"k{index}"] for index, key in keys))


def _stretch(
    rows: Select[Any],
    columns: Sequence[SortColumn],
    names: Sequence[str],
    query: ListQuery,
    *,
    is_one_scan: bool,
) -> Select[Any] | None:
    """The rows of the page, by its cursor or by its number."""
    cursor = query.after or query.before
    limit = literal(query.page_size + 1, literal_execute=True)
    if cursor is None:
        rows = rows.order_by(*order_by(columns)).limit(limit)
        skipped = (query.page - 1) * query.page_size
        return rows.offset(skipped) if skipped else rows
    if query.before is not None:
        columns = [column.reversed() for column in columns]
    if is_one_scan:
        beyond = after(columns, cursor.values)
        if beyond is None:
            return None
        return rows.where(beyond).order_by(*order_by(columns)).limit(limit)
    # Each stretch of the index by itself, none longer than the page.
    stretches = [
        rows.where(stretch).order_by(*order_by(columns)).limit(limit)
        for stretch in ranges_after(columns, cursor.values)
    ]
    if len(stretches) <= 1:
        return stretches[0] if stretches else None
    every = union_all(*(select(s.subquery()) for s in stretches)).subquery()
    return select(every).order_by(*order_by(_on(every, columns, names))).limit(limit)


def _with_records(
    spec: ListSpec, order: Sequence[Order], page: FromClause
) -> Select[Any]:
    """The records of the page's keys, with all that is shown of their relations.

    Behind each are its sort values, then the beginnings of its long texts.
    """
    entity = spec.paths.model
    names = _sort_names(spec, order)
    columns = _on(page, sort_columns(spec, order), names)
    same = _same_keys(spec, page)
    values = [page.c[name] for name in names]
    rows: Select[Any] = (
        select(entity, *values, *cut_columns(spec)).select_from(page).join(entity, same)
    )
    rows = spec.paths.join(rows, eager_prefixes(spec), scopes=spec.reference_scopes)
    return rows.options(*loading_options(spec)).order_by(*order_by(columns))


def _on(
    source: FromClause, columns: Sequence[SortColumn], names: Sequence[str]
) -> list[SortColumn]:
    """The same order on the columns of a subquery."""
    return [
        SortColumn(source.c[name], column.descending, column.is_nullable)
        for name, column in zip(names, columns, strict=True)
    ]


def _joined_for_order(
    spec: ListSpec,
    query: ListQuery,
    order: Sequence[Order],
    rows: Select[Any],
    dialect: str,
) -> Select[Any]:
    """Join what the order needs and the filters have not joined already.

    PostgreSQL keeps what a foreign key says, so a relation that every row has may be
    joined as such there: an order by its column can then start from its index.
    """
    joined = _filter_prefixes(query)
    missing = [p for p in prefixes_of(o.path for o in order) if p not in joined]
    return spec.paths.join(
        rows,
        missing,
        inner=dialect == "postgresql",
        scopes=spec.reference_scopes,
    )


def _filter_prefixes(query: ListQuery) -> tuple[str, ...]:
    return () if query.problems else prefixes_of(f.path for f in query.filters)
