"""Who changed what: of one record, and of all."""

from backoffice.admin.call import Call, Page, Reply, address
from backoffice.admin.cells import record_name
from backoffice.admin.chronicle import entries_of, events_of
from backoffice.admin.frame import frame
from backoffice.admin.history_query import BEFORE, HistoryQuery, read_query
from backoffice.admin.presentation import HistoryView, Link, Message
from backoffice.admin.record import load_record
from backoffice.admin.words import within_sentence
from backoffice.bulk.timeline import Event, mark_of, record_history, timeline
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
    found = record_history(
        call.session,
        view.description.table_name,
        call.key,
        limit=PAGE + 1,
        before=before,
    )
    if not found and not here.url and before is None:
        raise RecordNotFound(f"There is no {within_sentence(view.name)} with this key.")
    url = address(base, view.identity, "history", call.key)
    shown = HistoryView(
        entries=entries_of(
            call, found[:PAGE], is_there=bool(here.url) or before is not None
        ),
        older_url=f"{url}?{BEFORE}={found[PAGE - 1].id}" if len(found) > PAGE else "",
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
    url = address(call.site.base_url, "history")
    asked = read_query(call)
    found = [] if asked.problems else _found(call, asked)
    shown = HistoryView(
        entries=events_of(call, found[:PAGE]),
        url=url,
        narrowings=asked.narrowings,
        clear_url=url if asked.kept else "",
        notes=_notes(asked),
        older_url=url + asked.query(mark_of(found[PAGE - 1]))
        if len(found) > PAGE
        else "",
        newest_url=url + asked.query() if asked.behind is not None else "",
        empty=_empty(asked),
    )
    return Page(
        "history",
        shown,
        frame(call, title="History", width="mid"),
        400 if asked.problems else 200,
    )


def _found(call: Call, asked: HistoryQuery) -> list[Event]:
    return timeline(call.session, PAGE + 1, asked.filter, behind=asked.behind)


def _notes(asked: HistoryQuery) -> tuple[Message, ...]:
    """What is wrong in the address; else who is meant, where that is several."""
    if asked.problems:
        return tuple(Message("bad", problem) for problem in asked.problems)
    several = asked.people.several
    level = "warn" if asked.people.has_more else ""
    return (Message(level, several),) if several else ()


def _empty(asked: HistoryQuery) -> str:
    if asked.problems:
        return "Nothing is shown until that is put right."
    if asked.behind is not None:
        return "Nothing is older."
    if asked.people.nobody:
        return asked.people.nobody
    return "Nothing is like this." if asked.kept else "Nothing was changed yet."


def _before(call: Call) -> int | None:
    """The entry that the page begins after; nonsense begins at the newest."""
    text = call.request.query_params.get(BEFORE, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None  # noqa: PLR2004
