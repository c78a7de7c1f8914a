"""What runs long work: a thread of one server process, whichever that is.

Every process has the thread; a lock in the database lets one of them work. When that
process ends, however it ends, another one's thread has the lock within seconds.
"""

import logging
import os
import socket
import threading

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import sessionmaker

from backoffice.bulk.batches import Resolve, Trouble, step

logger = logging.getLogger(__name__)

# Two numbers that nobody else uses for a lock in this database.
LOCK = (0x6261636B, 0x776F726B)
IDLE_SECONDS = 1.0


class Worker:
    """Does one batch after another until it is told to stop.

    `is_alone` is for the worker inside a server process: one at a time, of all
    processes. Without it any number work side by side, each on a run of its own.
    """

    def __init__(
        self,
        engine: Engine,
        resolve: Resolve,
        *,
        is_alone: bool = True,
        trouble: Trouble | None = None,
        idle: float = IDLE_SECONDS,
    ) -> None:
        self.engine = engine
        self.sessions = sessionmaker(engine, expire_on_commit=False)
        self.resolve, self.trouble = resolve, trouble
        self.is_alone = is_alone and engine.dialect.name == "postgresql"
        self.idle = idle
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._stopped.clear()
        self._thread = threading.Thread(
            target=self.run, name="backoffice worker", daemon=True
        )
        self._thread.start()

    def stop(self, patience: float = 10) -> None:
        """Finish the batch that is under way, and end."""
        self._stopped.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(patience)

    def wake(self) -> None:
        """There is something to do."""
        self._woken.set()

    def run(self) -> None:
        """Work until told to stop; trouble with the database is waited out."""
        while not self._stopped.is_set():
            try:
                if self.is_alone:
                    self._run_alone()
                else:
                    self._work(None)
            except SQLAlchemyError:
                logger.warning("the worker has lost the database", exc_info=True)
            except Exception:
                logger.exception("the worker met something unexpected")
            self._rest(5 * self.idle)

    def run_all(self) -> int:
        """Do everything there is to do, here and now; how many batches that were."""
        batches = 0
        while step(self.sessions, self.resolve, worker=self.name):
            batches += 1
        return batches

    def _run_alone(self) -> None:
        with self.engine.connect() as connection:
            autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
            if self._has_lock(autocommit):
                self._work(autocommit)

    def _has_lock(self, connection: Connection) -> bool:
        return bool(
            connection.scalar(
                text("SELECT pg_try_advisory_lock(:a, :b)"),
                {"a": LOCK[0], "b": LOCK[1]},
            )
        )

    def _work(self, held: Connection | None) -> None:
        while not self._stopped.is_set():
            is_busy = step(
                self.sessions, self.resolve, worker=self.name, trouble=self.trouble
            )
            if is_busy and not (self.trouble is not None and self.trouble()):
                continue
            if held is not None:
                # A connection that has died holds no lock any more.
                held.execute(text("SELECT 1"))
            self._rest(self.idle)

    def _rest(self, seconds: float) -> None:
        if self._stopped.is_set():
            return
        self._woken.wait(seconds)
        self._woken.clear()
