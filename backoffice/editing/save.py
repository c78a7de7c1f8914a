"""How what was typed becomes a record: compared, checked, written, or refused in words.

Everything happens in the caller's transaction, within a savepoint of its own: after a
refusal the session is as it was before. A save that is `alone` in its transaction
needs none: a refusal rolls the transaction back. Nothing is committed here.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, ForeignKeyConstraint, Select, Table, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import (
    ColumnProperty,
    Mapper,
    RelationshipProperty,
    Session,
    lazyload,
    undefer,
)
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.orm.exc import StaleDataError

from backoffice.database.constraints import broken_checks
from backoffice.database.keys import format_key, parse_key
from backoffice.database.refusals import explain_refusal
from backoffice.database.values import format_value, parse_value, value_to_assign
from backoffice.editing.fields import (
    asks_for_letters,
    has_default,
    why_read_only,
)
from backoffice.editing.references import Ambiguous, Choice, resolve
from backoffice.editing.stale import compare, gone
from backoffice.editing.texts import same_text, shown_texts
from backoffice.errors import LockNotAvailable, Refused

Scope = Callable[[Select[Any]], Select[Any]]
Build = Callable[[Session, dict[str, Any]], Any]


class Lock(Enum):
    """What a record is locked for."""

    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class SaveResult:
    """The record, and which fields were written; none where nothing had changed."""

    record: Any
    changed: tuple[str, ...]


def create(
    session: Session,
    model: type[Any],
    values: Mapping[str, str],
    *,
    build: Build | None = None,
    names: Mapping[str, Collection[str]] | None = None,
    scopes: Mapping[str, Scope] | None = None,
    alone: bool = False,
) -> Any:
    """Insert a record of the texts in `values`, and give it back flushed.

    An empty text of a column that has a default or may be NULL leaves it to the
    database. Texts of attributes that cannot be written are ignored, whoever sent
    them. `build` makes the record of the values, where there is more to it than one
    row. `names` are the text attributes by which a reference's target is found,
    `scopes` the rows that a reference may refer to, both by field.

    Raises:
        Refused: with a sentence for each field that is in the way.
    """
    mapper: Mapper[Any] = model.__mapper__
    given = {k: v for k, v in values.items() if not why_read_only(mapper, k)}
    reader = _Reader(session, mapper, names or {}, scopes or {})
    parsed: dict[str, Any] = {}
    for key, typed in given.items():
        if _is_left_out(mapper, key, typed):
            continue
        reader.read(key, typed, parsed)
    attributes = _attributes(mapper, parsed)
    reader.check(attributes, given, attributes)
    reader.refuse()
    with explained(session, mapper, attributes, given, alone=alone):
        if build is not None:
            record = build(session, parsed)
        else:
            record = _new(model, mapper)
            _assign(mapper, record, attributes)
        session.add(record)
        session.flush()
        settle(session, mapper)
    return record


def update(  # noqa: PLR0913 - a save has as many sides, each by its name
    session: Session,
    model: type[Any],
    key: str,
    submitted: Mapping[str, str],
    shown: Mapping[str, str],
    *,
    read_only: Collection[str] = (),
    scope: Scope | None = None,
    names: Mapping[str, Collection[str]] | None = None,
    scopes: Mapping[str, Scope] | None = None,
    alone: bool = False,
) -> SaveResult:
    """Write the fields that were shown and changed, and nothing else.

    `shown` are the texts as the form was opened, `submitted` as they came back; a
    field that did not come back is left as it is, and one that was not shown is
    ignored. `read_only` names further fields that may not be written. The row is
    locked and read anew before it is compared.

    Raises:
        RecordNotFound: the record is gone (who deleted it is said), or out of scope.
        Stale: a shown field was changed by somebody else; see its `conflicts`.
        Refused: with a sentence for each field that is in the way.
        LockNotAvailable: somebody else holds the row for too long.
    """
    mapper: Mapper[Any] = model.__mapper__
    typed = {
        field: value
        for field, value in submitted.items()
        if field in shown
        and field not in read_only
        and not why_read_only(mapper, field)
        and not same_text(value, shown[field])
    }
    record = read_record(session, model, key, shown=shown, scope=scope)
    if not typed:
        return SaveResult(record, ())
    compared = {
        field: value
        for field, value in shown.items()
        if field not in read_only and not why_read_only(mapper, field)
    }
    current = shown_texts(session, record, compared)
    own_key = format_key(mapper, record)
    stale = compare(
        session, mapper, own_key, shown=compared, current=current, mine=typed
    )
    if stale is not None:
        raise stale
    # What somebody else already changed to the same text is done.
    typed = {f: v for f, v in typed.items() if not same_text(v, current.get(f, ""))}
    reader = _Reader(session, mapper, names or {}, scopes or {})
    parsed: dict[str, Any] = {}
    for field, value in typed.items():
        reader.read(field, value, parsed)
    attributes = _attributes(mapper, parsed)
    if reader.problems:
        # All that is wrong is said at once.
        reader.check({**_loaded(mapper, record), **attributes}, shown, attributes)
    reader.refuse()
    changed = _really_changed(mapper, current, attributes, parsed)
    if not changed:
        return SaveResult(record, ())
    whole = {**_loaded(mapper, record), **attributes}
    _refuse_broken(session, mapper, whole, shown, attributes)
    with explained(session, mapper, whole, shown, alone=alone):
        _assign(mapper, record, attributes)
        session.flush()
        settle(session, mapper)
    session.expire(record, [f for f in changed if f in mapper.relationships])
    return SaveResult(record, changed)


def read_values(
    session: Session,
    model: type[Any],
    texts: Mapping[str, str],
    *,
    names: Mapping[str, Collection[str]] | None = None,
    scopes: Mapping[str, Scope] | None = None,
) -> dict[str, Any]:
    """The values that texts stand for, by column attribute; nothing is written.

    Raises:
        Refused: with a sentence for each field that is in the way.
    """
    mapper: Mapper[Any] = model.__mapper__
    reader = _Reader(session, mapper, names or {}, scopes or {})
    parsed: dict[str, Any] = {}
    for key, typed in texts.items():
        reader.read(key, typed, parsed)
    reader.refuse()
    return _attributes(mapper, parsed)


def read_record(
    session: Session,
    model: type[Any],
    key: str,
    *,
    shown: Collection[str] = (),
    scope: Scope | None = None,
    lock: Lock | None = Lock.UPDATE,
) -> Any:
    """The record, read anew and locked until the transaction ends.

    Attributes in `shown` are loaded even where they are deferred.

    Raises:
        RecordNotFound: there is none, or not within the scope.
        LockNotAvailable: somebody else holds it for too long.
    """
    mapper: Mapper[Any] = model.__mapper__
    identity = parse_key(mapper, key)
    columns = [f for f in shown if isinstance(mapper.attrs.get(f), ColumnProperty)]
    query = (
        select(model)
        .where(
            *(c == value for c, value in zip(mapper.primary_key, identity, strict=True))
        )
        .execution_options(populate_existing=True)
        .options(lazyload("*"), *(undefer(getattr(model, f)) for f in columns))
    )
    if lock is not None:
        # Before an update children may still come and go: only the key is theirs.
        query = query.with_for_update(of=model, key_share=lock is Lock.UPDATE)
    if scope is not None:
        query = scope(query)
    try:
        record = session.scalars(query).unique().one_or_none()
    except DBAPIError as error:
        raise explain_refusal(error, mapper, session) from error
    if record is None:
        raise gone(session, mapper, key)
    return record


class _Reader:
    """Texts into values, and all that is wrong with them at once."""

    def __init__(
        self,
        session: Session,
        mapper: Mapper[Any],
        names: Mapping[str, Collection[str]],
        scopes: Mapping[str, Scope],
    ) -> None:
        self.session = session
        self.mapper = mapper
        self.names = names
        self.scopes = scopes
        self.problems: dict[str, str] = {}
        self.candidates: dict[str, tuple[Choice, ...]] = {}

    def read(self, key: str, typed: str, into: dict[str, Any]) -> None:
        """The value of one field, or a problem."""
        prop = self.mapper.attrs.get(key)
        try:
            if isinstance(prop, RelationshipProperty):
                into[key] = self._referred(prop, typed)
            elif isinstance(prop, ColumnProperty):
                into[key] = parse_value(prop.columns[0], typed)
                if typed.isspace() and asks_for_letters(self.mapper, key):
                    self.problems[key] = "A value is required; blanks alone are none."
        except Ambiguous as problem:
            self.problems.update(problem.fields)
            self.candidates.update(problem.candidates)
        except Refused as problem:
            self.problems.update(problem.fields)
        except ValueError as problem:
            self.problems[key] = str(problem)

    def _referred(self, prop: RelationshipProperty[Any], typed: str) -> Any:
        if not typed.strip():
            if all(getattr(c, "nullable", True) for c in prop.local_columns):
                return None
            raise Refused({prop.key: "A value is required."})
        return resolve(
            self.session,
            prop.mapper.class_,
            typed,
            columns=tuple(self.names.get(prop.key, ())),
            scope=self.scopes.get(prop.key),
            field=prop.key,
        )

    def check(
        self,
        values: Mapping[str, Any],
        fields: Collection[str],
        changed: Collection[str],
    ) -> None:
        """What simple rules say of the values that could be read."""
        broken = broken_checks(
            self.mapper, self.session, values, fields=tuple(fields), changed=changed
        )
        self.problems = {**broken, **self.problems}

    def refuse(self) -> None:
        """Raise what was found."""
        if self.candidates:
            raise Ambiguous(self.problems, self.candidates)
        if self.problems:
            raise Refused(self.problems)


def _is_left_out(mapper: Mapper[Any], key: str, typed: str) -> bool:
    """Whether an empty text of a new record is left to the database."""
    prop = mapper.attrs.get(key)
    if prop is None:
        return True
    if typed.strip():
        return False
    if isinstance(prop, RelationshipProperty):
        columns = [c for c in prop.local_columns if isinstance(c, Column)]
        return any(c.nullable or has_default(c) for c in columns)
    if not isinstance(prop, ColumnProperty):
        return True
    column = prop.columns[0]
    if not isinstance(column, Column):
        return True
    # A text of spaces is a text; nothing at all is the default, or NULL.
    return (not typed or not _is_text(column)) and (
        bool(column.nullable) or has_default(column)
    )


def _is_text(column: Column[Any]) -> bool:
    try:
        return column.type.python_type is str
    except NotImplementedError:
        return False


def _attributes(mapper: Mapper[Any], parsed: Mapping[str, Any]) -> dict[str, Any]:
    """Values by column attribute: a reference becomes the key it stands for."""
    found: dict[str, Any] = {}
    for key, value in parsed.items():
        prop = mapper.attrs[key]
        if not isinstance(prop, RelationshipProperty):
            found[key] = value
            continue
        for own, target in prop.local_remote_pairs or ():
            attribute = mapper.get_property_by_column(own).key
            if value is None:
                found[attribute] = None
                continue
            remote = prop.mapper.get_property_by_column(target)
            found[attribute] = getattr(value, remote.key)
    return found


def _assign(mapper: Mapper[Any], record: Any, attributes: Mapping[str, Any]) -> None:
    for key, value in attributes.items():
        column = mapper.attrs[key].columns[0]
        old = record.__dict__.get(key)
        if old is not None and old == value:
            # 1 and true, 1.0 and 1.00 are equal in Python, and not the same text.
            flag_modified(record, key)
        setattr(record, key, value_to_assign(column, value))


def _new(model: type[Any], mapper: Mapper[Any]) -> Any:
    """An empty record; a dataclass's required arguments are not asked for."""
    try:
        return model()
    except TypeError:
        return mapper.class_manager.new_instance()


