"""What did this request ask of the database: its statements, in their order.

A request is whatever `observe_request` is put around: an HTTP request, a job's batch,
a command. Threads, and the hops of a streaming answer, that run in a copy of its
context write into the same log.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from threading import get_ident
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from backoffice.observability.fingerprints import Fingerprint
from backoffice.observability.measurement import Measurement
from backoffice.observability.values import Taken

if TYPE_CHECKING:
    from backoffice.observability.lazy_loads import LoadWatch
    from backoffice.observability.reads_postgresql import Reads

# A page of more different statements is a finding already; the rest is counted.
KEPT = 500
TEXT_KEPT = 300


@dataclass(slots=True)
class Group:
    """All calls of one statement in a request; nanoseconds."""

    fingerprint: Fingerprint
    total: int = 0
    slowest: int = 0
    rows: int = 0
    repeats: int = 0
    duplicates: int = 0
    errors: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Statement:
    """One line of the footer: equal fingerprints of a request folded into one.

    `repeats` is how often it ran, `duplicates` how often with parameters that had
    been asked for already; times are milliseconds over all of them.
    """

    fingerprint: str
    text: str
    table: str
    ms: float
    slowest_ms: float
    rows: int
    repeats: int
    duplicates: int
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """Where a request's time went, in milliseconds; `render` is what remains."""

    wait: float
    execute: float
    fetch: float
    commit: float
    render: float
    total: float

    def server_timing(self) -> str:
        """The value of a `Server-Timing` header."""
        parts = {
            "wait": self.wait,
            "exec": self.execute,
            "fetch": self.fetch,
            "commit": self.commit,
            "render": self.render,
            "total": self.total,
        }
        return ", ".join(f"{name};dur={ms:.2f}" for name, ms in parts.items())


@dataclass(frozen=True, slots=True)
class Budget:
    """How many statements and how much time a view means to need; None is any."""

    max_statements: int | None = None
    max_ms: float | None = None


@dataclass(frozen=True, slots=True)
class OverBudget:
    """A page that asked for more than its view declared."""

    view: str
    action: str
    text: str
    # What of its time was too much, in milliseconds.
    saved_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class PastRequest:
    """A request that has ended, as its page shows it; plain data."""

    request_id: str
    view: str
    action: str
    user: str
    at: float
    split: Split
    number: int
    dropped: int
    statements: tuple[Statement, ...]

    def to_json(self) -> dict[str, Any]:
        """For the file that the other processes read; texts are cut."""
        data = asdict(self)
        for line in data["statements"]:
            line["text"] = line["text"][:TEXT_KEPT]
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "PastRequest":
        """What `to_json` wrote."""
        lines = tuple(
            Statement(**{**line, "errors": tuple(line["errors"])})
            for line in data["statements"]
        )
        split = Split(**data["split"])
        return cls(**{**data, "split": split, "statements": lines})


