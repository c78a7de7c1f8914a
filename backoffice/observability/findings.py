"""What should be mended: what a request did, said once, with its fix and its price."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from backoffice.observability.lazy_loads import lazy_loads, unused_loads
from backoffice.observability.request_log import RequestLog, Statement, asks_nothing

# Fewer equal statements, or quicker ones, are cheaper than anybody's attention.
REPEATS = 10
REPEATS_MS = 20.0
DUPLICATES = 2
# So many times the rows that it gave, and so many in all: small tables are read whole,
# and rightly so.
READ_EACH = 1_000
READ_ROWS = 10_000
# What the pages of a view do: they read its records as the view says.
PAGES_OF_VIEWS = frozenset({"list", "details", "edit", "delete", "export", "history"})


class FindingKind(StrEnum):
    """What was found."""

    LAZY_LOADS = "n+1"
    NOT_LOADED = "not loaded"
    UNUSED_LOAD = "unused load"
    REPEATS = "repeats"
    DUPLICATES = "duplicates"
    OVER_BUDGET = "over budget"
    READS = "reads"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something of one request that can be mended.

    `fix` says what to do, and `line` is the code of it, to be pasted. `subject` is
    what it is about (a relationship's path, a fingerprint); findings with the same
    kind, view and subject are the same one met again. `saved_ms` is what one request
    would have saved.
    """

    kind: FindingKind
    view: str
    action: str
    subject: str
    text: str
    fix: str
    saved_ms: float
    request_id: str
    fingerprint: str = ""
    line: str = ""


def findings_of(request: RequestLog) -> tuple[Finding, ...]:
    """Everything to be said of a request that has ended."""
    found = [*_lazy(request), *_missed(request), *_unused(request), *_reads(request)]
    lazy_ids = _lazy_fingerprints(request)
    for statement in request.folded():
        if statement.fingerprint not in lazy_ids:
            found.extend(_repeated(request, statement))
    over = request.over_budget()
    if over is not None:
        found.append(
            _finding(
                request,
                FindingKind.OVER_BUDGET,
                subject=request.action or "page",
                text=f"{_who(request)} is over its budget: {over.text}.",
                fix="mend what repeats, or declare what it needs",
                saved_ms=over.saved_ms,
            )
        )
    return tuple(found)


def _lazy(request: RequestLog) -> list[Finding]:
    return [
        _finding(
            request,
            FindingKind.LAZY_LOADS,
            subject=load.path,
            text=(
                f"{_who(request)} loaded {load.path} one by one"
                f" for {load.parents} records."
            ),
            **_load_along(request, load.model, load.path, load.key),
            # One statement for all of them stays.
            saved_ms=load.ms * (1 - 1 / load.parents),
        )
        for load in lazy_loads(request)
    ]


def _missed(request: RequestLog) -> list[Finding]:
    """What a list's records were asked for, and must not load one by one."""
    if request.loads is None:
        return []
    return [
        _finding(
            request,
            FindingKind.NOT_LOADED,
            subject=f"{model}.{key}",
            text=(
                f"{_who(request)} cannot show {model}.{key}: it was asked for"
                f" {number} times and is not loaded along."
            ),
            **_load_along(request, model, f"{model}.{key}", key),
        )
        for (model, key), number in request.loads.missed.items()
    ]


def _load_along(request: RequestLog, model: str, path: str, key: str) -> dict[str, Any]:
    """What to write, and where: in the view, where a view has read the records."""
    if request.action in PAGES_OF_VIEWS:
        return {
            "fix": f"load it along: in the view of {model}",
            "line": f'loads = ["{key}"]',
        }
    return {
        "fix": "load it along with the statement that reads the records",
        "line": f".options(selectinload({path}))",
    }


def _unused(request: RequestLog) -> list[Finding]:
    """What a view has loaded along for nothing.

    Elsewhere it is loaded for a record's name, which may read it or not.
    """
    if request.action not in PAGES_OF_VIEWS:
        return []
    return [
        _finding(
            request,
            FindingKind.UNUSED_LOAD,
            subject=path,
            text=f"{_who(request)} loads {path} along and never looks at it.",
            fix="load it where it is used: leave it out of `loads`, or make it"
            ' lazy="select" in the model',
        )
        for path in unused_loads(request)
    ]


def _reads(request: RequestLog) -> list[Finding]:
    """A page for which the server read a thousand times what it gave."""
    reads = request.reads
    if reads is None or reads.rows < READ_ROWS or reads.each < READ_EACH:
        return []
    table, most = max(reads.tables.items(), key=lambda item: item[1].rows)
    statements = [one for one in request.folded() if table in one.text]
    slowest = max(statements, key=lambda one: one.ms, default=None)
    how, fix = "through an index", "that begins with what is filtered by"
    if most.scanned >= most.found:
        how, fix = "one after the other", "on what is searched, filtered or sorted by"
    return [
        _finding(
            request,
            FindingKind.READS,
            subject=table,
            text=(
                f"{_who(request)} had the server read {most.rows:,} rows of {table}, "
                f"{how}, for {reads.given:,} that it gave."
            ),
            fix=f"an index {fix}: Explain, on the statement's page, names the columns",
            saved_ms=(slowest.ms * (1 - 1 / reads.each)) if slowest else 0.0,
            fingerprint=slowest.fingerprint if slowest else "",
        )
    ]


def _lazy_fingerprints(request: RequestLog) -> set[str]:
    """The statements that lazy loads ran: named already, and better."""
    if request.loads is None:
        return set()
    return {
        fingerprint
        for lazy in request.loads.lazy.values()
        for fingerprint in lazy.fingerprints
    }


def _repeated(request: RequestLog, statement: Statement) -> list[Finding]:
    # What reads no table (a limit that is set, a savepoint) is no question asked twice.
    if statement.table and statement.duplicates + 1 >= DUPLICATES:
        share = statement.duplicates / statement.repeats
        return [
            _finding(
                request,
                FindingKind.DUPLICATES,
                subject=statement.fingerprint,
                text=(
                    f"{_who(request)} asked the same thing"
                    f" {statement.duplicates + 1} times."
                ),
                fix="ask once and keep the answer for the request",
                saved_ms=statement.ms * share,
                fingerprint=statement.fingerprint,
            )
        ]
    if asks_nothing(statement.text):
        return []
    if statement.repeats >= REPEATS and statement.ms >= REPEATS_MS:
        return [
            _finding(
                request,
                FindingKind.REPEATS,
                subject=statement.fingerprint,
                text=f"{_who(request)} ran one statement {statement.repeats} times.",
                fix="ask for all keys in one statement",
                saved_ms=statement.ms * (1 - 1 / statement.repeats),
                fingerprint=statement.fingerprint,
            )
        ]
    return []


def _finding(
    request: RequestLog,
    kind: FindingKind,
    *,
    subject: str,
    text: str,
    fix: str,
    saved_ms: float = 0.0,
    fingerprint: str = "",
    line: str = "",
) -> Finding:
    return Finding(
        kind=kind,
        view=request.view,
        action=request.action,
        subject=subject,
        text=text,
        fix=fix,
        saved_ms=saved_ms,
        request_id=request.request_id,
        fingerprint=fingerprint,
        line=line,
    )


def _who(request: RequestLog) -> str:
    """The page in words."""
    words = f"{request.view} {request.action}".strip()
    return words[:1].upper() + words[1:] if words else "A request"
