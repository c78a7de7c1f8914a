"""What does long work: a worker, whatever the database is that it works on."""

import logging
import os
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from backoffice.bulk.batches import Resolve, Trouble
from backoffice.bulk.clearing import clear
from backoffice.jobs.walking import Interrupted, walk
from backoffice.observability.pool import PoolStatus

logger = logging.getLogger(__name__)


class Worker(ABC):
    """Walks runs in a thread of its own until it is told to stop.

    `is_alone` is for the worker inside a server process: one at a time, of all
    processes. Without it any number work side by side, each on a run of its own.
    `trouble` says why nothing should be written at present. Rows of runs are cleared
    `keep_days` after their end.
    """

    def __init__(
        self,
        engine: Engine,
        resolve: Resolve,
        *,
        is_alone: bool = True,
        trouble: Trouble | None = None,
        keep_days: int = 30,
    ) -> None:
        self.engine = engine
        self.sessions = sessionmaker(engine, expire_on_commit=False)
        self.resolve, self.trouble = resolve, trouble
        self.is_alone = is_alone
        self.keep_days = keep_days
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        # Batches that this worker has done.
        self.batches = 0
        self.stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self.stopped.clear()
        self._thread = threading.Thread(
            target=self.run, name="backoffice worker", daemon=True
        )
        self._thread.start()

    def stop(self, patience: float | None = None) -> None:
        """Finish the batch that is under way, and end; waits `patience` seconds."""
        self.stopped.set()
        self.wake()
        if self._thread is not None:
            self._thread.join(patience)

    @abstractmethod
    def run(self) -> None:
        """Work until told to stop; trouble with the database is waited out."""

    @abstractmethod
    def run_all(self) -> int:
        """Do everything there is to do, here and now; how many batches that were."""

    @abstractmethod
    def queue(self, session: Session, number: int) -> None:
        """Have a run walked, if the session's transaction is committed."""

    @abstractmethod
    def wake(self) -> None:
        """Have it look whether it was told to stop, or there is something to do."""

    def walk(
        self,
        number: int,
        is_stopped: Callable[[], bool] | None = None,
        *,
        is_patient: bool = True,
        gives_way: Callable[[int], bool] = lambda _number: False,
    ) -> int:
        """Walk a run as far as it goes; `is_patient` waits while there is trouble.

        `gives_way` is asked now and then whether another run is to have its turn.

        Raises:
            Interrupted: the worker was told to stop, or has lost the database.
        """
        try:
            done = walk(
                self.sessions,
                self.resolve,
                number,
                worker=self.name,
                trouble=self.trouble if is_patient else None,
                is_stopped=is_stopped or self.stopped.is_set,
                rest=self.stopped.wait,
                gives_way=gives_way,
            )
        except Interrupted:
            raise
        except Exception:
            logger.exception("run %d has failed", number)
            raise
        self.batches += done
        return done

    def pool_status(self, status: PoolStatus) -> PoolStatus:
        """The engine's pool with what the worker holds besides; nothing, usually."""
        return status

    def clear(self) -> None:
        """Delete what nobody needs any more of selections and runs."""
        clear(self.sessions, keep_days=self.keep_days, is_stopped=self.stopped.is_set)
