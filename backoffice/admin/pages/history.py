"""Who changed what: of one record, and of all."""

from collections.abc import Sequence
from urllib.parse import urlencode

from backoffice.admin.call import Call, Page, Reply, address
from backoffice.admin.cells import record_name
from backoffice.admin.chronicle import entries_of
from backoffice.admin.frame import frame
from backoffice.admin.presentation import HistoryView, Link
from backoffice.admin.record import load_record
from backoffice.audit.history import history_of, recent
from backoffice.errors import NotPermitted, RecordNotFound

PAGE = 50


def show_record(call: Call) -> Reply:
    """A record's entries, newest first; also of one that was deleted."""
    view = call.model_view
    base = call.site.base_url
    try:
        record = load_record(call, view, call.key)
        name = record_name(view, record)
        here = Link(name, address(base, view.identity, "details", call.key))
    except RecordNotFound:
        # A scope that hides the row hides its history; without one it was deleted.
        if view.is_partly_seen:
            raise
        name, here = f"{view.name} {call.key}", Link(f"{view.name} {call.key}", "")
    before = _before(call)
    found = history_of(
        call.session,
        view.description.table_name,
        call.key,
        limit=PAGE + 1,
        before=before,
    )
    if not found and not here.url and before is None:
        raise RecordNotFound(f"There is no {view.name.lower()} with this key.")
    url = address(base, view.identity, "history", call.key)
    shown = HistoryView(
        entries=entries_of(
            call, found[:PAGE], is_there=bool(here.url) or before is not None
        ),
        older_url=_older(url, found),
        newest_url=url if before is not None else "",
    )
    crumbs = (
        Link(view.category or "", ""),
        Link(view.name_plural, address(base, view.identity, "list")),
        here,
    )
    return Page(
        "history",
        shown,
        frame(
            call,
            title=f"History of {name}",
            crumbs=[crumb for crumb in crumbs if crumb.label],
            width="mid",
        ),
    )


def show_all(call: Call) -> Reply:
    """Everything that was changed, newest first; for administrators and ops."""
    if call.login.role not in {"admin", "ops"}:
        raise NotPermitted(
            "The history of all records is for administrators and ops; "
            "each record's own history stands on its page."
        )
    before = _before(call)
    found = recent(call.session, limit=PAGE + 1, before=before)
    url = address(call.site.base_url, "history")
    shown = HistoryView(
        entries=entries_of(call, found[:PAGE]),
        older_url=_older(url, found),
        newest_url=url if before is not None else "",
    )
    return Page("history", shown, frame(call, title="History", width="mid"))


def _before(call: Call) -> int | None:
    """The entry that the page begins after; nonsense begins at the newest."""
    text = call.request.query_params.get("before", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None  # noqa: PLR2004


def _older(url: str, found: Sequence[object]) -> str:
    """The address of the next page, where there is one."""
    if len(found) <= PAGE:
        return ""
    last = found[PAGE - 1]
    return f"{url}?" + urlencode({"before": getattr(last, "id")})  # noqa: B009
