import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import (
    AssertionPool,
    Engine,
    NullPool,
    QueuePool,
    SingletonThreadPool,
    StaticPool,
    create_engine,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backoffice.database.session import Actor, Place, make_sessions, unit_of_work
from backoffice.observability.pool import PoolMeter, observed_pool, read_pool
from backoffice.observability.statements import Observation, install
from tests.observability.conftest import Kept

Make = Callable[..., tuple[Engine, Observation]]


def test_numbers_of_a_queue_pool(make_observed: Make) -> None:
    """Three held of five and two: three out, none idle, no overflow below zero."""
    engine, observation = make_observed(pool_size=5, max_overflow=2)
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(engine.connect())
        status = observation.status()
    assert (status.size, status.max, status.checked_in) == (5, 7, 0)
    assert (status.checked_out, status.overflow) == (3, 0)
    assert status.utilization == pytest.approx(3 / 7)


def test_overflow_is_counted(make_observed: Make) -> None:
    """The connections beyond the pool's size are its overflow."""
    engine, observation = make_observed(pool_size=1, max_overflow=3)
    with engine.connect(), engine.connect(), engine.connect():
        assert observation.status().overflow == 2
    status = observation.status()
    assert (status.overflow, status.checked_in, status.checked_out) == (0, 1, 0)


@pytest.mark.parametrize(("held", "word"), [(12, "healthy"), (13, "full")])
def test_above_four_fifths_is_unhealthy(
    make_observed: Make, held: int, word: str
) -> None:
    """Twelve of fifteen, exactly 80 %, are healthy; thirteen are not."""
    engine, observation = make_observed(pool_size=5, max_overflow=10)
    with ExitStack() as stack:
        for _ in range(held):
            stack.enter_context(engine.connect())
        status = observation.status()
    assert status.is_healthy is (word == "healthy")
    assert (status.full_for is None) is (word == "healthy")
    assert observation.status().full_for is None


def test_waiters_waits_and_timeouts(make_observed: Make) -> None:
    """Nine threads on two connections: seven wait, and who gives up is counted."""
    engine, observation = make_observed(pool_size=2, max_overflow=0, pool_timeout=1)
    release = threading.Event()
    failures: list[BaseException] = []

    def use() -> None:
        try:
            with engine.connect():
                release.wait()
        except PoolTimeout as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(9)]
    for thread in threads:
        thread.start()
    while observation.status().waiters != 7:
        pass
    crowded = observation.status()
    for thread in threads[2:]:
        thread.join(0.0)
    while len(failures) < 7:
        pass
    release.set()
    for thread in threads:
        thread.join()
    status = observation.status()
    assert crowded.waiting_for is not None
    assert (status.timeouts, status.recent_timeouts, status.waiters) == (7, 7, 0)
    assert status.wait_max_ms is not None
    assert status.wait_max_ms >= 1000
    assert observation.meter.wait.number == 9


def test_making_a_connection_is_no_waiting(make_observed: Make) -> None:
    """The time the server takes to connect is counted apart from the wait."""
    engine, observation = make_observed()
    with engine.connect():
        pass
    meter = observation.meter
    assert (meter.create.number, meter.wait.number, meter.use.number) == (1, 1, 1)
    moments = iter([100, 170])
    timed = PoolMeter(clock=lambda: next(moments))
    timed.began_waiting()
    timed.connecting()
    timed.connected(60)
    timed.stopped_waiting()
    assert (timed.create.total, timed.wait.total) == (60, 10)


def test_a_lost_connection_is_counted(make_observed: Make) -> None:
    """A connection that the server ended is invalidated, and another is made."""
    engine, observation = make_observed()
    with engine.connect() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        with engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        with pytest.raises(DBAPIError):
            connection.execute(text("SELECT 1"))
    with engine.connect(), engine.connect():
        pass
    status = observation.status()
    assert status.invalidated >= 1
    assert status.created >= 3
    assert status.holders == ()


def test_a_server_that_refuses_is_counted(recorder: Kept) -> None:
    """A connect that failed is an error, not a connection."""
    engine = create_engine(
        "postgresql+psycopg://nobody@127.0.0.1:1/x",
        poolclass=observed_pool(QueuePool),
    )
    observation = install(engine, recorder)
    with pytest.raises(DBAPIError):
        engine.connect()
    status = observation.status()
    assert (status.connect_errors, status.created, status.checked_out) == (1, 0, 0)


def test_the_holder_is_known(make_observed: Make) -> None:
    """A held connection is mapped to its backend, request, view and user."""
    engine, observation = make_observed()
    with unit_of_work(
        make_sessions(engine),
        actor=Actor("7", "bob"),
        place=Place("student", "edit"),
        request_id="r9",
    ) as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        (holding,) = observation.status().holders
    assert (holding.backend_pid, holding.view, holding.action) == (
        pid,
        "student",
        "edit",
    )
    assert (holding.user, holding.request_id) == ("bob", "r9")
    assert holding.is_idle_in_transaction
    assert observation.status().holders == ()


def test_a_leaked_connection_that_the_server_has_ended_says_so(
    make_observed: Make,
) -> None:
    """Nobody gave it back, and the server's own list no longer has it."""
    engine, observation = make_observed()
    with engine.connect() as leaked:
        pid = leaked.scalar(text("SELECT pg_backend_pid()"))
        with engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            found = {one.backend_pid: one for one in observation.status().holders}
        assert found[pid].state == "idle in transaction, ended by the server"
        assert found[pid].is_idle_in_transaction
        assert [one.is_ended for one in found.values()].count(True) == 1
        leaked.invalidate()


