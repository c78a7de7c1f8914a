"""What all processes of this machine have seen, added up.

A picture is made of snapshots, which are plain data: of this process from memory, of
the others from their files, and of those that are gone from one file for all.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, TypeVar

from backoffice.observability.counters import (
    FindingStats,
    Minute,
    StatementStats,
    Tally,
    ViewStats,
)
from backoffice.observability.findings import FindingKind
from backoffice.observability.histogram import Histogram
from backoffice.observability.pool import Holding, PoolStatus, Waiting

POOL_COUNTERS = (
    "timeouts",
    "timeouts_before",
    "invalidated",
    "connect_errors",
    "created",
)
POOL_HISTOGRAMS = ("wait", "create", "use")
LIVE_AFTER = 30.0
# Processes come and go for years: so many series and findings of those that are gone.
KEPT_SERIES = 300

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
    """The counters of one pool's name, over all processes, dead ones as well.

    `timeouts_before` are those of before the counting began anew.
    """

    name: str
    timeouts: int = 0
    timeouts_before: int = 0
    invalidated: int = 0
    connect_errors: int = 0
    created: int = 0
    wait: Histogram = field(default_factory=Histogram)
    create: Histogram = field(default_factory=Histogram)
    use: Histogram = field(default_factory=Histogram)


@dataclass(frozen=True, slots=True)
class Reset:
    """Since when the page counts anew: the how manyeth time, when, and who said so.

    The totals of /metrics go on: what was counted before is taken from them for the
    page, and what is told apart by statement, view or finding is forgotten.
    """

    number: int = 0
    at: float | None = None
    by: str = ""


class Picture:
    """The sum of snapshots; for the page, of what was counted since `reset`.

    With `series` new series beyond so many are summed up as others.
    """

    def __init__(
        self, reset: Reset | None = None, *, series: int | None = None
    ) -> None:
        self.reset = reset or Reset()
        self.series = series
        self.processes: list[ProcessInfo] = []
        self.retired = 0
        # Server processes that ended without a word, and when the last of them did.
        self.lost = 0
        self.lost_at: float | None = None
        self.fingerprints = 0
        self.since: float | None = None
        self.tally = Tally()
        self.before = Tally()
        self.operations: dict[tuple[str, ...], Histogram] = {}
        self.returned: dict[tuple[str, ...], Histogram] = {}
        self.answers: dict[tuple[str, ...], Histogram] = {}
        self.slow: Counter[tuple[str, ...]] = Counter()
        self.lazy: Counter[tuple[str, ...]] = Counter()
        self.events: Counter[tuple[str, ...]] = Counter()
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
        servers = sum(one.kind == "server" for one in live)
        of = f"{len(live)}"
        if expected:
            of += f" of {len(live) - servers + max(expected, servers)}"
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

    @property
    def counted(self) -> Tally:
        """What was counted since the counting began."""
        return self.tally.since(self.before)

    @property
    def counted_since(self) -> float | None:
        """When the counting began: told, or with the first process."""
        return self.reset.at if self.reset.at is not None else self.since

    def pool_timeouts(self) -> int:
        """How many got no connection since the counting began."""
        sums = self.pool_sums.values()
        return sum(one.timeouts - one.timeouts_before for one in sums)

    def top_views(self, limit: int) -> list[ViewStats]:
        """The views that take most time, the pages of the metrics left out."""
        found = [one for one in self.views.values() if one.view != "ops"]
        return sorted(found, key=lambda one: -one.histogram.total)[:limit]

    def attention(self, limit: int = 5) -> list[FindingStats]:
        """What to mend first: by the time that it would have saved."""
        found = map(self._of_all_requests, self.findings.values())
        return sorted(found, key=lambda one: (-one.saved_ms, -one.count))[:limit]

    def _of_all_requests(self, one: FindingStats) -> FindingStats:
        """What is looked for in some requests only stands for all of their view."""
        view = self.views.get((one.view, one.action))
        if one.kind != FindingKind.READS.value or view is None or not view.sampled:
            return one
        return replace(one, saved_ms=one.saved_ms * view.requests / view.sampled)

    def total_ns(self) -> int:
        """The database's time in all statements that are kept."""
        return sum(one.histogram.total for one in self.statements.values())

    # -- how it is made

    def add(
        self,
        data: dict[str, Any],
        *,
        age: float,
        is_retired: bool = False,
        statements: Iterable[StatementStats] = (),
    ) -> None:
        """Count a snapshot; of a process that is gone its counters only.

        `statements` are those of a snapshot that was never written: its own now.
        """
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
        self._add_lost(data, time.time() - age, is_retired=is_retired)
        begun = data.get("started") or data.get("since")
        if begun is not None:
            self.since = min(begun, self.since or begun)
        # Not yet told of the reset: all that it has counted was before.
        is_old = self.reset.number not in (0, data.get("reset", 0))
        tally = Tally.from_json(data["tally"])
        self.tally.add(tally)
        self.before.add(tally if is_old else Tally.from_json(data["before"]))
        self._add_series(data)
        self._add_pools(data.get("pools", {}), is_old=is_old)
        for one in map(Minute.from_json, data.get("minutes", ())):
            _sum_up(self.minutes, one.at, one)
        if is_old:
            return
        for view in map(ViewStats.from_json, data.get("views", ())):
            _sum_up(self.views, (view.view, view.action), view)
        for found in map(FindingStats.from_json, data.get("findings", ())):
            _sum_up(self.findings, (found.kind, found.view, found.subject), found)
        read = map(StatementStats.from_json, data.get("statements", ()))
        for stats in chain(statements, read):
            _sum_up(self.statements, (stats.fingerprint, stats.view), stats)

    def _add_lost(self, data: dict[str, Any], at: float, *, is_retired: bool) -> None:
        """Count a server process that died, or those of the file for all."""
        number, last = data.get("lost", (0, None))
        if is_retired and data.get("kind") == "server" and not data.get("ended"):
            number, last = number + 1, at
        self.lost += number
        if last is not None:
            self.lost_at = max(last, self.lost_at or last)

    def _add_series(self, data: dict[str, Any]) -> None:
        """Count what /metrics shows by labels."""
        histograms = (
            (self.operations, "operations", ("OTHER", "", "")),
            (self.returned, "returned", ("OTHER", "")),
            (self.answers, "answers", ("_OTHER", "", "")),
        )
        for into, name, other in histograms:
            for *key, plain in data.get(name, ()):
                series = self._series(into, tuple(key), other)
                into.setdefault(series, Histogram()).merge(Histogram.from_json(plain))
        numbers = (
            (self.slow, "slow", ("other", "")),
            (self.lazy, "lazy", ("other", "")),
            (self.events, "events", ("other", "", "")),
        )
        for counter, name, other in numbers:
            for *key, number in data.get(name, ()):
                counter[self._series(counter, tuple(key), other)] += number

    def _series(
        self, known: Mapping[Any, Any], key: tuple[str, ...], other: tuple[str, ...]
    ) -> tuple[str, ...]:
        """The key, or where there is no room for a new one, that of the others."""
        is_full = self.series is not None and len(known) >= self.series
        return other if is_full and key not in known else key

    def _add_pools(self, pools: dict[str, Any], *, is_old: bool) -> None:
        for name, numbers in pools.items():
            known = self.pool_sums.setdefault(name, PoolSum(name))
            given = {counter: numbers.get(counter) or 0 for counter in POOL_COUNTERS}
            if is_old:
                given["timeouts_before"] = given["timeouts"]
            for counter, value in given.items():
                setattr(known, counter, getattr(known, counter) + value)
            for kind in POOL_HISTOGRAMS:
                getattr(known, kind).merge(Histogram.from_json(numbers[kind]))

    def to_json(self, *, limit: int) -> dict[str, Any]:
        """Its counters as one snapshot, for the processes that are gone."""
        leading = sorted(self.statements.values(), key=lambda one: -one.histogram.total)
        newest = sorted(self.minutes)[-60:]
        found = sorted(self.findings.values(), key=lambda one: -one.last_seen)
        forgotten = Tally(evicted=max(0, len(leading) - limit))
        self.tally.add(forgotten)
        return {
            "reset": self.reset.number,
            "retired": self.retired,
            "lost": (self.lost, self.lost_at),
            "since": self.since,
            "tally": self.tally.to_json(),
            "before": self.before.to_json(),
            "operations": _histograms_json(self.operations),
            "returned": _histograms_json(self.returned),
            "answers": _histograms_json(self.answers),
            "slow": [[*key, number] for key, number in self.slow.items()],
            "lazy": [[*key, number] for key, number in self.lazy.items()],
            "events": [[*key, number] for key, number in self.events.items()],
            "pools": {
                name: {
                    **{counter: getattr(one, counter) for counter in POOL_COUNTERS},
                    **{kind: getattr(one, kind).to_json() for kind in POOL_HISTOGRAMS},
                }
                for name, one in self.pool_sums.items()
            },
            "minutes": [self.minutes[at].to_json() for at in newest],
            "views": [one.to_json() for one in self.views.values()],
            "findings": [one.to_json() for one in found[:KEPT_SERIES]],
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
