"""How a project without a database of its own gets one: PostgreSQL, started here.

Any number of processes use the same server at once. The first one starts it, the last
one stops it, and one that was killed counts no longer. Neighbours answer the rest:
`embedded_place` where it lives and whose it is, `embedded_process` how it is made,
started and stopped, `embedded_roles` who may do what, `embedded_locks` who uses it,
`embedded_watch` what happens when somebody is killed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from backoffice.database.embedded_locks import Use, is_used, turn
from backoffice.database.embedded_place import Place, find_place
from backoffice.database.embedded_process import (
    SUPERUSER,
    Postmaster,
    find,
    full_disk,
    log_since,
    log_size,
    make_cluster,
    start,
    stop,
)
from backoffice.database.embedded_roles import (
    APPLICATION,
    DATABASE,
    Passwords,
    keep_passwords,
    kept_passwords,
    new_passwords,
    prepare_roles,
    reset_passwords,
)
from backoffice.database.embedded_watch import start_watch
from backoffice.errors import EnvironmentProblem


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A PostgreSQL that runs for this project, as long as somebody uses it.

    `url` is the application's own database under a role that owns it and is no
    superuser; `notice` is what the user ought to know, or "".
    """

    url: URL
    superuser_url: URL
    data_directory: Path
    notice: str
    version: int


@contextmanager
def embedded_postgres(
    root: Path, *, version: int = 18, durable: bool = True
) -> Iterator[EmbeddedServer]:
    """The server of the project in `root`, started or joined; left at the end.

    Without `durable` a crash of the machine may cost the data: for tests. It has no
    effect on a server that runs already.

    Raises:
        EnvironmentProblem: it cannot be started; the text says what to do.
    """
    place = find_place(root.resolve(), version)
    use: Use | None = None
    begin = log_size(place)
    try:
        with turn(place):
            use = Use(place)
            try:
                postmaster, passwords = _started(place, version, durable=durable)
                prepare_roles(place, postmaster, passwords)
            except OSError as error:
                raise EnvironmentProblem(
                    f"{error.filename or place.home} cannot be used "
                    f"({error.strerror or error}); the embedded PostgreSQL keeps its "
                    "data there."
                ) from error
        yield _server(place, postmaster, passwords, version)
    except (DBAPIError, psycopg.Error) as error:
        # A connection that broke off says nothing of why; the server's log does.
        problem = full_disk(place, "go on", log_since(place, begin))
        if problem is None:
            raise
        raise problem from error
    finally:
        if use is not None:
            _leave(place, use)


def _started(
    place: Place, version: int, *, durable: bool
) -> tuple[Postmaster, Passwords]:
    """Join the server that runs, or make what is missing and start it."""
    passwords = kept_passwords(place)
    running = find(place)
    if running:
        if passwords is None:
            raise EnvironmentProblem(
                f"{place.passwords} is lost. Stop all that uses the embedded "
                "PostgreSQL and start again: new passwords are made."
            )
        return running, passwords
    is_new = not place.data.exists()
    if is_new and passwords is None:
        passwords = new_passwords()
        keep_passwords(place, passwords)
    given = passwords.superuser if passwords else ""
    make_cluster(place, version, given, durable=durable)
    if passwords is None:
        passwords = new_passwords()
        reset_passwords(place, passwords)
        keep_passwords(place, passwords)
    started = start(place, durable=durable)
    start_watch(place, started, durable=durable)
    return started, passwords


def _leave(place: Place, use: Use) -> None:
    """Stop the server if nobody else uses it."""
    with turn(place):
        use.leave_count()
        try:
            if not is_used(place):
                stop(place)
        finally:
            use.leave()


def _server(
    place: Place, postmaster: Postmaster, passwords: Passwords, version: int
) -> EmbeddedServer:
    def url(role: str, password: str, database: str) -> URL:
        query = {"sslmode": "disable"}
        if postmaster.socket:
            query["host"] = postmaster.socket
            query["port"] = str(postmaster.port)
        return URL.create(
            "postgresql+psycopg",
            username=role,
            password=password,
            host=None if postmaster.socket else "127.0.0.1",
            port=None if postmaster.socket else postmaster.port,
            database=database,
            query=query,
        )

    return EmbeddedServer(
        url=url(APPLICATION, passwords.application, DATABASE),
        superuser_url=url(SUPERUSER, passwords.superuser, "postgres"),
        data_directory=place.data,
        notice=place.notice,
        version=version,
    )
