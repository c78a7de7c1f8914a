"""The audit's entries in words: who, when, what, and field by field."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Date, DateTime

from backoffice.admin.call import address
from backoffice.admin.cells import record_name
from backoffice.admin.description import choices_of, column_at
from backoffice.admin.presentation import Change, HistoryEntry, Link
from backoffice.admin.record import records_by_key
from backoffice.admin.words import day, moment
from backoffice.audit.history import HistoryEntry as Entry
from backoffice.database.keys import parse_key
from backoffice.database.words import words
from backoffice.errors import RecordNotFound

if TYPE_CHECKING:
    from backoffice.admin.call import Call
    from backoffice.admin.model_view import ModelView

WORDS = {
    "create": "created",
    "update": "",
    "delete": "deleted",
    "login": "logged in",
    "logout": "logged out",
    "login_failed": "failed to log in",
    "password_changed": "password changed",
    "sessions_ended": "sessions ended",
    "explain": "explained",
    "explain_measured": "run and measured",
    "values_seen": "values seen",
}
LONGEST = 200


def entries_of(
    call: "Call",
    found: Iterable[Entry],
    *,
    of: "ModelView | None" = None,
    is_brief: bool = False,
) -> tuple[HistoryEntry, ...]:
    """Entries as pages draw them; `of` one view's record, or each with its record.

    In brief, of what was created or deleted the values are left out.
    """
    entries = list(found)
    if is_brief:
        entries = [
            replace(one, changes={}) if one.action in {"create", "delete"} else one
            for one in entries
        ]
    views = [of or call.site.view_of_table(entry.table_name) for entry in entries]
    names = _Names(call, zip(entries, views, strict=True))
    return tuple(
        _entry_of(call, entry, view, names, is_own=of is not None)
        for entry, view in zip(entries, views, strict=True)
    )


def _entry_of(
    call: "Call",
    entry: Entry,
    view: "ModelView | None",
    names: "_Names",
    *,
    is_own: bool,
) -> HistoryEntry:
    """One entry; only the fields that the person's view shows are told."""
    may_see = view is not None and call.may("details", view)
    record = None
    if not is_own and entry.table_name:
        name = view.name if view is not None else words(entry.table_name)
        label = entry.label or entry.key
        if not label.lower().startswith(name.lower()):
            label = f"{name} {label}"
        url = ""
        if may_see and view is not None and entry.action != "delete":
            url = address(call.site.base_url, view.identity, "details", entry.key)
        elif may_see and view is not None:
            url = address(call.site.base_url, view.identity, "history", entry.key)
        record = Link(label, url)
    elif not is_own and entry.label:
        record = Link(entry.label, "")
    return HistoryEntry(
        who=entry.actor_label,
        when=moment(entry.at, with_time=True),
        what=WORDS.get(entry.action, words(entry.action)),
        changes=_changes_of(entry, view, names) if may_see else (),
        record=record,
    )


def _changes_of(
    entry: Entry, view: "ModelView | None", names: "_Names"
) -> tuple[Change, ...]:
    """Old and new of each field, in the order of the view's own columns."""
    labels = view.description.labels if view is not None else {}
    known = {key: place for place, key in enumerate(labels)}
    fields = sorted(entry.changes, key=lambda key: known.get(key, len(known)))
    shown = []
    for key in fields:
        pair = entry.changes[key]
        if key in {"created_at", "updated_at"} and entry.action == "update":
            continue
        old, new = (names.text_of(view, key, value) for value in pair)
        change = Change(labels.get(key, words(key)), old, new)
        if change.old or change.new:
            shown.append(change)
    return tuple(shown)


class _Names:
    """Recorded values in words: choices, times, and records that are referred to.

    Of each model that some entries refer to, all records are read by one statement; a
    key of none that the person may see stays a key.
    """

    def __init__(
        self, call: "Call", entries: Iterable[tuple[Entry, "ModelView | None"]]
    ) -> None:
        self.call = call
        wanted: dict[str, set[str]] = {}
        for entry, view in entries:
            if view is None or not call.may("details", view):
                continue
            for key, pair in entry.changes.items():
                target = self.target_of(view, key)
                keys = {str(value) for value in pair if value not in (None, "")}
                if target is not None and keys:
                    wanted.setdefault(target.identity, set()).update(keys)
        self.found = {
            identity: self._read(identity, keys) for identity, keys in wanted.items()
        }

    def target_of(self, view: "ModelView", key: str) -> "ModelView | None":
        """The view whose records a column's values are keys of."""
        mapper = view.description.mapper
        prop = mapper.column_attrs.get(key)
        if prop is None:
            return None
        for relationship in mapper.relationships:
            pairs = relationship.local_remote_pairs or ()
            is_single = len(pairs) == 1 and not relationship.uselist
            if is_single and pairs[0][0] is prop.columns[0]:
                return self.call.site.view_of(relationship.mapper.class_)
        return None

    def _read(self, identity: str, keys: set[str]) -> dict[str, str]:
        view = self.call.site.view_called(identity)
        if view is None or not self.call.may("details", view):
            return {}
        records = records_by_key(self.call, view, _keys(view, keys))
        return {key: record_name(view, one) for key, one in records.items()}

    def text_of(self, view: "ModelView | None", key: str, value: Any) -> str:
        """A recorded value as the view's pages would say it."""
        if view is None or value is None:
            return text_of(value)
        target = self.target_of(view, key)
        if target is not None:
            text = str(value)
            return self.found.get(target.identity, {}).get(text, text_of(value))
        column = column_at(view.description.mapper, key)
        for one, label in choices_of(column).items():
            if str(value) in {str(one), getattr(one, "name", None)}:
                return label
        if isinstance(value, str) and column is not None:
            return _time_in_words(column, value)
        return text_of(value)


def _time_in_words(column: Column[Any], value: str) -> str:
    """A recorded time or day as pages say it; any other text as it stands."""
    with suppress(ValueError):
        if isinstance(column.type, DateTime):
            return moment(datetime.fromisoformat(value), with_time=True).text
        if isinstance(column.type, Date):
            return day(date.fromisoformat(value))
    return text_of(value)


def _keys(view: "ModelView", texts: set[str]) -> list[str]:
    """Those of the texts that are keys of the view's model, in order."""
    mapper, found = view.description.mapper, []
    for text in sorted(texts):
        try:
            parse_key(mapper, text)
        except RecordNotFound:
            continue
        found.append(text)
    return found


def text_of(value: Any) -> str:
    """A recorded value; "" for empty, cut where it is long."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return format(Decimal(str(value)).normalize(), "f")
    text = str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
