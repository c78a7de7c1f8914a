"""How full is a pool, who holds its connections, and who waits.

SQLAlchemy's events know neither the wait for a connection nor its end in a timeout: a
subclass of the pool's own class measures both. Every pool class can be observed; what
one cannot tell is said in `PoolStatus.cannot`, and its number is None, not zero.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, TypeVar

from sqlalchemy import Engine, NullPool, Pool, QueuePool, event
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from backoffice.database.liveness import is_ended
from backoffice.database.session import Work, current_work
from backoffice.observability.histogram import Histogram
from backoffice.observability.measurement import Measurement

# Above this share of size + max overflow a pool is unhealthy; at it, still healthy.
# Above this one it is busy: worth a word when it lasts.
BUSY = 0.6
HIGHEST_HEALTHY = 0.8
# Who gets a connection sooner than this has not waited: nanoseconds.
A_WAIT = 5_000_000
RECENT = 300.0

P = TypeVar("P", bound=Pool)

# How long this context has queued for its turn at a pool, in nanoseconds: counted with
# the wait of its first connection, and then gone.
queued_for: ContextVar[list[int] | None] = ContextVar("queued_for", default=None)


# After the state of a connection that is held although the server has ended it, as it
# does with a transaction that stands idle too long.
ENDED = ", ended by the server"


@dataclass(slots=True)
class Holder:
    """Who has a connection out of the pool, since when, and what it does there."""

    since: int
    wait: int
    work: Work | None
    backend_pid: int | None
    connection: Any
    thread: int
    statement: str = ""
    statement_since: int | None = None
    idle_since: int | None = None
    # Statements whose rows were not all read yet.
    unread: list[Measurement] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Holding:
    """One connection that is checked out, as the page shows it; seconds."""

    backend_pid: int | None
    view: str
    action: str
    user: str
    request_id: str
    age: float
    state: str
    in_state: float
    fingerprint: str

    @property
    def is_idle_in_transaction(self) -> bool:
        """Whether a transaction is open and nothing runs in it."""
        return self.state.startswith("idle in transaction")

    @property
    def is_ended(self) -> bool:
        """Whether it is held on to although the server has ended it."""
        return self.state.endswith(ENDED)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A thread that waits for a connection; seconds."""

    view: str
    action: str
    user: str
    request_id: str
    age: float


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """A pool at one moment. None is "this kind of pool does not know", never zero.

    `timeouts` are those since the page began to count, last; `max` is None for a pool
    without a limit; `overflow` is never negative.
    """

    name: str
    kind: str
    process: int
    size: int | None
    max: int | None
    checked_in: int | None
    checked_out: int
    overflow: int | None
    waiters: int | None
    wait_p50_ms: float | None
    wait_p95_ms: float | None
    wait_max_ms: float | None
    timeouts: int | None
    recent_timeouts: int | None
    last_timeout: float | None
    created: int
    connect_errors: int
    invalidated: int
    full_for: float | None
    waiting_for: float | None
    holders: tuple[Holding, ...]
    waiting: tuple[Waiting, ...]
    cannot: tuple[str, ...] = ()
    busy_for: float | None = None
    # Since when somebody has waited without a break; the longest wait may be shorter.
    waited_for: float | None = None
    first_timeout: float | None = None

    @property
    def utilization(self) -> float | None:
        """Checked out of size + max overflow, 0 to 1; None without a limit."""
        return self.checked_out / self.max if self.max else None

    @property
    def is_healthy(self) -> bool:
        """Whether no more than four fifths are in use."""
        return self.utilization is None or self.utilization <= HIGHEST_HEALTHY

    @property
    def oldest(self) -> Holding | None:
        """The connection that has been out longest."""
        return max(self.holders, key=lambda holding: holding.age, default=None)


@dataclass(slots=True)
class _Waiter:
    since: int
    work: Work | None
    created: int = 0
    is_connecting: bool = False


