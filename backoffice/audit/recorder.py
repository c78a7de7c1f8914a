"""How every change of a session gets its entry, in the change's own transaction.

`record_changes(session)` listens to the session's flushes: each row that the ORM
inserts, updates or deletes is described by one entry, written by the same flush. An
entry that cannot be written fails the flush, so neither stays without the other.

A table is left out by `Table.info["audit"] = False`; a column with
`Column.info["secret"]` is recorded as changed, without its values. What a record is
linked to by a table of pairs is recorded as that record's: who left and who joined.
Statements that
go around the unit of work (`session.execute(update(…))`) are their writer's to record,
with `add_entry`.
"""

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any, cast

from sqlalchemy import Column, ColumnElement, Table, and_, event, select
from sqlalchemy import types as sql
from sqlalchemy.orm import (
    InstanceState,
    LoaderCallableStatus,
    Mapper,
    Session,
    UOWTransaction,
)
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.orm.base import PassiveFlag
from sqlalchemy.sql.elements import ClauseElement

from backoffice.audit.models import LABEL_LENGTH, AuditEntry
from backoffice.audit.recorder_postgresql import inserts_postgresql
from backoffice.database.keys import format_key_values
from backoffice.database.session import ACTOR, PLACE, REQUEST_ID, RUN_ID, Actor, Place
from backoffice.database.values import format_value
from backoffice.database.words import LABEL_NAMES, record_word, sentence

MASK = "…"
# So many entries are sent as a document.
MANY = 20
LONGEST_BINARY = 1024
NOBODY = Actor(id=None, label="system")
_RECORDER = "audit_recorder"

Changes = dict[str, list[Any]]


def record_changes(session: Session) -> None:
    """From now on every row that this session writes has its entry."""
    if _RECORDER in session.info:
        return
    recorder = _Recorder()
    session.info[_RECORDER] = recorder
    event.listen(session, "before_flush", recorder.before_flush)
    event.listen(session, "after_flush", recorder.after_flush)


def add_entry(
    session: Session,
    *,
    action: str,
    table_name: str = "",
    key: str = "",
    label: str = "",
    changes: Mapping[str, list[Any]] | None = None,
    actor: Actor | None = None,
    view: str | None = None,
) -> None:
    """Write one entry in the session's transaction: a login, a bulk write.

    Actor, view and request are the session's own where they are not given. Values of
    `changes` must be plain JSON; `audit_value` makes them so.
    """
    entry = {
        "action": action,
        "table_name": table_name,
        "key": key,
        "label": label[:LABEL_LENGTH],
        "changes": dict(changes or {}),
    }
    _write(session, [entry], actor=actor, view=view)


def add_entries(session: Session, entries: Iterable[Mapping[str, Any]]) -> None:
    """Write several entries with one statement, each with `add_entry`'s words."""
    empty = {"table_name": "", "key": "", "label": "", "changes": {}}
    _write(session, [{**empty, **entry} for entry in entries])


def audited_table(mapper: Mapper[Any]) -> str:
    """The table name under which a model's entries stand."""
    table = mapper.base_mapper.local_table
    return table.fullname if isinstance(table, Table) else mapper.class_.__name__


@lru_cache(maxsize=512)
def audited_columns(mapper: Mapper[Any]) -> tuple[tuple[str, Column[Any]], ...]:
    """Attribute and column of everything that the mapper stores."""
    return tuple(
        (prop.key, prop.columns[0])
        for prop in mapper.column_attrs
        if isinstance(prop.columns[0], Column)
        and isinstance(prop.columns[0].table, Table)
    )


def audit_value(column: Column[Any], value: Any) -> Any:
    """A column's value as an entry keeps it: plain JSON, secrets masked."""
    if value is None:
        return None
    if column.info.get("secret"):
        return MASK
    if type(value) in (bool, int, str):
        return value
    if value is sql.JSON.NULL:
        return "null"
    if isinstance(value, bytes | memoryview) and len(value) > LONGEST_BINARY:
        digest = sha256(value).hexdigest()
        return f"{len(value):,} bytes, SHA-256 {digest}"
    if isinstance(column.type, sql.JSON):
        return _plain(value)
    if type(value) is float and math.isfinite(value):
        return value
    return format_value(column, value)


