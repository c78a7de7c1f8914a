from dataclasses import replace

import pytest

from backoffice.observability.pool import Holding, PoolStatus
from backoffice.observability.pool_health import (
    Health,
    Verdict,
    judge_pool,
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


def verdict(found: tuple[Verdict, ...], rule: str) -> Verdict:
    """The verdict of one rule."""
    return next(one for one in found if one.rule == rule)


def test_a_calm_pool_is_healthy() -> None:
    """Nothing used, nobody waiting: every rule is content."""
    found = judge_pool(CALM)
    assert {one.health for one in found} == {Health.HEALTHY}


@pytest.mark.parametrize(
    ("used", "health"),
    [(12, Health.HEALTHY), (13, Health.UNHEALTHY), (15, Health.UNHEALTHY)],
)
def test_exactly_four_fifths_are_healthy(used: int, health: Health) -> None:
    """80 % is healthy, more is not, at once."""
    found = judge_pool(replace(CALM, checked_out=used))
    assert verdict(found, "utilization").health is health


def test_a_verdict_names_rule_value_and_since_when() -> None:
    """What is wrong is said with its numbers, and for how long it has been so."""
    full = replace(CALM, checked_out=13, full_for=42.0)
    worst_one = judge_pool(full)[0]
    assert worst_one.rule == "utilization"
    assert worst_one.text == "pool default 13/15 used (87 %)"
    assert worst_one.value == pytest.approx(13 / 15)
    assert worst_one.seconds == 42.0


@pytest.mark.parametrize(
    ("busy_for", "health"), [(59.0, Health.HEALTHY), (61.0, Health.WARNING)]
)
def test_a_busy_minute_is_a_warning(busy_for: float, health: Health) -> None:
    """More than 60 % for longer than a minute is worth a word."""
    busy = replace(CALM, checked_out=10, busy_for=busy_for)
    assert verdict(judge_pool(busy), "utilization").health is health


@pytest.mark.parametrize(
    ("after", "health"),
    [(1.0, Health.HEALTHY), (6.0, Health.WARNING), (31.0, Health.UNHEALTHY)],
)
def test_waiting_gets_worse_with_time(after: float, health: Health) -> None:
    """Waiters are tolerated for five seconds, and for thirty at most."""
    waiting = replace(CALM, waiters=1, waited_for=after)
    assert verdict(judge_pool(waiting), "waiters").health is health


def test_a_crowd_is_trouble_at_once() -> None:
    """More waiters than the pool has connections are unhealthy without delay."""
    found = judge_pool(replace(CALM, waiters=16))
    assert verdict(found, "waiters").health is Health.UNHEALTHY


@pytest.mark.parametrize(
    ("changes", "health"),
    [
        ({"wait_p95_ms": 49.0}, Health.HEALTHY),
        ({"wait_p95_ms": 50.0}, Health.WARNING),
        ({"wait_p95_ms": 1000.0}, Health.UNHEALTHY),
        ({"recent_timeouts": 1, "last_timeout": 9.0}, Health.UNHEALTHY),
        ({"recent_timeouts": 1, "last_timeout": 99.0}, Health.WARNING),
        (
            {"recent_timeouts": 1, "last_timeout": 99.0, "checked_out": 15},
            Health.UNHEALTHY,
        ),
    ],
)
def test_waits_are_judged(changes: dict[str, float], health: Health) -> None:
    """The 95th percentile decides; who got none is trouble while it goes on."""
    found = judge_pool(replace(CALM, **changes))  # type: ignore[arg-type]
    assert verdict(found, "waits").health is health


def test_long_waits_are_told_in_seconds() -> None:
    """Nobody reads 4897 ms at a glance."""
    texts = [verdict.text for verdict in judge_pool(replace(CALM, wait_p95_ms=4897.0))]
    assert "95 % waited at most 4.9 s for a connection in 1 min" in texts


def test_what_is_over_is_told_as_what_was() -> None:
    """Once the pool is free again: how many got nothing, and how long ago."""
    status = replace(CALM, recent_timeouts=9, last_timeout=125.0, first_timeout=130.0)
    found = verdict(judge_pool(status), "waits")
    assert found.text == "9 requests got no connection, the last 2 min ago"
    assert found.is_past


@pytest.mark.parametrize(
    ("seconds", "health"),
    [(29.0, Health.HEALTHY), (30.0, Health.WARNING), (300.0, Health.UNHEALTHY)],
)
def test_an_idle_transaction_is_judged(seconds: float, health: Health) -> None:
    """A transaction that stands idle is a warning after 30 s, trouble after 300."""
    idle = replace(HOLDING, state="idle in transaction", in_state=seconds)
    found = judge_pool(replace(CALM, holders=(idle,)))
    assert verdict(found, "idle in transaction").health is health


def test_unknown_is_not_healthy() -> None:
    """A rule whose value cannot be had says so."""
    unknown = replace(
        CALM, max=None, waiters=None, recent_timeouts=None, cannot=("Nobody knows.",)
    )
    found = {one.rule: one.health for one in judge_pool(unknown)}
    assert found["utilization"] is Health.UNKNOWN
    assert found["waiters"] is Health.UNKNOWN
    assert found["waits"] is Health.UNKNOWN


def test_the_whole_is_as_its_worst_part() -> None:
    """One unhealthy rule makes the pool unhealthy."""
    assert worst(judge_pool(replace(CALM, checked_out=15))) is Health.UNHEALTHY


def test_more_threads_than_connections_are_said() -> None:
    """Forty threads on fifteen connections are a mistake of the settings."""
    assert "40 threads share the 15 connections" in limiter_warning(40, {"default": 15})
    assert limiter_warning(15, {"default": 15, "other": None}) == ""
