"""How a run is taken back: each row gets its old values, if it still has the new ones.

Old and new stand in the audit, written by the run's own statement. What somebody has
changed since is left alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    union,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapper, Session

from backoffice.audit.models import AuditEntry
from backoffice.audit.recorder import audit_value
from backoffice.bulk.change import Change, EachRecord, SetValues
from backoffice.bulk.keys_postgresql import (
    has_plain_keys,
    key_text_postgresql,
    keys_postgresql,
)
from backoffice.bulk.models import Run
from backoffice.bulk.postgresql import given_back, kept
from backoffice.bulk.target import Apart, Target, is_postgresql
from backoffice.database.keys import format_key, parse_key
from backoffice.database.values import parse_value, value_to_assign
from backoffice.errors import Refused

SINCE = "Somebody changed it since."


def undo_of(
    session: Session, run: Run, rows: Select[Any], mapper: Mapper[Any], label_key: str
) -> tuple[Target, Target, Change]:
    """The rows to be taken back, those that were changed since, and what is done.

    `rows` are what the person may see of the model.
    """
    whole = Target(mapper, rows, label_key)
    if not is_postgresql(session):
        return _undo_each(session, run, whole)
    entries = _Entries(run, whole)
    touched = entries.rows_of(whole)
    is_left = entries.is_outdated()
    since = replace(whole, rows=touched.where(is_left))
    if not has_plain_keys(whole.keys):
        # Entries are found by the key's text, which the database writes otherwise.
        return replace(whole, rows=touched.where(~is_left)), since, _each(run, mapper)

    def some(most: int) -> Select[Any]:
        first = _Entries(run, whole, most)
        return first.rows_of(whole).where(~first.is_outdated())

    target = replace(
        whole,
        rows=touched.where(~is_left),
        about=run.changed,
        some=some,
        apart=Apart(touched, is_left),
    )
    back = {name: _Entry(run, whole).old_value(name) for name in run.attributes}
    return target, since, SetValues(mapper, back)


class _Kept:
    """What an entry of the run in the audit holds of a row, as SQL."""

    def __init__(self, run: Run, target: Target, entry: FromClause) -> None:
        self.run, self.target, self.entry = run, target, entry
        self.changes = cast(self.entry.c.changes, JSONB)

    def is_outdated(self) -> ColumnElement[bool]:
        """Whether the row does not have any more what the run gave it."""
        return or_(
            false(),
            *(
                and_(
                    self._has(name),
                    self._present(name).is_distinct_from(self._pair(name, 1)),
                )
                for name in self.run.attributes
            ),
        )

    def _present(self, name: str) -> ColumnElement[Any]:
        """What a column holds, as the audit keeps it: NULL is JSON's null there."""
        own = self._column(name)
        nothing = literal_column("'null'::jsonb", JSONB)
        return func.coalesce(cast(kept(own, own), JSONB), nothing)

    def _column(self, name: str) -> Column[Any]:
        found = self.target.mapper.column_attrs[name].columns[0]
        assert isinstance(found, Column)  # noqa: S101 - it was set by the run
        return found

    def _has(self, name: str) -> ColumnElement[bool]:
        return self.changes.op("?", is_comparison=True)(literal(name, Text))

    def _pair(self, name: str, side: int) -> ColumnElement[Any]:
        pair = self.changes.op("->", return_type=JSONB())(literal(name, Text))
        return pair.op("->", return_type=JSONB())(literal_column(str(side)))


