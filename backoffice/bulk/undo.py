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
    Select,
    Text,
    and_,
    any_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapper, Session

from backoffice.audit.models import AuditEntry
from backoffice.audit.recorder import audit_value
from backoffice.bulk.change import Change, EachRecord, SetValues
from backoffice.bulk.models import Run
from backoffice.bulk.postgresql import given_back, kept
from backoffice.bulk.target import Target, is_postgresql, key_text_postgresql
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
    entry = _Entries(run, whole)
    touched = whole.rows.where(entry.is_touched())
    back = {name: entry.old_value(name) for name in run.attributes}
    return (
        replace(
            whole,
            rows=touched.where(entry.has_one(~entry.is_outdated())),
            about=run.changed,
        ),
        replace(whole, rows=touched.where(entry.has_one(entry.is_outdated()))),
        SetValues(mapper, back),
    )


class _Entries:
    """The run's entries in the audit, as SQL beside a row.

    An entry is looked up by its row's key, and only then by its run: behind `OFFSET 0`
    PostgreSQL has no other way. Free to choose it reads all entries of the run for
    every row where it believes them to be few: until a first large run has been
    analyzed that is what the statistics say.
    """

    def __init__(self, run: Run, target: Target) -> None:
        self.run, self.target = run, target
        entries = (
            select(AuditEntry.id, AuditEntry.run_id, AuditEntry.changes)
            .where(
                AuditEntry.table_name == run.table_name,
                AuditEntry.key == key_text_postgresql(target.keys),
            )
            .offset(literal_column("0"))
            .correlate(target.table)
        )
        self.entry = entries.subquery("entry")
        self.changes = cast(self.entry.c.changes, JSONB)

    def is_touched(self) -> ColumnElement[bool]:
        """Whether the run has an entry of a row, as far as it is quickly told."""
        keys = self.target.keys
        if len(keys) > 1:
            return true()
        # As an array, whose size is no matter of statistics either.
        found = select(cast(AuditEntry.key, keys[0].type)).where(
            AuditEntry.run_id == self.run.id,
            AuditEntry.table_name == self.run.table_name,
        )
        return keys[0] == any_(func.array(found.scalar_subquery()))

    def has_one(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        """Whether the run has such an entry of a row."""
        return exists(
            select(literal(1))
            .select_from(self.entry)
            .where(self.entry.c.run_id == self.run.id, condition)
            .correlate(self.target.table)
        )

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

    def _column(self, name: str) -> Column[Any]:
        found = self.target.mapper.column_attrs[name].columns[0]
        assert isinstance(found, Column)  # noqa: S101 - it was set by the run
        return found

    def _has(self, name: str) -> ColumnElement[bool]:
        return self.changes.op("?", is_comparison=True)(literal(name, Text))

    def _pair(self, name: str, side: int) -> ColumnElement[Any]:
        pair = self.changes.op("->", return_type=JSONB())(literal(name, Text))
        return pair.op("->", return_type=JSONB())(literal_column(str(side)))


def _undo_each(
    session: Session, run: Run, whole: Target
) -> tuple[Target, Target, Change]:
    """The same where JSON is not at hand in SQL: record by record."""
    entries: dict[str, Mapping[str, Any]] = dict(
        session.execute(
            select(AuditEntry.key, AuditEntry.changes).where(
                AuditEntry.run_id == run.id, AuditEntry.table_name == run.table_name
            )
        ).all()
    )
    keys = [parse_key(whole.mapper, key) for key in entries]
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
    columns: dict[str, Any] = {
        name: whole.mapper.column_attrs[name].columns[0] for name in run.attributes
    }

    def give_back(_session: Session, record: Any) -> bool | None:
        changes = entries[format_key(whole.mapper, record)]
        mine = {name: pair for name, pair in changes.items() if name in columns}
        for name, (_old, new) in mine.items():
            if audit_value(columns[name], getattr(record, name)) != new:
                raise Refused({name: SINCE})
        for name, (old, _new) in mine.items():
            value = _value(columns[name], old)
            setattr(record, name, value_to_assign(columns[name], value))
        return None

    change = EachRecord(
        whole.mapper, give_back, tuple(run.attributes), is_undoable=True
    )
    target = replace(whole, rows=whole.rows.where(condition))
    nothing = replace(whole, rows=whole.rows.where(literal(value=False)))
    return target, nothing, change


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
