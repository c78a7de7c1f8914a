"""What does the metrics page cost, and does it answer while nothing else does?"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

from sqlalchemy import URL, create_engine, text

from benchmarks.client import Client
from benchmarks.lists import LIST
from benchmarks.pairs import Result
from benchmarks.servers import Server
from benchmarks.throughput import CLIENTS, ROUNDS, SECONDS, per_second
from tests.week import forget_the_week, remember_a_week

PAGE = "/admin/metrics"
PROBES = ("/metrics", "/livez", "/readyz", "/healthz")
PAGES = 40
IN_TROUBLE = 8


def watching(server: Server, seconds: float = SECONDS) -> Iterator[Result]:
    """The lists at 16 clients, with the metrics refreshed each second and without."""
    per_second(server, 1)
    watched, alone = [], []
    for _ in range(ROUNDS):
        alone.append(per_second(server, seconds))
        with refreshed(server):
            watched.append(per_second(server, seconds))
    yield Result(
        f"lists at {CLIENTS} clients while metrics refresh",
        median(watched) / median(alone),
        0.9,
        f"{median(watched):.0f} / {median(alone):.0f} requests/s",
        at_least=True,
    )


@contextmanager
def refreshed(server: Server) -> Iterator[None]:
    """Somebody has the metrics open, and they are loaded anew each second."""
    client, done = server.another_client(), threading.Event()

    def look() -> None:
        while not done.is_set():
            client.get(PAGE)
            done.wait(1)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        client.close()


def page(server: Server, url: URL) -> Iterator[Result]:
    """The page with a week in each table of its own."""
    engine = create_engine(url)
    forget_the_week(engine)
    remember_a_week(engine)
    with engine.connect() as link:
        link.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    try:
        server.client.get(PAGE)
        times = [server.client.get(PAGE).seconds * 1e3 for _ in range(PAGES)]
    finally:
        forget_the_week(engine)
        engine.dispose()
    yield Result(
        "the metrics with a week of history, ms",
        median(times),
        100,
        f"quickest {min(times):.0f}, slowest {max(times):.0f} ms",
    )


def trouble(server: Server, url: URL) -> Iterator[Result]:
    """The page and the probes while the pool is full, locked out, and frozen."""
    for name, begin in (
        ("every connection held", held),
        ("the catalogue locked", locked),
        ("the database frozen", frozen),
    ):
        server.client.get(PAGE)  # the cookie for bad times is of the last good one
        with begin(server, url):
            yield from answered(server, name)


def answered(server: Server, name: str) -> Iterator[Result]:
    """The longest answer of the page, and of the probes."""
    for what, paths in (("the metrics", (PAGE,)), ("the probes", PROBES)):
        times = [
            server_seconds(server.client, path)
            for _ in range(IN_TROUBLE)
            for path in paths
        ]
        yield Result(
            f"{what}, {name}, s", max(times), 1.0, f"median {median(times):.2f} s"
        )


def server_seconds(client: Client, path: str) -> float:
    """One answer, whatever it says."""
    return client.get_any(path).seconds


@contextmanager
def held(server: Server, url: URL) -> Iterator[None]:
    """More people than there are connections wait for a table that somebody locks."""
    engine = create_engine(url)
    done = threading.Event()

    def ask() -> None:
        client = server.another_client()
        while not done.is_set():
            client.get_any(LIST)
        client.close()

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    with engine.connect() as link:
        link.execute(text("LOCK TABLE students"))
        for thread in threads:
            thread.start()
        waiting = text(
            "SELECT count(*) FROM pg_locks WHERE NOT granted"
            " AND database = (SELECT oid FROM pg_database"
            " WHERE datname = current_database())"
        )
        # Until all connections of the pool wait for it.
        while (link.scalar(waiting) or 0) < 10:
            done.wait(0.05)
        try:
            yield
        finally:
            done.set()
            link.rollback()
    for thread in threads:
        thread.join()
    engine.dispose()


@contextmanager
def locked(server: Server, url: URL) -> Iterator[None]:
    """Somebody rewrites the catalogue of tables."""
    del server
    engine = create_engine(url)
    with engine.connect() as link:
        link.execute(text("LOCK TABLE pg_catalog.pg_class"))
        try:
            yield
        finally:
            link.rollback()
    engine.dispose()


@contextmanager
def frozen(server: Server, url: URL) -> Iterator[None]:
    """The database takes connections and answers nothing."""
    del server
    engine = create_engine(url)
    with engine.connect() as link:
        place = link.scalar(text("SHOW data_directory"))
    engine.dispose()
    postmaster = int(Path(f"{place}/postmaster.pid").read_text().split()[0])
    send = signaller(postmaster)
    send(signal.SIGSTOP)
    try:
        yield
    finally:
        send(signal.SIGCONT)


def signaller(postmaster: int) -> Callable[[int], None]:
    """Signals a server and all of its processes."""

    def send(number: int) -> None:
        path = Path(f"/proc/{postmaster}/task/{postmaster}/children")
        for pid in [postmaster, *map(int, path.read_text().split())]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    return send
