"""How what was observed is put in words: pools, sessions, statements, findings."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from backoffice.admin.call import address
from backoffice.admin.places import NOWHERE, place
from backoffice.admin.presentation import Hidden, Link, Moment
from backoffice.admin.presentation_metrics import (
    NO_LINK,
    Bar,
    FindingRow,
    LiveRow,
    PoolRow,
    SampleRow,
    SlowRow,
    StatementRow,
    Unread,
    ViewRow,
)
from backoffice.admin.svg import percent
from backoffice.admin.words import (
    NBSP,
    duration,
    moment,
    number,
    plural,
    share,
    size,
)
from backoffice.explain.statement import has_plan
from backoffice.observability.activity import (
    Backend,
    Live,
    LockNode,
    Signal,
    hidden_words,
    why_not_signalled,
)
from backoffice.observability.brief import brief
from backoffice.observability.counters import FindingStats, StatementStats, ViewStats
from backoffice.observability.error_words import error_words
from backoffice.observability.findings import READ_EACH
from backoffice.observability.measurement import CANCELLED
from backoffice.observability.ops_connection import Reading, State
from backoffice.observability.picture import Picture, ProcessInfo
from backoffice.observability.pool import HIGHEST_HEALTHY, Holding, PoolStatus, Waiting
from backoffice.observability.pool_health import WAIT_P95_WARN_MS
from backoffice.observability.slow_log import SlowEntry

if TYPE_CHECKING:
    from backoffice.admin.site import Site

LONG_RUNNING = 1.0
SHORT_ID = 8
NOTHING: frozenset[Signal] = frozenset()
_KEYWORDS = re.compile(
    r"\b(SELECT|DISTINCT|FROM|LEFT OUTER JOIN|JOIN|ON|WHERE|AND|OR|NOT|IN|IS|NULL|"
    r"ORDER BY|GROUP BY|HAVING|LIMIT|OFFSET|ASC|DESC|UNION ALL|INSERT INTO|VALUES|"
    r"UPDATE|SET|DELETE|RETURNING|AS|WITH|CASE|WHEN|THEN|ELSE|END|EXISTS|LIKE|ILIKE|"
    r"BETWEEN|FOR|CAST|COMMIT|COPY)\b"
)
_BREAKS = re.compile(
    r"(?<!OUTER)(?<!DISTINCT) (?=(?:FROM|WHERE|ORDER BY|GROUP BY|HAVING|LIMIT|"
    r"LEFT OUTER JOIN|JOIN|UNION ALL|RETURNING|SET|VALUES|ON CONFLICT)\b)"
)


def ops_url(site: "Site", *parts: str, **query: str) -> str:
    """An address below `/admin/metrics`."""
    url = address(site.base_url, "metrics", *parts)
    return f"{url}?{urlencode(query)}" if query else url


def ms(value: float | None) -> str:
    """Milliseconds in the unit that fits; "none" where nothing was measured."""
    return "none" if value is None else duration(value / 1e3)


def at(seconds: float) -> Moment:
    """An instant, in seconds since 1970, as one says it, with its seconds."""
    value = datetime.fromtimestamp(seconds, UTC)
    return precise(value)


def precise(value: datetime) -> Moment:
    """A time of today with its seconds, else with its day."""
    found = moment(value, with_time=True)
    local = value.astimezone()
    is_today = local.date() == datetime.now().astimezone().date()
    return found._replace(text=f"{local:%H:%M:%S}") if is_today else found


def unread(what: str, reading: Reading[Any], retry_url: str = "") -> Unread | None:
    """Why a panel is not of now; None where it is, or where there can be none."""
    if reading.is_fresh or reading.state is State.NOT_HERE:
        return None
    why = f"{reading.state}"
    if reading.text and reading.state is not State.NO_DATA:
        why = f"{reading.state}: {reading.text}"
    last = f"Last read {at(reading.at).text}." if reading.at is not None else ""
    return Unread(what, why, last, retry_url)


def hidden_note(found: Iterable[Backend]) -> Unread | None:
    """What the database's role may not see of the sessions; None where it sees all."""
    words = hidden_words(found)
    return Unread("What other roles do", words) if words else None


# Statements ------------------------------------------------------------------------


