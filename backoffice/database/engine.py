"""An engine as the settings describe it: pool, time limits, and its name."""

import logging
import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, NullPool, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from backoffice.database import times_postgresql, times_sqlite
from backoffice.database.liveness import ping_seldom_psycopg
from backoffice.errors import EnvironmentProblem, SettingsError
from backoffice.settings import DatabaseSettings

SUPPORTED = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite"}

# A network that drops packets says nothing: the other side is asked, and what it does
# not acknowledge within 30 s is given up. The URL may say otherwise.
SILENCE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

SQLITE_START = b"SQLite format 3\0"

# The error that ended a batch is raised; that ending the batch met it too is no news.
logging.getLogger("psycopg").addFilter(
    lambda record: not str(record.msg).startswith("error ignored terminating")
)


def database_url(text: str) -> URL:
    """The URL with the driver that Backoffice uses.

    Raises:
        SettingsError: the text is no URL, or of a database that is not supported.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The text may hold a password: it is not repeated, nor what stands in it where
        # the port belongs.
        raise SettingsError(
            "database.url is not a database URL; "
            "postgresql://user:password@host/name and sqlite:///file.db are."
        ) from None
    backend = url.drivername.partition("+")[0]
    if backend == "postgres":
        backend = "postgresql"
    if backend not in SUPPORTED:
        raise SettingsError(
            f"database.url names {backend}; PostgreSQL 14-18 and SQLite are supported."
        )
    if "@" in (url.host or ""):
        # What follows the first @ would be told as the host that is not found.
        raise SettingsError(
            "database.url has more than one @: in a user name or a password it is "
            "written as %40."
        )
    return url.set(drivername=SUPPORTED[backend])


def make_engine(
    url: URL,
    settings: DatabaseSettings,
    *,
    application_name: str,
    statement_timeout: float | None = None,
    **options: Any,
) -> Engine:
    """An engine whose connections have the settings' limits from the start.

    `statement_timeout` in seconds replaces the settings' own: exports and commands
    have other limits than pages.
    """
    dialect = url.get_dialect().name
    options = {
        "echo": settings.echo,
        # True would tell of what goes wrong alone, and not of who takes a connection.
        "echo_pool": "debug" if settings.echo_pool else False,
        "pool_pre_ping": settings.pool_pre_ping,
        # What people typed stands in no error message, so in no log.
        "hide_parameters": True,
        **pool_options(settings),
        **options,
    }
    if dialect == "postgresql":
        options["connect_args"] = {
            "application_name": application_name,
            "connect_timeout": max(2, int(settings.pool_timeout)),
            "options": _limits(settings, statement_timeout),
            **{name: n for name, n in SILENCE.items() if name not in url.query},
            **options.get("connect_args", {}),
        }
    else:
        _check_file(url)
        # SQLite has no lock timeout of its own but this one, in seconds.
        options["connect_args"] = {"timeout": settings.lock_timeout or 3600}
    engine = create_engine(url, **options)
    if dialect == "postgresql":
        ping_seldom_psycopg(engine)
        event.listen(engine, "connect", _prepare_postgresql)
    if dialect == "sqlite":
        times_sqlite.read_all_times(engine.dialect)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _check_file(url: URL) -> None:
    """Raise a sentence where SQLite could not open or make its file."""
    if not url.database or url.database == ":memory:" or url.query.get("uri"):
        return
    path = Path(url.database)
    if not path.parent.is_dir():
        raise EnvironmentProblem(
            f"database.url names the file {path}; there is no directory {path.parent}."
        )
    place = path if path.exists() else path.parent
    if path.is_dir() or not os.access(place, os.R_OK | os.W_OK):
        raise EnvironmentProblem(
            f"database.url names the file {path}, which cannot be read and written."
        )
    if path.exists() and not _is_of_sqlite(path):
        raise EnvironmentProblem(
            f"database.url names the file {path}, which is no SQLite database."
        )


def _is_of_sqlite(path: Path) -> bool:
    """Whether a file begins as SQLite's do; an empty one is a new database."""
    with path.open("rb") as file:
        start = file.read(len(SQLITE_START))
    return start in (b"", SQLITE_START)


def is_unmade(url: URL) -> bool:
    """Whether this is a file of SQLite's that is not there: to look in makes it."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return False
    return url.database != ":memory:" and not Path(url.database).exists()


def pool_options(settings: DatabaseSettings) -> dict[str, Any]:
    """The arguments of `create_engine` for the pool that the settings name."""
    if settings.pool == "null":
        return {"poolclass": NullPool}
    return {
        "poolclass": QueuePool,
        "pool_size": settings.pool_size,
        "max_overflow": settings.max_overflow,
        "pool_timeout": settings.pool_timeout,
        "pool_recycle": settings.pool_recycle,
        # The connection that was used last has its statements prepared and its
        # server process awake.
        "pool_use_lifo": True,
    }


def _limits(settings: DatabaseSettings, statement_timeout: float | None) -> str:
    """Limits as `options` of libpq, which cost no statement."""
    statement = (
        settings.statement_timeout if statement_timeout is None else statement_timeout
    )
    milliseconds = {
        "statement_timeout": statement,
        "lock_timeout": settings.lock_timeout,
        "idle_in_transaction_session_timeout": settings.idle_in_transaction_timeout,
    }
    limits = [f"-c {name}={int(s * 1000)}" for name, s in milliseconds.items()]
    # One time zone in every session: what is shown does not depend on the server's.
    return " ".join([*limits, "-c TimeZone=UTC"])


def _prepare_postgresql(connection: Any, _record: object) -> None:
    """No row is unreadable for a date that Python does not know."""
    times_postgresql.read_all_times(connection)


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """Foreign keys hold, and SQLAlchemy says BEGIN itself.

    That readers do not wait is a property of the file: `migrate` gives it to it.
    """
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    """BEGIN, so that savepoints and rollbacks of DDL work as elsewhere."""
    mode = connection.get_execution_options().get("sqlite_begin", "")
    connection.exec_driver_sql(f"BEGIN {mode}".rstrip())
