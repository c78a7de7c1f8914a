"""What the filters of a list offer, all of it read by one part of one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import (
    ColumnElement,
    Date,
    Enum,
    Integer,
    Select,
    String,
    Text,
    cast,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.orm import Mapper, aliased

from backoffice.database.values import format_value, parse_value
from backoffice.database.words import label_key
from backoffice.listing.filters import declared_choices
from backoffice.listing.paths import PathKind, Paths
from backoffice.listing.query import ListQuery
from backoffice.listing.sorting import is_distinct_by_index
from backoffice.listing.spec import FilterField, FilterKind, ListSpec

MOST_CHOICES = 50

FoundSelect = Select[str, str, str]


class Choice(NamedTuple):
    """One value to choose, as a query string has it."""

    value: str
    label: str


class Found(NamedTuple):
    """One row of the statement: of which filter, the value, its label."""

    path: str
    value: str
    label: str | None


@dataclass(frozen=True, slots=True)
class Choices:
    """What each filter offers. A path in `typed` has too many values to offer them.

    Of a reference that is typed, `offered` holds those that the query asks for.
    """

    offered: Mapping[str, tuple[Choice, ...]] = field(default_factory=dict)
    typed: frozenset[str] = frozenset()


def select_choices(spec: ListSpec, query: ListQuery) -> list[FoundSelect]:
    """The selects of (path, value, label) that choices have to be read by."""
    chosen = [
        _select_references(spec, declared, found.values)
        for declared in spec.filters
        if declared.kind is FilterKind.REFERENCE
        and (found := query.filter(declared.path)) is not None
        and found.values
        and _is_offered(spec.paths, declared)
    ]
    return [*_select_offered(spec), *chosen]


def gather_choices(spec: ListSpec, rows: Sequence[Found]) -> Choices:
    """The choices of every filter, from what was read and what was declared."""
    read: dict[str, dict[str, str]] = {}
    few: dict[str, int] = {}
    for row in rows:
        name = row.path.removeprefix(_CHOSEN)
        values = read.setdefault(name, {})
        few[row.path] = few.get(row.path, 0) + 1
        if few[row.path] <= MOST_CHOICES:
            values[row.value] = row.value if row.label is None else row.label
    offered: dict[str, tuple[Choice, ...]] = {}
    typed = set()
    for each in spec.filters:
        path, place = each.path, spec.paths.place(each.path)
        declared = declared_choices(each, place)
        if declared:
            offered[path] = tuple(Choice(*pair) for pair in declared)
        elif each.kind is FilterKind.REFERENCE:
            offered[path], is_typed = _references(spec, each, rows)
            if is_typed:
                typed.add(path)
        elif each.kind is FilterKind.CHOICE:
            if few.get(path, 0) > MOST_CHOICES or not _is_distinct(spec, each):
                typed.add(path)
            else:
                offered[path] = tuple(Choice(v, v) for v in read.get(path, {}))
    return Choices(offered, frozenset(typed))


# Before the path of a reference that the query asks for by key.
_CHOSEN = "="
_selects: WeakKeyDictionary[Paths, list[FoundSelect]] = WeakKeyDictionary()


def _select_offered(spec: ListSpec) -> list[FoundSelect]:
    """What is the same for every query; kept, unless it depends on who asks."""
    if spec.is_for_everybody and spec.paths in _selects:
        return _selects[spec.paths]
    selects: list[FoundSelect] = []
    for each in spec.filters:
        if each.kind is FilterKind.REFERENCE and _is_offered(spec.paths, each):
            selects.append(_select_references(spec, each, None))
        elif each.kind is FilterKind.CHOICE and _is_distinct(spec, each):
            selects.append(_select_distinct(spec, each))
    if spec.is_for_everybody:
        _selects[spec.paths] = selects
    return selects


def _is_offered(paths: Paths, declared: FilterField) -> bool:
    """Whether the records of a reference can be named by one key each."""
    place = paths.place(declared.path)
    relationship = place.relationship
    return (
        place.kind is PathKind.RELATIONSHIP
        and relationship is not None
        and len(relationship.mapper.primary_key) == 1
    )


def _select_references(
    spec: ListSpec, declared: FilterField, keys: Sequence[tuple[Any, ...]] | None
) -> FoundSelect:
    """The first records of a reference, or those with these keys."""
    mapper = _target(spec.paths, declared)
    key = mapper.primary_key[0]
    entity = mapper.class_
    label = getattr(entity, _label_key(spec.paths, declared))
    rows: Select[Any] = select(
        getattr(entity, mapper.get_property_by_column(key).key).label("value"),
        label.label("label"),
    )
    for scope in (declared.scope, spec.reference_scopes.get(entity)):
        if scope is not None:
            rows = scope(rows)
    if keys is None:
        rows = rows.limit(MOST_CHOICES + 1)
    else:
        rows = rows.where(key.in_([literal(k[0], key.type) for k in keys]))
    name = declared.path if keys is None else f"{_CHOSEN}{declared.path}"
    found = rows.subquery()
    return select(
        literal(name, Text).label("path"),
        cast(found.c.value, Text).label("value"),
        cast(found.c.label, Text).label("label"),
    )


def _label_key(paths: Paths, declared: FilterField) -> str:
    path = paths.label_path(declared.path)
    place = paths.place(path)
    is_own = path.rpartition(".")[0] == declared.path and place.column is not None
    return place.key if is_own else label_key(_target(paths, declared))


def _target(paths: Paths, declared: FilterField) -> Mapper[Any]:
    relationship = paths.place(declared.path).relationship
    if relationship is None:
        raise LookupError(f"{declared.path} is no relationship.")
    return relationship.mapper


def _references(
    spec: ListSpec, declared: FilterField, rows: Sequence[Found]
) -> tuple[tuple[Choice, ...], bool]:
    """The records to choose from by their names, or those chosen and True."""
    if not _is_offered(spec.paths, declared):
        return (), True
    first = [row for row in rows if row.path == declared.path]
    chosen = [row for row in rows if row.path == f"{_CHOSEN}{declared.path}"]
    is_typed = len(first) > MOST_CHOICES
    column = _target(spec.paths, declared).primary_key[0]
    named = {
        _key_text(column, row.value): row.label or row.value
        for row in (chosen if is_typed else [*first, *chosen])
    }
    by_label = sorted(named.items(), key=lambda item: (item[1].casefold(), item[0]))
    return tuple(Choice(*item) for item in by_label), is_typed


def _key_text(column: ColumnElement[Any], text: str) -> str:
    """The key as addresses have it: SQLite keeps a UUID without its hyphens."""
    try:
        return format_value(column, parse_value(column, text))
    except ValueError:
        return text


def _is_distinct(spec: ListSpec, declared: FilterField) -> bool:
    """Whether a column's values can be read without reading the table."""
    place = spec.paths.place(declared.path)
    column = place.column
    if column is None or declared_choices(declared, place):
        return False
    if isinstance(column.type, Enum) or not isinstance(
        column.type, String | Integer | Date
    ):
        return False
    is_seen = spec.is_for_everybody or not place.prefix
    return is_seen and is_distinct_by_index(column)


