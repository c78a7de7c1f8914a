"""Which rows hang on a record, by the foreign keys, and what its deletion does to them.

The database's own catalogue says which keys there are and what they do: a table that
no model knows forbids as well as any other. What a model declares and the database
does not hold is no foreign key; its rows are left with a reference to nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    and_,
    column,
    func,
    literal,
    not_,
    select,
    table,
    text,
    tuple_,
)
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.orm.exc import UnmappedColumnError

from backoffice.database.foreign_keys import ForeignKey, TableName, read_foreign_keys

DEPTH = 5
_READ = "backoffice foreign keys"


class Fate(StrEnum):
    """What a deletion does to a record that refers to the deleted one."""

    DELETED = "deleted"
    KEPT = "kept"
    FORBIDS = "forbids"
    # The database does nothing: the reference leads nowhere then.
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key: the columns of one table that refer to those of another."""

    # The model's own table, or one made of the catalogue where no model has it.
    table: FromClause
    # The table as one writes it.
    name: str
    columns: tuple[Any, ...]
    referred_columns: tuple[str, ...]
    fate: Fate
    is_readable: bool = True
    is_lockable: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """The rows of one table that refer, by one foreign key, to what is deleted."""

    reference: Reference
    rows: FromClause
    condition: ColumnElement[bool]
    depth: int
    count: int
    is_capped: bool

    @property
    def table(self) -> FromClause:
        """The table that the rows stand in."""
        return self.reference.table

    @property
    def name(self) -> str:
        """Its name, as one writes it."""
        return self.reference.name

    @property
    def fate(self) -> Fate:
        """What happens to the rows."""
        return self.reference.fate

    @property
    def is_unread(self) -> bool:
        """Whether the rows could not be counted for want of a right."""
        return not self.reference.is_readable


def branches_of(
    session: Session, mapper: Mapper[Any], record: Any, limit: int
) -> Iterator[Branch]:
    """Everything that hangs on the record, level by level, where there is any."""
    schema = schema_of(session, mapper)
    tables = [t for t in mapper.tables if isinstance(t, Table)]
    level: list[Branch] = []
    for own in tables:
        for reference in schema.referring(own):
            # A class's own tables are one record.
            if reference.table in tables and _is_inheritance(reference):
                continue
            rows = reference.table.alias()
            condition = _refers_to_record(mapper, own, record, reference, rows)
            if condition is not None:
                level += _counted(session, reference, rows, condition, 1, limit)
    for depth in range(2, DEPTH + 2):
        level.sort(key=lambda b: (b.name, [c.name for c in b.reference.columns]))
        yield from level
        parents = [
            b
            for b in level
            if b.fate is Fate.DELETED and depth <= DEPTH and not b.is_unread
        ]
        level = []
        for parent in parents:
            for reference in schema.referring(parent.table):
                rows = reference.table.alias()
                condition = _refers_to_rows(parent, reference, rows)
                level += _counted(session, reference, rows, condition, depth, limit)


class Schema:
    """The foreign keys of the database, on the tables of the models where they can."""

    def __init__(
        self, mapper: Mapper[Any], keys: tuple[ForeignKey, ...], session: Session
    ) -> None:
        self.keys = keys
        self.session = session
        self._real: frozenset[str] | None = None
        self.tables: list[Table] = [
            t
            for known in mapper.registry.mappers
            for t in known.tables
            if isinstance(t, Table)
        ]
        for own in mapper.tables:
            if isinstance(own, Table):
                self.tables += own.metadata.tables.values()
        self.tables = list(dict.fromkeys(self.tables))
        self.made: dict[TableName, FromClause] = {}

    def referring(self, target: FromClause) -> Iterator[Reference]:
        """What refers to a table, by the database first, then by the models alone."""
        held = []
        for key in self.keys:
            if not self._is(key.referred, target):
                continue
            held.append(key)
            own, columns = self._columns(key.table, key.columns)
            yield Reference(
                own,
                getattr(own, "fullname", key.table.written),
                columns,
                key.referred_columns,
                _fate(key.on_delete),
                key.is_readable,
                key.is_lockable,
            )
        for own in self.tables:
            for constraint in own.foreign_key_constraints:
                if constraint.referred_table is not target:
                    continue
                names = tuple(c.name for c in constraint.columns)
                if any(self._is(k.table, own) and k.columns == names for k in held):
                    continue
                if not self._holds_rows(own):
                    continue
                yield Reference(
                    own,
                    own.fullname,
                    tuple(constraint.columns),
                    tuple(e.column.name for e in constraint.elements),
                    Fate.LEFT,
                )

    def _holds_rows(self, own: Table) -> bool:
        """Whether this is a table of the database: no view, and not yet to be made."""
        if self._real is None:
            self._real = _real_tables(self.session.connection())
        return own.name in self._real

    def _is(self, name: TableName, own: FromClause) -> bool:
        if isinstance(own, Table):
            return name.is_called(own.name, own.schema)
        return self.made.get(name) is own

    def _columns(
        self, name: TableName, names: tuple[str, ...]
    ) -> tuple[FromClause, tuple[Any, ...]]:
        """The table with these columns: a model's, else one of names alone."""
        for own in self.tables:
            if self._is(name, own):
                known = {c.name: c for c in own.columns}
                if known.keys() >= set(names):
                    return own, tuple(known[n] for n in names)
        if name not in self.made:
            needed: dict[str, None] = {}
            for key in self.keys:
                if key.table == name:
                    needed.update(dict.fromkeys(key.columns))
                if key.referred == name:
                    needed.update(dict.fromkeys(key.referred_columns))
            schema = None if name.is_visible else name.schema
            self.made[name] = table(name.name, *map(column, needed), schema=schema)
        made = self.made[name]
        return made, tuple(made.c[n] for n in names)