def label_of(mapper: Mapper[Any], record: object, key: str) -> str:
    """What a record calls itself, else its name, else its kind and key."""
    label = _name_of(mapper, record)
    if type(record).__str__ is not object.__str__:
        # A name that cannot be told (a relation that may not be loaded, a value that
        # is missing) is no reason not to save.
        with suppress(Exception):
            label = str(record)
    return (label or f"{sentence(record_word(mapper))} {key}")[:LABEL_LENGTH]


def _name_of(mapper: Mapper[Any], record: object) -> str:
    """The first of the usual columns for a name that is loaded and filled; else ""."""
    loaded = instance_state(record).dict
    for key in LABEL_NAMES:
        prop = mapper.column_attrs.get(key)
        if prop is None or prop.columns[0].info.get("secret"):
            continue
        value = loaded.get(key)
        if isinstance(value, str) and value.strip():
            return value
    return ""


def _plain(value: Any) -> Any:
    """A document without what JSON has no word for."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | None) else str(value)


_Links = dict[str, tuple[list[Any], list[Any]]]


def _changed_links(state: InstanceState[Any]) -> _Links:
    """Whom a record was parted from and joined with, by relationship.

    What was not loaded is not loaded for this: only what is about to be written counts.
    """
    found: _Links = {}
    for relationship in state.mapper.relationships:
        if relationship.secondary is None or relationship.viewonly:
            continue
        history = state.get_history(
            relationship.key,
            PassiveFlag.PASSIVE_NO_INITIALIZE | PassiveFlag.INCLUDE_PENDING_MUTATIONS,
        )
        if history.added or history.deleted:
            found[relationship.key] = (list(history.deleted), list(history.added))
    return found


def _told(links: _Links) -> Changes:
    """Links as an entry keeps them: who left as what was, who joined as what is."""

    def names(records: list[Any]) -> str | None:
        labels = sorted(_label(_state(one)) for one in records if one is not None)
        return ", ".join(labels) or None

    return {key: [names(left), names(joined)] for key, (left, joined) in links.items()}


@dataclass(slots=True)
class _Recorder:
    """What has to be remembered between the two ends of a flush."""

    # Values that the flush itself throws away, by object.
    before: dict[InstanceState[Any], dict[str, Any]] = field(default_factory=dict)
    labels: dict[InstanceState[Any], str] = field(default_factory=dict)
    # Attributes whose new value only the database will know.
    expressions: dict[InstanceState[Any], list[str]] = field(default_factory=dict)
    # By relationship through a table of pairs: who left, and who joined.
    links: dict[InstanceState[Any], _Links] = field(default_factory=dict)

    def before_flush(
        self, session: Session, _context: UOWTransaction, _instances: object
    ) -> None:
        """Keep what can only be known while the old row still stands."""
        self._forget()
        missing: list[tuple[InstanceState[Any], list[str]]] = []
        for record in session.dirty:
            if session.is_modified(record) and _is_audited(record):
                self._keep(_state(record), missing, is_deleted=False)
        for record in session.deleted:
            if _is_audited(record):
                self._keep(_state(record), missing, is_deleted=True)
        for record in (*session.new, *session.dirty):
            if _is_audited(record) and (links := _changed_links(_state(record))):
                self.links[_state(record)] = links
        for state, keys in missing:
            self.before[state].update(_stored(session, state, keys))

    def _keep(
        self,
        state: InstanceState[Any],
        missing: list[tuple[InstanceState[Any], list[str]]],
        *,
        is_deleted: bool,
    ) -> None:
        kept = self.before.setdefault(state, {})
        unknown = []
        for key, column in audited_columns(state.mapper):
            if is_deleted or column.computed is not None:
                if key in state.committed_state:
                    kept[key] = state.committed_state[key]
                elif key in state.dict:
                    kept[key] = state.dict[key]
                elif is_deleted:
                    unknown.append(key)
            elif key in state.committed_state:
                if not _is_known(state.committed_state[key]):
                    # Set without having been loaded: the row still has the old value.
                    unknown.append(key)
                if _is_expression(state.dict.get(key)):
                    # The flush forgets it, and with it that it was changed.
                    kept.setdefault(key, state.committed_state[key])
                    self.expressions.setdefault(state, []).append(key)
        if unknown:
            missing.append((state, unknown))
        if is_deleted:
            self.labels[state] = _label(state)

    def after_flush(self, session: Session, context: UOWTransaction) -> None:
        """Write the entries of what this flush wrote."""
        entries = []
        linked = dict(self.links)
        for state, (is_delete, is_list_only) in list(context.states.items()):
            record = state.obj()
            if is_list_only or record is None or not _is_audited(record):
                continue
            if is_delete:
                entries.append(self._deleted(state))
            elif state.key is None:
                entry = self._created(session, state)
                entry["changes"].update(_told(linked.pop(state, {})))
                entries.append(entry)
            elif (changes := self._updated(session, state)) is not None:
                changes["changes"].update(_told(linked.pop(state, {})))
                entries.append(changes)
                now = _key_now(state)
                # A run takes back each of its entries once.
                if now != changes["key"] and RUN_ID not in session.info:
                    entries.append({**changes, "key": now})
        for state, links in linked.items():
            if state.key is not None and state not in session.deleted:
                entries.append(_entry(state, "update", _told(links), _label(state)))
        self._forget()
        _write(session, entries)

    def _forget(self) -> None:
        self.before.clear()
        self.labels.clear()
        self.expressions.clear()
        self.links.clear()

    def _created(self, session: Session, state: InstanceState[Any]) -> dict[str, Any]:
        values = {
            key: state.dict.get(key)
            for key, column in audited_columns(state.mapper)
            if not _is_bookkeeping(column)
        }
        # What the database worked out and was not asked for yet.
        expired = [key for key in values if key in state.expired_attributes]
        values.update(_stored(session, state, expired))
        columns = dict(audited_columns(state.mapper))
        changes: Changes = {
            key: [None, audit_value(columns[key], value)]
            for key, value in values.items()
            if value is not None
        }
        return _entry(state, "create", changes, _label(state))

    def _deleted(self, state: InstanceState[Any]) -> dict[str, Any]:
        kept = self.before.get(state)
        if kept is None:  # an orphan: the flush itself decided to delete it
            kept = {
                key: state.committed_state.get(key, state.dict.get(key))
                for key, _ in audited_columns(state.mapper)
            }
        columns = dict(audited_columns(state.mapper))
        changes: Changes = {
            key: [audit_value(column, kept[key]), None]
            for key, column in columns.items()
            if _is_known(kept.get(key)) and kept.get(key) is not None
        }
        return _entry(state, "delete", changes, self.labels.get(state) or _label(state))

    def _updated(
        self, session: Session, state: InstanceState[Any]
    ) -> dict[str, Any] | None:
        kept = self.before.get(state, {})
        old: dict[str, Any] = {}
        new: dict[str, Any] = {}
        asked = list(self.expressions.get(state, ()))
        is_written = bool(asked)
        for key, column in audited_columns(state.mapper):
            if column.computed is not None:
                if key in kept and key in state.dict:
                    new[key] = state.dict[key]  # came back with the UPDATE
                    old[key] = kept[key]
                elif key in kept:
                    asked.append(key)
                continue
            added, _, deleted = state.get_history(
                key, PassiveFlag.PASSIVE_NO_INITIALIZE
            )
            if not added or _is_bookkeeping(column):
                continue
            new[key] = added[0]
            old[key] = kept[key] if key in kept else deleted[0] if deleted else None
        if not new and not is_written:
            return None
        new.update(_stored(session, state, asked))
        old.update({key: kept[key] for key in asked})
        columns = dict(audited_columns(state.mapper))
        changes: Changes = {}
        for key, value in new.items():
            if not _is_same(columns[key], old[key], value):
                column = columns[key]
                changes[key] = [
                    audit_value(column, old[key]),
                    audit_value(column, value),
                ]
        return _entry(state, "update", changes, _label(state)) if changes else None


def _write(
    session: Session,
    entries: Iterable[dict[str, Any]],
    *,
    actor: Actor | None = None,
    view: str | None = None,
) -> None:
    """Insert the entries with one statement, or of much text with some."""
    who = actor or cast("Actor | None", session.info.get(ACTOR)) or NOBODY
    place = cast("Place | None", session.info.get(PLACE))
    common = {
        "actor_id": who.id,
        "actor_label": who.label[:LABEL_LENGTH],
        "view": view if view is not None else place.view if place else "",
        "request_id": str(session.info.get(REQUEST_ID) or "")[:64],
        "run_id": session.info.get(RUN_ID),
    }
    rows = list(entries)
    if not rows:
        return
    mapper = AuditEntry.__mapper__
    connection = session.connection(bind_arguments={"mapper": mapper})
    if len(rows) >= MANY and connection.dialect.name == "postgresql":
        for insertion in inserts_postgresql(common, rows):
            connection.execute(insertion)
        return
    insert = mapper.local_table.insert().inline()  # type: ignore[attr-defined]
    connection.execute(insert, [{**common, **entry} for entry in rows])


def _entry(
    state: InstanceState[Any], action: str, changes: Changes, label: str
) -> dict[str, Any]:
    mapper = state.mapper
    return {
        "action": action,
        "table_name": audited_table(mapper),
        "key": _key(state),
        "label": label,
        "changes": changes,
    }


def _state(record: object) -> InstanceState[Any]:
    return instance_state(record)


def _key(state: InstanceState[Any]) -> str:
    # The identity key is the key that the row had before this flush.
    if state.key is not None:
        return format_key_values(state.mapper, state.key[1])
    return _key_now(state)


def _key_now(state: InstanceState[Any]) -> str:
    """The key that the row has after this flush."""
    values = state.mapper.primary_key_from_instance(state.obj())
    return format_key_values(state.mapper, values)


def _label(state: InstanceState[Any]) -> str:
    return label_of(state.mapper, cast("object", state.obj()), _key(state))


def _is_audited(record: object) -> bool:
    if isinstance(record, AuditEntry):
        return False
    table = _state(record).mapper.local_table
    return not isinstance(table, Table) or table.info.get("audit", True) is not False


def _is_bookkeeping(column: Column[Any]) -> bool:
    """Whether the column only says when the row was written, as the entry does."""
    return bool(
        column.info.get("read_only")
        and column.computed is None
        and (column.server_default is not None or column.onupdate is not None)
    )


def _is_known(value: Any) -> bool:
    """Whether this is a value, and no sign of SQLAlchemy's that there is none."""
    return not isinstance(value, LoaderCallableStatus | ClauseElement)


def _is_expression(value: Any) -> bool:
    return isinstance(value, ClauseElement) or hasattr(value, "__clause_element__")


def _is_same(column: Column[Any], old: Any, new: Any) -> bool:
    """Whether nothing changed; 1, 1.0 and true are different documents."""
    if column.info.get("secret"):
        return bool(old == new)
    one, other = (json.dumps(audit_value(column, value)) for value in (old, new))
    return one == other


def _stored(
    session: Session, state: InstanceState[Any], keys: list[str]
) -> dict[str, Any]:
    """What stands in the row at this moment, asked without touching the object."""
    if not keys:
        return {}
    mapper = state.mapper
    columns = dict(audited_columns(mapper))
    identity = (
        state.key[1] if state.key else mapper.primary_key_from_instance(state.obj())
    )
    where: list[ColumnElement[bool]] = [
        column == value
        for column, value in zip(mapper.primary_key, identity, strict=True)
    ]
    query = (
        select(*(columns[key] for key in keys))
        .select_from(mapper.selectable)
        .where(and_(*where))
    )
    connection = session.connection(bind_arguments={"mapper": mapper})
    row = connection.execute(query).one_or_none()
    return {} if row is None else dict(zip(keys, row, strict=True))
