"""What all processes of this machine have seen, added up.

A picture is made of snapshots, which are plain data: of this process from memory, of
the others from their files, and of those that are gone from one file for all.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from backoffice.observability.histogram import Histogram
from backoffice.observability.pool import Holding, PoolStatus, Waiting

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
POOL_COUNTERS = ("timeouts", "invalidated", "connect_errors", "created")
POOL_HISTOGRAMS = ("wait", "create", "use")
LIVE_AFTER = 30.0


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """A process that reports; `age` is the seconds since it last did."""

    pid: int
    kind: str
    started: float
    age: float
    memory: int | None


@dataclass(slots=True)
class StatementSum:
    """One statement by one view, over all processes; nanoseconds."""

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

    def add(self, other: "StatementSum") -> None:
        """Count another process's calls."""
        if not self.text or other.last_seen > self.last_seen:
            self.action, self.text = other.action, other.text or self.text
            self.operation, self.table = other.operation, other.table
        known = [one for one in (self.first_seen, other.first_seen) if one]
        self.first_seen = min(known, default=0.0)
        self.last_seen = max(self.last_seen, other.last_seen)
        for name in STATEMENT_COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.histogram.merge(other.histogram)


@dataclass(slots=True)
class PoolSum:
    """The counters of one pool's name, over all processes, dead ones as well."""

    name: str
    timeouts: int = 0
    invalidated: int = 0
    connect_errors: int = 0
    created: int = 0
    wait: Histogram = field(default_factory=Histogram)
    create: Histogram = field(default_factory=Histogram)
    use: Histogram = field(default_factory=Histogram)


@dataclass(slots=True)
class MinuteSum:
    """One minute of all processes, for a sparkline."""

    at: int
    calls: int = 0
    errors: int = 0
    timeouts: int = 0
    requests: int = 0
    pool_peak: float | None = None
    waiting_peak: int = 0
    latency: Histogram = field(default_factory=Histogram)


@dataclass(slots=True)
class ViewSum:
    """The requests of one view and action."""

    view: str
    action: str
    requests: int = 0
    statements: int = 0
    duplicates: int = 0
    over_budget: int = 0
    histogram: Histogram = field(default_factory=Histogram)


@dataclass(slots=True)
class FindingSum:
    """A finding, how often it was met, and what mending it would have saved."""

    kind: str
    view: str
    subject: str
    action: str = ""
    text: str = ""
    fix: str = ""
    request_id: str = ""
    fingerprint: str = ""
    first_seen: float = 0.0
    last_seen: float = 0.0
    count: int = 0
    saved_ms: float = 0.0


