"""What the metrics rest on: one request, all findings, all checks."""

from typing import TYPE_CHECKING

from sqlalchemy import Connection

from backoffice.admin.call import Page, Reply, address
from backoffice.admin.explaining_calls import why_generic
from backoffice.admin.failures import NotFound
from backoffice.admin.frame import frame
from backoffice.admin.known_values import values_view
from backoffice.admin.ops_answer import OpsCall
from backoffice.admin.panels import (
    at,
    call_hidden,
    finding_row,
    meter,
    ms,
    ops_url,
    percentage,
    sample_row,
    unread,
)
from backoffice.admin.places import NOWHERE, place
from backoffice.admin.presentation import Link
from backoffice.admin.presentation_metrics import (
    AskedRow,
    CheckRow,
    ChecksView,
    FindingsView,
    RequestView,
)
from backoffice.admin.presentation_values import ValuesView
from backoffice.admin.readings import hours, take_readings
from backoffice.admin.verdict import LEVELS
from backoffice.admin.words import number, plural
from backoffice.explain.statement import has_plan
from backoffice.observability.brief import brief
from backoffice.observability.error_words import error_words
from backoffice.observability.judgement import RULES, Rule
from backoffice.observability.ops_connection import Reading
from backoffice.observability.picture import LIVE_AFTER
from backoffice.observability.pool_health import Health
from backoffice.observability.request_log import PastRequest
from backoffice.observability.slow_log import SlowEntry, read_slow
from backoffice.observability.snapshots import STATEMENTS_EVERY
from backoffice.observability.values import Call as Kept

if TYPE_CHECKING:
    pass

SHOWN, EVERY = 100, 1_000
# What the numbers of the page mean: anchor, number, meaning.
MEANINGS = (
    (
        "p95",
        "p50, p95, p99",
        (
            "The time that half, 95 and 99 of 100 statements stayed below, waiting "
            "for a connection included. Counted in buckets: exact to 6.25 %."
        ),
    ),
    (
        "statements",
        "Statements",
        (
            "Everything that our processes sent to the database, commits included, "
            "mean of the last 5 minutes. What the metrics ask is not among them."
        ),
    ),
    (
        "parts",
        "Wait, execute, fetch, commit",
        (
            "The wait for a connection counts with the first statement that ran on it; "
            "fetch ends when the last row was read."
        ),
    ),
    (
        "checked-out",
        "In use, checked in, overflow",
        (
            "Connections that somebody holds, that lie ready, and that are open above "
            "the pool's size. Utilization is in use of size + max overflow."
        ),
    ),
    (
        "waits-of-pool",
        "Waiting, wait, timeouts",
        (
            "Requests that wait for a connection now; how long those of the last "
            "minute waited, making a connection left out; those that got none in time."
        ),
    ),
    (
        "lost-connections",
        "Refused, lost",
        (
            "Connections that the server did not give, each a failed statement with "
            "its code; those that were thrown away because they were broken."
        ),
    ),
    (
        "memory-of-process",
        "Memory",
        "What the process occupies, all of it: not the pool alone.",
    ),
    (
        "share",
        "Share of time",
        "Of the time that all statements took which are counted now.",
    ),
    (
        "rows",
        "Rows each",
        "Rows that a call returned or changed, on average.",
    ),
    (
        "failed",
        "Errors",
        (
            "Calls that the database refused, or that were cancelled or ran into a "
            "limit; the slow log has each with its code."
        ),
    ),
    (
        "views",
        "Views",
        (
            "The time from a request to the end of its answer, of the view's pages; "
            "statements without commits; pages over what their view declares."
        ),
    ),
    (
        "reads",
        "Rows read per row shown",
        (
            "PostgreSQL counts what a session reads, table by table. Of a sample of "
            "pages (and the first of each kind) its counters are read before and "
            "after: rows of sequential scans and entries of indexes, by the rows that "
            "the page's statements returned. What parallel workers read is not among "
            "them, so it is at least that much. From 1,000 on, and 10,000 rows, it is "
            "a finding. The look itself is no statement of the page's: it stands "
            "among what observing costs."
        ),
    ),
    (
        "growth",
        "Growth",
        (
            "Sizes are written once an hour and kept for as long as the slow log, one "
            "a day after two days; growth is since a week ago, or since the oldest."
        ),
    ),
    (
        "saves",
        "Would save",
        (
            "The time that the finding has cost the database since counting began, "
            "for each hour of it."
        ),
    ),
    (
        "since",
        "Since",
        (
            "Counting begins with the first process, or when an administrator begins "
            "it anew: for all processes of this machine, those that are gone included. "
            "The totals of /metrics go on, and the slow log stays."
        ),
    ),
    (
        "cost",
        "What observing costs",
        (
            "The time of our part of SQLAlchemy's events and of counting (one "
            "statement in 64 is timed and stands for all), of the snapshots, of "
            "writing the slow log and the sizes, and of pruning. Not in it: reading "
            "the clock twice for each fetch, and what this page asks on its own "
            "connection."
        ),
    ),
    (
        "coverage",
        "Processes",
        (
            "Each process of this machine writes what it knows every two seconds; what "
            "a dead one has counted stays in the sum."
        ),
    ),
)


