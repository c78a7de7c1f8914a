"""What goes with a record, what is kept without it, what forbids it; and its deletion.

The database's own foreign keys say it, and the database does it: SQLAlchemy loads and
touches no child. Counts stop at a limit, so that the question costs the same for a
record with ten children and for one with a million.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Table, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Mapper, Session, aliased

from backoffice.audit.recorder import add_entries, audited_columns, label_of
from backoffice.database.keys import format_key
from backoffice.database.words import (
    field_word,
    record_word,
    words,
)
from backoffice.editing.deletion_entries import (
    counted,
    dependent_entry,
    forbidden,
    is_audited,
    is_recorded,
    mapper_of,
    nouns_of,
    number,
    own_entry,
)
from backoffice.editing.dependents import (
    Branch,
    Fate,
    Reference,
    as_they_go,
    attribute_of,
    branches_of,
    is_row,
)
from backoffice.editing.save import Lock, Scope, explained, read_record, settle
from backoffice.errors import Refused

LIMIT = 1000
EXAMPLES = 3
KEPT = "The database kept this record: a trigger or a policy there does not let it go."


@dataclass(frozen=True, slots=True)
class Dependent:
    """The records of one table that hang on the one to be deleted by one key."""

    table_name: str
    # The class of the table, where one is mapped.
    model: type[Any] | None
    # What one of them is called, and several.
    word: str
    words: str
    count: int
    # There are more than `count`.
    is_capped: bool
    what: Fate
    examples: tuple[str, ...]
    # The words of the fields that refer: what is emptied where they are kept.
    fields: tuple[str, ...]
    # The keys of the examples, and the attributes that refer.
    keys: tuple[str, ...]
    attributes: tuple[str, ...]
    # 1 for records that refer to the record itself, 2 for those that refer to them.
    depth: int
    # The database lets nobody here count them: there may be some, or none.
    is_unread: bool = False
    # Each gets an entry of its own in the history.
    is_recorded: bool = True

    @property
    def number(self) -> str:
        """The count as people read it."""
        if self.is_unread:
            return "unknown"
        return number(self.count, is_capped=self.is_capped)

    @property
    def phrase(self) -> str:
        """The count with its noun: `1 order`, `more than 1,000 orders`."""
        if self.is_unread:
            return f"perhaps {self.words}"
        return counted(self.count, (self.word, self.words), is_capped=self.is_capped)


@dataclass(frozen=True, slots=True)
class DeletePreview:
    """What a deletion would do, as far as it was counted."""

    label: str
    word: str
    records: tuple[Dependent, ...]
    # Stays the same as long as the counts do; `delete` takes it.
    digest: str

    @property
    def is_forbidden(self) -> bool:
        """Whether something that refers to the record does not let it go."""
        return bool(self.forbidding)

    @property
    def forbidding(self) -> tuple[Dependent, ...]:
        """What stands in the way, as far as it can be counted here."""
        return tuple(
            one
            for one in self.records
            if one.what is Fate.FORBIDS and not one.is_unread
        )

    @property
    def is_capped(self) -> bool:
        """Whether not everything was counted to its end."""
        return any(found.is_capped for found in self.records)

    @property
    def deleted(self) -> int:
        """How many records go, the record itself among them; at least."""
        return 1 + sum(f.count for f in self.records if f.what is Fate.DELETED)

    @property
    def kept(self) -> int:
        """How many records stay and lose their reference; at least."""
        return sum(f.count for f in self.records if f.what is Fate.KEPT)


class PreviewChanged(Refused):
    """What would go is not what was shown any more; `preview` is what it is now."""

    def __init__(self, preview: DeletePreview) -> None:
        self.preview = preview
        super().__init__({"": "What hangs on this record has changed; look once more."})


def preview_delete(
    session: Session,
    model: type[Any],
    key: str,
    limit: int = LIMIT,
    *,
    record: Any | None = None,
    scope: Scope | None = None,
) -> DeletePreview:
    """What deleting this record would do; nothing is changed.

    Who has read the `record` within the scope already hands it in.

    Raises:
        RecordNotFound: there is none, or not within the scope.
    """
    mapper: Mapper[Any] = model.__mapper__
    if record is None:
        record = read_record(session, model, key, scope=scope, lock=None)
    branches = list(branches_of(session, mapper, record, limit))
    return _preview(session, mapper, record, branches)


def delete(
    session: Session,
    model: type[Any],
    key: str,
    *,
    expected: str | None = None,
    scope: Scope | None = None,
    limit: int = LIMIT,
    alone: bool = False,
) -> DeletePreview:
    """Delete one record and what goes with it; what was deleted is given back.

    `expected` is the digest of the preview that the person has seen. The record's
    entry has all of its old values, and so has each record that goes with it, as far
    as they were counted.

    Raises:
        RecordNotFound: there is none, or not within the scope.
        PreviewChanged: something was added or removed since it was looked at.
        Refused: something forbids it.
        LockNotAvailable: somebody else holds a row for too long.
    """
    mapper: Mapper[Any] = model.__mapper__
    record = read_record(session, model, key, scope=scope, lock=Lock.DELETE)
    branches = list(branches_of(session, mapper, record, limit))
    preview = _preview(session, mapper, record, branches)
    if expected is not None and preview.digest != expected:
        raise PreviewChanged(preview)
    if preview.is_forbidden:
        raise forbidden([found.phrase for found in preview.forbidding])
    identity = mapper.primary_key_from_instance(record)
    columns = dict(audited_columns(mapper))
    missing = [k for k in columns if k not in record.__dict__]
    if missing:
        session.refresh(record, missing)
    values = {k: getattr(record, k) for k in columns}
    record_key = format_key(mapper, record)
    with explained(session, mapper, values, alone=alone):
        _record_dependents(session, mapper, branches)
        _delete_rows(session, mapper, identity, values)
        settle(session, mapper)
    if is_audited(mapper.local_table):
        add_entries(session, [own_entry(mapper, record_key, preview.label, values)])
    session.expunge(record)
    return preview


def _delete_rows(
    session: Session, mapper: Mapper[Any], identity: Any, values: Mapping[str, Any]
) -> None:
    """The record's row, of an inheriting class in each of its tables.

    Raises:
        Refused: the database says nothing, and keeps the row as it was.
    """
    for table in reversed(mapper.tables):
        if isinstance(table, Table):
            where = is_row(table, mapper, identity)
            done: Any = session.execute(delete_rows(table).where(where))
            if not done.rowcount and _is_kept(session, mapper, where, values):
                raise Refused({"": KEPT})


def _is_kept(
    session: Session,
    mapper: Mapper[Any],
    where: ColumnElement[bool],
    values: Mapping[str, Any],
) -> bool:
    """Whether the row is there as it was; a trigger may have marked it as deleted."""
    columns = dict(audited_columns(mapper))
    now = session.execute(
        select(*columns.values()).select_from(mapper.selectable).where(where)
    ).one_or_none()
    return now is not None and dict(zip(columns, now, strict=True)) == values


def _preview(
    session: Session, mapper: Mapper[Any], record: Any, branches: list[Branch]
) -> DeletePreview:
    digest = sha256()
    for branch in branches:
        columns = ",".join(column.name for column in branch.reference.columns)
        count = f"{branch.count}{'+' * branch.is_capped}"
        name = f"{branch.name}({columns})"
        digest.update(f"{name} {branch.depth} {branch.fate} {count};".encode())
    return DeletePreview(
        label=label_of(mapper, record, format_key(mapper, record)),
        word=record_word(mapper),
        records=tuple(_dependent(session, mapper, branch) for branch in branches),
        digest=digest.hexdigest()[:32],
    )


def _dependent(session: Session, mapper: Mapper[Any], branch: Branch) -> Dependent:
    own = mapper_of(mapper, branch.table)
    word, several = nouns_of(own, branch.reference)
    examples = _examples(session, own, branch)
    return Dependent(
        table_name=branch.name,
        model=None if own is None else own.class_,
        word=word,
        words=several,
        count=branch.count,
        is_capped=branch.is_capped,
        what=branch.fate,
        examples=tuple(label for _, label in examples),
        fields=tuple(_field_words(own, branch.reference)),
        keys=tuple(key for key, _ in examples),
        attributes=()
        if own is None
        else tuple(attribute_of(own, c) or "" for c in branch.reference.columns),
        depth=branch.depth,
        is_unread=branch.is_unread,
        is_recorded=is_recorded(own, branch),
    )


def _field_words(own: Mapper[Any] | None, reference: Reference) -> Iterator[str]:
    for column in reference.columns:
        key = None if own is None else attribute_of(own, column)
        if own is None or key is None:
            yield words(column.name).removesuffix(" id")
        else:
            yield field_word(own, key)


def _examples(
    session: Session, own: Mapper[Any] | None, branch: Branch
) -> tuple[tuple[str, str], ...]:
    """Keys and names of a few of the records; only of the nearest ones."""
    if own is None or branch.depth > 1 or branch.is_unread:
        return ()
    entity = aliased(own.class_, branch.rows)
    query = (
        select(entity)
        .where(branch.condition)
        .order_by(*(branch.rows.c[str(column.key)] for column in own.primary_key))
        .limit(EXAMPLES)
    )
    records = session.scalars(query).unique()
    keyed = [(format_key(own, record), record) for record in records]
    return tuple((key, label_of(own, record, key)) for key, record in keyed)


# The entries of what goes along


def _record_dependents(
    session: Session, mapper: Mapper[Any], branches: list[Branch]
) -> None:
    """An entry for each record that goes along or is emptied, as far as counted."""
    seen: set[tuple[str, str]] = set()
    for branch in branches:
        own = mapper_of(mapper, branch.table)
        if own is None or not is_recorded(own, branch):
            continue
        columns = dict(audited_columns(own))
        asked = [branch.rows.c[str(column.key)] for column in columns.values()]
        entries = []
        query = select(*asked).where(branch.condition)
        for row in session.execute(as_they_go(query, branch.reference, branch.rows)):
            values = dict(zip(columns, row, strict=True))
            entry = dependent_entry(own, branch.reference, columns, values)
            if (entry["table_name"], entry["key"]) not in seen:
                seen.add((entry["table_name"], entry["key"]))
                entries.append(entry)
        add_entries(session, entries)
