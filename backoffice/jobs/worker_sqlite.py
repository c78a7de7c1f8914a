"""The worker on SQLite: a thread of the process, for there is no queue to share.

It is told of what its own process starts; what others have started it finds when it
looks, now and then. Two at once take turns, for one writes at a time.
"""

import logging
import threading
import time
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backoffice.bulk.batches import unfinished
from backoffice.database.session import Place, Work, working
from backoffice.jobs.walking import Interrupted
from backoffice.jobs.worker import Worker

logger = logging.getLogger(__name__)

# Seconds between two looks, and between two cleanings.
LOOK, CLEANING = 15.0, 3600.0


class SQLiteWorker(Worker):
    """Walks one run after the other, as they were started."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._woken = threading.Event()
        self._cleared = time.monotonic()

    def queue(self, session: Session, number: int) -> None:
        """Look for what there is to do, as soon as the transaction is committed."""
        del number
        event.listen(session, "after_commit", lambda _session: self.wake(), once=True)

    def wake(self) -> None:
        """Look at once."""
        self._woken.set()

    def run(self) -> None:
        """Work until told to stop; trouble with the database is waited out."""
        said = ""
        while not self.stopped.is_set():
            try:
                self._walk_all(is_patient=True)
                if time.monotonic() - self._cleared > CLEANING:
                    self._cleared = time.monotonic()
                    self.clear()
                said = ""
            except Interrupted as left:
                self.stopped.wait(left.seconds)
                continue
            except SQLAlchemyError as error:
                if said != type(error).__name__:
                    said = type(error).__name__
                    logger.warning("the worker cannot write (%s); it tries again", said)
            except Exception:
                logger.exception("the worker met something unexpected")
            self._woken.wait(LOOK)
            self._woken.clear()

    def run_all(self) -> int:
        """Do everything there is to do; how many batches that were."""
        before = self.batches
        self._walk_all(is_patient=False)
        return self.batches - before

    def _walk_all(self, *, is_patient: bool) -> None:
        """Walk all there are, by turns where there are several."""
        line = self._unfinished()

        def gives_way(number: int) -> bool:
            line.extend(one for one in self._unfinished() if one not in line)
            if line == [number]:
                line.clear()
            return bool(line)

        while line:
            # Who gives way has put itself behind the others.
            self.walk(line.pop(0), is_patient=is_patient, gives_way=gives_way)

    def _unfinished(self) -> list[int]:
        with working(Work(Place("runs", "queue"))), self.sessions() as session:
            return unfinished(session)
