"""Who is connected, who holds what, and how one of them is ended."""

import time
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from backoffice.admin.call import Page, Redirect, Reply
from backoffice.admin.failures import NotFound
from backoffice.admin.frame import frame
from backoffice.admin.ops_answer import OpsCall
from backoffice.admin.panels import (
    coloured,
    hidden_note,
    holding_row,
    live_row,
    ops_url,
    process_names,
    state_words,
    tree_rows,
    unread,
    waiting_row,
)
from backoffice.admin.places import place
from backoffice.admin.presentation import Link, Message
from backoffice.admin.presentation_metrics import (
    NO_LINK,
    ConnectionsView,
    ConnectionView,
    LiveRow,
)
from backoffice.admin.words import duration, plural
from backoffice.audit.recorder import add_entry
from backoffice.auth.permissions import roles_that_may
from backoffice.errors import NotPermitted
from backoffice.observability.activity import (
    NEEDS,
    NEEDS_SIGNAL,
    Backend,
    Live,
    Signal,
    SignalOutcome,
    end_backend,
    lock_tree,
    read_activity,
    why_not_signalled,
    with_holders,
)
from backoffice.observability.brief import brief
from backoffice.observability.exposition import CANCELS
from backoffice.observability.ops_connection import State
from backoffice.observability.picture import Picture

# So long a cancelled session is given before its end is offered.
PATIENCE = 5
CANCELLED_FOR = 3600
NO_RIGHTS = (
    "The database's role may not signal this session: only a superuser may signal a "
    f"superuser's; for others {NEEDS_SIGNAL}."
)
WORDS = {
    (Signal.CANCEL, SignalOutcome.SENT): (
        "ok",
        "The cancel was sent. If it is still here in 5 seconds it can be ended.",
    ),
    (Signal.TERMINATE, SignalOutcome.SENT): ("ok", "The session was ended."),
    (Signal.CANCEL, SignalOutcome.NO_RIGHTS): (
        "bad",
        NO_RIGHTS,
    ),
    (Signal.TERMINATE, SignalOutcome.NO_RIGHTS): ("bad", NO_RIGHTS),
}
FINISHED = (
    "",
    (
        "Already finished: that session does not run that statement any more. "
        "Nothing was ended."
    ),
)
FAILED = ("bad", "The signal could not be sent; the database did not take it.")


def show_all(call: OpsCall) -> Reply:
    """All sessions of this database, and all connections that we hold."""
    site = call.site
    picture = site.backoffice.keeper.picture()
    reading = read_activity(site.backoffice.ops, deadline=call.left)
    lives = with_holders(reading.value or (), picture.pools)
    acts = call.signals
    names = process_names(picture)
    held: list[LiveRow] = []
    waiting: list[LiveRow] = []
    for status in picture.pools:
        name = names.get(status.process, "process")
        held.extend(holding_row(site, one, name) for one in status.holders)
        waiting.extend(waiting_row(site, one, name) for one in status.waiting)
    tree = lock_tree(reading.value or ())
    by_pid = {one.backend.pid: one for one in lives}
    rows = tree_rows(site, tree, by_pid, acts=acts)
    shown = {node.pid for node in tree}
    rows.extend(
        live_row(site, one, acts=acts) for one in lives if one.backend.pid not in shown
    )
    view = ConnectionsView(
        rows=tuple(rows),
        held=tuple(held),
        waiting=tuple(waiting),
        unread=unread("The server's sessions", reading, ops_url(site, "connections"))
        or hidden_note(reading.value or ()),
        sub="those who wait for each other first, each behind whom it waits for",
        absent=f"{reading.text}: each process opens the file for itself."
        if reading.state is State.NOT_HERE
        else "",
    )
    crumbs = [Link("Operations", ""), Link("Metrics", ops_url(site))]
    sub = (
        f"{plural(len(lives), 'session')} of the server, "
        f"{len(held)} of them held by our processes"
        if reading.is_fresh
        else f"{plural(len(held), 'connection')} held by our processes"
    )
    return Page(
        "connections", view, frame(call, title="Connections", crumbs=crumbs, sub=sub)
    )


