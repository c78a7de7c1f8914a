"""What this process has seen: totals, statements by fingerprint, the last hour.

Everything is bounded. What had to be forgotten is counted: a total never falls.
"""

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any

from backoffice.observability.counters import (
    FindingStats,
    Minute,
    StatementStats,
    ViewStats,
)
from backoffice.observability.findings import Finding, FindingKind, findings_of
from backoffice.observability.fingerprints import Fingerprint, Fingerprints
from backoffice.observability.histogram import Histogram, bucket_of
from backoffice.observability.measurement import Measurement, Outcome
from backoffice.observability.request_log import RequestLog, current_request
from backoffice.observability.values import KEPT_SECONDS, Call, KeptValues, Taken

REQUESTS = 200
MINUTES = 60
# A clock that lags a little keeps writing into the newest minute.
STEPPED_BACK = 2
# A metric's series: operation, table and error are few, and must stay so.
SERIES = 200
LABELS = 300

# A statement this quick is nobody's problem, however much slower than usual it was.
WORTH_COMPARING = 50_000_000
CALLS_FOR_A_BASELINE = 3
BASELINE_WINDOW = 12 * 3600.0
EVICTED_SHARE = 0.05
DECAY = 0.99
OVERHEAD_SAMPLE = 63


@dataclass(slots=True, kw_only=True)
class Tracked(StatementStats):
    """A statement by a view as its own process knows it: how usual, how much used."""

    name: Fingerprint
    usage: float = 0.0
    usual: Histogram | None = None
    usual_before: Histogram | None = None
    usual_since: float = 0.0
    # The last call with its values; for a quarter of an hour, and never written.
    newest: Taken | None = field(default=None, repr=False)

    def record(self, measured: Measurement, total: int, bucket: int) -> None:
        """Count one call."""
        self.calls += 1
        self.usage += 1.0
        self.last_seen = measured.at
        self.wait += measured.wait
        self.execute += measured.execute
        self.fetch += measured.fetch
        self.commit += measured.commit
        if measured.rows > 0:
            self.rows += measured.rows
        if measured.error:
            self.errors += 1
            self.timeouts += measured.outcome is Outcome.TIMED_OUT
        self.histogram.add_to(bucket, total)

    def baseline(self, now: float) -> int | None:
        """Its own p95 of the last 12 to 24 hours; None while it is hardly known."""
        if self.usual_since + BASELINE_WINDOW < now or self.usual is None:
            self._turn(now)
        usual = Histogram().merge(self.histogram)
        if self.usual_before is not None:
            _subtract(usual, self.usual_before)
        if usual.number < CALLS_FOR_A_BASELINE:
            return None
        return usual.quantile(0.95)

    def _turn(self, now: float) -> None:
        """Forget the calls of the window before the last."""
        self.usual_before = self.usual
        self.usual = Histogram().merge(self.histogram)
        self.usual_since = now


@dataclass(frozen=True, slots=True)
class Slow:
    """A statement for the slow log, and why it is there."""

    measured: Measurement
    reason: str
    baseline_ms: float | None