def coloured(text: str) -> tuple[tuple[str, str], ...]:
    """A statement in lines, in pieces: keywords ("b") and the rest ("")."""
    broken = _BREAKS.sub("\n", text)
    pieces, last = [], 0
    for match in _KEYWORDS.finditer(broken):
        if match.start() > last:
            pieces.append(("", broken[last : match.start()]))
        pieces.append(("b", match.group()))
        last = match.end()
    pieces.append(("", broken[last:]))
    return tuple(pieces)


def percentage(part: float, whole: float) -> str:
    """A share in words; a little is "< 1 %", not zero."""
    if whole and 0 < part / whole < 0.005:  # noqa: PLR2004 - what rounds to zero
        return f"< 1{NBSP}%"
    return share(part, whole) if whole else f"0{NBSP}%"


def statement_row(site: "Site", one: StatementStats, whole_ns: int) -> StatementRow:
    """A statement by a view."""
    part = percentage(one.histogram.total, whole_ns)
    return StatementRow(
        text=brief(one.text, one.operation, one.table),
        url=ops_url(site, "statement", one.fingerprint),
        place=place(site, one.view, one.action) or NOWHERE,
        bar=meter(one.histogram.total, whole_ns, part),
        share=part,
        calls=number(one.calls),
        p95=ms(one.quantile_ms(0.95)),
        highest=ms(one.max_ms),
        rows=number(round(one.rows / one.calls)) if one.calls else "0",
        errors=number(one.errors),
        has_errors=one.errors > 0,
    )


def meter(part: float, whole: float, label: str, tone: str = "") -> Bar:
    """A bar with one part."""
    return Bar(label, (("", "0%", percent(part, whole)),), tone)


def split_bar(parts: Sequence[tuple[str, str, float]]) -> Bar:
    """A bar of several parts: class, name and size of each."""
    whole = sum(value for _, _, value in parts)
    if whole <= 0:
        return Bar("no time", ())
    drawn, edge = [], 0.0
    for css, _, value in parts:
        width = value / whole * 100
        if width > 0:
            # A gap of a third of a percent between parts.
            drawn.append((css, f"{edge:.1f}%", f"{max(0.4, width - 0.3):.1f}%"))
        edge += width
    label = ", ".join(f"{name} {value / whole * 100:.0f} %" for _, name, value in parts)
    return Bar(label, tuple(drawn))


PARTS = (("d", "wait"), ("", "execute"), ("b", "fetch"), ("c", "commit"))


def slow_row(site: "Site", one: SlowEntry) -> SlowRow:
    """A line of the slow log."""
    return SlowRow(
        at=precise(one.at),
        url=ops_url(site, "statement", one.fingerprint),
        ms=number(round(one.total_ms)),
        bar=split_bar([(css, n, getattr(one, f"{n}_ms")) for css, n in PARTS]),
        place=place(site, one.view, one.action) or NOWHERE,
        user=one.actor_label,
        outcome=outcome(one),
        tone="t-bad" if one.error else "",
    )


def outcome(one: SlowEntry) -> str:
    """How a call ended, or why it counts as slow."""
    if one.error:
        if one.error == CANCELLED:  # by somebody, or by a limit: one code for both
            return f"{one.reason} ({CANCELLED})"
        return error_words(one.error)
    if one.baseline_ms is not None:
        return f"usually {ms(one.baseline_ms)}"
    return "done"


def sample_row(site: "Site", one: SlowEntry) -> SampleRow:
    """A call of a statement."""
    request = NO_LINK
    if one.request_id:
        url = ops_url(site, "request", one.request_id)
        request = Link(one.request_id[:SHORT_ID], url)
    return SampleRow(
        at=precise(one.at),
        ms=ms(one.total_ms),
        rows="" if one.row_count is None else number(one.row_count),
        user=one.actor_label or "nobody",
        place=place(site, one.view, one.action),
        outcome=outcome(one) + (f", {one.more} more like it" if one.more else ""),
        request=request,
        tone="t-bad" if one.error else "",
        explain=call_hidden(one.fingerprint, one.request_id, one.at, one.process)
        if has_plan(one.text)
        else (),
    )


def call_hidden(
    fingerprint: str, request_id: str, at: datetime, process: str = ""
) -> tuple[Hidden, ...]:
    """The fields of a form that names one call of a statement."""
    found = {
        "fingerprint": fingerprint,
        "request": request_id,
        "at": at.isoformat(),
        "process": process,
    }
    return tuple(Hidden(name, value) for name, value in found.items() if value)


# Views -----------------------------------------------------------------------------