def show(call: OpsCall) -> Reply:
    """One session, whom it waits for, and the way to end it."""
    site = call.site
    pid = int(call.request.path_params["pid"])
    picture = site.backoffice.keeper.picture()
    reading = read_activity(site.backoffice.ops, deadline=call.left)
    backends = reading.value or ()
    lives = {one.backend.pid: one for one in with_holders(backends, picture.pools)}
    found = lives.get(pid)
    if found is None:
        if reading.is_fresh:
            raise NotFound(f"No session has the pid {pid}: it has ended.")
        raise NotFound("The server's sessions cannot be read now; try again.")
    tree = list(tree_rows(site, lock_tree(_around(pid, backends)), lives))
    cancelled = call.request.query_params.get("cancelled", "")
    view = described(call, picture, found, tuple(tree), cancelled)
    crumbs = [
        Link("Operations", ""),
        Link("Metrics", ops_url(site)),
        Link("Connections", ops_url(site, "connections")),
    ]
    return Page("connection", view, frame(call, title=f"Session {pid}", crumbs=crumbs))


def described(
    call: OpsCall,
    picture: Picture,
    found: Live,
    tree: tuple[LiveRow, ...],
    cancelled: str,
) -> ConnectionView:
    """The session in words, with what may be done to it."""
    site, backend, holding = call.site, found.backend, found.holding
    is_idle = not backend.state.startswith("active")
    waited = _cancelled_for(call, backend.pid, backend.started, cancelled)
    why_not = why_not_signalled(backend)
    can_be = bool(backend.started) and not why_not
    may_cancel = call.has("ops:cancel") and can_be and backend.state == "active"
    # First the statement, only then the session: a transaction that stands idle has
    # no statement to cancel.
    is_due = waited is not None and waited >= PATIENCE
    may_terminate = call.has("ops:terminate") and can_be and (is_idle or is_due)
    view = (holding.view if holding else "") or backend.view
    action = (holding.action if holding else "") or backend.action
    facts = [
        ("State", state_words(backend)),
        ("Works for", place(site, view, action) or "not known"),
        ("User", holding.user if holding and holding.user else "unknown"),
        ("Role", backend.role),
        ("Application", backend.application),
        ("What it does", f"no rights: {NEEDS}" if backend.is_hidden else ""),
        ("Waits for a lock for", _span(backend.waited)),
        ("In this state for", _span(backend.in_state)),
        ("Statement began", _span(backend.running, "ago")),
        ("Transaction began", _span(backend.in_transaction, "ago")),
    ]
    if holding is not None:
        name = process_names(picture).get(found.process or 0, "process")
        facts.append(("Process", f"{name}, pid {found.process}"))
        facts.append(("Held for", duration(holding.age)))
    statement, request = NO_LINK, NO_LINK
    if holding is not None and holding.fingerprint:
        url = ops_url(site, "statement", holding.fingerprint)
        statement = Link(brief(backend.text) or "its last statement", url)
    if holding is not None and holding.request_id:
        url = ops_url(site, "request", holding.request_id)
        request = Link(holding.request_id, url)
    return ConnectionView(
        facts=tuple(fact for fact in facts if fact[1]),
        sql=coloured(backend.text) if backend.text else (),
        tree=tree,
        act_url=ops_url(site, "connection", str(backend.pid)),
        started=backend.started,
        cancelled=cancelled,
        may_cancel=may_cancel,
        may_terminate=may_terminate,
        words=_words(call, why_not, may_cancel=may_cancel, may_terminate=may_terminate),
        statement=statement,
        request=request,
    )


def _words(
    call: OpsCall, why_not: str, *, may_cancel: bool, may_terminate: bool
) -> str:
    """What ending would do, or why it is not offered."""
    if call.passed_at is not None:
        return "The database does not say who you are: nothing can be ended now."
    if why_not:
        return f"It cannot be ended from here: {why_not}."
    if may_terminate:
        return (
            "Ending the session rolls its transaction back; who works in it gets an "
            "error. What it had committed stays."
        )
    if may_cancel:
        return (
            "Cancelling ends the statement that runs now; its transaction fails and is "
            "rolled back by who works in it."
        )
    if not call.has("ops:terminate"):
        roles = " or ".join(roles_that_may("ops:terminate"))
        return f"Nothing runs here. Ending the session needs the role {roles}."
    return ""