def _loaded(mapper: Mapper[Any], record: Any) -> dict[str, Any]:
    """What is known of the record without asking for more."""
    return {p.key: record.__dict__.get(p.key) for p in mapper.column_attrs}


def _really_changed(
    mapper: Mapper[Any],
    current: Mapping[str, str],
    attributes: dict[str, Any],
    parsed: Mapping[str, Any],
) -> tuple[str, ...]:
    """The fields whose value differs; another spelling of the same value is dropped.

    `1.50` for a stored 1.5, or `07` for 7, changes nothing.
    """
    changed = []
    for field, value in parsed.items():
        prop = mapper.attrs[field]
        if isinstance(prop, RelationshipProperty):
            new = "" if value is None else format_key(prop.mapper, value)
            own = [mapper.get_property_by_column(c).key for c in prop.local_columns]
        else:
            column = prop.columns[0]
            new = format_value(column, value)
            own = [field]
        if same_text(new, current.get(field, "")):
            for attribute in own:
                attributes.pop(attribute, None)
        else:
            changed.append(field)
    return tuple(changed)


def _refuse_broken(
    session: Session,
    mapper: Mapper[Any],
    values: Mapping[str, Any],
    fields: Collection[str],
    changed: Collection[str],
) -> None:
    problems = broken_checks(
        mapper, session, values, fields=tuple(fields), changed=changed
    )
    if problems:
        raise Refused(problems)