def view_row(site: "Site", one: ViewStats) -> ViewRow:
    """What a view's pages take, and what the server reads for them."""
    p95 = one.histogram.quantile(0.95)
    each, looked = one.rows_each, "not looked at yet"
    if one.sampled:
        looked = f"{plural(one.sampled, 'page')} looked at"
    return ViewRow(
        place=place(site, one.view, one.action),
        url=ops_url(site, view=one.view) + "#statements",
        requests=number(one.requests),
        p95=ms(p95 / 1e6 if p95 is not None else None),
        highest=ms(one.histogram.maximum / 1e6),
        statements=f"{one.statements / one.requests:.1f}" if one.requests else "",
        reads="unknown" if each is None else factor(each),
        looked=looked,
        over=number(one.over_budget),
        reads_tone="t-warn strong" if (each or 0) >= READ_EACH else "",
        over_tone="t-warn strong" if one.over_budget else "muted",
    )


def factor(value: float) -> str:
    """How many times: 1.4, 38, 1,204."""
    return f"{value:.1f}" if value < 10 else number(round(value))  # noqa: PLR2004


# Pools -----------------------------------------------------------------------------


def process_names(picture: Picture) -> dict[int, str]:
    """What processes are called: "web 1", "web 2", "command"."""
    names, servers = {}, 0
    for one in sorted(picture.processes, key=lambda process: process.started):
        if one.kind == "server":
            servers += 1
            names[one.pid] = f"web {servers}"
        else:
            names[one.pid] = one.kind or "process"
    return names


def pool_row(
    site: "Site", status: PoolStatus, name: str, process: ProcessInfo | None
) -> PoolRow:
    """A pool; what its kind does not know stays empty, and is said."""
    used, tone = number(status.checked_out), ""
    bar = None
    if status.max:
        used = f"{status.checked_out} of {status.max}"
        tone = "" if status.is_healthy else "bad"
        bar = meter(status.checked_out, status.max, used, tone)
    oldest = status.oldest
    words = ""
    if oldest is not None:
        # Without a view it is nobody's page: what works on its own may keep it.
        who = place(site, oldest.view, oldest.action) or "kept for work of our own"
        words = ", ".join(filter(None, [who, oldest.user, duration(oldest.age)]))
    p95 = status.wait_p95_ms
    # A pool without a limit of its own keeps no page waiting, and is no rule's.
    is_late = status.max is not None and (p95 or 0) >= WAIT_P95_WARN_MS
    label = name if status.name == "default" else f"{name}, {status.name}"
    return PoolRow(
        process=label,
        pid=f"pid {status.process}",
        bar=bar,
        used=used,
        checked_in=known(status.checked_in, status),
        overflow=known(status.overflow, status),
        waiting=known(status.waiters, status),
        wait=ms(p95) if p95 is not None else "no waits",
        longest=ms(status.wait_max_ms) if status.wait_max_ms is not None else "",
        timeouts=known(status.timeouts, status),
        refused=number(status.connect_errors),
        lost=number(status.invalidated),
        refused_tone="t-bad" if status.connect_errors else "",
        oldest=words or "nobody holds one",
        memory=size(process.memory) if process and process.memory else "unknown",
        tone=f"t-{tone}" if tone else "",
        waiting_tone="t-bad strong" if status.waiters else "",
        wait_tone="t-bad" if is_late else "",
        cannot=" ".join(status.cannot),
    )


def known(value: int | None, status: PoolStatus) -> str:
    """A number; nothing where there is no such thing, "unknown" where there is one."""
    if value is not None:
        return number(value)
    return "" if status.max is None else "unknown"


def fullest(pools: Iterable[PoolStatus]) -> PoolStatus | None:
    """The pool that is used most; None where none has a limit."""
    limited = [one for one in pools if one.utilization is not None]
    return max(limited, key=lambda one: one.utilization or 0.0, default=None)


def is_full(status: PoolStatus) -> bool:
    """Whether more than four fifths are in use."""
    return (status.utilization or 0.0) > HIGHEST_HEALTHY


# Sessions --------------------------------------------------------------------------