def end(call: OpsCall) -> Reply:
    """Cancel, or terminate what was cancelled before and is still there."""
    site = call.site
    pid = int(call.request.path_params["pid"])
    started = call.posted("started") or ""
    signal = Signal.TERMINATE if call.posted("signal") == "terminate" else Signal.CANCEL
    right = f"ops:{signal}"
    if not call.has(right):
        roles = " or ".join(roles_that_may(right))
        raise NotPermitted(f"To {signal} a session needs the role {roles}.")
    if signal is Signal.TERMINATE and not _may_terminate(call, pid, started):
        return Redirect(
            ops_url(site, "connection", str(pid)),
            Message("warn", "First cancel its statement, and give it 5 seconds."),
        )
    whom = _whom(call, pid, started)
    outcome = end_backend(site.backoffice.ops, signal, pid, started)
    site.backoffice.keeper.recorder.count(CANCELS, str(signal), str(outcome))
    level, words = WORDS.get(
        (signal, outcome), FINISHED if outcome is SignalOutcome.FINISHED else FAILED
    )
    whom["outcome"] = str(outcome)
    if not _write_entry(call, signal, pid, whom):
        words += " The history could not be written."
    query = {}
    if signal is Signal.CANCEL and outcome is SignalOutcome.SENT:
        query["cancelled"] = str(_serializer(call).dumps([pid, started]))
    is_gone = outcome is SignalOutcome.FINISHED or signal is Signal.TERMINATE
    url = (
        ops_url(site, "connections")
        if is_gone
        else ops_url(site, "connection", str(pid), **query)
    )
    return Redirect(url, Message(level, words))


def _may_terminate(call: OpsCall, pid: int, started: str) -> bool:
    """Whether its statement was cancelled, or there is none to cancel."""
    waited = _cancelled_for(call, pid, started, call.posted("cancelled") or "")
    if waited is not None and waited >= PATIENCE:
        return True
    reading = read_activity(call.site.backoffice.ops)
    found = [one for one in reading.value or () if one.pid == pid]
    return not found or found[0].state != "active"


def _cancelled_for(
    call: OpsCall, pid: int, started: str, cancelled: str
) -> float | None:
    """How long ago this statement was cancelled, by the word that we gave out then."""
    if not cancelled:
        return None
    try:
        values, when = _serializer(call).loads(
            cancelled, max_age=CANCELLED_FOR, return_timestamp=True
        )
    except BadData:
        return None
    return time.time() - when.timestamp() if values == [pid, started] else None


def _serializer(call: OpsCall) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        call.site.backoffice.secret_key, salt="backoffice.cancelled"
    )


def _whom(call: OpsCall, pid: int, started: str) -> dict[str, str]:
    """Whose session it is, for the history: asked before it is gone."""
    site = call.site
    found = {"began": started}
    reading = read_activity(site.backoffice.ops)
    pools = site.backoffice.keeper.picture().pools
    lives = with_holders(reading.value or (), pools)
    live = next((one for one in lives if one.backend.pid == pid), None)
    if live is None:
        return found
    backend, holding = live.backend, live.holding
    view = (holding.view if holding else "") or backend.view
    action = (holding.action if holding else "") or backend.action
    found["role"] = backend.role
    found["user"] = holding.user if holding is not None else ""
    found["view"] = place(site, view, action)
    found["statement"] = brief(backend.text) if backend.text else ""
    found["fingerprint"] = holding.fingerprint if holding is not None else ""
    found["request"] = holding.request_id if holding is not None else ""
    return {name: value for name, value in found.items() if value}


def _write_entry(call: OpsCall, signal: Signal, pid: int, whom: dict[str, str]) -> bool:
    """Write who ended whom, over the ops connection: the pool may be full."""

    def write(link: Connection) -> bool:
        with Session(link) as session:
            add_entry(
                session,
                action=f"{signal}_backend",
                label=f"session {pid}",
                changes={name: [None, value] for name, value in whom.items()},
                actor=call.login.actor,
                view="metrics",
            )
            session.commit()
        return True

    return call.site.backoffice.ops.call("audit", write).is_fresh


def _around(pid: int, backends: tuple[Backend, ...]) -> list[Backend]:
    """The sessions that wait for this one or that it waits for, however far."""
    links: dict[int, set[int]] = {}
    for one in backends:
        for other in one.blocked_by:
            links.setdefault(one.pid, set()).add(other)
            links.setdefault(other, set()).add(one.pid)
    found, todo = {pid}, [pid]
    while todo:
        for other in links.get(todo.pop(), ()):
            if other not in found:
                found.add(other)
                todo.append(other)
    return [one for one in backends if one.pid in found] if len(found) > 1 else []


def _span(seconds: Any, after: str = "") -> str:
    if seconds is None:
        return ""
    return f"{duration(max(0.0, seconds))} {after}".rstrip()
