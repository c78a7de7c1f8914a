"""What is counted: of one process, and of all of them together.

Each kind adds up with others of its kind, and travels as plain data: a process counts
in the same objects that a page is drawn from.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from backoffice.observability.findings import Finding
from backoffice.observability.histogram import Histogram

# Of a statement's text in a snapshot: enough to know it by.
TEXT_KEPT = 2_000
STATEMENT_COUNTERS = (
    "calls",
    "errors",
    "timeouts",
    "rows",
    "wait",
    "execute",
    "fetch",
    "commit",
)


@dataclass(slots=True)
class StatementStats:
    """All calls of one statement by one view; nanoseconds."""

    fingerprint: str
    view: str
    action: str = ""
    text: str = ""
    operation: str = ""
    table: str = ""
    first_seen: float = 0.0
    last_seen: float = 0.0
    calls: int = 0
    errors: int = 0
    timeouts: int = 0
    rows: int = 0
    wait: int = 0
    execute: int = 0
    fetch: int = 0
    commit: int = 0
    histogram: Histogram = field(default_factory=Histogram)

    @property
    def total_ms(self) -> float:
        """All of its time."""
        return self.histogram.total / 1e6

    @property
    def mean_ms(self) -> float:
        """The time of a call on average."""
        return self.total_ms / self.calls if self.calls else 0.0

    @property
    def max_ms(self) -> float:
        """The slowest call."""
        return self.histogram.maximum / 1e6

    def quantile_ms(self, share: float) -> float | None:
        """The time below which that share of the calls stayed."""
        found = self.histogram.quantile(share)
        return None if found is None else found / 1e6

    def add(self, other: "StatementStats") -> None:
        """Count another's calls."""
        if not self.text or other.last_seen > self.last_seen:
            self.action, self.text = other.action, other.text or self.text
            self.operation, self.table = other.operation, other.table
        known = [one for one in (self.first_seen, other.first_seen) if one]
        self.first_seen = min(known, default=0.0)
        self.last_seen = max(self.last_seen, other.last_seen)
        for name in STATEMENT_COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.histogram.merge(other.histogram)

    def copy(self) -> "StatementStats":
        """The same as it is now, whatever is counted later."""
        values = {name: getattr(self, name) for name in STATEMENT_FIELDS}
        return StatementStats(**values, histogram=self.histogram.copy())

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **{name: getattr(self, name) for name in STATEMENT_FIELDS},
            "text": self.text[:TEXT_KEPT],
            "histogram": self.histogram.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """What `to_json` wrote."""
        return cls(**{**data, "histogram": Histogram.from_json(data["histogram"])})


STATEMENT_FIELDS = tuple(
    one.name for one in fields(StatementStats) if one.name != "histogram"
)


@dataclass(slots=True)
class Minute:
    """What happened in one minute, for the sparklines."""

    at: int
    calls: int = 0
    errors: int = 0
    timeouts: int = 0
    requests: int = 0
    pool_peak: float | None = None
    waiting_peak: int = 0
    # The statements of those requests; workers and commands have others.
    asked: int = 0
    latency: Histogram = field(default_factory=Histogram)

    def note_pool(self, share: float | None, waiting: int) -> None:
        """Remember the fullest pool: a mean would hide it."""
        if share is not None:
            self.pool_peak = max(self.pool_peak or 0.0, share)
        self.waiting_peak = max(self.waiting_peak, waiting)

    def add(self, other: "Minute") -> None:
        """Count the same minute of another process."""
        self.calls += other.calls
        self.errors += other.errors
        self.timeouts += other.timeouts
        self.requests += other.requests
        self.asked += other.asked
        self.note_pool(other.pool_peak, other.waiting_peak)
        self.latency.merge(other.latency)

    def to_json(self) -> list[Any]:
        """Plain data: there are sixty of them in every snapshot."""
        return _row_of(self)

    @classmethod
    def from_json(cls, data: list[Any]) -> Self:
        """What `to_json` wrote."""
        *plain, latency = data
        made = cls(*plain)
        made.latency = Histogram.from_json(latency)
        return made


