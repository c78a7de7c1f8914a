"""The audit's entries in words: who, when, what, and field by field."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from backoffice.admin.call import address
from backoffice.admin.naming import Names
from backoffice.admin.presentation import Change, HistoryEntry, Link
from backoffice.admin.words import apart, moment
from backoffice.audit.history import HistoryEntry as Entry
from backoffice.database.words import words

if TYPE_CHECKING:
    from backoffice.admin.call import Call
    from backoffice.admin.model_view import ModelView

ENDED = "Here an earlier record with this key ended; what is above is of another one."
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
    "explain_writes": "run and rolled back, to measure it",
    "values_seen": "values seen",
}


def entries_of(
    call: "Call",
    found: Iterable[Entry],
    *,
    of: "ModelView | None" = None,
    is_brief: bool = False,
    is_there: bool | None = None,
) -> tuple[HistoryEntry, ...]:
    """Entries as pages draw them; `of` one view's record, or each with its record.

    In brief, of what was created or deleted the values are left out. `is_there` says
    of entries of one key whether its record still is: keys may be used again, and what
    ended before is told apart.
    """
    entries = list(found)
    if is_brief:
        entries = [
            replace(one, changes={}) if one.action in {"create", "delete"} else one
            for one in entries
        ]
    views = [of or call.site.view_of_table(entry.table_name) for entry in entries]
    names = Names(
        call,
        [
            (view, entry.changes)
            for entry, view in zip(entries, views, strict=True)
            if view is not None
        ],
    )
    ends = set() if is_there is None else _ends(entries, is_there=is_there)
    return tuple(
        replace(drawn, end=ENDED) if entry.id in ends else drawn
        for entry, view in zip(entries, views, strict=True)
        for drawn in (_entry_of(call, entry, view, names, is_own=of is not None),)
    )


def _ends(entries: list[Entry], *, is_there: bool) -> set[int]:
    """The last entries of earlier records with the same key, newest first."""
    ends = set()
    for newer, entry in zip([None, *entries], entries, strict=False):
        is_deletion = entry.action == "delete" and (is_there or newer is not None)
        if is_deletion or (newer is not None and newer.action == "create"):
            ends.add(entry.id)
    return ends


def _entry_of(
    call: "Call",
    entry: Entry,
    view: "ModelView | None",
    names: Names,
    *,
    is_own: bool,
) -> HistoryEntry:
    """One entry; only the fields that the person's view shows are told."""
    may_see = view is not None and call.may("details", view)
    record = None
    if not is_own and entry.table_name:
        name = view.name if view is not None else words(entry.table_name)
        label = apart(entry.label or entry.key)
        if not label.lower().startswith(name.lower()):
            label = f"{name} {label}"
        url = ""
        if may_see and view is not None and entry.action != "delete":
            url = address(call.site.base_url, view.identity, "details", entry.key)
        elif may_see and view is not None:
            url = address(call.site.base_url, view.identity, "history", entry.key)
        record = Link(label, url)
    elif not is_own and entry.label:
        record = Link(apart(entry.label), "")
    return HistoryEntry(
        who=entry.actor_label,
        when=moment(entry.at, with_time=True),
        what=WORDS.get(entry.action, words(entry.action)),
        changes=_changes_of(entry, view, names) if may_see else (),
        record=record,
    )


def _changes_of(
    entry: Entry, view: "ModelView | None", names: Names
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
