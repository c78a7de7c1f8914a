"""Is a pool healthy: each verdict with the rule, the value, and since when.

A rule whose value is unknown says so and is never "healthy". How long something has
held is read off the pool itself, so that it is true whenever somebody asks.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from backoffice.observability.pool import (
    BUSY,
    HIGHEST_HEALTHY,
    RECENT,
    Holding,
    PoolStatus,
)


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
    """What one rule says; `since` is epoch seconds, `seconds` how long.

    `is_past` is what was, and is not any more; `is_calm` is unknown for no reason to
    worry: there is nothing to know yet, or this kind of database has no such thing.
    """

    rule: str
    health: Health
    text: str
    value: float | None
    since: float | None
    seconds: float
    is_past: bool = False
    is_calm: bool = False


# Seconds a state may last before it is worth a word, and before it is trouble.
BUSY_FOR = 60.0
WAITERS_WARN = 5.0
WAITERS_UNHEALTHY = 30.0
WAIT_P95_WARN_MS = 50.0
WAIT_P95_UNHEALTHY_MS = 1000.0
IDLE_WARN = 30.0
IDLE_UNHEALTHY = 300.0
LONG_WARN = 60.0
LONG_UNHEALTHY = 300.0
# Who was turned away so lately was turned away now.
JUST_NOW = 10.0


def judge_pool(status: PoolStatus) -> tuple[Verdict, ...]:
    """All verdicts on one pool, the worst first."""
    found = [
        _utilization(status),
        _waiters(status),
        _waits(status),
        _idle(status),
        _long(status),
    ]
    return tuple(sorted(found, key=lambda verdict: -verdict.health))


def _utilization(status: PoolStatus) -> Verdict:
    share = status.utilization
    if share is None or status.max is None:
        why = status.cannot[0] if status.cannot else "It has no limit."
        return verdict_of("utilization", Health.UNKNOWN, why, is_calm=True)
    used = f"{status.checked_out}/{status.max} used ({share * 100:.0f} %)"
    text = f"pool {status.name} {used}"
    if share > HIGHEST_HEALTHY:
        lasting = status.full_for or 0.0
        return verdict_of("utilization", Health.UNHEALTHY, text, share, lasting)
    busy = status.busy_for or 0.0
    if share > BUSY and busy > BUSY_FOR:
        return verdict_of("utilization", Health.WARNING, text, share, busy - BUSY_FOR)
    return verdict_of("utilization", Health.HEALTHY, text, share)


def _waiters(status: PoolStatus) -> Verdict:
    if status.waiters is None:
        words = "who waits is unknown"
        return verdict_of("waiters", Health.UNKNOWN, words, is_calm=True)
    lasting = status.waited_for or 0.0
    text = f"{status.waiters} waiting for a connection"
    is_crowd = status.max is not None and status.waiters > status.max
    health, held = Health.HEALTHY, 0.0
    if status.waiters and (lasting > WAITERS_UNHEALTHY or is_crowd):
        health, held = Health.UNHEALTHY, lasting - WAITERS_UNHEALTHY
    elif status.waiters and lasting > WAITERS_WARN:
        health, held = Health.WARNING, lasting - WAITERS_WARN
    return verdict_of("waiters", health, text, float(status.waiters), held)


def _waits(status: PoolStatus) -> Verdict:
    if status.recent_timeouts is None:
        words = "waits are unknown"
        return verdict_of("waits", Health.UNKNOWN, words, is_calm=True)
    p95 = status.wait_p95_ms
    if status.recent_timeouts:
        return _turned_away(status, status.recent_timeouts)
    if p95 is None:
        return verdict_of("waits", Health.HEALTHY, "nobody asked in 1 min", p95)
    longest = f"{p95:.0f} ms" if p95 < 1000 else f"{p95 / 1000:.1f} s"  # noqa: PLR2004
    text = f"95 % waited at most {longest} for a connection in 1 min"
    health = Health.HEALTHY
    if p95 >= WAIT_P95_UNHEALTHY_MS:
        health = Health.UNHEALTHY
    elif p95 >= WAIT_P95_WARN_MS:
        health = Health.WARNING
    return verdict_of("waits", health, text, p95)


def _turned_away(status: PoolStatus, number: int) -> Verdict:
    """Requests got no connection: that is trouble now, or it is over."""
    noun = "request" if number == 1 else "requests"
    age = status.last_timeout or 0.0
    since = status.first_timeout if status.first_timeout is not None else age
    is_now = age <= JUST_NOW or bool(status.waiters) or not status.is_healthy
    if is_now:
        text = f"{number} {noun} got no connection in {RECENT / 60:.0f} min"
        return verdict_of(
            "waits", Health.UNHEALTHY, text, status.wait_p95_ms, min(since, RECENT)
        )
    ago = f"{age:.0f} s" if age < 60 else f"{age / 60:.0f} min"  # noqa: PLR2004
    last = "" if number == 1 else "the last "
    text = f"{number} {noun} got no connection, {last}{ago} ago"
    return verdict_of(
        "waits", Health.WARNING, text, status.wait_p95_ms, age, is_past=True
    )


def _idle(status: PoolStatus) -> Verdict:
    idle = [one for one in status.holders if one.is_idle_in_transaction]
    text = "longest idle in a transaction {:.0f} s"
    if any(one.is_ended for one in idle):
        text += "; the server has ended it, it was never given back"
    return _held("idle in transaction", text, idle, IDLE_WARN, IDLE_UNHEALTHY)


def _long(status: PoolStatus) -> Verdict:
    running = [one for one in status.holders if one.state == "active"]
    text = "longest statement runs for {:.0f} s"
    return _held("long statement", text, running, LONG_WARN, LONG_UNHEALTHY)


def _held(
    rule: str, text: str, held: list[Holding], warn: float, unhealthy: float
) -> Verdict:
    longest = max((one.in_state for one in held), default=0.0)
    health, lasting = graded(longest, warn, unhealthy)
    return verdict_of(rule, health, text.format(longest), longest, lasting)


def graded(value: float, warn: float, unhealthy: float) -> tuple[Health, float]:
    """How bad a span of seconds is, and for how many seconds it has been so bad."""
    if value >= unhealthy:
        return Health.UNHEALTHY, value - unhealthy
    if value >= warn:
        return Health.WARNING, value - warn
    return Health.HEALTHY, 0.0


def verdict_of(
    rule: str,
    health: Health,
    text: str,
    value: float | None = None,
    seconds: float = 0.0,
    *,
    is_past: bool = False,
    is_calm: bool = False,
) -> Verdict:
    """A verdict that has held for at least so many seconds."""
    seconds = max(0.0, seconds)
    since = time.time() - seconds
    return Verdict(rule, health, text, value, since, seconds, is_past, is_calm)


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