def show_request(call: OpsCall) -> Reply:
    """A request's statements while a process knows them, and what the log has of it."""
    site = call.site
    request_id = str(call.request.path_params["request_id"])[:64]
    keeper = site.backoffice.keeper
    picture = keeper.picture()
    past = keeper.snapshots.request(request_id)

    def read(link: Connection) -> tuple[SlowEntry, ...]:
        return read_slow(link, request_id=request_id, limit=SHOWN)

    stored: Reading[tuple[SlowEntry, ...]] = site.backoffice.ops.call(
        "request", read, deadline=call.left
    )
    # Another request's lines, from memory, would be a wrong answer.
    lines = (stored.value or ()) if stored.is_fresh else ()
    found = [one for one in picture.attention(EVERY) if one.request_id == request_id]
    calls = site.backoffice.keeper.recorder.values.of_request(request_id)
    if past is None and not (lines or found or calls):
        if not stored.is_fresh:
            raise NotFound(
                "No process knows this request any more, and the slow log cannot be "
                "read now."
            )
        if len([one for one in picture.processes if one.age <= LIVE_AFTER]) > 1:
            raise NotFound(
                "No request of this number is known, or not yet, or not any more: "
                f"processes tell each other of theirs every {STATEMENTS_EVERY:.0f} s. "
                "Load this page again then."
            )
        raise NotFound("No request of this number is known, or not any more.")
    every = site.backoffice.settings.observability.flush_seconds
    view = RequestView(
        facts=request_facts(call, past, lines),
        samples=tuple(sample_row(site, one) for one in lines),
        statements=asked_rows(call, past, calls) if past is not None else (),
        statements_sub=asked_words(past),
        explain_url=address(site.base_url, "explain")
        if call.has("ops:explain")
        else "",
        values=values_of(call, request_id, calls, lines),
        findings=tuple(finding_row(site, one, hours(picture)) for one in found),
        empty="None of its statements was slow or failed, or they are not written yet: "
        f"that happens every {every:g} s.",
        unread=unread(
            "The slow log",
            Reading(stored.state, text=stored.text),
            ops_url(site, "request", request_id),
        ),
    )
    drawn = frame(call, title=f"Request {request_id}", crumbs=crumbs_of(call))
    return Page("request", view, drawn)


def values_of(
    call: OpsCall,
    request_id: str,
    calls: tuple[Kept, ...],
    lines: tuple[SlowEntry, ...],
) -> ValuesView | None:
    """What the request's statements ran with, for who may see that."""
    if not call.has("ops:see_values") or not (calls or lines):
        return None
    last = lines[0] if lines else None
    why = why_generic(
        call.site, None, last.at if last else None, last.process if last else ""
    )
    return values_view(
        call.site,
        call.login,
        calls,
        view="metrics",
        request_id=request_id,
        empty=f"{why[:1].upper()}{why[1:]}.",
        has_statements=True,
    )


