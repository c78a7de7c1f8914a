"""Who uses the embedded PostgreSQL: counted by locks, which end with their process.

Three files, locked with `flock`, so that a killed process counts no longer:

    turn    held while PostgreSQL is started, stopped or looked for
    users   shared by everybody who uses it; whoever could have it alone is the last
    alive   the same, but waited for by the watch; it is left after PostgreSQL is
            stopped, so that the watch never gets between the last one and its work

Who needs several takes them in this order.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from backoffice.database.embedded_place import Place
from backoffice.errors import EnvironmentProblem


class Use:
    """One user's place in the count."""

    def __init__(self, place: Place) -> None:
        self._alive = _open(place, "alive")
        self._users = _open(place, "users")
        fcntl.flock(self._alive, fcntl.LOCK_SH)
        fcntl.flock(self._users, fcntl.LOCK_SH)

    def leave_count(self) -> None:
        """Count no longer, and still keep the watch from acting."""
        _close(self._users)

    def leave(self) -> None:
        """Let the watch look, too."""
        _close(self._alive)


@contextmanager
def turn(place: Place, *, make: bool = True) -> Iterator[None]:
    """Nobody else starts, stops or looks for this PostgreSQL meanwhile.

    Who does not `make` the files finds the directory deleted where it is: an OSError.
    """
    descriptor = _open(place, "turn", make=make)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        _close(descriptor)


def is_used(place: Place) -> bool:
    """Whether anybody is in the count."""
    descriptor = _open(place, "users", make=False)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        _close(descriptor)
    return False


def wait_until_unused(place: Place) -> None:
    """Sleep until nobody is left, however they went."""
    descriptor = _open(place, "alive", make=False)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        _close(descriptor)


def _open(place: Place, name: str, *, make: bool = True) -> int:
    path = place.locks / name
    if not make:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if not place.locks.exists():
            place.locks.mkdir(mode=0o700, exist_ok=True)
            place.own(place.locks)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        place.own(path)
    except OSError as error:
        raise EnvironmentProblem(
            f"{error.filename or path} cannot be used ({error.strerror or error}); the "
            "embedded PostgreSQL keeps its data and locks there. Make it writable, or "
            "set BACKOFFICE_DATABASE__URL to a server of yours."
        ) from error
    return descriptor


def _close(descriptor: int) -> None:
    # A forked child shares the lock: it is given up, not only our hold on it.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