def test_a_running_statement_is_active(make_observed: Make) -> None:
    """While a statement runs, its connection is active and names the fingerprint."""
    engine, observation = make_observed()
    with engine.connect() as blocker, engine.connect() as connection:
        blocker.execute(text("SELECT pg_advisory_xact_lock(4711)"))

        def wait() -> None:
            connection.execute(text("SELECT pg_advisory_xact_lock(4711)")).all()

        thread = threading.Thread(target=wait)
        thread.start()
        while not (
            found := [
                one for one in observation.status().holders if one.state == "active"
            ]
        ):
            pass
        blocker.rollback()
        thread.join()
    assert found[0].fingerprint


def test_a_detached_connection_is_not_held(make_observed: Make) -> None:
    """A connection that left the pool for good is nobody's."""
    engine, observation = make_observed()
    with engine.connect() as connection:
        connection.detach()
        assert observation.status().holders == ()


@pytest.mark.parametrize("poolclass", [NullPool, StaticPool, AssertionPool])
def test_pools_without_a_limit_say_what_they_cannot(
    make_observed: Make, poolclass: Any
) -> None:
    """A pool that does not know a number says None and why, and still knows holders."""
    engine, observation = make_observed(poolclass=observed_pool(poolclass))
    with engine.connect():
        status = observation.status()
    assert (status.kind, status.checked_out) == (poolclass.__name__, 1)
    assert (status.utilization, status.overflow, status.checked_in) == (
        None,
        None,
        None,
    )
    assert status.waiters == 0
    assert status.cannot
    assert observation.meter.create.number == 1


def test_a_pool_without_end_has_no_utilization(make_observed: Make) -> None:
    """An overflow without limit is said, not divided by."""
    engine, observation = make_observed(pool_size=1, max_overflow=-1)
    with engine.connect(), engine.connect():
        status = observation.status()
    assert (status.max, status.utilization, status.checked_out) == (None, None, 2)
    assert status.cannot == ("It has no limit: there is no utilization.",)


def test_sqlite_in_memory_is_observed(recorder: Kept) -> None:
    """SQLite's pool of one connection per thread tells its size and its users."""
    engine = create_engine("sqlite://", poolclass=observed_pool(SingletonThreadPool))
    observation = install(engine, recorder)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        status = observation.status()
    engine.dispose()
    assert (status.size, status.checked_out, status.waiters) == (5, 1, 0)


def test_an_unobserved_pool_says_so(make_observed: Make) -> None:
    """Without the subclass waits and timeouts are None, with a sentence."""
    _, observation = make_observed(poolclass=QueuePool)
    status = observation.status()
    assert (status.waiters, status.timeouts) == (None, None)
    assert status.cannot == (
        "Waits and timeouts are unknown: the pool is not observed.",
    )


def test_reading_takes_no_connection(make_observed: Make) -> None:
    """A full pool is read as quickly as an empty one."""
    engine, observation = make_observed(pool_size=1, max_overflow=0)
    with engine.connect():
        status = read_pool(engine, observation.meter)
    assert (status.checked_out, status.process) == (1, os.getpid())


def test_who_waits_still_has_waited(
    make_observed: Callable[..., tuple[Engine, Observation]],
) -> None:
    """A wait that goes on is the longest, and counts in the p95."""
    engine, observation = make_observed(pool_size=1, max_overflow=0)
    now = [0]
    observation.meter.clock = lambda: now[0]
    with engine.connect():
        observation.meter.joined_queue("somebody", None)
        now[0] = 4_000_000_000
        status = observation.status()
        assert status.wait_max_ms == 4000.0
        assert status.wait_p95_ms is not None
        assert status.wait_p95_ms > 3700
        observation.meter.left_queue("somebody")


def test_that_somebody_always_waits_is_known(
    make_observed: Callable[..., tuple[Engine, Observation]],
) -> None:
    """One goes, another comes: since the first of them there was no pause."""
    engine, observation = make_observed(pool_size=1, max_overflow=0)
    meter, now = observation.meter, [0]
    meter.clock = lambda: now[0]
    with engine.connect():
        meter.joined_queue("first", None)
        now[0] = 2_000_000_000
        meter.sample()
        meter.joined_queue("second", None)
        meter.left_queue("first")
        now[0] = 9_000_000_000
        meter.sample()
        assert observation.status().waited_for == 9.0
        meter.left_queue("second")
        meter.sample()
        meter.joined_queue("third", None)
        now[0] = 10_000_000_000
        assert observation.status().waited_for == 1.0
        meter.left_queue("third")


def test_a_busy_pool_knows_since_when(
    make_observed: Callable[..., tuple[Engine, Observation]],
) -> None:
    """Above three fifths it is busy, until it is not."""
    engine, observation = make_observed(pool_size=3, max_overflow=0)
    now = [0]
    observation.meter.clock = lambda: now[0]
    with engine.connect():
        assert observation.status().busy_for is None
        with engine.connect():
            now[0] = 7_000_000_000
            assert observation.status().busy_for == 7.0
        assert observation.status().busy_for is None