def request_facts(
    call: OpsCall, past: PastRequest | None, lines: tuple[SlowEntry, ...]
) -> tuple[tuple[str, str], ...]:
    """Whose it was, when, and where its time went."""
    site = call.site
    if past is None:
        if not lines:
            return ()
        first = lines[-1]
        return (
            ("Page", place(site, first.view, first.action)),
            ("User", first.actor_label or "nobody"),
            ("Process", first.process),
            ("Slow or failed", plural(len(lines), "statement")),
            ("Their time", ms(sum(one.total_ms for one in lines))),
        )
    split = past.split
    whose = lines[-1].actor_label if lines else past.user
    return (
        ("Page", place(site, past.view, past.action) or NOWHERE),
        ("User", whose or "nobody"),
        ("Began", at(past.at).text),
        ("Took", ms(split.total)),
        ("Wait for a connection", ms(split.wait)),
        ("Execute", ms(split.execute)),
        ("Fetch", ms(split.fetch)),
        ("Commit", ms(split.commit)),
        ("The rest", ms(split.render)),
    )


def asked_rows(
    call: OpsCall, past: PastRequest, calls: tuple[Kept, ...]
) -> tuple[AskedRow, ...]:
    """The statements in the order of their first call, repeats folded.

    What this process has the values of is explained with them.
    """
    times = {one.fingerprint: one.at for one in calls}
    whole = sum(one.ms for one in past.statements)
    rows = []
    for one in past.statements:
        notes = [error_words(error) for error in one.errors]
        if one.duplicates:
            notes.append(f"{number(one.duplicates + 1)} times the same")
        rows.append(
            AskedRow(
                text=brief(one.text, "", one.table),
                url=ops_url(call.site, "statement", one.fingerprint),
                bar=meter(one.ms, whole, percentage(one.ms, whole)),
                ms=ms(one.ms),
                repeats=f"{number(one.repeats)} times" if one.repeats > 1 else "once",
                rows=number(one.rows),
                note=", ".join(notes),
                tone="t-bad" if one.errors else "",
                explain=call_hidden(
                    one.fingerprint, past.request_id, times[one.fingerprint]
                )
                if one.fingerprint in times and has_plan(one.text)
                else (),
            )
        )
    return tuple(rows)


def asked_words(past: PastRequest | None) -> str:
    """How many there were, and what is not shown."""
    if past is None:
        return "No process knows them any more; what was slow or failed is below."
    words = plural(past.number, "statement")
    if past.dropped:
        words += f", {number(past.dropped)} of them not kept"
    return words


def show_findings(call: OpsCall) -> Reply:
    """All findings, the dearest first."""
    picture = call.site.backoffice.keeper.picture()
    rows = tuple(
        finding_row(call.site, one, hours(picture)) for one in picture.attention(SHOWN)
    )
    requests = sum(one.requests for one in picture.views.values())
    empty = f"Nothing was found in {plural(requests, 'request')}."
    drawn = frame(
        call,
        title="Findings",
        crumbs=crumbs_of(call),
        sub="by database time that can be saved",
    )
    return Page("findings", FindingsView(rows, empty), drawn)


def show_checks(call: OpsCall) -> Reply:
    """Each check: what it looks at, its limits, how it stands and since when."""
    judgement = take_readings(call).judgement
    by_rule = {verdict.rule: verdict for verdict in judgement.verdicts}
    rows = []
    for rule in RULES:
        verdict = by_rule.get(rule.name)
        if verdict is None:
            rows.append(
                _not_made(rule, is_server=call.site.backoffice.ops.is_postgresql)
            )
            continue
        tone = "none" if verdict.health is Health.UNKNOWN else LEVELS[verdict.health][0]
        rows.append(
            CheckRow(
                anchor=_anchor(rule.name),
                name=rule.words,
                rule=rule.limits,
                state=verdict.health.word,
                tone=tone,
                value=verdict.text,
                since=at(verdict.since).text if verdict.since else "",
            )
        )
    drawn = frame(call, title="What is checked and how", crumbs=crumbs_of(call))
    return Page("checks", ChecksView(tuple(rows), MEANINGS), drawn)


def _not_made(rule: Rule, *, is_server: bool) -> CheckRow:
    """A check that does not apply here, or that nothing was there for."""
    value = "" if is_server else rule.server
    state = "does not apply" if value else "not made"
    return CheckRow(
        _anchor(rule.name), rule.words, rule.limits, state, "none", value, ""
    )


def _anchor(name: str) -> str:
    return name.replace(" ", "-")


def crumbs_of(call: OpsCall) -> list[Link]:
    """The way back to the metrics."""
    return [Link("Operations", ""), Link("Metrics", ops_url(call.site))]
