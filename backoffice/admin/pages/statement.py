"""One statement: how it does, where its time goes, who runs it, and its slow calls."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from backoffice.admin.call import Page, Reply, address
from backoffice.admin.explaining_calls import note_of, why_generic
from backoffice.admin.failures import NotFound
from backoffice.admin.frame import frame
from backoffice.admin.known_values import values_view
from backoffice.admin.ops_answer import OpsCall
from backoffice.admin.panels import (
    PARTS,
    at,
    coloured,
    finding_row,
    meter,
    ms,
    ops_url,
    percentage,
    precise,
    sample_row,
    split_bar,
    unread,
)
from backoffice.admin.places import SITE, place, view_name
from backoffice.admin.presentation import Hidden, Link
from backoffice.admin.presentation_metrics import (
    OriginRow,
    Part,
    ServerCount,
    StatementView,
)
from backoffice.admin.presentation_values import ExplainForm, ValuesView
from backoffice.admin.readings import hours, since
from backoffice.admin.svg import TALL, plot
from backoffice.admin.whose_values import why_generic_for
from backoffice.admin.words import number, plural
from backoffice.explain.statement import has_plan
from backoffice.observability.brief import brief
from backoffice.observability.counters import StatementStats
from backoffice.observability.history import HourPoint, read_hours
from backoffice.observability.ops_connection import Reading
from backoffice.observability.picture import Picture
from backoffice.observability.server_statements_postgresql import (
    ServerStatement,
    read_server_statement,
)
from backoffice.observability.slow_log import SlowEntry, read_slow
from backoffice.observability.statement_texts import StatementRecord, read_statement
from backoffice.observability.values import Call as Kept

HOURS = 24
SAMPLES = 20
EVERY = 1_000
NAMES = {
    "wait": "Wait for a connection",
    "execute": "Execute",
    "fetch": "Fetch",
    "commit": "Commit",
}
Stored = tuple[StatementRecord | None, tuple[HourPoint, ...], tuple[SlowEntry, ...]]


def show(call: OpsCall) -> Reply:
    """The statement of this fingerprint, from memory and from the log."""
    fingerprint = str(call.request.path_params["fingerprint"])
    picture = call.site.backoffice.keeper.picture()
    sums = picture.statement(fingerprint)
    begin = datetime.now(UTC) - timedelta(hours=HOURS)

    def read(link: Connection) -> Stored:
        return (
            read_statement(link, fingerprint),
            read_hours(link, fingerprint, since=begin),
            read_slow(link, fingerprint=fingerprint, limit=SAMPLES),
        )

    ops = call.site.backoffice.ops
    stored: Reading[Stored] = ops.call("statement", read, deadline=call.left)
    if not stored.is_fresh:
        # What was read last belongs to another statement.
        stored = Reading(stored.state, text=stored.text)
    record, points, samples = stored.value or (None, (), ())
    if not sums and record is None:
        if not stored.is_fresh:
            raise NotFound(
                "This statement is not in memory, and the log cannot be read now."
            )
        raise NotFound("No statement of this fingerprint is known, or not any more.")
    whole = StatementStats(fingerprint, "")
    for one in sums:
        whole.add(one)
    if record is not None and len(record.text) >= len(whole.text):
        whole.text, whole.operation = record.text, record.operation
        whole.table = record.table_name
    shown = view_of(call, picture, whole, sums, stored, points, samples)
    counted = server_counts(call, whole)
    if counted is not None:
        shown = replace(
            shown,
            server=beside(whole, counted),
            server_sub=server_sub(counted),
            server_ids=", ".join(map(str, counted.ids)),
        )
    crumbs = [
        Link("Operations", ""),
        Link("Metrics", ops_url(call.site)),
        Link(f"Statement {fingerprint}", ""),
    ]
    title = brief(whole.text, whole.operation, whole.table)
    return Page("statement", shown, frame(call, title=title, crumbs=crumbs))


def view_of(
    call: OpsCall,
    picture: Picture,
    whole: StatementStats,
    sums: list[StatementStats],
    stored: Reading[Stored],
    points: tuple[HourPoint, ...],
    samples: tuple[SlowEntry, ...],
) -> StatementView:
    """The page's parts in words."""
    site = call.site
    retry = ops_url(site, "statement", whole.fingerprint)
    parts = [(css, NAMES[n], float(getattr(whole, n))) for css, n in PARTS]
    line, ticks, axis = day_of(points)
    findings = [
        one for one in picture.attention(EVERY) if one.fingerprint == whole.fingerprint
    ]
    total_ns = picture.total_ns()
    return StatementView(
        facts=facts_of(whole, total_ns),
        facts_sub=f"since {since(picture)}",
        sql=coloured(whole.text),
        plot=line,
        ticks=ticks,
        axis=axis,
        plot_note="Hours are written while the server runs; the newest is not over."
        if line
        else "No hour of it was written yet.",
        plot_unread=unread("Its hours", stored, retry),
        bar=split_bar(parts) if whole.calls else None,
        parts=tuple(
            Part(
                css,
                label,
                ms(value / 1e6 / whole.calls),
                percentage(value, sum(part for _, _, part in parts)),
            )
            for css, label, value in parts
        )
        if whole.calls
        else (),
        parts_sub=f"mean of {plural(whole.calls, 'call')}",
        origins=tuple(origin(call, one, whole.histogram.total) for one in sums),
        samples=tuple(sample_row(site, one) for one in samples),
        samples_unread=unread("Its slow calls", stored, retry),
        samples_sub="slow or failed",
        findings=tuple(finding_row(site, one, hours(picture)) for one in findings),
        explain=explain_form(call, whole),
        values=known_values(call, whole, samples),
        slow_url=address(site.base_url, "slow-log", "list")
        + f"?search={whole.fingerprint}",
    )


