"""The process that watches an embedded PostgreSQL: back when it fell, gone when unused.

Whoever starts PostgreSQL starts this beside it. It sleeps until one of two things:
nobody uses the server any more, not even those who were killed and could not say so,
and it stops PostgreSQL and ends; or PostgreSQL itself died while it was in use, and it
starts it again, where it was.
"""

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import backoffice
from backoffice.database.embedded_locks import is_used, turn, wait_until_unused
from backoffice.database.embedded_place import Account, Place
from backoffice.database.embedded_process import Postmaster, find, start, stop
from backoffice.errors import EnvironmentProblem


def start_watch(place: Place, postmaster: Postmaster, *, durable: bool) -> None:
    """Start the watching process; it outlives this one."""
    told = {
        "home": str(place.home),
        "programs": str(place.programs),
        "account": asdict(place.account) if place.account else None,
        "pid": postmaster.pid,
        "port": postmaster.port,
        "durable": durable,
    }
    package = Path(backoffice.__file__).parent.parent
    code = (
        f"import sys; sys.path.insert(0, {str(package)!r}); "
        f"from {__name__} import main; main(sys.argv[1:])"
    )
    # Without it, too, the last one who leaves properly stops the server.
    with suppress(OSError):
        # It forks and this returns at once: the watch is nobody's child, so that no
        # process is left to be waited for.
        subprocess.run(
            [sys.executable, "-c", code, json.dumps(told)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            check=False,
        )


def main(arguments: Sequence[str]) -> None:
    """Watch the PostgreSQL that the argument describes, until nobody uses it."""
    if os.fork():
        os._exit(0)
    told = json.loads(arguments[0])
    account = Account(**told["account"]) if told["account"] else None
    place = Place(Path(told["home"]), Path(told["programs"]), account)
    if hasattr(os, "pidfd_open"):
        threading.Thread(
            target=_start_again,
            args=(place, told["pid"], told["port"]),
            kwargs={"durable": told["durable"]},
            daemon=True,
        ).start()
    # Whoever deletes the directory leaves nothing to watch; PostgreSQL ends by itself.
    with suppress(FileNotFoundError):
        _stop_when_unused(place)
    # The other thread sleeps until PostgreSQL ends: nobody waits for it.
    os._exit(0)


def _stop_when_unused(place: Place) -> None:
    while True:
        wait_until_unused(place)
        with turn(place, make=False):
            if not is_used(place):
                stop(place)
                # With the turn in hand: the other thread cannot start it again.
                os._exit(0)


def _start_again(place: Place, pid: int, port: int, *, durable: bool) -> None:
    while True:
        _wait_for_end(pid)
        try:
            with turn(place, make=False):
                if not is_used(place):
                    return
                running = find(place) or start(place, durable=durable, port=port)
        except (EnvironmentProblem, OSError):
            return  # the log says why; the next one who comes tries again
        pid = running.pid


def _wait_for_end(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([descriptor], [], [])
    finally:
        os.close(descriptor)
