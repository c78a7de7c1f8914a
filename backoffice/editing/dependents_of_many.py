"""Which rows hang on each of many records? Asked by one statement for a foreign key.

They are those that `branches_of` finds for each record by itself. Where a row could be
met on two ways, what goes with a record depends on which others went before it: then
there is no answer for many at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Integer,
    Table,
    and_,
    any_,
    column,
    func,
    literal,
    select,
)
from sqlalchemy.orm import Mapper, Session

from backoffice.editing.dependents import (
    DEPTH,
    Fate,
    Reference,
    Schema,
    as_they_go,
    attribute_of,
    schema_of,
)

PLACE = "place"


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A foreign key on the way down from the records; `above` is the one before it."""

    reference: Reference
    rows: FromClause
    above: "Line | None"


def lines_of(session: Session, mapper: Mapper[Any]) -> tuple[Line, ...] | None:
    """All foreign keys on the way down, level by level; None where ways meet.

    Also where a key refers to a column that the model leaves out.
    """
    schema, own = schema_of(session, mapper), mapper.local_table
    seen: set[FromClause] = {own}
    found: list[Line] = []
    level: list[Line | None] = [None]
    for _ in range(DEPTH):
        below = [one for above in level for one in _below(schema, own, above)]
        for line in below:
            if line.reference.table in seen:
                return None
            seen.add(line.reference.table)
        below.sort(key=_name_of)
        found += below
        level = [one for one in below if _is_way_down(one.reference)]
    known = {c.name for c in own.columns if attribute_of(mapper, c) is not None}
    first = [one.reference for one in found if one.above is None]
    if any(known.isdisjoint(one.referred_columns) for one in first):
        return None
    return tuple(found)


def _below(schema: Schema, own: FromClause, above: Line | None) -> Iterator[Line]:
    table = own if above is None else above.reference.table
    for reference in schema.referring(table):
        yield Line(reference, reference.table.alias(), above)


def _name_of(line: Line) -> tuple[str, list[str]]:
    reference = line.reference
    return reference.name, [column.name for column in reference.columns]


def _is_way_down(reference: Reference) -> bool:
    return reference.fate is Fate.DELETED and reference.is_readable


def count_rows(
    session: Session, mapper: Mapper[Any], records: Sequence[Any], line: Line
) -> Mapping[int, int]:
    """How many rows of this line hang on each record, by its place among them."""
    place, source = _joined(mapper, records, line)
    statement = select(place, func.count()).select_from(source).group_by(place)
    return {found[0]: found[1] for found in session.execute(statement)}


def read_rows(
    session: Session,
    mapper: Mapper[Any],
    records: Sequence[Any],
    line: Line,
    columns: Sequence[Any],
    places: Sequence[int],
) -> Iterator[tuple[int, Sequence[Any]]]:
    """These columns of the rows that hang on the records at these places."""
    place, source = _joined(mapper, records, line)
    own = [line.rows.c[str(one.key)] for one in columns]
    among = place == any_(literal(list(places), ARRAY(Integer)))
    query = select(place, *own).select_from(source).where(among)
    for row in session.execute(as_they_go(query, line.reference, line.rows)):
        yield row[0], row[1:]


def _joined(
    mapper: Mapper[Any], records: Sequence[Any], line: Line
) -> tuple[ColumnElement[int], FromClause]:
    """The rows of a line behind the place of the record that they hang on."""
    names = line.reference.referred_columns
    if line.above is None:
        referred: Any = _given(mapper, records, names)
    else:
        above = line.above.rows
        place, source = _joined(mapper, records, line.above)
        by_name = {one.name: one for one in above.c}
        columns = [by_name[name] for name in names]
        referred = select(place, *columns).select_from(source).subquery()
    given, *keys = referred.c
    own = [line.rows.c[str(one.key)] for one in line.reference.columns]
    refers = and_(*(one == key for one, key in zip(own, keys, strict=True)))
    return given, referred.join(line.rows, refers)


def _given(
    mapper: Mapper[Any], records: Sequence[Any], names: Sequence[str]
) -> FromClause:
    """The records' places and what is referred to in them, as a table."""
    table = mapper.local_table
    assert isinstance(table, Table)  # noqa: S101 - a model of several is not asked for
    by_name = {one.name: one for one in table.columns}
    columns: list[Any] = [column(PLACE, Integer)]
    arrays: list[Any] = [literal(list(range(len(records))), ARRAY(Integer))]
    for index, name in enumerate(names):
        own = by_name[name]
        attribute = str(attribute_of(mapper, own))
        values = [getattr(record, attribute) for record in records]
        columns.append(column(f"r{index}", own.type))
        arrays.append(literal(values, ARRAY(own.type)))
    return func.unnest(*arrays).table_valued(*columns, name="given").render_derived()