class Picture:
    """The sum of snapshots."""

    def __init__(self) -> None:
        self.processes: list[ProcessInfo] = []
        self.retired = 0
        self.calls = 0
        self.evicted = 0
        self.fingerprints = 0
        self.slow_dropped = 0
        self.reset_at: float | None = None
        self.since: float | None = None
        self.overhead: Counter[str] = Counter()
        self.operations: dict[tuple[str, str, str], Histogram] = {}
        self.returned: dict[tuple[str, str], Histogram] = {}
        self.slow: Counter[tuple[str, str]] = Counter()
        self.lazy: Counter[tuple[str, str]] = Counter()
        self.pools: list[PoolStatus] = []
        self.pool_sums: dict[str, PoolSum] = {}
        self.minutes: dict[int, MinuteSum] = {}
        self.views: dict[tuple[str, str], ViewSum] = {}
        self.findings: dict[tuple[str, str, str], FindingSum] = {}
        self.statements: dict[tuple[str, str], StatementSum] = {}

    # -- what a page asks

    def coverage(self, expected: int | None = None) -> str:
        """`3 of 3 processes, newest 1 s old`: what the numbers stand on."""
        live = [one for one in self.processes if one.age <= LIVE_AFTER]
        if not live:
            return "no process reports"
        of = (
            f"{len(live)} of {max(expected, len(live))}" if expected else f"{len(live)}"
        )
        noun = "process" if of in {"1", "1 of 1"} else "processes"
        newest = min(one.age for one in live)
        return f"{of} {noun}, newest {newest:.0f} s old"

    def top_statements(
        self, by: str = "total", *, limit: int = 10, view: str | None = None
    ) -> list[StatementSum]:
        """The statements that lead: by total, slowest, frequent or failing."""
        orders: dict[str, Any] = {
            "total": lambda one: one.histogram.total,
            "slowest": lambda one: one.histogram.maximum,
            "frequent": lambda one: one.calls,
            "failing": lambda one: one.errors,
        }
        found = [
            one
            for one in self.statements.values()
            if (view is None or one.view == view) and (by != "failing" or one.errors)
        ]
        return sorted(found, key=orders[by], reverse=True)[:limit]

    def statement(self, fingerprint: str) -> list[StatementSum]:
        """One statement, view by view, most time first."""
        found = [one for key, one in self.statements.items() if key[0] == fingerprint]
        return sorted(found, key=lambda one: one.histogram.total, reverse=True)

    def last_minutes(self, now: float, number: int = 60) -> list[MinuteSum]:
        """The last minutes, oldest first; those of which nothing is known are empty."""
        newest = int(now // 60)
        if self.minutes:
            newest = max(newest, *self.minutes)  # a clock that stepped back
        return [
            self.minutes.get(at, MinuteSum(at))
            for at in range(newest - number + 1, newest + 1)
        ]

    def attention(self, limit: int = 5) -> list[FindingSum]:
        """What to mend first: by the time that it would have saved."""
        found = sorted(
            self.findings.values(), key=lambda one: (-one.saved_ms, -one.count)
        )
        return found[:limit]

    def total_ns(self) -> int:
        """The database's time in all statements that are kept."""
        return sum(one.histogram.total for one in self.statements.values())

    # -- how it is made

    def add(
        self, data: dict[str, Any], *, age: float, is_retired: bool = False
    ) -> None:
        """Count a snapshot; of a process that is gone its counters only."""
        if not is_retired:
            self.processes.append(
                ProcessInfo(
                    pid=data["pid"],
                    kind=data["kind"],
                    started=data["started"],
                    age=age,
                    memory=data.get("memory"),
                )
            )
            self.fingerprints += data.get("fingerprints", 0)
            self.pools.extend(pool_from_json(one) for one in data.get("status", ()))
        self.retired += data.get("retired", 0)
        self.calls += data.get("calls", 0)
        self.evicted += data.get("evicted", 0)
        self.slow_dropped += data.get("slow_dropped", 0)
        begun = data.get("started") or data.get("since")
        if begun is not None:
            self.since = min(begun, self.since or begun)
        reset = data.get("reset_at")
        if reset is not None:
            self.reset_at = max(reset, self.reset_at or reset)
        self.overhead.update(data.get("overhead", {}))
        _add_histograms(self.operations, data.get("operations", ()))
        _add_histograms(self.returned, data.get("returned", ()))
        for *key, number in data.get("slow", ()):
            self.slow[key[0], key[1]] += number
        for *key, number in data.get("lazy", ()):
            self.lazy[key[0], key[1]] += number
        self._add_pools(data.get("pools", {}))
        self._add_minutes(data.get("minutes", ()))
        self._add_views(data.get("views", ()))
        self._add_findings(data.get("findings", ()))
        self._add_statements(data.get("statements", ()))

    def _add_pools(self, pools: dict[str, Any]) -> None:
        for name, numbers in pools.items():
            known = self.pool_sums.setdefault(name, PoolSum(name))
            for counter in POOL_COUNTERS:
                value = getattr(known, counter) + (numbers.get(counter) or 0)
                setattr(known, counter, value)
            for kind in POOL_HISTOGRAMS:
                getattr(known, kind).merge(Histogram.from_json(numbers[kind]))

    def _add_minutes(self, minutes: Iterable[Any]) -> None:
        for at, calls, errors, timeouts, requests, peak, waiting, latency in minutes:
            known = self.minutes.setdefault(at, MinuteSum(at))
            known.calls += calls
            known.errors += errors
            known.timeouts += timeouts
            known.requests += requests
            if peak is not None:
                # The fullest pool counts: a mean would hide it.
                known.pool_peak = max(known.pool_peak or 0.0, peak)
            known.waiting_peak = max(known.waiting_peak, waiting)
            known.latency.merge(Histogram.from_json(latency))

    def _add_views(self, views: Iterable[Any]) -> None:
        for view, action, requests, statements, duplicates, over, latency in views:
            known = self.views.setdefault((view, action), ViewSum(view, action))
            known.requests += requests
            known.statements += statements
            known.duplicates += duplicates
            known.over_budget += over
            known.histogram.merge(Histogram.from_json(latency))

    def _add_findings(self, findings: Iterable[dict[str, Any]]) -> None:
        for data in findings:
            key = (data["kind"], data["view"], data["subject"])
            known = self.findings.get(key)
            if known is None:
                self.findings[key] = FindingSum(**data)
                continue
            count = known.count + data["count"]
            saved = known.saved_ms + data["saved_ms"]
            first = min(known.first_seen, data["first_seen"])
            if data["last_seen"] > known.last_seen:
                known = self.findings[key] = FindingSum(**data)
            known.count, known.saved_ms, known.first_seen = count, saved, first

    def _add_statements(self, statements: Iterable[dict[str, Any]]) -> None:
        for data in statements:
            one = StatementSum(
                **{**data, "histogram": Histogram.from_json(data["histogram"])}
            )
            known = self.statements.setdefault(
                (one.fingerprint, one.view), StatementSum(one.fingerprint, one.view)
            )
            known.add(one)

    def to_json(self, *, limit: int) -> dict[str, Any]:
        """Its counters as one snapshot, for the processes that are gone."""
        leading = sorted(self.statements.values(), key=lambda one: -one.histogram.total)
        newest = sorted(self.minutes)[-60:]
        return {
            "retired": self.retired,
            "calls": self.calls,
            "evicted": self.evicted + max(0, len(leading) - limit),
            "slow_dropped": self.slow_dropped,
            "reset_at": self.reset_at,
            "since": self.since,
            "overhead": dict(self.overhead),
            "operations": _histograms_json(self.operations),
            "returned": _histograms_json(self.returned),
            "slow": [[*key, number] for key, number in self.slow.items()],
            "lazy": [[*key, number] for key, number in self.lazy.items()],
            "pools": {
                name: {
                    **{counter: getattr(one, counter) for counter in POOL_COUNTERS},
                    **{kind: getattr(one, kind).to_json() for kind in POOL_HISTOGRAMS},
                }
                for name, one in self.pool_sums.items()
            },
            "minutes": [_minute_json(self.minutes[at]) for at in newest],
            "views": [
                [
                    one.view,
                    one.action,
                    one.requests,
                    one.statements,
                    one.duplicates,
                    one.over_budget,
                    one.histogram.to_json(),
                ]
                for one in self.views.values()
            ],
            "findings": [_plain(one) for one in self.findings.values()],
            "statements": [
                {**_plain(one), "histogram": one.histogram.to_json()}
                for one in leading[:limit]
            ],
        }


def _plain(one: StatementSum | FindingSum) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


def _minute_json(one: MinuteSum) -> list[Any]:
    return [
        one.at,
        one.calls,
        one.errors,
        one.timeouts,
        one.requests,
        one.pool_peak,
        one.waiting_peak,
        one.latency.to_json(),
    ]


def _histograms_json(histograms: dict[Any, Histogram]) -> list[Any]:
    return [[*key, one.to_json()] for key, one in histograms.items()]


def _add_histograms(into: dict[Any, Histogram], rows: Iterable[Any]) -> None:
    for *key, data in rows:
        into.setdefault(tuple(key), Histogram()).merge(Histogram.from_json(data))


def pool_from_json(data: dict[str, Any]) -> PoolStatus:
    """The pool status that a snapshot holds."""
    return PoolStatus(
        **{
            **data,
            "holders": tuple(Holding(**one) for one in data["holders"]),
            "waiting": tuple(Waiting(**one) for one in data["waiting"]),
            "cannot": tuple(data["cannot"]),
        }
    )