class Recorder:
    """Takes every finished statement and request of a process in.

    `slow` is called with what belongs into the slow log; it must not block.
    """

    def __init__(
        self,
        *,
        slow_ms: float = 200,
        slow_factor: float = 5,
        limit: int = 1000,
        sampled_reads: float = 0.0,
        keep_values: float = KEPT_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.slow_ns = int(slow_ms * 1e6)
        self.slow_factor = slow_factor
        self.limit = limit
        self.sampled_reads = sampled_reads
        self.clock = clock
        self.fingerprints = Fingerprints()
        self.values = KeptValues(seconds=keep_values)
        self.slow: Callable[[Slow], None] | None = None
        self.started = clock()
        self._lock = Lock()
        self.statements: dict[tuple[str, str], Tracked] = {}
        self.operations: dict[tuple[str, str, str], Histogram] = {}
        self.returned: dict[tuple[str, str], Histogram] = {}
        self.views: dict[tuple[str, str], ViewStats] = {}
        self.slow_counts: dict[tuple[str, str], int] = {}
        self.findings: dict[tuple[str, str, str], FindingStats] = {}
        self.lazy_counts: dict[tuple[str, str], int] = {}
        self.answers: dict[tuple[str, str, str], Histogram] = {}
        self.events: dict[tuple[str, str, str], int] = {}
        self.minutes: deque[Minute] = deque(maxlen=MINUTES)
        self.calls = 0
        self.evicted = 0
        self.overhead: dict[str, int] = {"hook": 0}
        # The last requests, and those that findings name as their evidence.
        self.requests: deque[RequestLog] = deque(maxlen=REQUESTS)
        self.cited: dict[tuple[str, str, str], RequestLog] = {}

    def record(self, measured: Measurement) -> None:
        """Count a statement that has ended, wherever it ran."""
        begun = time.perf_counter_ns() if not self.calls & OVERHEAD_SAMPLE else 0
        context, measured.context = measured.context, None
        taken = self.values.taken(measured, context) if context is not None else None
        total = measured.wait + measured.execute + measured.fetch + measured.commit
        bucket = bucket_of(total)
        request = current_request.get()
        if request is not None:
            request.add(measured)
            if taken is not None:
                request.calls[measured.fingerprint.id] = taken
        key = (measured.fingerprint.id, measured.view)
        with self._lock:
            self.calls += 1
            stats = self.statements.get(key)
            if stats is None:
                stats = self._make_room_for(key, measured)
            slow = self._slowness(stats, measured, total)
            stats.record(measured, total, bucket)
            stats.newest = taken
            self._count(measured, total, bucket)
        if slow is not None:
            if taken is not None:
                self.values.keep_slow(taken)
            if self.slow is not None:
                self.slow(slow)
        if begun:
            # One in 64 is timed and stands for all: the clock would cost more.
            spent = time.perf_counter_ns() - begun
            self.overhead["hook"] += spent * (OVERHEAD_SAMPLE + 1)

    def record_request(self, log: RequestLog) -> tuple[Finding, ...]:
        """Count a request that has ended; what was found in it."""
        found = findings_of(log)
        with self._lock:
            for finding in found:
                self.cited[self._note(finding)] = log
            if log.number:
                self.requests.append(log)
            minute = self.minute()
            if log.view != "ops":  # what the metrics ask is not among it
                minute.requests += 1
                minute.asked += log.number
            key = (log.view, log.action)
            if key not in self.views and len(self.views) >= LABELS:
                key = ("other", "")
            view = self.views.get(key)
            if view is None:
                view = self.views[key] = ViewStats(*key)
            view.requests += 1
            view.statements += log.number
            view.duplicates += log.duplicates
            view.over_budget += log.over_budget() is not None
            if log.reads is not None:
                view.sampled += 1
                view.rows_read += log.reads.rows
                view.rows_given += log.reads.given
            view.histogram.add(log.elapsed)
        log.seal()
        return found

    def request(self, request_id: str) -> RequestLog | None:
        """One of the last requests, or one that a finding names."""
        with self._lock:
            known = [*self.cited.values(), *self.requests]
        return next((one for one in known if one.request_id == request_id), None)

    def last_requests(self) -> list[RequestLog]:
        """The requests that are still known, each once."""
        with self._lock:
            known = [*self.cited.values(), *self.requests]
        return list({one.request_id: one for one in known}.values())

    def _note(self, finding: Finding) -> tuple[str, str, str]:
        """Count a finding, with others of its kind, view and subject; its key."""
        met = FindingStats.of(finding, self.clock())
        key = (met.kind, met.view, met.subject)
        stats = self.findings.get(key)
        if stats is not None:
            stats.add(met)
        else:
            if len(self.findings) >= LABELS:
                oldest = min(
                    self.findings, key=lambda known: self.findings[known].last_seen
                )
                del self.findings[oldest]
                self.cited.pop(oldest, None)
            self.findings[key] = met
        if finding.kind is FindingKind.LAZY_LOADS:
            series = (finding.view, finding.subject)
            if series not in self.lazy_counts and len(self.lazy_counts) >= LABELS:
                series = ("other", "")
            self.lazy_counts[series] = self.lazy_counts.get(series, 0) + 1
        return key

    def wants_reads(self, view: str, action: str) -> bool:
        """Whether the server is to be asked what it reads for a page that begins now.

        Of the first of each kind, so that there is a number, and of some by chance.
        """
        if not self.sampled_reads:
            return False
        known = self.views.get((view, action))
        is_first = known is None or not known.sampled
        return is_first or random.random() < self.sampled_reads  # noqa: S311

    def record_answer(
        self, method: str, route: str, status: str, nanoseconds: int
    ) -> None:
        """Count a request that a server has answered; `route` is a template."""
        series = (method, route, status)
        with self._lock:
            if series not in self.answers and len(self.answers) >= LABELS:
                series = ("_OTHER", "", "")
            self.answers.setdefault(series, Histogram()).add(nanoseconds)

    def count(self, name: str, kind: str, outcome: str) -> None:
        """Count something that happens seldom: an end of a session, an EXPLAIN."""
        key = (name, kind, outcome)
        with self._lock:
            if key not in self.events and len(self.events) >= LABELS:
                return
            self.events[key] = self.events.get(key, 0) + 1

    def forget(self) -> None:
        """Let go of statements, views and findings; totals, for /metrics, stay."""
        with self._lock:
            self.statements.clear()
            self.views.clear()
            self.findings.clear()
            self.cited.clear()
        self.values.clear()

    def newest_calls(self, fingerprint: str) -> tuple[Call, ...]:
        """The newest call of a statement by each view, with its values."""
        with self._lock:
            found = [
                stats.newest
                for (name, _), stats in self.statements.items()
                if name == fingerprint and stats.newest is not None
            ]
        return self.values.calls(found)

    def fingerprint_called(self, name: str) -> Fingerprint | None:
        """A statement that this process has seen, by its name."""
        with self._lock:
            found = (
                stats.name
                for (known, _), stats in self.statements.items()
                if known == name
            )
            return next(found, None)

    def find_call(
        self, fingerprint: str, request_id: str = "", at: datetime | None = None
    ) -> Call | None:
        """The newest call that is known, of a request or a moment where they are given.

        None where its values are not in this process, or not any more.
        """
        found = [*self.values.slow(fingerprint), *self.newest_calls(fingerprint)]
        if request_id:
            found += self.values.of_request(request_id)
        known = [
            call
            for call in found
            if call.fingerprint == fingerprint
            and (not request_id or call.measured.request_id == request_id)
            and (at is None or call.at == at)
        ]
        return max(known, key=lambda call: call.measured.at, default=None)

    def forget_values(self) -> None:
        """Let go of the values that were kept for long enough."""
        self.values.forget()
        with self._lock:
            known = list(self.statements.values())
        for stats in known:
            newest = stats.newest
            if newest is not None and not self.values.is_known(newest):
                with self._lock:
                    if stats.newest is newest:
                        stats.newest = None

    def minute(self) -> Minute:
        """The running minute; hold the lock, or be the only writer."""
        at = int(self.clock() // 60)
        if not self.minutes or at > self.minutes[-1].at:
            self.minutes.append(Minute(at))
        elif (ahead := self.minutes[-1].at - at) >= STEPPED_BACK:
            # The clock stepped back: the same minutes, under the names they have now.
            for minute in self.minutes:
                minute.at -= ahead
        return self.minutes[-1]

    def note_pool(self, share: float | None, waiting: int) -> None:
        """Remember the pool's fullest moment of this minute, as it was sampled."""
        with self._lock:
            self.minute().note_pool(share, waiting)

    def add_overhead(self, part: str, nanoseconds: int) -> None:
        """Count what observing itself has cost."""
        with self._lock:
            self.overhead[part] = self.overhead.get(part, 0) + nanoseconds

    def read(self, reader: Callable[["Recorder"], Any]) -> Any:
        """Whatever `reader` makes of the numbers while none of them changes."""
        with self._lock:
            return reader(self)

    def _slowness(
        self, stats: Tracked, measured: Measurement, total: int
    ) -> Slow | None:
        """Why this call belongs into the slow log, if it does."""
        if measured.error:
            return Slow(measured, measured.outcome.value, None)
        if total >= self.slow_ns:
            return Slow(measured, "slow", None)
        if total < WORTH_COMPARING:
            return None
        usual = stats.baseline(measured.at)
        if usual is None or total < usual * self.slow_factor:
            return None
        return Slow(measured, "slower than usual", usual / 1e6)

    def _count(self, measured: Measurement, total: int, bucket: int) -> None:
        """The totals and the minute."""
        name = measured.fingerprint
        series = (name.operation, name.table, measured.error)
        operation = self.operations.get(series)
        if operation is None:
            if len(self.operations) >= SERIES:
                series = ("OTHER", "", "other" if measured.error else "")
            operation = self.operations.setdefault(series, Histogram())
        operation.add_to(bucket, total)
        if measured.rows >= 0:
            place = series[:2]
            returned = self.returned.get(place)
            if returned is None:
                if len(self.returned) >= SERIES:
                    place = ("OTHER", "")
                returned = self.returned.setdefault(place, Histogram())
            returned.add(measured.rows)
        minute = self.minute()
        minute.calls += 1
        minute.latency.add_to(bucket, total)
        if measured.error:
            minute.errors += 1
            minute.timeouts += measured.outcome is Outcome.TIMED_OUT
        if total >= self.slow_ns:
            slow = (measured.view, measured.action)
            if slow not in self.slow_counts and len(self.slow_counts) >= LABELS:
                slow = ("other", "")
            self.slow_counts[slow] = self.slow_counts.get(slow, 0) + 1

    def _make_room_for(self, key: tuple[str, str], measured: Measurement) -> Tracked:
        """A new entry; the least used make way when there is no room."""
        if len(self.statements) >= self.limit:
            self._evict()
        name = measured.fingerprint
        stats = self.statements[key] = Tracked(
            name=name,
            fingerprint=name.id,
            view=measured.view,
            action=measured.action,
            text=name.text,
            operation=name.operation,
            table=name.table,
            first_seen=measured.at,
            last_seen=measured.at,
            usual_since=measured.at,
        )
        return stats

    def _evict(self) -> None:
        """Drop a twentieth of the entries, as pg_stat_statements does."""
        for stats in self.statements.values():
            stats.usage *= DECAY
        ranked = sorted(self.statements, key=lambda key: self.statements[key].usage)
        gone = ranked[: max(1, int(len(ranked) * EVICTED_SHARE))]
        for key in gone:
            del self.statements[key]
        self.evicted += len(gone)


def _subtract(whole: Histogram, part: Histogram) -> None:
    """Take the counts of an earlier moment out of a later one."""
    for bucket, number in part.counts.items():
        whole.counts[bucket] = whole.counts.get(bucket, 0) - number
    whole.number -= part.number
    whole.total -= part.total