def _select_distinct(spec: ListSpec, declared: FilterField) -> FoundSelect:
    """The values of an indexed column, each found by one step down the index."""
    number = list(spec.by_path).index(declared.path)
    first = _least(spec, declared)
    steps = select(
        first.scalar_subquery().label("value"), literal_column("1").label("step")
    ).cte(f"values_{number}", recursive=True)
    seen = steps.alias()
    beyond = _least(spec, declared, seen.c.value)
    steps = steps.union_all(
        select(beyond.scalar_subquery(), seen.c.step + literal_column("1"))
        .where(seen.c.value.is_not(None))
        .where(seen.c.step <= literal_column(str(MOST_CHOICES)))
    )
    found = select(
        literal(declared.path, Text).label("path"),
        cast(steps.c.value, Text).label("value"),
        cast(literal_column("NULL"), Text).label("label"),
    )
    return found.where(steps.c.value.is_not(None))


def _least(
    spec: ListSpec, declared: FilterField, beyond: Any | None = None
) -> Select[Any]:
    """The least value that anybody may see, or the least beyond one."""
    place = spec.paths.place(declared.path)
    if place.prefix or spec.scope is None:
        entity: Any = aliased(place.mapper.class_)
        value = getattr(entity, place.key)
        rows: Select[Any] = select(func.min(value)).select_from(entity)
    else:
        value = getattr(spec.model, place.key)
        rows = spec.scope(select(spec.model))
        rows = rows.with_only_columns(func.min(value), maintain_column_froms=True)
    return rows if beyond is None else rows.where(value > beyond)
