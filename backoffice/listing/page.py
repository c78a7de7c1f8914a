"""What stands on one page of a list: its rows, how many there are, and the ways on.

At most three statements: the count together with what the filters offer, the planner's
estimate where the count stopped at its limit, and the rows with their relations.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import (
    ColumnElement,
    Enum,
    Executable,
    Integer,
    Select,
    String,
    Text,
    Uuid,
    case,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from backoffice.database.values import parse_value
from backoffice.listing.choices import (
    Choice,
    Choices,
    Found,
    FoundSelect,
    gather_choices,
    select_choices,
)
from backoffice.listing.counting import (
    RowCount,
    capped_count,
    estimate_column,
    is_whole,
    row_count,
)
from backoffice.listing.cursor import CursorCodec
from backoffice.listing.cutting import put_beginnings
from backoffice.listing.paths import Paths
from backoffice.listing.query import Cursor, ListQuery
from backoffice.listing.sorting import (
    effective_order,
    key_paths,
    order_name,
    sort_columns,
)
from backoffice.listing.spec import ListSpec
from backoffice.listing.statements import (
    count_and_keys,
    gather_keys,
    ordered,
    select_page,
    select_records,
    select_rows,
)

__all__ = ["ListPage", "ordered", "page_statements", "read_page", "select_rows"]


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list.

    `first` is the number of its first row, None where that is not known. `next` and
    `previous` are cursors; where there is a page but no cursor to it, `has_next` and
    `has_previous` say so and the page goes by its number: `next_query` knows.
    `last_page` is None where the rows are not counted exactly. `typed` are filters
    with more values than are offered.
    """

    rows: tuple[Any, ...]
    count: RowCount
    page: int | None = 1
    first: int | None = None
    next: str | None = None
    previous: str | None = None
    has_next: bool = False
    has_previous: bool = False
    last_page: int | None = None
    choices: Mapping[str, tuple[Choice, ...]] = field(default_factory=dict)
    typed: frozenset[str] = frozenset()

    def next_query(self, query: ListQuery) -> ListQuery | None:
        """The query of the following page; None on the last."""
        if not self.has_next:
            return None
        after = Cursor(self.next, ()) if self.next else None
        return query.with_(page=(self.page or query.page) + 1, after=after)

    def previous_query(self, query: ListQuery) -> ListQuery | None:
        """The query of the page before; None on the first."""
        if not self.has_previous:
            return None
        before = Cursor(self.previous, ()) if self.previous else None
        page = max(1, (self.page or query.page) - 1)
        return query.with_(page=page, before=before)


def read_page(
    session: Session, spec: ListSpec, query: ListQuery, codec: CursorCodec
) -> ListPage:
    """Read the page that the query asks for; a query with problems has no rows.

    Each row is an instance of the model with its shown relations loaded; what was not
    loaded raises an error when read, and never asks the database.
    """
    dialect = session.get_bind().dialect.name
    rows = select_rows(spec, query, dialect)
    counted, choices = _count_and_choices(session, spec, query, rows, dialect)
    limit = spec.exact_count_limit
    count = row_count(session, rows, counted.capped, limit, counted.estimate)
    if _is_past_the_end(query, count):
        return _empty_page(query, count, choices)
    statement: Select[Any] | None
    if counted.keys is not None:
        statement = select_records(spec, query, counted.keys, dialect)
    else:
        is_few = counted.capped <= limit and not is_whole(rows)
        statement = _kept(
            (spec, query, dialect, "page"),
            lambda: select_page(
                spec, query, rows, dialect, most=limit if is_few else None
            ),
        )
    if statement is None or counted.keys == ():
        return _empty_page(query, count, choices)
    found = session.execute(statement).all()
    return _page(spec, query, codec, found, count, choices)


@dataclass(frozen=True, slots=True)
class _Counted:
    """What the first statement says of the rows, up to one over the limit.

    `keys` are those of the page, where they are known already.
    """

    capped: int
    estimate: float | None = None
    keys: tuple[Any, ...] | None = None


def _count_and_choices(
    session: Session,
    spec: ListSpec,
    query: ListQuery,
    rows: Select[Any],
    dialect: str,
) -> tuple[_Counted, Choices]:
    """Count and choices as one UNION ALL; nothing to read, no statement."""
    statement = _kept(
        (spec, query, dialect, "count"),
        lambda: _count_statement(spec, query, rows, dialect),
    )
    found: list[Found] = []
    if statement is not None:
        found = [Found(*row) for row in session.execute(statement)]
    return _read_count(spec, found), gather_choices(spec, found)


