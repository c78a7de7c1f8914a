"""Is a pool healthy: each verdict with the rule, the value, and since when.

A rule whose value is unknown says so and is never "healthy".
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from backoffice.observability.pool import HIGHEST_HEALTHY, PoolStatus


class Health(IntEnum):
    """How well something is; unknown is not well."""

    HEALTHY = 0
    UNKNOWN = 1
    WARNING = 2
    UNHEALTHY = 3

    @property
    def word(self) -> str:
        """The level as people read it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says of one pool; `since` is epoch seconds, `seconds` how long."""

    rule: str
    health: Health
    text: str
    value: float | None
    since: float | None
    seconds: float


# Seconds a state may last before it is worth a word, and before it is trouble.
BUSY = 0.6
BUSY_FOR = 60.0
WAITERS_WARN = 5.0
WAITERS_UNHEALTHY = 30.0
WAIT_P95_WARN_MS = 50.0
WAIT_P95_UNHEALTHY_MS = 1000.0
IDLE_WARN = 30.0
IDLE_UNHEALTHY = 300.0
LONG_WARN = 60.0
LONG_UNHEALTHY = 300.0


class PoolHealth:
    """The verdicts on one pool, and since when each has held.

    To be asked regularly: what changes between two questions is dated at the second.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}

    def judge(self, status: PoolStatus) -> tuple[Verdict, ...]:
        """All verdicts, the worst first."""
        found = [
            self._utilization(status),
            self._waiters(status),
            self._waits(status),
            self._idle(status),
            self._long(status),
        ]
        return tuple(sorted(found, key=lambda verdict: -verdict.health))

    def _utilization(self, status: PoolStatus) -> Verdict:
        share = status.utilization
        if share is None or status.max is None:
            why = status.cannot[0] if status.cannot else "It has no limit."
            return self._verdict("utilization", Health.UNKNOWN, why, None)
        used = f"{status.checked_out}/{status.max} used ({share * 100:.0f} %)"
        text = f"pool {status.name} {used}"
        busy = self._lasting("busy", share > BUSY)
        if share > HIGHEST_HEALTHY:
            return self._verdict("utilization", Health.UNHEALTHY, text, share)
        if busy > BUSY_FOR:
            return self._verdict("utilization", Health.WARNING, text, share)
        return self._verdict("utilization", Health.HEALTHY, text, share)

    def _waiters(self, status: PoolStatus) -> Verdict:
        if status.waiters is None:
            return self._verdict(
                "waiters", Health.UNKNOWN, "who waits is unknown", None
            )
        lasting = self._lasting("waiting", status.waiters > 0)
        text = f"{status.waiters} waiting for a connection"
        is_crowd = status.max is not None and status.waiters > status.max
        health = Health.HEALTHY
        if status.waiters and (lasting > WAITERS_UNHEALTHY or is_crowd):
            health = Health.UNHEALTHY
        elif status.waiters and lasting > WAITERS_WARN:
            health = Health.WARNING
        return self._verdict("waiters", health, text, float(status.waiters))

    def _waits(self, status: PoolStatus) -> Verdict:
        if status.recent_timeouts is None:
            return self._verdict("waits", Health.UNKNOWN, "waits are unknown", None)
        p95 = status.wait_p95_ms
        if status.recent_timeouts:
            text = f"{status.recent_timeouts} got no connection in 5 min"
            return self._verdict("waits", Health.UNHEALTHY, text, p95)
        if p95 is None:
            return self._verdict("waits", Health.HEALTHY, "nobody asked in 1 min", None)
        text = f"95 % waited at most {p95:.0f} ms for a connection in 1 min"
        health = Health.HEALTHY
        if p95 >= WAIT_P95_UNHEALTHY_MS:
            health = Health.UNHEALTHY
        elif p95 >= WAIT_P95_WARN_MS:
            health = Health.WARNING
        return self._verdict("waits", health, text, p95)

    def _idle(self, status: PoolStatus) -> Verdict:
        idle = [one.in_state for one in status.holders if one.is_idle_in_transaction]
        longest = max(idle, default=0.0)
        text = f"longest idle in a transaction {longest:.0f} s"
        return self._graded("idle in transaction", text, longest, IDLE_WARN)

    def _long(self, status: PoolStatus) -> Verdict:
        running = [one.in_state for one in status.holders if one.state == "active"]
        longest = max(running, default=0.0)
        text = f"longest statement runs for {longest:.0f} s"
        return self._graded("long statement", text, longest, LONG_WARN)

    def _graded(self, rule: str, text: str, value: float, warn: float) -> Verdict:
        health = Health.HEALTHY
        if value >= IDLE_UNHEALTHY:
            health = Health.UNHEALTHY
        elif value >= warn:
            health = Health.WARNING
        return self._verdict(rule, health, text, value)

    def _verdict(
        self, rule: str, health: Health, text: str, value: float | None
    ) -> Verdict:
        seconds = self._lasting(f"{rule}:{health.name}", holds=True)
        for other in Health:
            if other is not health:
                self._since.pop(f"{rule}:{other.name}", None)
        return Verdict(rule, health, text, value, time.time() - seconds, seconds)

    def _lasting(self, name: str, holds: bool) -> float:  # noqa: FBT001
        """Seconds for which a state has held without a break."""
        now = self._clock()
        if not holds:
            self._since.pop(name, None)
            return 0.0
        return max(0.0, now - self._since.setdefault(name, now))


def worst(verdicts: tuple[Verdict, ...]) -> Health:
    """The health of the whole: its worst part; healthy when only some is unknown."""
    known = [one.health for one in verdicts if one.health is not Health.UNKNOWN]
    return max(known, default=Health.UNKNOWN)


def limiter_warning(tokens: float, limits: Mapping[str, int | None]) -> str:
    """What is wrong with more threads than connections; empty when nothing is.

    `tokens` are the threads that may do database work at once, `limits` the most
    connections of each pool that they share.
    """
    for name, limit in limits.items():
        if limit is not None and tokens > limit:
            return (
                f"{tokens:g} threads share the {limit} connections of pool {name}: "
                f"the threads limit should be {limit}, or the pool larger."
            )
    return ""
