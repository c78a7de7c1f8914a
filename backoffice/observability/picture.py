"""What all processes of this machine have seen, added up.

A picture is made of snapshots, which are plain data: of this process from memory, of
the others from their files, and of those that are gone from one file for all.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from backoffice.observability.counters import (
    FindingStats,
    Minute,
    StatementStats,
    ViewStats,
)
from backoffice.observability.histogram import Histogram
from backoffice.observability.pool import Holding, PoolStatus, Waiting

POOL_COUNTERS = ("timeouts", "invalidated", "connect_errors", "created")
POOL_HISTOGRAMS = ("wait", "create", "use")
LIVE_AFTER = 30.0

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """A process that reports; `age` is the seconds since it last did."""

    pid: int
    kind: str
    started: float
    age: float
    memory: int | None


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
        self.minutes: dict[int, Minute] = {}
        self.views: dict[tuple[str, str], ViewStats] = {}
        self.findings: dict[tuple[str, str, str], FindingStats] = {}
        self.statements: dict[tuple[str, str], StatementStats] = {}

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
    ) -> list[StatementStats]:
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

    def statement(self, fingerprint: str) -> list[StatementStats]:
        """One statement, view by view, most time first."""
        found = [one for key, one in self.statements.items() if key[0] == fingerprint]
        return sorted(found, key=lambda one: one.histogram.total, reverse=True)

    def last_minutes(self, now: float, number: int = 60) -> list[Minute]:
        """The last minutes, oldest first; those of which nothing is known are empty."""
        newest = int(now // 60)
        if self.minutes:
            newest = max(newest, *self.minutes)  # a clock that stepped back
        return [
            self.minutes.get(at, Minute(at))
            for at in range(newest - number + 1, newest + 1)
        ]

    def attention(self, limit: int = 5) -> list[FindingStats]:
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
        for one in map(Minute.from_json, data.get("minutes", ())):
            _sum_up(self.minutes, one.at, one)
        for view in map(ViewStats.from_json, data.get("views", ())):
            _sum_up(self.views, (view.view, view.action), view)
        for found in map(FindingStats.from_json, data.get("findings", ())):
            _sum_up(self.findings, (found.kind, found.view, found.subject), found)
        for stats in map(StatementStats.from_json, data.get("statements", ())):
            _sum_up(self.statements, (stats.fingerprint, stats.view), stats)

    def _add_pools(self, pools: dict[str, Any]) -> None:
        for name, numbers in pools.items():
            known = self.pool_sums.setdefault(name, PoolSum(name))
            for counter in POOL_COUNTERS:
                value = getattr(known, counter) + (numbers.get(counter) or 0)
                setattr(known, counter, value)
            for kind in POOL_HISTOGRAMS:
                getattr(known, kind).merge(Histogram.from_json(numbers[kind]))

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
            "minutes": [self.minutes[at].to_json() for at in newest],
            "views": [one.to_json() for one in self.views.values()],
            "findings": [one.to_json() for one in self.findings.values()],
            "statements": [one.to_json() for one in leading[:limit]],
        }


def _sum_up(into: dict[K, Any], key: K, one: Any) -> None:
    """Add a counter to the one of the same key."""
    known = into.get(key)
    if known is None:
        into[key] = one
    else:
        known.add(one)


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