def _count_statement(
    spec: ListSpec, query: ListQuery, rows: Select[Any], dialect: str
) -> Any:
    """Count and choices in one, None where there is nothing to read."""
    selects = select_choices(spec, query)
    if not query.problems:
        selects = [_select_count(spec, query, rows, dialect), *selects]
    return union_all(*selects) if len(selects) > 1 else next(iter(selects), None)


FEW, MANY = "Rows, where few match", "Rows, where many match"


@dataclass(frozen=True, slots=True)
class PageStatement:
    """A statement of a page before it runs: what it is for, and when it does run.

    `is_known` is False where some of its values come from a statement before it.
    """

    title: str
    statement: Executable
    note: str = ""
    is_known: bool = True


def page_statements(
    spec: ListSpec, query: ListQuery, dialect: str
) -> tuple[PageStatement, ...]:
    """What `read_page` would send, built and not sent; nothing where it has problems.

    How rows that are searched or filtered are read depends on their number: both ways
    are given.
    """
    if query.problems:
        return ()
    rows = select_rows(spec, query, dialect)
    count = _count_statement(spec, query, rows, dialect)
    found = [PageStatement("Count and choices", count)]
    limit = f"{spec.exact_count_limit:,}"
    if is_whole(rows):
        every = select_page(spec, query, rows, dialect)
        return (*found, *([PageStatement("Rows", every)] if every is not None else []))
    if dialect == "postgresql" and _has_plain_key(spec):
        few: Select[Any] | None = select_records(spec, query, (), dialect)
        note = f"Where up to {limit} rows match: the count has found the page's keys."
        is_known = False
    else:
        few = select_page(spec, query, rows, dialect, most=spec.exact_count_limit)
        note, is_known = f"Where up to {limit} rows match.", True
    many = select_page(spec, query, rows, dialect)
    if few is not None:
        found.append(PageStatement(FEW, few, note, is_known))
    if many is not None:
        found.append(PageStatement(MANY, many, f"Where more than {limit} rows match."))
    return tuple(found)


# The statements of first pages that nothing narrows: the same for everybody, and what
# a list is asked for most. To build one costs as much as to read its rows.
_statements: WeakKeyDictionary[Paths, dict[Any, Any]] = WeakKeyDictionary()
_MOST_STATEMENTS = 64


def _kept(of: tuple[ListSpec, ListQuery, str, str], make: Callable[[], Any]) -> Any:
    """The statement, made once where it is always the same."""
    spec, query, dialect, name = of
    is_first = query.page == 1 and not (query.after or query.before)
    is_plain = is_first and not (query.is_narrowed or query.problems)
    if not is_plain or not spec.is_for_everybody:
        return make()
    kept = _statements.setdefault(spec.paths, {})
    key = (name, dialect, query.order, query.page_size)
    if key not in kept and len(kept) >= _MOST_STATEMENTS:
        kept.clear()
    found = kept.get(key)
    if found is None:
        found = kept[key] = make()
    return found


def _select_count(
    spec: ListSpec, query: ListQuery, rows: Select[Any], dialect: str
) -> FoundSelect:
    """The count as (path, value, label): the path is "", the label what goes with it.

    That is the estimate of a whole table; of fewer rows, if they do not exceed the
    limit, the page's keys: what matches is searched for only once.
    """
    limit = spec.exact_count_limit
    name = literal("", Text).label("path")
    if is_whole(rows) or dialect != "postgresql" or not _has_plain_key(spec):
        keys = [getattr(spec.model, path) for path in key_paths(spec.paths.mapper)]
        counted = rows.with_only_columns(*keys, maintain_column_froms=True)
        estimate = estimate_column(rows, spec.model, dialect)
        return select(
            name,
            cast(capped_count(counted, limit), Text).label("value"),
            cast(estimate, Text).label("label"),
        )
    number: ColumnElement[int]
    if query.terms and _is_by_key(spec, query) and _is_quickly_sorted(spec):
        both = count_and_keys(spec, query, rows, limit + 1, dialect).subquery()
        number, page = both.c.rows, _json_postgresql(both.c.page)
    else:
        is_sorted = bool(query.terms) or _is_by_key(spec, query)
        found = gather_keys(spec, query, rows, limit + 1, dialect, is_sorted=is_sorted)
        of_all = select(func.count().label("rows")).select_from(found.matching)
        number, page = of_all.subquery().c.rows, _keys_postgresql(found.page)
    return select(
        name,
        cast(number, Text).label("value"),
        case((number <= limit, page), else_=null()).label("label"),
    )


