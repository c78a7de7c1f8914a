"""The audit's entries in words: who, when, what, and field by field."""

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from backoffice.admin.call import address
from backoffice.admin.presentation import Change, HistoryEntry, Link
from backoffice.admin.words import moment
from backoffice.audit.history import HistoryEntry as Entry
from backoffice.database.words import words

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
}
LONGEST = 200


def entries_of(
    call: "Call", found: Iterable[Entry], *, of: "ModelView | None" = None
) -> tuple[HistoryEntry, ...]:
    """Entries as pages draw them; `of` one view's record, or each with its record."""
    return tuple(entry_of(call, one, of) for one in found)


def entry_of(call: "Call", entry: Entry, of: "ModelView | None") -> HistoryEntry:
    """One entry; only the fields that the person's view shows are told."""
    view = of or call.site.view_of_table(entry.table_name)
    may_see = view is not None and call.may("details", view)
    record = None
    if of is None and entry.table_name:
        name = view.name if view is not None else words(entry.table_name)
        label = f"{name} {entry.label or entry.key}"
        url = ""
        if may_see and view is not None and entry.action != "delete":
            url = address(call.site.base_url, view.identity, "details", entry.key)
        elif may_see and view is not None:
            url = address(call.site.base_url, view.identity, "history", entry.key)
        record = Link(label, url)
    elif of is None and entry.label:
        record = Link(entry.label, "")
    return HistoryEntry(
        who=entry.actor_label,
        when=moment(entry.at, with_time=True),
        what=WORDS.get(entry.action, words(entry.action)),
        changes=changes_of(entry, view) if may_see else (),
        record=record,
    )


def changes_of(entry: Entry, view: "ModelView | None") -> tuple[Change, ...]:
    """Old and new of each field, in the order of the view's own columns."""
    labels = view.description.labels if view is not None else {}
    known = {key: place for place, key in enumerate(labels)}
    fields = sorted(entry.changes, key=lambda key: known.get(key, len(known)))
    shown = []
    for key in fields:
        old, new = entry.changes[key]
        if key in {"created_at", "updated_at"} and entry.action == "update":
            continue
        change = Change(labels.get(key, words(key)), text_of(old), text_of(new))
        if change.old or change.new:
            shown.append(change)
    return tuple(shown)


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
