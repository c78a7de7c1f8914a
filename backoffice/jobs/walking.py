"""How is a run walked? Batch after batch, until it ends, rests, or the worker has to.

The same wherever a run is worked on: by a worker's thread, a command or a test.
"""

import time
from collections.abc import Callable

from sqlalchemy.orm import Session, sessionmaker

from backoffice.bulk.batches import Resolve, Step, Trouble, step
from backoffice.errors import DatabaseUnavailable

# A run that is held back is looked at again after so many seconds.
REST = 1.0
# How often a run may be found in another worker's hands before it is left to it: who
# pauses it holds it for a moment, too.
PATIENCE = 5
# A run has the worker for so many seconds, if another one waits for it.
TURN = 3.0
# A database that gave no connection is asked again after so many seconds.
LOST_FOR = 5


class Interrupted(Exception):
    """A run was left in its middle, to go on from there in so many seconds."""

    def __init__(self, seconds: int = 0) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def walk(
    sessions: sessionmaker[Session],
    resolve: Resolve,
    number: int,
    *,
    worker: str,
    trouble: Trouble | None = None,
    is_stopped: Callable[[], bool],
    rest: Callable[[float], object],
    gives_way: Callable[[int], bool] = lambda _number: False,
) -> int:
    """Walk a run as far as it goes; how many batches were done.

    `rest` waits some seconds, or shorter when the worker is told to stop. `gives_way`
    is asked when the run has had its turn: whether another one waits, behind which it
    has been put.

    Raises:
        Interrupted: the worker was told to stop, or has lost the database.
    """
    batches = taken = 0
    began = time.monotonic()
    while not is_stopped():
        try:
            found = step(sessions, resolve, number, worker=worker, trouble=trouble)
        except DatabaseUnavailable as lost:
            raise Interrupted(LOST_FOR) from lost
        if found is Step.OVER:
            return batches
        if found is Step.ON:
            batches, taken = batches + 1, 0
        elif found is Step.HELD:
            rest(REST)
        else:
            taken += 1
            if taken > PATIENCE:
                return batches
            rest(REST / PATIENCE)
        if time.monotonic() - began >= TURN and found is not Step.TAKEN:
            try:
                if gives_way(number):
                    return batches
            except DatabaseUnavailable as lost:
                raise Interrupted(LOST_FOR) from lost
            began = time.monotonic()
    raise Interrupted
