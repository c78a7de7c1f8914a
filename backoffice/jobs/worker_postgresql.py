"""The worker on PostgreSQL: Procrastinate's, in an event loop and thread of its own.

Inside a server process one works of all processes: a lock in the database lets one of
them, and when that process ends, however it ends, another one has the lock within
seconds. What the loop does to the database it does past SQLAlchemy, so that a site at
rest has no statement of the worker's among its own.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from procrastinate import App
from procrastinate.exceptions import ConnectorException
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backoffice.database.session import Place, Work, working
from backoffice.errors import DatabaseUnavailable
from backoffice.jobs.connections_postgresql import QueueConnections
from backoffice.jobs.queue_postgresql import (
    give_way,
    make_app,
    make_workers,
    queue_lost,
    queue_run,
    work_off,
)
from backoffice.jobs.worker import Worker
from backoffice.observability.pool import PoolStatus

logger = logging.getLogger(__name__)

# Two numbers that nobody else uses for a lock in this database.
LOCK = (0x6261636B, 0x776F726B)
# Seconds between two tries to get the lock, or to reach the database.
TRY_AGAIN = 3.0
# Seconds after which who was told to stop is told once more.
TELL_AGAIN = 0.5
# Seconds between two looks whether the lock's connection is still there.
LOOK = 5.0


class NotMigrated(Exception):
    """The queue's tables are not there (yet)."""


class PostgresWorker(Worker):
    """Takes runs from the queue, one at a time; another takes over what it leaves."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.connections = QueueConnections(self.engine)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._said = ""

    def queue(self, session: Session, number: int) -> None:
        """Queue a run in the session's own transaction; once."""
        queue_run(session, number)

    def pool_status(self, status: PoolStatus) -> PoolStatus:
        """The engine's pool with the connections of the queue."""
        return self.connections.added(status)

    def wake(self) -> None:
        """Have the loop see that it was told to stop."""
        loop, ended = self._loop, self._ended
        if loop is not None and ended is not None and self.stopped.is_set():
            with suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(ended.set)

    def run(self) -> None:
        """Work until told to stop; trouble with the database is waited out."""
        _quieten()
        asyncio.run(self._serve())

    def run_all(self) -> int:
        """Take up what was left, and do all that is queued; how many batches."""
        _quieten()
        before = self.batches
        asyncio.run(self._do_all())
        return self.batches - before

    # -- the loop

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(_note)
        ended = asyncio.create_task(self._ended.wait())
        while not self.stopped.is_set():
            once = asyncio.create_task(self._serve_once())
            await asyncio.wait([once, ended], return_when=asyncio.FIRST_COMPLETED)
            once.cancel()
            try:
                await once
            except asyncio.CancelledError:
                break
            except NotMigrated:
                self._say("waits for the migrations (`manage.py migrate`)")
            except (psycopg.Error, ConnectorException, OSError) as error:
                cause = error.__cause__ or error
                if isinstance(cause, psycopg.errors.ForeignKeyViolation):
                    continue  # it stood still for so long that it was taken for dead
                self._say("has lost the database and tries again", type(cause).__name__)
            except Exception:
                logger.exception("the worker met something unexpected")
            await asyncio.wait([ended], timeout=TRY_AGAIN)
        ended.cancel()

    async def _serve_once(self) -> None:
        """Work until told to stop, or until the lock or the database is lost."""
        async with self._place() as place:
            if place is None:
                return
            async with self._opened(self._walk_patiently) as app:
                if self._said:
                    self._say("")
                    logger.warning("the worker is at work again")
                # What others have left: at once, and by the clock from here on.
                await queue_lost(app)
                assert self._ended is not None  # noqa: S101 - made with the loop
                beside: list[Awaitable[object]] = [self._ended.wait()]
                if self.is_alone:
                    beside.append(_watch(place))
                await _until_one_ends(make_workers(app, self.name), beside)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[psycopg.AsyncConnection[Any] | None]:
        """The connection that holds the lock; None where another process has it.

        A worker beside others needs no lock: for it, it is a look at the database.
        """
        connection = await self.connections.look()
        try:
            there = await connection.execute("SELECT to_regclass('procrastinate_jobs')")
            if await there.fetchone() == (None,):
                raise NotMigrated
            got = (True,)
            if self.is_alone:
                asked = await connection.execute(
                    "SELECT pg_try_advisory_lock(%s, %s)", LOCK
                )
                got = await asked.fetchone() or (False,)
                if got[0]:
                    self.connections.keep(connection)
            else:
                await connection.close()
            yield connection if got[0] else None
        finally:
            await connection.close()

    @asynccontextmanager
    async def _opened(
        self, walk: Any, *, has_chores: bool = True
    ) -> AsyncIterator[App]:
        """The tasks, with a pool that is open meanwhile."""
        connector = self.connections.connector()
        try:
            await connector.open_async()
            yield make_app(connector, walk, self.clear, has_chores=has_chores)
        finally:
            await connector.close_async()

    async def _do_all(self) -> None:
        async with self._opened(self._walk_on, has_chores=False) as app:
            await queue_lost(app)
            await work_off(app, self.name)

    # -- its task, in a thread of the loop's pool

    def _walk_patiently(self, number: int, should_stop: Callable[[], bool]) -> None:
        self.walk(
            number,
            lambda: self.stopped.is_set() or should_stop(),
            gives_way=self._give_way,
        )

    def _walk_on(self, number: int, should_stop: Callable[[], bool]) -> None:
        self.walk(number, should_stop, is_patient=False, gives_way=self._give_way)

    def _give_way(self, number: int) -> bool:
        """Put a run behind those that wait, if any do: its job ends with that."""
        with working(Work(Place("runs", "turn"))), self.sessions() as session:
            try:
                is_given = give_way(session, number)
                session.commit()
            except OperationalError as lost:
                raise DatabaseUnavailable("The database cannot be reached.") from lost
        return is_given

    def _say(self, text: str, why: str = "") -> None:
        """Say what is the matter once, and not each time that it is tried again."""
        if text and text != self._said:
            logger.warning("the worker %s%s", text, f" ({why})" if why else "")
        self._said = text


async def _until_one_ends(workers: list[Any], beside: list[Awaitable[object]]) -> None:
    """Run all of it until one ends, or until cancelled; then end the others.

    A cancellation may be lost, where what is waited for comes at the same moment. So
    everybody is told until they have ended, and a worker is asked, not cancelled: it
    finishes what it is at.

    Raises:
        Exception: what one of them has ended with.
    """
    runs = [asyncio.ensure_future(worker.run()) for worker in workers]
    others = [asyncio.ensure_future(one) for one in beside]
    tasks = [*runs, *others]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        while any(not task.done() for task in tasks):
            for other in others:
                other.cancel()
            for worker in workers:
                worker.stop()
            await asyncio.wait(tasks, timeout=TELL_AGAIN)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


async def _watch(connection: psycopg.AsyncConnection[Any]) -> None:
    """Ends, with an error, when the connection does: it holds no lock any more."""
    while True:
        await asyncio.sleep(LOOK)
        await asyncio.wait_for(connection.execute("SELECT 1"), LOOK)


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A job's end that could not be written is found by whoever takes up its run."""
    logger.debug("in the worker's loop: %s", context.get("message", ""))


def _quieten() -> None:
    """What the libraries say of each failed attempt is said once, by the worker."""
    for name, level in (
        ("procrastinate", logging.CRITICAL),
        ("psycopg.pool", logging.ERROR),
    ):
        library = logging.getLogger(name)
        if library.level == logging.NOTSET:
            library.setLevel(level)