@dataclass(slots=True)
class ViewStats:
    """The requests of one view and action.

    Of `sampled` of them the server was asked how many rows it has read, for the rows
    that it gave.
    """

    view: str
    action: str
    requests: int = 0
    statements: int = 0
    duplicates: int = 0
    over_budget: int = 0
    sampled: int = 0
    rows_read: int = 0
    rows_given: int = 0
    histogram: Histogram = field(default_factory=Histogram)

    @property
    def rows_each(self) -> float | None:
        """Rows read for each that was given; None where nobody has looked."""
        return self.rows_read / max(1, self.rows_given) if self.sampled else None

    def add(self, other: "ViewStats") -> None:
        """Count another process's requests."""
        self.requests += other.requests
        self.statements += other.statements
        self.duplicates += other.duplicates
        self.over_budget += other.over_budget
        self.sampled += other.sampled
        self.rows_read += other.rows_read
        self.rows_given += other.rows_given
        self.histogram.merge(other.histogram)

    def to_json(self) -> list[Any]:
        """Plain data."""
        return _row_of(self)

    @classmethod
    def from_json(cls, data: list[Any]) -> Self:
        """What `to_json` wrote."""
        *plain, histogram = data
        made = cls(*plain)
        made.histogram = Histogram.from_json(histogram)
        return made


@dataclass(slots=True)
class FindingStats:
    """A finding, how often it was met, and what mending it would have saved.

    The words are those of the last time.
    """

    kind: str
    view: str
    subject: str
    action: str = ""
    text: str = ""
    fix: str = ""
    line: str = ""
    request_id: str = ""
    fingerprint: str = ""
    first_seen: float = 0.0
    last_seen: float = 0.0
    count: int = 0
    saved_ms: float = 0.0

    @classmethod
    def of(cls, finding: Finding, at: float) -> Self:
        """A finding that was met once."""
        return cls(
            kind=finding.kind.value,
            view=finding.view,
            subject=finding.subject,
            action=finding.action,
            text=finding.text,
            fix=finding.fix,
            line=finding.line,
            request_id=finding.request_id,
            fingerprint=finding.fingerprint,
            first_seen=at,
            last_seen=at,
            count=1,
            saved_ms=finding.saved_ms,
        )

    def add(self, other: "FindingStats") -> None:
        """Count the times that another met it."""
        if other.last_seen >= self.last_seen:
            self.action, self.text, self.fix = other.action, other.text, other.fix
            self.request_id, self.line = other.request_id, other.line
            self.fingerprint, self.last_seen = other.fingerprint, other.last_seen
        self.first_seen = min(self.first_seen, other.first_seen)
        self.count += other.count
        self.saved_ms += other.saved_ms

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """What `to_json` wrote."""
        return cls(**data)


@dataclass(slots=True)
class Tally:
    """What is counted without being told apart; `overhead` is nanoseconds by part."""

    calls: int = 0
    evicted: int = 0
    slow_dropped: int = 0
    overhead: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Count what another has counted."""
        self.calls += other.calls
        self.evicted += other.evicted
        self.slow_dropped += other.slow_dropped
        self.overhead.update(other.overhead)

    def since(self, before: "Tally") -> "Tally":
        """What came after an earlier moment."""
        return Tally(
            self.calls - before.calls,
            self.evicted - before.evicted,
            self.slow_dropped - before.slow_dropped,
            self.overhead - before.overhead,
        )

    def to_json(self) -> list[Any]:
        """Plain data."""
        return [self.calls, self.evicted, self.slow_dropped, dict(self.overhead)]

    @classmethod
    def from_json(cls, data: list[Any]) -> Self:
        """What `to_json` wrote."""
        *plain, overhead = data
        made = cls(*plain)
        made.overhead = Counter(overhead)
        return made


def _row_of(one: "Minute | ViewStats") -> list[Any]:
    """The fields in their order; the histogram is the last."""
    *plain, last = (getattr(one, each.name) for each in fields(one))
    return [*plain, last.to_json()]