def schema_of(session: Session, mapper: Mapper[Any]) -> Schema:
    """What the catalogue says, read once in a unit of work."""
    known: dict[Any, Any] = session.info.setdefault(_READ, {})
    if "keys" not in known:
        known["keys"] = read_foreign_keys(session.connection())
    if mapper.registry not in known:
        known[mapper.registry] = Schema(mapper, known["keys"], session)
    found: Schema = known[mapper.registry]
    return found


def _real_tables(connection: Connection) -> frozenset[str]:
    """The names of what holds rows of its own, in any schema."""
    catalogue = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if connection.dialect.name == "sqlite"
        else "SELECT CAST(relname AS text) FROM pg_class WHERE relkind IN ('r', 'p')"
    )
    return frozenset(connection.scalars(text(catalogue)))


def _fate(on_delete: str) -> Fate:
    if on_delete == "CASCADE":
        return Fate.DELETED
    return Fate.KEPT if on_delete.startswith("SET ") else Fate.FORBIDS


def _is_inheritance(reference: Reference) -> bool:
    if not isinstance(reference.table, Table):
        return False
    own = {column.name for column in reference.table.primary_key.columns}
    return {column.name for column in reference.columns} == own


def _refers_to_record(
    mapper: Mapper[Any],
    target: Table,
    record: Any,
    reference: Reference,
    rows: FromClause,
) -> ColumnElement[bool] | None:
    conditions: list[ColumnElement[bool]] = []
    by_name = {c.name: c for c in target.columns}
    identity = mapper.primary_key_from_instance(record)
    for own, name in zip(reference.columns, reference.referred_columns, strict=True):
        here = rows.c[str(own.key)]
        found = by_name.get(name)
        attribute = None if found is None else attribute_of(mapper, found)
        if attribute is None:
            # The model leaves this column out; the row has it.
            conditions.append(here.in_(_unmapped(target, name, identity)))
            continue
        value = getattr(record, attribute)
        if value is None:
            return None
        conditions.append(here == value)
    if reference.table is mapper.local_table:
        # A record that refers to itself does not hold itself back.
        keys = zip(mapper.primary_key, identity, strict=True)
        conditions.append(
            not_(and_(*(rows.c[str(c.key)] == value for c, value in keys)))
        )
    return and_(*conditions)


def _unmapped(target: Table, name: str, identity: Any) -> Select[Any]:
    """What one row has in a column that no model maps."""
    keys = [key.name for key in target.primary_key.columns]
    names = dict.fromkeys([name, *keys])
    there = table(target.name, *map(column, names), schema=target.schema)
    pairs = zip(keys, identity, strict=True)
    return select(there.c[name]).where(and_(*(there.c[k] == v for k, v in pairs)))


def attribute_of(mapper: Mapper[Any], column: Any) -> str | None:
    """The attribute by which a class knows a column; None where it does not."""
    try:
        return mapper.get_property_by_column(column).key
    except UnmappedColumnError:
        return None


def is_row(own: Table, mapper: Mapper[Any], identity: Any) -> ColumnElement[bool]:
    """Whether a row of one of the class's tables is the record's."""
    columns: list[Any] = list(mapper.primary_key)
    if columns[0].table is not own:
        columns = list(own.primary_key.columns)
    keys = zip(columns, identity, strict=True)
    return and_(*(column == value for column, value in keys))


def _refers_to_rows(
    parent: Branch, reference: Reference, rows: FromClause
) -> ColumnElement[bool]:
    own = [rows.c[str(each.key)] for each in reference.columns]
    by_name = {each.name: each for each in parent.rows.c}
    referred = [by_name[name] for name in reference.referred_columns]
    chosen = select(*referred).where(parent.condition)
    return own[0].in_(chosen) if len(own) == 1 else tuple_(*own).in_(chosen)


def as_they_go(
    statement: Select[Any], reference: Reference, rows: FromClause
) -> Select[Any]:
    """The rows that hang on a record, held until it is deleted, where they may be.

    Nobody changes, takes away or deletes one in between: what the history says of it
    is what it was, and nobody else has said it.
    """
    return statement.with_for_update(of=rows) if reference.is_lockable else statement


def _counted(
    session: Session,
    reference: Reference,
    rows: FromClause,
    condition: ColumnElement[bool],
    depth: int,
    limit: int,
) -> list[Branch]:
    """The branch with its count, or nothing where there are no rows."""
    if not reference.is_readable:
        return [Branch(reference, rows, condition, depth, 0, is_capped=False)]
    capped = select(literal(1)).select_from(rows).where(condition).limit(limit + 1)
    count = session.scalar(select(func.count()).select_from(capped.subquery())) or 0
    if not count:
        return []
    return [Branch(reference, rows, condition, depth, min(count, limit), count > limit)]