@contextmanager
def explained(
    session: Session,
    mapper: Mapper[Any],
    values: Mapping[str, Any],
    fields: Collection[str] | None = None,
    *,
    alone: bool = False,
) -> Iterator[None]:
    """A savepoint; what the database refuses within it comes out in words.

    `alone`: the transaction holds nothing else, and is itself rolled back.
    """
    shown = None if fields is None else tuple(fields)
    try:
        with nullcontext() if alone else session.begin_nested():
            yield
    except DBAPIError as error:
        if alone:
            session.rollback()
        raise explain_refusal(
            error, mapper, session, values=values, fields=shown
        ) from error
    except StaleDataError as error:
        if alone:
            session.rollback()
        raise LockNotAvailable(
            "Somebody changed this record at the same moment; save once more."
        ) from error
    except BaseException:
        if alone:
            session.rollback()
        raise


def settle(session: Session, mapper: Mapper[Any]) -> None:
    """Have deferred constraints speak now, while there is a form to speak to."""
    if session.get_bind(mapper).dialect.name == "postgresql" and _is_deferred(mapper):
        session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))


@lru_cache(maxsize=512)
def _is_deferred(mapper: Mapper[Any]) -> bool:
    """Whether a rule of these tables, or a key that refers to them, may wait."""
    tables = [table for table in mapper.tables if isinstance(table, Table)]
    return any(
        constraint.deferrable
        for table in tables[0].metadata.tables.values()
        for constraint in table.constraints
        if table in tables
        or (
            isinstance(constraint, ForeignKeyConstraint)
            and constraint.referred_table in tables
        )
    )
