"""A PostgreSQL that can be frozen: it takes connections and answers nothing."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import URL

from tests.debian import debian_server

Send = Callable[[int], None]


@contextmanager
def freezing_server() -> Iterator[tuple[URL, Send]]:
    """The superuser's URL, and a function that signals all of the server."""
    with debian_server() as (url, server):

        def send(number: int) -> None:
            children = Path(f"/proc/{server}/task/{server}/children").read_text()
            for pid in [server, *map(int, children.split())]:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

        try:
            yield url, send
        finally:
            send(signal.SIGCONT)
