"""Whether each setting of the database reaches the engine that pages work with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import URL, Engine, NullPool, QueuePool, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backoffice.bootstrap import assemble, close
from backoffice.database.engine import make_engine
from backoffice.settings import DatabaseSettings, Settings
from tests.projects import ROOT, demo_project


@contextmanager
def pages_engine(url: URL, **given: Any) -> Iterator[Engine]:
    """The engine that a server's pages use, with these settings of `[database]`."""
    settings = Settings(database=DatabaseSettings(**given))
    opened = assemble(ROOT, settings, url, demo_project(), "tests", kind="")
    try:
        yield opened.engine
    finally:
        close(opened)


def backend(engine: Engine) -> int:
    """The server's process behind a connection that is taken and given back."""
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT pg_backend_pid()")) or 0)


def end(url: URL, backend: int) -> None:
    """End a session of the server past its owner."""
    other = make_engine(url, DatabaseSettings(), application_name="other")
    with other.connect() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": backend}
        )
    other.dispose()


def test_a_queue_keeps_its_connection(empty_database: URL) -> None:
    """Two uses, one after the other, are one session of the server."""
    with pages_engine(empty_database, pool="queue") as engine:
        assert isinstance(engine.pool, QueuePool)
        assert backend(engine) == backend(engine)


def test_no_pool_opens_a_connection_for_each_use(empty_database: URL) -> None:
    """Nothing is kept between two uses."""
    with pages_engine(empty_database, pool="null") as engine:
        assert isinstance(engine.pool, NullPool)
        assert backend(engine) != backend(engine)


def test_a_pool_is_as_large_as_the_settings_say(empty_database: URL) -> None:
    """Size and overflow are given, one more waits as long as is said and no longer."""
    given = {"pool_size": 1, "max_overflow": 1, "pool_timeout": 0.05}
    with pages_engine(empty_database, **given) as engine:
        told = r"size 1 overflow 1 .*timeout 0\.05"
        with (
            engine.connect(),
            engine.connect(),
            pytest.raises(PoolTimeout, match=told),
        ):
            engine.connect()
        assert engine.pool.checkedin() == 1  # type: ignore[attr-defined]


def test_an_old_connection_is_renewed(empty_database: URL) -> None:
    """At 0 seconds each use finds it too old; at -1 none ever does."""
    with pages_engine(empty_database, pool_recycle=0) as engine:
        assert backend(engine) != backend(engine)
    with pages_engine(empty_database, pool_recycle=-1) as engine:
        assert backend(engine) == backend(engine)


def test_a_dead_connection_is_replaced_where_it_is_asked_first(
    empty_database: URL,
) -> None:
    """With `pool_pre_ping` the next use never meets it; without, it does."""
    with pages_engine(empty_database, pool_pre_ping=True) as engine:
        end(empty_database, backend(engine))
        assert backend(engine)
    with pages_engine(empty_database, pool_pre_ping=False) as engine:
        end(empty_database, backend(engine))
        with pytest.raises(OperationalError):
            backend(engine)


def test_statements_are_logged_without_their_values(
    empty_database: URL, caplog: pytest.LogCaptureFixture
) -> None:
    """`echo` says each statement, and nothing of what was typed."""
    statement, values = text("SELECT CAST(:typed AS text)"), {"typed": "hush"}
    for is_told in (False, True):
        with (
            pages_engine(empty_database, echo=is_told) as engine,
            engine.connect() as connection,
        ):
            connection.execute(statement, values)
        assert ("SELECT CAST(" in caplog.text) is is_told
    assert "hush" not in caplog.text


def test_every_event_of_the_pool_is_logged(
    empty_database: URL, caplog: pytest.LogCaptureFixture
) -> None:
    """`echo_pool` says who takes a connection and gives it back."""
    for is_told in (False, True):
        with pages_engine(empty_database, echo_pool=is_told) as engine:
            backend(engine)
        assert ("checked out from pool" in caplog.text) is is_told
    assert "being returned to pool" in caplog.text