def live_row(
    site: "Site",
    one: Live,
    *,
    depth: int = 0,
    blocks: int = 0,
    acts: frozenset[Signal] = NOTHING,
) -> LiveRow:
    """A session of the server, with whoever of ours is at its other end.

    `acts` is what may be done to it: only what would do something is offered.
    """
    backend, holding = one.backend, one.holding
    view, action, user = backend.view, backend.action, ""
    if holding is not None:
        view, action = holding.view or view, holding.action or action
        user = holding.user
    idle = backend.state.startswith("idle in")
    state, tone = state_words(backend), ""
    act, why_not = _act(backend, acts), why_not_signalled(backend)
    if idle and (backend.in_state or 0) >= LONG_RUNNING:
        tone = "warn" if not blocks else "bad"
    lasting = backend.in_state if idle else backend.running
    if backend.blocked_by and backend.waited is not None:
        lasting = backend.waited
    return LiveRow(
        name=f"pid {backend.pid}",
        url=ops_url(site, "connection", str(backend.pid)),
        place=place(site, view, action) or backend.application or backend.role,
        user=user or ("" if view else backend.role),
        state=state,
        lasting=duration(lasting) if lasting is not None else "",
        blocks=number(blocks) if blocks or depth else "",
        depth={0: "", 1: "d1"}.get(depth, "d2"),
        tone=tone,
        is_hot=bool(blocks) and depth == 0,
        act=act if not why_not else "",
        why_not=why_not if act else "",
    )


def _act(backend: Backend, acts: frozenset[Signal]) -> str:
    """What the button says: a statement is cancelled, what only stands is ended."""
    if backend.is_hidden or not backend.started:
        return ""
    if backend.state == "active":
        return "Cancel…" if Signal.CANCEL in acts else ""
    stands = backend.state.startswith("idle in")
    return "End it…" if stands and Signal.TERMINATE in acts else ""


def state_words(backend: Backend) -> str:
    """What a session does, or for whom it waits."""
    if backend.blocked_by:
        others = ", ".join(str(pid) for pid in backend.blocked_by[:3])
        return f"waits for {others}"
    if backend.is_hidden:
        return "no rights to see it"
    if backend.state == "active" and backend.wait:
        return f"active, {backend.wait}"
    return backend.state or "unknown"


def tree_rows(
    site: "Site",
    nodes: Iterable[LockNode],
    known_as: dict[int, Live],
    *,
    acts: frozenset[Signal] = NOTHING,
) -> list[LiveRow]:
    """Those who wait for each other, each root first."""
    rows = []
    for node in nodes:
        live = known_as.get(node.pid)
        if live is None:
            rows.append(
                LiveRow(
                    name=f"pid {node.pid}" if node.pid else "a prepared transaction",
                    url="",
                    place="unknown",
                    user="",
                    state="not among the sessions",
                    lasting="",
                    blocks=number(node.waiting),
                    is_hot=node.is_root,
                )
            )
            continue
        rows.append(
            live_row(site, live, depth=node.depth, blocks=node.waiting, acts=acts)
        )
    return rows


def holding_row(site: "Site", one: Holding, name: str) -> LiveRow:
    """A connection that somebody has out of a pool, as the process itself knows it."""
    pid = str(one.backend_pid) if one.backend_pid is not None else ""
    return LiveRow(
        name=f"pid {pid}" if pid else name,
        url=ops_url(site, "connection", pid) if pid else "",
        place=place(site, one.view, one.action) or NOWHERE,
        user=one.user,
        state=f"{one.state}, {duration(one.in_state)}",
        lasting=duration(one.age),
        tone="warn" if one.is_idle_in_transaction and one.in_state >= 1 else "",
    )


def waiting_row(site: "Site", one: Waiting, name: str) -> LiveRow:
    """Somebody who has no connection yet."""
    return LiveRow(
        name=name,
        url="",
        place=place(site, one.view, one.action) or NOWHERE,
        user=one.user,
        state="waits for a connection",
        lasting=duration(one.age),
    )


# Findings --------------------------------------------------------------------------


def finding_row(site: "Site", one: FindingStats, hours: float) -> FindingRow:
    """A finding, with what it costs an hour and the evidence."""
    evidence = NO_LINK
    if one.request_id:
        evidence = Link("Request", ops_url(site, "request", one.request_id))
    elif one.fingerprint:
        url = ops_url(site, "statement", one.fingerprint)
        evidence = Link("Statement", url)
    saves = ""
    if one.saved_ms:
        saves = f"{duration(one.saved_ms / 1e3 / max(hours, 1 / 60))}/h"
    return FindingRow(
        text=one.text,
        fix=one.fix[:1].upper() + one.fix[1:],
        line=one.line,
        place=place(site, one.view, one.action),
        saves=saves,
        met=f"{plural(one.count, 'time')}, last {at(one.last_seen).text}",
        evidence=evidence,
    )
