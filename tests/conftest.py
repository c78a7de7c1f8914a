"""A real PostgreSQL for every test: the wheel's own, started by the test run itself.

`BACKOFFICE_TEST_POSTGRES` (a superuser's URL) runs the same tests on another server.
"""

import os
import signal
from collections.abc import Iterator
from itertools import count

import pytest
from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlalchemy.orm import Session

from tests.servers import own_server

_numbers = count(1)

# What the shell sets for the site (a port, a database) is not what tests are about.
for name in [name for name in os.environ if name.startswith("BACKOFFICE_")]:
    if "__" in name or name.startswith("BACKOFFICE_SUPERUSER_"):
        del os.environ[name]

# Started in the background by a shell, all that we start ignores Ctrl-C, and tests that
# interrupt a command would wait for it without end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def superuser_url() -> Iterator[URL]:
    """The URL of a superuser on a server that belongs to this test run."""
    given = os.environ.get("BACKOFFICE_TEST_POSTGRES", "")
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg")
        return
    with own_server() as url:
        yield url


@pytest.fixture(scope="session")
def server(superuser_url: URL) -> Iterator[Engine]:
    """The superuser's connection, outside of transactions, to make databases with."""
    engine = create_engine(superuser_url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def old_server() -> Iterator[URL]:
    """The URL of a superuser on a PostgreSQL 16 that belongs to this test run."""
    with own_server(version=16) as url:
        yield url


@pytest.fixture
def empty_database(server: Engine) -> Iterator[URL]:
    """The URL of a new database with nothing in it."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    yield server.url.set(database=name)
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def engine(empty_database: URL) -> Iterator[Engine]:
    """An engine on a new, empty PostgreSQL database."""
    engine = create_engine(empty_database)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session on a new, empty PostgreSQL database."""
    with Session(engine, expire_on_commit=False) as session:
        yield session


@pytest.fixture(scope="session")
def demo_template(server: Engine) -> Iterator[str]:
    """The name of a database with the demo's tables and ours, and no rows."""
    from backoffice.database.migrations import upgrade
    from tests.projects import demo_project

    name = f"template_{os.getpid()}"
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine = create_engine(server.url.set(database=name))
    upgrade(engine, demo_project(), report=lambda _line: None)
    # A database with a connection to it cannot be copied.
    engine.dispose()
    yield name
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def office_template(server: Engine, demo_template: str) -> Iterator[str]:
    """The name of a database with a small demo and a person of each role."""
    from tests.office import seeded_office

    yield from seeded_office(server, demo_template)


def _copied(server: Engine, template: str) -> Iterator[URL]:
    """A copy of a database, dropped at the end."""
    name = f"demo_{os.getpid()}_{next(_numbers)}"
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    yield server.url.set(database=name)
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def demo_url(server: Engine, demo_template: str) -> Iterator[URL]:
    """The URL of a database of its own with the demo's tables and ours, and no rows."""
    yield from _copied(server, demo_template)


@pytest.fixture
def demo_engine(demo_url: URL) -> Iterator[Engine]:
    """An engine on a database of its own with the demo's tables and ours, and no rows.

    For tests that need several connections; others are quicker with `demo_session`.
    """
    engine = create_engine(demo_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def _shared_demo(server: Engine, demo_template: str) -> Iterator[Engine]:
    for url in _copied(server, demo_template):
        engine = create_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture
def demo_session(_shared_demo: Engine) -> Iterator[Session]:
    """A session on the demo's tables and ours, without rows; rolled back at the end.

    It may commit and roll back as it likes. All tests share the database, so no other
    connection sees its rows, and keys do not start at 1.
    """
    with (
        _shared_demo.connect() as connection,
        connection.begin() as transaction,
        Session(
            connection,
            expire_on_commit=False,
            join_transaction_mode="create_savepoint",
        ) as session,
    ):
        yield session
        session.close()
        transaction.rollback()