class RequestLog:
    """The statements of one request as they come; safe to add to from threads."""

    __slots__ = (
        "_groups",
        "_seen",
        "action",
        "at",
        "budget",
        "calls",
        "commit",
        "dropped",
        "duplicates",
        "ended",
        "execute",
        "fetch",
        "loads",
        "number",
        "reads",
        "request_id",
        "route",
        "rows",
        "started",
        "user",
        "view",
        "wait",
    )

    def __init__(
        self,
        *,
        request_id: str = "",
        view: str = "",
        action: str = "",
        route: str = "",
        user: str = "",
    ) -> None:
        self.request_id = request_id
        self.view = view
        self.action = action
        self.route = route
        self.user = user
        self.budget = Budget()
        self.at = time.time()
        self.started = perf_counter_ns()
        self.ended: int | None = None
        self.number = 0
        self.rows = 0
        self.dropped = 0
        self.duplicates = 0
        self.wait = self.execute = self.fetch = self.commit = 0
        self.loads: LoadWatch | None = None
        # What the server has read for it, where that was looked at.
        self.reads: Reads | None = None
        # The last call of each statement with its values, until the request ends.
        self.calls: dict[str, Taken] = {}
        self._groups: dict[str, Group] = {}
        self._seen: set[tuple[str, int]] = set()

    def add(self, measured: Measurement) -> None:
        """Take a finished statement in."""
        self.wait += measured.wait
        self.execute += measured.execute
        self.fetch += measured.fetch
        self.commit += measured.commit
        # A commit, a savepoint or a limit asks nothing: its time counts, it is no
        # statement of the page's.
        is_asking = not asks_nothing(measured.fingerprint.text)
        self.number += is_asking
        if is_asking and measured.fingerprint.operation not in _READING:
            # What was asked before a change may have another answer after it.
            self._seen.clear()
        self.rows += max(0, measured.rows)
        if not self.view and measured.work is not None:
            self.view = measured.view
            self.action = measured.action
        if self.loads is not None and self.loads.awaited:
            self.loads.has_run(get_ident(), measured)
        group = self._groups.get(measured.fingerprint.id)
        if group is None:
            if len(self._groups) >= KEPT:
                self.dropped += 1
                return
            group = self._groups[measured.fingerprint.id] = Group(measured.fingerprint)
        spent = measured.wait + measured.execute + measured.fetch + measured.commit
        group.repeats += 1
        group.total += spent
        group.slowest = max(group.slowest, spent)
        if measured.rows > 0:
            group.rows += measured.rows
        if measured.error:
            group.errors.add(measured.error)
        if measured.parameters is not None:
            seen = (measured.fingerprint.id, measured.parameters)
            if seen in self._seen:
                self.duplicates += 1
                group.duplicates += 1
            elif len(self._seen) < KEPT:
                self._seen.add(seen)

    @property
    def elapsed(self) -> int:
        """Nanoseconds from its start to its end, or until now."""
        return (self.ended or perf_counter_ns()) - self.started

    def split(self) -> Split:
        """Where the time went until now."""
        database = self.wait + self.execute + self.fetch + self.commit
        total = self.elapsed
        return Split(
            wait=_ms(self.wait),
            execute=_ms(self.execute),
            fetch=_ms(self.fetch),
            commit=_ms(self.commit),
            # Statements of several threads may overlap: never below zero.
            render=_ms(max(0, total - database)),
            total=_ms(total),
        )

    def folded(self) -> tuple[Statement, ...]:
        """The statements in the order of their first call, repeats folded."""
        return tuple(_line(group) for group in tuple(self._groups.values()))

    def past(self) -> PastRequest:
        """What is to be told of it, now that it has ended."""
        return PastRequest(
            request_id=self.request_id,
            view=self.view,
            action=self.action,
            user=self.user,
            at=self.at,
            split=self.split(),
            number=self.number,
            dropped=self.dropped,
            statements=self.folded(),
        )

    def seal(self) -> None:
        """Let go of what only a request that still runs needs."""
        self.loads = None
        self._seen = set()

    def over_budget(self) -> OverBudget | None:
        """What exceeds the view's budget, in a sentence; None when nothing does."""
        budget, reasons, saved = self.budget, [], 0.0
        ms = _ms(self.wait + self.execute + self.fetch + self.commit)
        if budget.max_statements is not None and self.number > budget.max_statements:
            reasons.append(
                f"{self.number} statements, {budget.max_statements} declared"
            )
            saved = ms * (1 - budget.max_statements / self.number)
        if budget.max_ms is not None and ms > budget.max_ms:
            reasons.append(f"{ms:.0f} ms in the database, {budget.max_ms:g} declared")
            saved = max(saved, ms - budget.max_ms)
        if not reasons:
            return None
        return OverBudget(self.view, self.action, "; ".join(reasons), saved)


_READING = frozenset({"SELECT", "WITH", "VALUES", "SHOW"})
_ASK_NOTHING = frozenset({"COMMIT", "SAVEPOINT", "ROLLBACK", "RELEASE", "SET"})


def asks_nothing(text: str) -> bool:
    """Whether a statement only begins, ends or limits others."""
    return text.partition(" ")[0].upper() in _ASK_NOTHING or "set_config(" in text[:40]


current_request: ContextVar[RequestLog | None] = ContextVar(
    "current_request", default=None
)


@contextmanager
def observe_request(log: RequestLog) -> Iterator[RequestLog]:
    """Collect the statements of this context in `log`, until the block ends."""
    token = current_request.set(log)
    try:
        yield log
    finally:
        log.ended = perf_counter_ns()
        log.calls.clear()
        with suppress(ValueError):  # a streaming answer ends in another context
            current_request.reset(token)


def question_hash(statement: str, parameters: Any) -> int | None:
    """A number that equal texts with equal parameters share; None where unknown.

    The text counts as well: values that people wrote into it are no parameters.
    """
    values = parameters_hash(parameters)
    return None if values is None else hash((statement, values))


def parameters_hash(parameters: Any) -> int | None:
    """A number that equal parameters share; None where finding it costs too much.

    It differs from process to process and holds no value.
    """
    if not parameters:
        return 0
    try:
        if isinstance(parameters, dict):
            return hash(tuple(parameters.items()))
        if isinstance(parameters, tuple):
            return hash(parameters)
    except TypeError:
        return hash(repr(parameters))
    return None


def _line(group: Group) -> Statement:
    """Equal statements as one line."""
    return Statement(
        fingerprint=group.fingerprint.id,
        text=group.fingerprint.text,
        table=group.fingerprint.table,
        ms=_ms(group.total),
        slowest_ms=_ms(group.slowest),
        rows=group.rows,
        repeats=group.repeats,
        duplicates=group.duplicates,
        errors=tuple(sorted(group.errors)),
    )


def _ms(nanoseconds: int) -> float:
    return nanoseconds / 1e6