def server_counts(call: OpsCall, whole: StatementStats) -> ServerStatement | None:
    """What the server itself has counted of it; None where it does not."""
    ops, ids = call.site.backoffice.ops, call.site.query_ids
    if not ops.is_postgresql:
        return None

    def read(link: Connection) -> ServerStatement | None:
        return read_server_statement(
            link, ids, whole.fingerprint, whole.text, whole.table
        )

    found = ops.call("server statement", read, deadline=call.left)
    return found.value if found.is_fresh else None


def beside(whole: StatementStats, one: ServerStatement) -> tuple[ServerCount, ...]:
    """The server's numbers beside ours; what only one of them knows stays empty."""
    blocks = one.blocks_read + one.blocks_hit
    hit = percentage(one.blocks_hit, blocks) if blocks else "none read"
    each = f"{one.blocks_read / one.calls:.1f}".removesuffix(".0")
    return (
        ServerCount("Calls", number(whole.calls), number(one.calls)),
        ServerCount("Mean", ms(whole.mean_ms), ms(one.mean_ms)),
        ServerCount("Highest", ms(whole.max_ms), ms(one.max_ms)),
        ServerCount("Rows", number(whole.rows), number(one.rows)),
        ServerCount("Blocks read, each call", "", each),
        ServerCount("Blocks found in memory", "", hit),
    )


def server_sub(one: ServerStatement) -> str:
    """Since when, and what differs."""
    since_then = precise(one.since).text if one.since is not None else "its start"
    return (
        f"since {since_then}, whoever sent it; without planning, the wait for a "
        "connection and the way of the rows"
    )


def calls_of(call: OpsCall, fingerprint: str) -> tuple[Kept, ...]:
    """The calls whose values this process knows, the newest first."""
    recorder = call.site.backoffice.keeper.recorder
    found = (*recorder.newest_calls(fingerprint), *recorder.values.slow(fingerprint))
    once = {id(one.measured): one for one in found}
    return tuple(sorted(once.values(), key=lambda one: one.at, reverse=True))


