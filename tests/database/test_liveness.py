"""Whether a pooled connection that has died is noticed before it is used."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, Engine, create_engine, text

from backoffice.database.engine import make_engine
from backoffice.database.liveness import ping_seldom_psycopg
from backoffice.settings import DatabaseSettings


@pytest.fixture
def pooled(empty_database: URL) -> Iterator[Engine]:
    """An engine with one connection, kept open."""
    settings = DatabaseSettings(pool_size=1, max_overflow=0)
    engine = make_engine(empty_database, settings, application_name="liveness")
    yield engine
    engine.dispose()


def _backend(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT pg_backend_pid()")) or 0)


def _end(url: URL, backend: int) -> None:
    other = make_engine(url, DatabaseSettings(), application_name="other")
    with other.connect() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": backend}
        )
    other.dispose()


def _statements(engine: Engine) -> list[str]:
    """What the driver is given from now on, pings included."""
    sent: list[str] = []
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)

        class Noting(psycopg.Cursor[Any]):
            def execute(self, query: Any, *args: Any, **options: Any) -> Any:
                sent.append(str(query))
                return super().execute(query, *args, **options)

        driver.cursor_factory = Noting
    return sent


def test_a_connection_that_the_server_has_ended_is_replaced(
    pooled: Engine, empty_database: URL
) -> None:
    """The next use gets a new one, and no error."""
    first = _backend(pooled)
    _end(empty_database, first)
    assert _backend(pooled) != first


def test_a_connection_that_was_just_used_is_not_asked(pooled: Engine) -> None:
    """Its use costs the statements that it is used for."""
    _backend(pooled)
    sent = _statements(pooled)
    _backend(pooled)
    _backend(pooled)
    assert sent == ["SELECT pg_backend_pid()"] * 2


def test_a_connection_is_asked_again_after_a_while(empty_database: URL) -> None:
    """A network that drops packets says nothing: with no time to believe, each use."""
    engine = create_engine(empty_database, pool_pre_ping=True)
    asked: list[Any] = []
    ask = engine.dialect.do_ping

    def counted(dbapi_connection: Any) -> bool:
        asked.append(dbapi_connection)
        return ask(dbapi_connection)

    engine.dialect.do_ping = counted  # type: ignore[method-assign]
    ping_seldom_psycopg(engine, believed=0)
    for _ in range(3):
        _backend(engine)
    engine.dispose()
    assert len(asked) == 2


def test_a_notice_is_no_reason_to_connect_anew(pooled: Engine) -> None:
    """What the server says to a connection that waits does not cost the connection."""
    with pooled.connect() as connection:
        connection.execute(text("LISTEN something"))
        connection.commit()
    first = _backend(pooled)
    other = make_engine(pooled.url, DatabaseSettings(), application_name="other")
    with other.begin() as connection:
        connection.execute(text("NOTIFY something"))
    other.dispose()
    assert _backend(pooled) == first


def test_a_network_that_says_nothing_is_given_up(empty_database: URL) -> None:
    """The other side is asked whether it is there; the URL's own word goes before."""
    url = empty_database.update_query_dict({"keepalives_idle": "77"})
    engine = make_engine(url, DatabaseSettings(), application_name="silence")
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        told = driver.info.get_parameters()
    engine.dispose()
    assert (told["keepalives_idle"], told["tcp_user_timeout"]) == ("77", "30000")