class PoolMeter:
    """What is counted of one pool over the life of its process.

    It outlives `Engine.dispose()`, which makes SQLAlchemy replace the pool.
    """

    def __init__(self, *, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self.name = "default"
        self.clock = clock
        self.wait = Histogram()
        self.create = Histogram()
        self.use = Histogram()
        self.timeouts = 0
        self.timeouts_before = 0
        self.created = 0
        self.connect_errors = 0
        self.invalidated = 0
        self.on_timeout: Callable[[int, Work | None], None] | None = None
        self.on_connect_error: (
            Callable[[int, Work | None, BaseException], None] | None
        ) = None
        self.holders: dict[int, Holder] = {}
        self.waiting: dict[int, _Waiter] = {}
        self.full_since: int | None = None
        self.busy_since: int | None = None
        self.waiting_since: int | None = None
        self.recent_waits: deque[tuple[int, int]] = deque(maxlen=1000)
        self.recent_timeouts: deque[int] = deque(maxlen=1000)
        self._local = threading.local()
        self._lock = threading.Lock()

    def begin_anew(self) -> None:
        """Let the page count timeouts from zero; the total of /metrics goes on."""
        with self._lock:
            self.timeouts_before = self.timeouts

    def began_waiting(self) -> bool:
        """Note that this thread asks for a connection; False if it already does."""
        ident = threading.get_ident()
        if ident in self.waiting:
            return False
        queued = queued_for.get()
        before = queued.pop() if queued else 0
        now = self._local.since = self.clock() - before
        self.waiting[ident] = _Waiter(now, current_work.get())
        return True

    def joined_queue(self, place: object, work: Work | None) -> None:
        """Note that work queues for its turn at the pool, in front of the threads."""
        self.waiting[id(place)] = _Waiter(self.clock(), work)

    def left_queue(self, place: object, *, timed_out: bool = False) -> int:
        """Note that its turn has come, or never came; how long it queued."""
        now = self.clock()
        waiter = self.waiting.pop(id(place))
        waited = max(0, now - waiter.since)
        if timed_out:
            with self._lock:
                self.wait.add(waited)
                self.recent_waits.append((now, waited))
                self.timeouts += 1
                self.recent_timeouts.append(now)
            if self.on_timeout is not None:
                self.on_timeout(waited, waiter.work)
        return waited

    def waited(self, nanoseconds: int, *, timed_out: bool = False) -> None:
        """Note a wait at a pool beside, which has a queue of its own."""
        now = self.clock()
        with self._lock:
            self.wait.add(nanoseconds)
            self.recent_waits.append((now, nanoseconds))
            if timed_out:
                self.timeouts += 1
                self.recent_timeouts.append(now)

    def stopped_waiting(self, *, timed_out: bool = False) -> None:
        """Note that this thread's wait is over, and how long it was."""
        now = self.clock()
        waiter = self.waiting.pop(threading.get_ident())
        waited = max(0, now - waiter.since - waiter.created)
        with self._lock:
            self.wait.add(waited)
            self.recent_waits.append((now, waited))
            if timed_out:
                self.timeouts += 1
                self.recent_timeouts.append(now)
        if timed_out and self.on_timeout is not None:
            self.on_timeout(waited, waiter.work)

    def connecting(self) -> None:
        """Note that this thread waits for the server now, not for other threads."""
        waiter = self.waiting.get(threading.get_ident())
        if waiter is not None:
            waiter.is_connecting = True

    def connected(self, nanoseconds: int) -> None:
        """Note that the server gave a new connection."""
        self._waited_for_the_server(nanoseconds)
        with self._lock:
            self.created += 1
            self.create.add(nanoseconds)

    def not_connected(self, nanoseconds: int, error: BaseException) -> None:
        """Note that the server was asked for a new connection, and gave none."""
        waiter = self._waited_for_the_server(nanoseconds)
        with self._lock:
            self.connect_errors += 1
        if self.on_connect_error is not None:
            work = waiter.work if waiter is not None else current_work.get()
            self.on_connect_error(nanoseconds, work, error)

    def _waited_for_the_server(self, nanoseconds: int) -> _Waiter | None:
        waiter = self.waiting.get(threading.get_ident())
        if waiter is not None:
            waiter.created += nanoseconds
        return waiter

    def checked_out(self, connection: Any, record: Any, limit: int | None) -> Holder:
        """Note who has the connection from now on."""
        now = self.clock()
        since = getattr(self._local, "since", None)
        self._local.since = None
        holder = Holder(
            since=now,
            wait=max(0, now - since) if since is not None else 0,
            work=current_work.get(),
            backend_pid=backend_pid(connection, record.info),
            connection=connection,
            thread=threading.get_ident(),
        )
        self.holders[id(record)] = holder
        if limit is not None:
            share = len(self.holders) / limit
            if self.full_since is None and share > HIGHEST_HEALTHY:
                self.full_since = now
            if self.busy_since is None and share > BUSY:
                self.busy_since = now
        return holder

    def checked_in(self, record: Any, limit: int | None) -> Holder | None:
        """Note that the connection is back."""
        holder = self.holders.pop(id(record), None)
        if holder is None:
            return None
        self.use.add(self.clock() - holder.since)
        if self.busy_since is not None:
            share = len(self.holders) / limit if limit is not None else 0.0
            if share <= HIGHEST_HEALTHY:
                self.full_since = None
            if share <= BUSY:
                self.busy_since = None
        return holder

    def sample(self) -> None:
        """Note whether somebody waits: to be called regularly.

        Those who wait come and go; that there is always one of them is the trouble.
        """
        now = self.clock()
        since = [one.since for one in _waiting_now(self) if now - one.since >= A_WAIT]
        if not since:
            self.waiting_since = None
        elif self.waiting_since is None:
            self.waiting_since = min(since)


def backend_pid(connection: Any, info: dict[Any, Any]) -> int | None:
    """The server process behind a connection; None where there is none."""
    if "backend_pid" not in info:
        pgconn = getattr(connection, "pgconn", None)
        info["backend_pid"] = pgconn.backend_pid if pgconn is not None else None
    found: int | None = info["backend_pid"]
    return found


class ObservedPool(Pool):
    """What a pool's own class is mixed with; see `observed_pool`."""

    is_observed: ClassVar[bool] = True
    meter: PoolMeter

    def __init__(self, *args: Any, **options: Any) -> None:
        self.meter = PoolMeter()
        super().__init__(*args, **options)

    def recreate(self) -> Any:
        """The pool that takes over after `dispose`; it goes on counting."""
        pool: Any = super().recreate()
        pool.meter = self.meter
        return pool

    def _should_wrap_creator(self, creator: Any) -> Any:
        """Time every connect, also those that replace a lost connection."""
        invoke = super()._should_wrap_creator(creator)

        def connect(record: Any) -> Any:
            started = self.meter.clock()
            self.meter.connecting()
            try:
                made = invoke(record)
            except BaseException as error:
                self.meter.not_connected(self.meter.clock() - started, error)
                raise
            self.meter.connected(self.meter.clock() - started)
            return made

        return connect

    def _do_get(self) -> Any:
        """Time the wait; SQLAlchemy's own method calls itself when it loses a race."""
        meter = self.meter
        if not meter.began_waiting():
            return super()._do_get()
        timed_out = False
        try:
            return super()._do_get()
        except PoolTimeout:
            timed_out = True
            raise
        finally:
            meter.stopped_waiting(timed_out=timed_out)


@cache
def observed_pool(poolclass: type[P]) -> type[P]:
    """The pool class, measuring; its arguments and behaviour are the same.

    For `create_engine(…, poolclass=observed_pool(QueuePool))`.
    """
    made: Any = type(f"Observed{poolclass.__name__}", (ObservedPool, poolclass), {})
    made.__doc__ = f"{poolclass.__name__}, measured."
    made.observes = poolclass
    found: type[P] = made
    return found


def meter_of(engine: Engine) -> PoolMeter:
    """The engine's meter; made, without waits, for a pool that is not observed."""
    meter: PoolMeter | None = getattr(engine.pool, "meter", None)
    if meter is None:
        meter = PoolMeter()
    return meter


def watch_pool(engine: Engine, meter: PoolMeter, name: str) -> None:
    """Let the pool's events tell the meter who holds which connection."""
    meter.name = name

    def invalidated(*_arguments: object) -> None:
        meter.invalidated += 1

    event.listen(engine, "invalidate", invalidated)
    event.listen(engine, "soft_invalidate", invalidated)


@dataclass(frozen=True, slots=True)
class _Capacity:
    """What a pool class says of itself."""

    size: int | None
    max: int | None
    checked_in: int | None
    overflow: int | None
    cannot: list[str] = field(default_factory=list)


def capacity_limit(pool: Pool) -> int | None:
    """How many connections the pool hands out at most; None is no limit."""
    if isinstance(pool, QueuePool):
        size, overflow = pool.size(), pool._max_overflow  # noqa: SLF001 - not public
        return None if size == 0 or overflow < 0 else size + overflow
    return None


def read_pool(engine: Engine, meter: PoolMeter) -> PoolStatus:
    """The engine's pool, now; takes no connection and waits for nobody."""
    pool = engine.pool
    capacity = _capacity(pool)
    cannot = capacity.cannot
    is_observed = getattr(pool, "is_observed", False)
    if not is_observed:
        cannot = [*cannot, "Waits and timeouts are unknown: the pool is not observed."]
    now = meter.clock()
    holders = tuple(_holding(holder, now) for holder in tuple(meter.holders.values()))
    waiting = tuple(_waiting(waiter, now) for waiter in _waiting_now(meter))
    minute = now - 60 * 1_000_000_000
    waits = Histogram()
    for at, waited in tuple(meter.recent_waits):
        if at >= minute:
            waits.add(waited)
    # Who waits still has waited already: a p95 of those alone who got one hides them.
    for waiter in waiting:
        waits.add(int(waiter.age * 1e9))
    recent = now - int(RECENT * 1e9)
    turned_away = [at for at in tuple(meter.recent_timeouts) if at >= recent]
    since = [int(now - waiter.age * 1e9) for waiter in waiting]
    if since and meter.waiting_since is not None:
        since.append(meter.waiting_since)
    out = pool.checkedout() if isinstance(pool, QueuePool) else len(holders)
    return PoolStatus(
        name=meter.name,
        kind=getattr(type(pool), "observes", type(pool)).__name__,
        process=os.getpid(),
        size=capacity.size,
        max=capacity.max,
        checked_in=capacity.checked_in,
        checked_out=max(0, out),
        overflow=capacity.overflow,
        waiters=len(waiting) if is_observed else None,
        wait_p50_ms=_ms(waits.quantile(0.5)),
        wait_p95_ms=_ms(waits.quantile(0.95)),
        wait_max_ms=_ms(waits.maximum) if waits.number else None,
        timeouts=meter.timeouts - meter.timeouts_before if is_observed else None,
        recent_timeouts=len(turned_away) if is_observed else None,
        last_timeout=(
            _seconds(now, meter.recent_timeouts[-1]) if meter.recent_timeouts else None
        ),
        created=meter.created,
        connect_errors=meter.connect_errors,
        invalidated=meter.invalidated,
        full_for=_seconds(now, meter.full_since),
        waiting_for=max((waiter.age for waiter in waiting), default=None),
        holders=tuple(sorted(holders, key=lambda holding: -holding.age)),
        waiting=waiting,
        cannot=tuple(cannot),
        busy_for=_seconds(now, meter.busy_since),
        waited_for=_seconds(now, min(since, default=None)),
        first_timeout=_seconds(now, turned_away[0] if turned_away else None),
    )


def _capacity(pool: Pool) -> _Capacity:
    """Size, limit and what is free, as far as the kind of pool knows."""
    if isinstance(pool, QueuePool):
        limit = capacity_limit(pool)
        cannot = [] if limit else ["It has no limit: there is no utilization."]
        return _Capacity(
            size=pool.size(),
            max=limit,
            checked_in=pool.checkedin(),
            overflow=max(0, pool.overflow()),
            cannot=cannot,
        )
    if isinstance(pool, NullPool):
        return _Capacity(
            None,
            None,
            None,
            None,
            ["It keeps no connection and has no limit but the server's."],
        )
    if isinstance(pool, StaticPool):
        return _Capacity(
            1,
            None,
            None,
            None,
            ["All threads share its one connection: nobody waits for it here."],
        )
    if isinstance(pool, SingletonThreadPool):
        size: Any = pool.size
        return _Capacity(
            int(size),
            None,
            None,
            None,
            ["Each thread has its own connection: nobody waits, there is no limit."],
        )
    return _Capacity(
        None, None, None, None, [f"{type(pool).__name__} tells only who uses it."]
    )


def _waiting_now(meter: PoolMeter) -> list[_Waiter]:
    """Who waits for a connection that somebody else holds."""
    waiters = tuple(meter.waiting.values())
    return [waiter for waiter in waiters if not waiter.is_connecting]


def _holding(holder: Holder, now: int) -> Holding:
    """A holder as plain data."""
    state, since = _state(holder)
    work = holder.work
    return Holding(
        backend_pid=holder.backend_pid,
        view=work.place.view if work else "",
        action=work.place.action if work else "",
        user=work.actor.label if work and work.actor else "",
        request_id=work.request_id if work else "",
        age=(now - holder.since) / 1e9,
        state=state,
        in_state=max(0.0, (now - since) / 1e9),
        fingerprint=holder.statement,
    )


def _state(holder: Holder) -> tuple[str, int]:
    """What the connection is at, and since when."""
    if holder.statement_since is not None:
        return "active", holder.statement_since
    since = holder.idle_since or holder.since
    pgconn = getattr(holder.connection, "pgconn", None)
    if pgconn is not None:
        # libpq's own flags: reading them asks the server nothing.
        status = int(pgconn.transaction_status)
        names = {0: "idle", 1: "active", 2: "idle in transaction"}
        state = names.get(status, "in a failed transaction")
        return state + ENDED if is_ended(holder.connection) else state, since
    if getattr(holder.connection, "in_transaction", False):
        return "idle in transaction", since
    return "idle", since


def _waiting(waiter: _Waiter, now: int) -> Waiting:
    """A waiter as plain data."""
    work = waiter.work
    return Waiting(
        view=work.place.view if work else "",
        action=work.place.action if work else "",
        user=work.actor.label if work and work.actor else "",
        request_id=work.request_id if work else "",
        age=(now - waiter.since) / 1e9,
    )


def _seconds(now: int, since: int | None) -> float | None:
    return None if since is None else max(0.0, (now - since) / 1e9)


def _ms(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6
