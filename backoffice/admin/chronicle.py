"""The audit's entries in words: who, when, what, and field by field."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from backoffice.admin.call import address
from backoffice.admin.naming import Names, names_of
from backoffice.admin.presentation import Change, HistoryEntry, Link
from backoffice.admin.words import apart, moment, plural, with_noun, within_sentence
from backoffice.audit.history import HistoryEntry as Entry
from backoffice.auth.permissions import may
from backoffice.bulk.timeline import DELETING, Event, RunEntry
from backoffice.database.base import OWN_PREFIX
from backoffice.database.words import words
from backoffice.explain.models import ExplainReport

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
    "login blocked": "login blocked",
    "password_changed": "password changed",
    "session ended": "session ended",
    "sessions_ended": "sessions ended",
    "explain": "explained",
    "explain_measured": "run and measured",
    "explain_writes": "run and rolled back, to measure it",
    "values_seen": "values seen",
    "metrics_reset": "metrics reset",
    "cancel_backend": "statement cancelled",
    "terminate_backend": "connection ended",
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
    if of is None:
        entries = _named(call, entries, views)
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


def _named(
    call: "Call", entries: list[Entry], views: "list[ModelView | None]"
) -> list[Entry]:
    """Each with what its view calls the record: whose report card, not only which.

    Where a view has words of its own for that; the audit knows none but the record's.
    """
    wanted: dict[str, set[str]] = {}
    for entry, view in zip(entries, views, strict=True):
        if view is not None and view.names_records and entry.action != "delete":
            wanted.setdefault(view.identity, set()).add(entry.key)
    found = {
        view.identity: names_of(call, view, wanted[view.identity])
        for view in dict.fromkeys(views)
        if view is not None and view.identity in wanted
    }
    return [
        replace(entry, label=found.get(view.identity, {}).get(entry.key, entry.label))
        if view is not None
        else entry
        for entry, view in zip(entries, views, strict=True)
    ]


def events_of(
    call: "Call", found: Iterable[Event], *, is_brief: bool = False
) -> tuple[HistoryEntry, ...]:
    """Entries with their records, and runs of actions as what they have done."""
    events = list(found)
    entries = [one for one in events if isinstance(one, Entry)]
    drawn = iter(entries_of(call, entries, is_brief=is_brief))
    return tuple(
        _run_of(call, one) if isinstance(one, RunEntry) else next(drawn)
        for one in events
    )


def run_link(call: "Call", number: int, label: str, *, is_own: bool) -> Link:
    """A run by its number and its name; it leads there whom it is open to."""
    name = f"run {number}"
    if label:
        name += f": {label[:1].lower()}{label[1:]}"
    may_see = label and (is_own or call.login.role in {"admin", "ops"})
    url = address(call.site.base_url, "runs", str(number)) if may_see else ""
    return Link(name, url)


def _run_of(call: "Call", run: RunEntry) -> HistoryEntry:
    """One run, as in: Run 12: raise prices by 3 % changed 1,000 products."""
    view = call.site.view_called(run.view)
    one, many = ("row", "rows")
    if view is not None:
        one, many = within_sentence(view.name), within_sentence(view.name_plural)
    did = "deleted" if run.action == DELETING else "changed"
    name, url = run_link(call, run.id, run.label, is_own=False)
    return HistoryEntry(
        who=run.actor_label,
        when=moment(run.at, with_time=True),
        what=f"{did} {plural(run.changed, one, many)}"
        + ("" if run.is_ended else " until now"),
        record=Link(f"{name[:1].upper()}{name[1:]}", url),
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
        label = apart(entry.label or entry.key)
        if view is not None:
            label = with_noun(view.name, label)
        elif not entry.table_name.startswith(OWN_PREFIX):
            label = with_noun(words(entry.table_name), label)
        url = ""
        if may_see and view is not None and entry.action != "delete":
            url = address(call.site.base_url, view.identity, "details", entry.key)
        elif may_see and view is not None:
            url = address(call.site.base_url, view.identity, "history", entry.key)
        elif _is_report(entry) and may(call.login.role, "ops:explain"):
            url = address(call.site.base_url, "explain", entry.key)
        record = Link(label, url)
    elif not is_own and entry.label:
        record = Link(apart(entry.label), "")
    run = None
    if entry.run_id is not None and entry.run_label:
        is_ours = entry.actor_id == str(call.login.user_id)
        run = run_link(call, entry.run_id, entry.run_label, is_own=is_ours)
    return HistoryEntry(
        who=entry.actor_label,
        when=moment(entry.at, with_time=True),
        what=WORDS.get(entry.action, words(entry.action)),
        changes=_changes_of(entry, view, names) if may_see else (),
        record=record,
        run=run,
    )


def _is_report(entry: Entry) -> bool:
    """Whether there is a report of it; one that began and came to nothing has none."""
    return entry.table_name == ExplainReport.__tablename__ and bool(entry.key)


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