class _Entries(_Kept):
    """The run's entries, of which each row has one: all of them, or some of both ends.

    They are read once and joined with the rows by their key, as the planner likes: the
    other way round a run of a million would be looked up a million times.
    """

    def __init__(self, run: Run, target: Target, most: int | None = None) -> None:
        entries: Select[Any] = select(
            AuditEntry.id, AuditEntry.key.label("text"), AuditEntry.changes
        ).where(AuditEntry.run_id == run.id, AuditEntry.table_name == run.table_name)
        entry = entries.subquery("entry")
        if most is not None:
            # Of both ends: where an undo was cancelled the first ones are given back.
            ends = (
                entries.order_by(order).limit(most // 2)
                for order in (AuditEntry.id, AuditEntry.id.desc())
            )
            entry = union(*(select(end.subquery()) for end in ends)).subquery("entry")
        super().__init__(run, target, entry)

    def rows_of(self, whole: Target) -> Select[Any]:
        """The rows that have an entry."""
        values = keys_postgresql(self.entry.c.text, whole.keys)
        return whole.rows.where(
            *(key == value for key, value in zip(whole.keys, values, strict=True))
        )


class _Entry(_Kept):
    """The one entry of a row, beside the row.

    It is looked up by the row's key, and only then by its run: behind `OFFSET 0`
    PostgreSQL has no other way. Free to choose it reads all entries of the run for
    every row where it believes them to be few: until a first large run has been
    analyzed that is what the statistics say.
    """

    def __init__(self, run: Run, target: Target) -> None:
        entries = (
            select(AuditEntry.id, AuditEntry.run_id, AuditEntry.changes)
            .where(
                AuditEntry.table_name == run.table_name,
                AuditEntry.key == key_text_postgresql(target.keys),
            )
            .offset(literal_column("0"))
            .correlate(target.table)
        )
        super().__init__(run, target, entries.subquery("entry"))

    def old_value(self, name: str) -> ColumnElement[Any]:
        """What a column was before the run; what it is where the run left it."""
        own = self._column(name)
        value = case((self._has(name), given_back(own, self._pair(name, 0))), else_=own)
        return (
            select(value)
            .select_from(self.entry)
            .where(self.entry.c.run_id == self.run.id)
            .order_by(self.entry.c.id)
            .limit(1)
            .correlate(self.target.table)
            .scalar_subquery()
        )


def _undo_each(
    session: Session, run: Run, whole: Target
) -> tuple[Target, Target, Change]:
    """The same where JSON is not at hand in SQL: record by record."""
    texts = session.scalars(
        select(AuditEntry.key).where(
            AuditEntry.run_id == run.id, AuditEntry.table_name == run.table_name
        )
    )
    keys = [parse_key(whole.mapper, text) for text in texts]
    column = whole.keys[0]
    if len(whole.keys) == 1:
        condition: ColumnElement[bool] = column.in_([key[0] for key in keys])
    else:
        condition = or_(
            *(
                and_(*(c == v for c, v in zip(whole.keys, key, strict=True)))
                for key in keys
            )
        )
    target = replace(whole, rows=whole.rows.where(condition))
    nothing = replace(whole, rows=whole.rows.where(literal(value=False)))
    return target, nothing, _each(run, whole.mapper)


def _each(run: Run, mapper: Mapper[Any]) -> EachRecord:
    """What gives one record back what its entry holds."""
    columns: dict[str, Any] = {
        name: mapper.column_attrs[name].columns[0] for name in run.attributes
    }

    def give_back(session: Session, record: Any) -> bool | None:
        changes = _changes_of(session, run, format_key(mapper, record))
        mine = {name: pair for name, pair in changes.items() if name in columns}
        for name, (_old, new) in mine.items():
            if audit_value(columns[name], getattr(record, name)) != new:
                raise Refused({name: SINCE})
        for name, (old, _new) in mine.items():
            value = _value(columns[name], old)
            setattr(record, name, value_to_assign(columns[name], value))
        return None

    return EachRecord(mapper, give_back, tuple(run.attributes), is_undoable=True)


def _changes_of(session: Session, run: Run, key: str) -> Mapping[str, Any]:
    """What the run has changed of a record; nothing where it has no entry."""
    found = session.scalar(
        select(AuditEntry.changes)
        .where(
            AuditEntry.table_name == run.table_name,
            AuditEntry.key == key,
            AuditEntry.run_id == run.id,
        )
        .order_by(AuditEntry.id)
        .limit(1)
    )
    return found or {}


def _value(column: Any, kept_value: Any) -> Any:
    """What an entry of the audit holds, as the column's value."""
    if kept_value is None or isinstance(column.type, JSON):
        return kept_value
    if isinstance(kept_value, str):
        return kept_value if _is_text(column) else parse_value(column, kept_value)
    return kept_value


def _is_text(column: Any) -> bool:
    try:
        return column.type.python_type is str
    except NotImplementedError:
        return False
