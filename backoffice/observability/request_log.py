"""What did this request ask of the database: its statements, in their order.

A request is whatever `observe_request` is put around: an HTTP request, a job's batch,
a command. Threads, and the hops of a streaming answer, that run in a copy of its
context write into the same log.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from backoffice.observability.fingerprints import Fingerprint
from backoffice.observability.measurement import Measurement
from backoffice.observability.values import Taken

if TYPE_CHECKING:
    from backoffice.observability.lazy_loads import LoadWatch
    from backoffice.observability.reads_postgresql import Reads

# A page of more statements is a finding already; the rest is counted, not kept.
KEPT = 500


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


class RequestLog:
    """The statements of one request as they come; safe to add to from threads."""

    __slots__ = (
        "_seen",
        "action",
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
        "started",
        "statements",
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
        self.started = perf_counter_ns()
        self.ended: int | None = None
        self.statements: list[Measurement] = []
        self.number = 0
        self.dropped = 0
        self.duplicates = 0
        self.wait = self.execute = self.fetch = self.commit = 0
        self.loads: LoadWatch | None = None
        # What the server has read for it, where that was looked at.
        self.reads: Reads | None = None
        # The last call of each statement with its values, until the request ends.
        self.calls: dict[str, Taken] = {}
        self._seen: set[tuple[str, int]] = set()

    def add(self, measured: Measurement) -> None:
        """Take a finished statement in."""
        self.wait += measured.wait
        self.execute += measured.execute
        self.fetch += measured.fetch
        self.commit += measured.commit
        # A commit, a savepoint or a limit asks nothing: its time counts, it is no
        # statement of the page's.
        self.number += not asks_nothing(measured.fingerprint)
        if measured.parameters is not None:
            seen = (measured.fingerprint.id, measured.parameters)
            if seen in self._seen:
                self.duplicates += 1
            elif len(self._seen) < KEPT:
                self._seen.add(seen)
        if not self.view and measured.work is not None:
            self.view = measured.view
            self.action = measured.action
        if len(self.statements) < KEPT:
            self.statements.append(measured)
        else:
            self.dropped += 1

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
        groups: dict[str, list[Measurement]] = {}
        for measured in tuple(self.statements):
            groups.setdefault(measured.fingerprint.id, []).append(measured)
        return tuple(_fold(group) for group in groups.values())

    def over_budget(self) -> OverBudget | None:
        """What exceeds the view's budget, in a sentence; None when nothing does."""
        budget, reasons = self.budget, []
        ms = _ms(self.wait + self.execute + self.fetch + self.commit)
        if budget.max_statements is not None and self.number > budget.max_statements:
            reasons.append(
                f"{self.number} statements, {budget.max_statements} declared"
            )
        if budget.max_ms is not None and ms > budget.max_ms:
            reasons.append(f"{ms:.0f} ms in the database, {budget.max_ms:g} declared")
        if not reasons:
            return None
        return OverBudget(self.view, self.action, "; ".join(reasons))


_ASK_NOTHING = frozenset({"COMMIT", "SAVEPOINT", "ROLLBACK", "RELEASE", "SET"})


def asks_nothing(fingerprint: Fingerprint) -> bool:
    """Whether a statement only begins, ends or limits others."""
    return (
        fingerprint.operation in _ASK_NOTHING or "set_config(" in fingerprint.text[:40]
    )


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


def _fold(group: list[Measurement]) -> Statement:
    """Equal statements as one line."""
    known = [
        measured.parameters for measured in group if measured.parameters is not None
    ]
    times = [measured.total for measured in group]
    return Statement(
        fingerprint=group[0].fingerprint.id,
        text=group[0].fingerprint.text,
        table=group[0].fingerprint.table,
        ms=_ms(sum(times)),
        slowest_ms=_ms(max(times)),
        rows=sum(max(0, measured.rows) for measured in group),
        repeats=len(group),
        duplicates=len(known) - len(set(known)),
        errors=tuple(sorted({measured.error for measured in group if measured.error})),
    )


def _ms(nanoseconds: int) -> float:
    return nanoseconds / 1e6
