"""Whether a record is still as the form has shown it, and if not, who changed what."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapper, RelationshipProperty, Session

from backoffice.audit.history import HistoryEntry, last_changes, last_deletion
from backoffice.audit.recorder import audited_table
from backoffice.database.keys import no_such_record
from backoffice.database.session import ACTOR
from backoffice.database.words import field_word, record_word, sentence
from backoffice.editing.texts import same_text
from backoffice.errors import RecordNotFound, StaleRecord


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """One field that somebody else changed while the form was open."""

    key: str
    label: str
    # What the form showed, what stands there now, what was typed.
    opened: str
    theirs: str
    mine: str
    # Who changed it when, where the audit knows.
    who: str
    when: datetime | None
    # Both changed it: somebody has to choose.
    needs_choice: bool
    # It was the same person, elsewhere.
    is_own: bool = False


class Stale(StaleRecord):
    """The record changed meanwhile; nothing was written and nothing typed is lost.

    `conflicts` has every field that somebody else changed. `current` are the texts of
    all shown fields as they stand now: what the next form has to show as opened.
    `merged` are the texts to offer: theirs where only they changed the field, else
    mine. Submitted again with `current` as shown, it saves.
    """

    def __init__(
        self,
        conflicts: tuple[FieldConflict, ...],
        current: Mapping[str, str],
        merged: Mapping[str, str],
    ) -> None:
        self.conflicts = conflicts
        self.current = dict(current)
        self.merged = dict(merged)
        fields = {c.key: f"{_who(c)} changed this." for c in conflicts}
        super().__init__(fields, _summary(conflicts))


def _who(conflict: FieldConflict) -> str:
    return "You" if conflict.is_own else conflict.who or "Somebody else"


def _summary(conflicts: Collection[FieldConflict]) -> str:
    who = sorted({_who(conflict) for conflict in conflicts if conflict.who})
    people = " and ".join(who) or "Somebody else"
    fields = ", ".join(conflict.label for conflict in conflicts)
    return (
        f"{people} changed {fields} after this form was opened; nothing was saved yet."
    )


def compare(
    session: Session,
    mapper: Mapper[Any],
    key: str,
    *,
    shown: Mapping[str, str],
    current: Mapping[str, str],
    mine: Mapping[str, str],
) -> Stale | None:
    """The conflicts between a form and the record, or None where there are none.

    `mine` are the texts that the person changed. A field that both changed to the
    same text is no conflict.
    """
    theirs = {
        field: current[field]
        for field in shown
        if field in current and not same_text(current[field], shown[field])
    }
    changed = {
        field: text
        for field, text in theirs.items()
        if field not in mine or not same_text(mine[field], text)
    }
    if not changed:
        return None
    known = _who_changed(session, mapper, key, changed)
    conflicts = tuple(
        _conflict(
            mapper,
            field,
            shown[field],
            text,
            mine.get(field),
            known.get(field),
            is_own=_is_own(session, known.get(field)),
        )
        for field, text in changed.items()
    )
    return Stale(conflicts, current, {**current, **mine})


def _conflict(
    mapper: Mapper[Any],
    field: str,
    opened: str,
    theirs: str,
    mine: str | None,
    entry: HistoryEntry | None,
    *,
    is_own: bool,
) -> FieldConflict:
    return FieldConflict(
        key=field,
        label=field_word(mapper, field),
        opened=opened,
        theirs=theirs,
        mine=opened if mine is None else mine,
        who=entry.actor_label if entry else "",
        when=entry.at if entry else None,
        needs_choice=mine is not None,
        is_own=is_own,
    )


def _is_own(session: Session, entry: HistoryEntry | None) -> bool:
    """Whether whoever acts now made this entry, in another tab or window."""
    actor = session.info.get(ACTOR)
    if actor is None or actor.id is None or entry is None:
        return False
    return bool(entry.actor_id == actor.id)


def _who_changed(
    session: Session, mapper: Mapper[Any], key: str, fields: Collection[str]
) -> dict[str, HistoryEntry]:
    """The last change of each field; a reference's is its column's."""
    attributes: dict[str, str] = {}
    for field in fields:
        prop = mapper.attrs.get(field)
        if isinstance(prop, RelationshipProperty):
            column = next(iter(prop.local_columns))
            attributes[field] = mapper.get_property_by_column(column).key
        else:
            attributes[field] = field
    entries = last_changes(session, audited_table(mapper), key, attributes.values())
    return {
        field: entries[attribute]
        for field, attribute in attributes.items()
        if attribute in entries
    }


def gone(session: Session, mapper: Mapper[Any], key: str) -> RecordNotFound:
    """The error that says that a record is not there, and who deleted it."""
    entry = last_deletion(session, audited_table(mapper), key)
    if entry is None:
        return no_such_record(mapper, key)
    when = f"on {entry.at:%Y-%m-%d} at {entry.at:%H:%M} UTC"
    what = record_word(mapper)
    is_named = entry.label and not entry.label.lower().startswith(what.lower())
    name = f"{sentence(what)} {entry.label}" if is_named else f"This {what}"
    who = "you" if _is_own(session, entry) else entry.actor_label
    return RecordNotFound(f"{name} was deleted by {who} {when}.")
