"""Which rows are others than those that were shown, and who has changed them?"""

from collections.abc import Iterator
from datetime import UTC, datetime

from backoffice.admin import words
from backoffice.admin.call import Call, address
from backoffice.admin.model_view import ModelView
from backoffice.admin.naming import names_of
from backoffice.admin.pages.confirming import NAMED
from backoffice.admin.presentation_bulk import DriftedRow
from backoffice.audit.history import HistoryEntry, last_entries
from backoffice.bulk.run import Drift


def drifted_rows(
    call: Call, view: ModelView, drift: Drift, since: datetime
) -> tuple[DriftedRow, ...]:
    """The rows by name; who changed them, where it was `since` and by this site."""
    kinds = (
        ("Changed", drift.changed[:NAMED]),
        ("Came to it", drift.added[:NAMED]),
        ("Changed or new", drift.written[:NAMED]),
        ("Not among them any more", drift.removed[:NAMED]),
    )
    keys = [key for _, some in kinds for key in some]
    if not keys:
        return ()
    names = names_of(call, view, keys)
    entries = last_entries(call.session, view.description.table_name, keys)
    since = since if since.tzinfo else since.replace(tzinfo=UTC)
    recent = {key: one for key, one in entries.items() if one.at >= since}
    return tuple(
        row
        for what, some in kinds
        for row in _rows(call, view, what, some, names, recent)
    )


def _rows(
    call: Call,
    view: ModelView,
    what: str,
    keys: tuple[str, ...],
    names: dict[str, str],
    recent: dict[str, HistoryEntry],
) -> Iterator[DriftedRow]:
    may_see = call.may("details", view)
    for key in keys:
        entry = recent.get(key)
        is_gone = entry is not None and entry.action == "delete"
        url = ""
        if may_see and key in names:
            url = address(call.site.base_url, view.identity, "details", key)
        yield DriftedRow(
            label=names.get(key) or (entry.label if entry and may_see else "") or key,
            url=url,
            what="Deleted" if is_gone else what,
            who=entry.actor_label if entry is not None else "",
            when=words.moment(entry.at, with_time=True) if entry is not None else None,
        )
