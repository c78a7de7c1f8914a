"""The tables of these tests, once on each database; every test leaves them empty."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, event, make_url, text
from sqlalchemy.orm import Session

from backoffice.database.engine import make_engine
from backoffice.listing.cursor import CursorCodec
from backoffice.settings import DatabaseSettings
from tests.listing.models import Base

NAME = "listing_tests"


@pytest.fixture(scope="session")
def postgresql(server: Engine) -> Iterator[Engine]:
    """PostgreSQL with the tables."""
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{NAME}" WITH (FORCE)'))
        connection.execute(text(f'CREATE DATABASE "{NAME}"'))
    yield from _with_tables(server.url.set(database=NAME))
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{NAME}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """SQLite with the tables."""
    path: Path = tmp_path_factory.mktemp("listing") / "list.db"
    yield from _with_tables(make_url(f"sqlite:///{path}"))


def _with_tables(url: URL) -> Iterator[Engine]:
    engine = make_engine(url, DatabaseSettings(), application_name="tests")
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request: pytest.FixtureRequest) -> Engine:
    """Each database in turn."""
    engine: Engine = request.getfixturevalue(request.param)
    return engine


@pytest.fixture
def session(database: Engine) -> Iterator[Session]:
    """A session whose rows are gone afterwards."""
    with Session(database, expire_on_commit=False) as session:
        yield session
        session.rollback()


@pytest.fixture
def codec() -> CursorCodec:
    """What seals the places of pages."""
    return CursorCodec("a secret of these tests")


@pytest.fixture
def statements(database: Engine) -> Iterator[list[str]]:
    """Every statement that reaches the database, as it was sent."""
    sent: list[str] = []

    def note(*arguments: object) -> None:
        sent.append(str(arguments[2]))

    event.listen(database, "before_cursor_execute", note)
    yield sent
    event.remove(database, "before_cursor_execute", note)