def _keys_postgresql(page: Select[Any] | None) -> ColumnElement[str]:
    """The keys of a page as a JSON list; run only where it is asked for."""
    if page is None:
        return literal("[]", Text)
    keys = page.subquery()
    listed = _json_postgresql(func.array_agg(keys.c.k0))
    return select(listed).scalar_subquery()


def _json_postgresql(array: ColumnElement[Any]) -> ColumnElement[str]:
    """An array as a JSON list; none is an empty one."""
    return func.coalesce(cast(func.array_to_json(array), Text), literal("[]", Text))


def _is_by_key(spec: ListSpec, query: ListQuery) -> bool:
    """Whether the keys say the order, so that nothing more is read for it."""
    paths = {order.path for order in effective_order(spec, query)}
    return paths <= set(key_paths(spec.paths.mapper))


def _has_plain_key(spec: ListSpec) -> bool:
    """Whether keys can be read from JSON and bound as one array."""
    columns = spec.paths.mapper.primary_key
    kind = columns[0].type
    is_plain = isinstance(kind, Integer | String | Uuid) and not isinstance(kind, Enum)
    return len(columns) == 1 and is_plain


def _is_quickly_sorted(spec: ListSpec) -> bool:
    """Whether thousands of keys are put in order for less than a pass over them costs.

    Texts are not, where a language's rules compare them.
    """
    return isinstance(spec.paths.mapper.primary_key[0].type, Integer | Uuid)


def _read_count(spec: ListSpec, found: Sequence[Found]) -> _Counted:
    row = next((row for row in found if not row.path), None)
    if row is None:
        return _Counted(0)
    capped = int(row.value)
    if row.label is None:
        return _Counted(capped)
    if not row.label.startswith("["):
        return _Counted(capped, estimate=float(row.label))
    column = spec.paths.mapper.primary_key[0]
    keys: list[Any] = json.loads(row.label)
    if not isinstance(column.type, Integer):
        keys = [parse_value(column, key) for key in keys]
    return _Counted(capped, keys=tuple(keys))


def _is_past_the_end(query: ListQuery, count: RowCount) -> bool:
    """Whether it is known without a look that the page has no rows."""
    if query.problems or not count.value:
        return True
    is_numbered = query.after is None and query.before is None
    skipped = (query.page - 1) * query.page_size
    return is_numbered and count.is_exact and skipped >= count.value


def _empty_page(query: ListQuery, count: RowCount, choices: Choices) -> ListPage:
    """A page without rows, and the way back to where there are some."""
    return ListPage(
        rows=(),
        count=count,
        page=query.page,
        has_previous=bool(count.value) and query.page > 1,
        last_page=_last_page(query, count),
        choices=choices.offered,
        typed=choices.typed,
    )


def _last_page(query: ListQuery, count: RowCount) -> int | None:
    return max(1, -(-count.value // query.page_size)) if count.is_exact else None


def _page(
    spec: ListSpec,
    query: ListQuery,
    codec: CursorCodec,
    found: Sequence[Any],
    count: RowCount,
    choices: Choices,
) -> ListPage:
    """The page of what was read: one row more than it shows, if there is one."""
    if not found:
        return _empty_page(query, count, choices)
    is_longer = len(found) > query.page_size
    if query.before is not None:
        shown = found[-query.page_size :]
        has_previous, has_next = is_longer, True
    else:
        shown = found[: query.page_size]
        has_previous, has_next = query.after is not None or query.page > 1, is_longer
    order = effective_order(spec, query)
    columns = [column.expression for column in sort_columns(spec, order)]
    name = order_name(spec, order)
    behind = 1 + len(order)
    for row in shown:
        put_beginnings(spec, row[0], row[behind:])
    page, first = _number(query, has_previous=has_previous)
    return ListPage(
        rows=tuple(row[0] for row in shown),
        count=count,
        page=page,
        first=first,
        next=codec.encode(name, columns, shown[-1][1:behind]) if has_next else None,
        previous=codec.encode(name, columns, shown[0][1:behind])
        if has_previous
        else None,
        has_next=has_next,
        has_previous=has_previous,
        last_page=_last_page(query, count),
        choices=choices.offered,
        typed=choices.typed,
    )


def _number(query: ListQuery, *, has_previous: bool) -> tuple[int | None, int | None]:
    """The page's number and that of its first row, as far as they are known.

    By key one may come to the beginning, or past it, under another number: rows were
    added or deleted meanwhile.
    """
    if not has_previous:
        return 1, 1
    if query.page == 1:
        return None, None
    return query.page, (query.page - 1) * query.page_size + 1
