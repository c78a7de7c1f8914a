"""Which connections does a worker hold for its queue, and how many of them are in use?

They are psycopg's own, beside SQLAlchemy's engine: a small pool, one that listens for
new jobs, and one that holds the place of the worker inside the server. All are counted
with the pool of the engine that batches are done with.
"""

import threading
from dataclasses import replace
from time import perf_counter_ns
from typing import Any, Self
from weakref import WeakKeyDictionary

import psycopg
from procrastinate.psycopg_connector import PsycopgConnector
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from sqlalchemy import Engine

from backoffice.observability.pool import Holding, PoolMeter, PoolStatus, meter_of

APPLICATION = "backoffice jobs"
LEAST, MOST = 1, 2
# Seconds for a connection, for a statement and for a lock: nothing here takes long.
PATIENCE, STATEMENT, LOCK = 5, 30, 10
LISTENS, KEEPS = "listens", "keeps the place"
# Two of the pool; one each that listens, keeps the place, and does batches.
ABOUT = "The worker's own, five at most; no page waits for them."


class QueueConnections:
    """The worker's connections to the database of an engine, from making to end."""

    def __init__(self, engine: Engine) -> None:
        self.meter: PoolMeter = meter_of(engine)
        self.options = connection_options(engine)
        # Since when, and whether it is one beside the pool, which has its own use.
        self._open: WeakKeyDictionary[Any, tuple[int, bool]] = WeakKeyDictionary()
        # The page's thread reads what the worker's loop writes.
        self._lock = threading.Lock()
        self._keeper: Any = None
        self._pool: AsyncConnectionPool[Any] | None = None
        owner = self

        class Counted(psycopg.AsyncConnection[Any]):
            """A connection that is counted while it is open."""

            @classmethod
            async def connect(cls, *args: Any, **options: Any) -> Self:
                """Connect, and be counted."""
                made: Self = await owner.counted(super().connect, *args, **options)
                return made

        self.kind = Counted

    async def counted(self, connect: Any, *args: Any, **options: Any) -> Any:
        """Connect; note when, and how long it took."""
        started = perf_counter_ns()
        try:
            made = await connect(*args, **options)
        except BaseException as error:
            self.meter.not_connected(perf_counter_ns() - started, error)
            raise
        self.meter.connected(perf_counter_ns() - started)
        with self._lock:
            self._open[made] = perf_counter_ns(), bool(options.get("autocommit"))
        return made

    async def look(self) -> psycopg.AsyncConnection[Any]:
        """A connection to try the lock with, in no transaction; whoever asks closes it.

        It is not counted: where another process has the lock it is gone in a moment.
        """
        return await psycopg.AsyncConnection.connect(**self.options, autocommit=True)

    def keep(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Count the connection that has the lock; it stays."""
        self._keeper = connection
        with self._lock:
            self._open[connection] = perf_counter_ns(), True

    def connector(self) -> PsycopgConnector:
        """What Procrastinate reaches the database by, not open yet."""
        return PsycopgConnector(
            pool_factory=self._make_pool,
            kwargs=self.options,
            connection_class=self.kind,
            min_size=LEAST,
            max_size=MOST,
            timeout=PATIENCE,
            num_workers=1,
            name=APPLICATION,
        )

    def _make_pool(self, **options: Any) -> AsyncConnectionPool[Any]:
        self._pool = _metered(self.meter, **options)
        return self._pool

    def added(self, status: PoolStatus) -> PoolStatus:
        """The status of the engine's pool with these connections in it.

        Asked by any thread; the server is not.
        """
        now = perf_counter_ns()
        with self._lock:
            every = list(self._open.items())
        found = [(one, *known) for one, known in every if not one.closed]
        if not found:
            return status
        pool = self._pool
        stats = pool.get_stats() if pool is not None else {}
        free = stats.get("pool_available", 0)
        lasting = tuple(
            Holding(
                backend_pid=one.info.backend_pid,
                view="jobs",
                action=KEEPS if one is self._keeper else LISTENS,
                user="",
                request_id="",
                age=(now - at) / 1e9,
                state="idle",
                in_state=(now - at) / 1e9,
                fingerprint="",
            )
            for one, at, is_beside in found
            if is_beside
        )
        return replace(
            status,
            kind="AsyncConnectionPool",
            size=MOST,
            checked_in=free,
            waiters=stats.get("requests_waiting", 0),
            # Counted, but no reason to send no more pages here.
            recent_timeouts=None,
            last_timeout=None,
            overflow=0,
            checked_out=status.checked_out + max(0, len(found) - free),
            holders=(*status.holders, *lasting),
            cannot=(ABOUT,),
        )


def _metered(meter: PoolMeter, **options: Any) -> AsyncConnectionPool[Any]:
    """A pool whose waits are measured."""

    class Metered(AsyncConnectionPool[Any]):
        async def getconn(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109
            """Time the wait."""
            started, timed_out = perf_counter_ns(), False
            try:
                return await super().getconn(timeout)
            except PoolTimeout:
                timed_out = True
                raise
            finally:
                meter.waited(perf_counter_ns() - started, timed_out=timed_out)

    return Metered(**options)


def connection_options(engine: Engine) -> dict[str, Any]:
    """How to connect where the engine does, under the worker's name and limits."""
    _, options = engine.dialect.create_connect_args(engine.url)
    limits = {
        "statement_timeout": STATEMENT,
        "lock_timeout": LOCK,
        "idle_in_transaction_session_timeout": STATEMENT,
    }
    given = [f"-c {name}={seconds * 1000}" for name, seconds in limits.items()]
    return {
        **options,
        "application_name": APPLICATION,
        "connect_timeout": PATIENCE,
        # A network that drops packets says nothing: the other side is asked.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "options": " ".join([str(options.get("options", "")), *given]).strip(),
    }
