from dataclasses import replace

import pytest

from backoffice.observability.pool import Holding, PoolStatus
from backoffice.observability.pool_health import (
    Health,
    PoolHealth,
    Verdict,
    limiter_warning,
    worst,
)

CALM = PoolStatus(
    name="default",
    kind="QueuePool",
    process=1,
    size=5,
    max=15,
    checked_in=5,
    checked_out=0,
    overflow=0,
    waiters=0,
    wait_p50_ms=0.1,
    wait_p95_ms=0.2,
    wait_max_ms=0.3,
    timeouts=0,
    recent_timeouts=0,
    last_timeout=None,
    created=5,
    connect_errors=0,
    invalidated=0,
    full_for=None,
    waiting_for=None,
    holders=(),
    waiting=(),
)
HOLDING = Holding(1, "student", "list", "bob", "r1", 400.0, "active", 0.0, "")


class Clock:
    """A clock that stands where it is put."""

    now = 0.0

    def __call__(self) -> float:
        """The time it shows."""
        return self.now


def verdict(found: tuple[Verdict, ...], rule: str) -> Verdict:
    """The verdict of one rule."""
    return next(one for one in found if one.rule == rule)


def test_a_calm_pool_is_healthy() -> None:
    """Nothing used, nobody waiting: every rule is content."""
    found = PoolHealth().judge(CALM)
    assert {one.health for one in found} == {Health.HEALTHY}


@pytest.mark.parametrize(
    ("used", "health"),
    [(12, Health.HEALTHY), (13, Health.UNHEALTHY), (15, Health.UNHEALTHY)],
)
def test_exactly_four_fifths_are_healthy(used: int, health: Health) -> None:
    """80 % is healthy, more is not, at once."""
    found = PoolHealth().judge(replace(CALM, checked_out=used))
    assert verdict(found, "utilization").health is health


def test_a_verdict_names_rule_value_and_since_when() -> None:
    """What is wrong is said with its numbers, and for how long it has been so."""
    clock = Clock()
    health = PoolHealth(clock=clock)
    full = replace(CALM, checked_out=13)
    health.judge(full)
    clock.now = 42.0
    worst_one = health.judge(full)[0]
    assert worst_one.rule == "utilization"
    assert worst_one.text == "pool default 13/15 used (87 %)"
    assert worst_one.value == pytest.approx(13 / 15)
    assert worst_one.seconds == 42.0


def test_a_busy_minute_is_a_warning() -> None:
    """More than 60 % for longer than a minute is worth a word."""
    clock = Clock()
    health = PoolHealth(clock=clock)
    busy = replace(CALM, checked_out=10)
    first = verdict(health.judge(busy), "utilization")
    clock.now = 61.0
    second = verdict(health.judge(busy), "utilization")
    assert (first.health, second.health) == (Health.HEALTHY, Health.WARNING)


@pytest.mark.parametrize(
    ("after", "health"),
    [(1.0, Health.HEALTHY), (6.0, Health.WARNING), (31.0, Health.UNHEALTHY)],
)
def test_waiting_gets_worse_with_time(after: float, health: Health) -> None:
    """Waiters are tolerated for five seconds, and for thirty at most."""
    clock = Clock()
    judge = PoolHealth(clock=clock)
    waiting = replace(CALM, waiters=1)
    judge.judge(waiting)
    clock.now = after
    assert verdict(judge.judge(waiting), "waiters").health is health


def test_a_crowd_is_trouble_at_once() -> None:
    """More waiters than the pool has connections are unhealthy without delay."""
    found = PoolHealth().judge(replace(CALM, waiters=16))
    assert verdict(found, "waiters").health is Health.UNHEALTHY


def test_a_pause_starts_the_count_anew() -> None:
    """Waiters that went away and came back have just come."""
    clock = Clock()
    judge = PoolHealth(clock=clock)
    judge.judge(replace(CALM, waiters=1))
    clock.now = 20.0
    judge.judge(CALM)
    clock.now = 31.0
    found = judge.judge(replace(CALM, waiters=1))
    assert verdict(found, "waiters").health is Health.HEALTHY


@pytest.mark.parametrize(
    ("changes", "health"),
    [
        ({"wait_p95_ms": 49.0}, Health.HEALTHY),
        ({"wait_p95_ms": 50.0}, Health.WARNING),
        ({"wait_p95_ms": 1000.0}, Health.UNHEALTHY),
        ({"recent_timeouts": 1}, Health.UNHEALTHY),
    ],
)
def test_waits_are_judged(changes: dict[str, float], health: Health) -> None:
    """The 95th percentile of the waits, and any timeout, decide."""
    found = PoolHealth().judge(replace(CALM, **changes))  # type: ignore[arg-type]
    assert verdict(found, "waits").health is health


@pytest.mark.parametrize(
    ("seconds", "health"),
    [(29.0, Health.HEALTHY), (30.0, Health.WARNING), (300.0, Health.UNHEALTHY)],
)
def test_an_idle_transaction_is_judged(seconds: float, health: Health) -> None:
    """A transaction that stands idle is a warning after 30 s, trouble after 300."""
    idle = replace(HOLDING, state="idle in transaction", in_state=seconds)
    found = PoolHealth().judge(replace(CALM, holders=(idle,)))
    assert verdict(found, "idle in transaction").health is health


def test_unknown_is_not_healthy() -> None:
    """A rule whose value cannot be had says so."""
    unknown = replace(
        CALM, max=None, waiters=None, recent_timeouts=None, cannot=("Nobody knows.",)
    )
    found = {one.rule: one.health for one in PoolHealth().judge(unknown)}
    assert found["utilization"] is Health.UNKNOWN
    assert found["waiters"] is Health.UNKNOWN
    assert found["waits"] is Health.UNKNOWN


def test_the_whole_is_as_its_worst_part() -> None:
    """One unhealthy rule makes the pool unhealthy."""
    assert worst(PoolHealth().judge(replace(CALM, checked_out=15))) is Health.UNHEALTHY


def test_more_threads_than_connections_are_said() -> None:
    """Forty threads on fifteen connections are a mistake of the settings."""
    assert "40 threads share the 15 connections" in limiter_warning(40, {"default": 15})
    assert limiter_warning(15, {"default": 15, "other": None}) == ""