def explain_form(call: OpsCall, whole: StatementStats) -> ExplainForm | None:
    """The button that explains it, and with which values it would."""
    if not call.has("ops:explain") or not has_plan(whole.text):
        return None
    known = calls_of(call, whole.fingerprint)
    best = next((one for one in known if one.is_whole), None)
    words = why_generic_for(call.login.role) or (
        note_of(call.site, best)
        if best is not None
        else f"Generic plan: {why_generic(call.site, known[0] if known else None)}."
    )
    hidden = (Hidden("fingerprint", whole.fingerprint),)
    return ExplainForm(address(call.site.base_url, "explain"), hidden, words)


def known_values(
    call: OpsCall, whole: StatementStats, samples: tuple[SlowEntry, ...]
) -> ValuesView | None:
    """What its last calls ran with, for who may see that."""
    if not call.has("ops:see_values"):
        return None
    newest = samples[0] if samples else None
    why = why_generic(
        call.site,
        None,
        datetime.fromtimestamp(whole.last_seen, UTC) if whole.last_seen else None,
        newest.process if newest and newest.at.timestamp() >= whole.last_seen else "",
    )
    return values_view(
        call.site,
        call.login,
        calls_of(call, whole.fingerprint),
        view="metrics",
        empty=f"{why[:1].upper()}{why[1:]}.",
    )


def facts_of(whole: StatementStats, total_ns: int) -> tuple[tuple[str, str], ...]:
    """Its numbers."""
    if not whole.calls:
        return (("Calls", "none since counting began"),)
    return (
        ("Share of time", percentage(whole.histogram.total, total_ns)),
        ("Calls", number(whole.calls)),
        ("p50", ms(whole.quantile_ms(0.5))),
        ("p95", ms(whole.quantile_ms(0.95))),
        ("p99", ms(whole.quantile_ms(0.99))),
        ("Highest", ms(whole.max_ms)),
        ("Rows each", number(round(whole.rows / whole.calls))),
        ("Errors", number(whole.errors)),
        ("First seen", at(whole.first_seen).text),
        ("Last", at(whole.last_seen).text),
    )


def origin(call: OpsCall, one: StatementStats, whole_ns: int) -> OriginRow:
    """One of those who run it."""
    view = call.site.view_called(one.view)
    part = percentage(one.histogram.total, whole_ns)
    action, name = one.action, view_name(call.site, one.view)
    if one.view == SITE:
        # The page's name says what it did.
        name, action = place(call.site, one.view, one.action), ""
    link = Link(name, "")
    if view is not None:
        url = address(call.site.base_url, view.identity, "list")
        link = Link(view.name_plural, url)
    return OriginRow(
        view=link,
        action=action,
        bar=meter(one.histogram.total, whole_ns, part),
        share=part,
        calls=number(one.calls),
        p95=ms(one.quantile_ms(0.95)),
        last=at(one.last_seen),
    )


def day_of(
    points: tuple[HourPoint, ...],
) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
    """The last 24 hours as a line, its ticks and its axis; empty without any."""
    if not points:
        return None, (), ()
    now = int(time.time() // 3600)
    known = {int(point.at.timestamp() // 3600): point.p95_ms for point in points}
    values = [known.get(hour) for hour in range(now - HOURS + 1, now + 1)]
    top = max((value for value in values if value is not None), default=0.0)
    line = plot(
        values,
        f"95th percentile over {HOURS} hours, highest {ms(top)}",
        top=top,
        height=TALL,
    )
    begin = datetime.now().astimezone() - timedelta(hours=HOURS - 1)
    steps = [begin + timedelta(hours=hour) for hour in (0, 6, 12, 18)]
    ticks = (ms(top), ms(top / 2), "0")
    return line, ticks, (*(f"{step:%H:00}" for step in steps), "now")
