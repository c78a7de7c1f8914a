"""The same tests on PostgreSQL 18's way, on the way of older ones, and on SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, create_engine, text

from backoffice.audit.models import AuditEntry
from backoffice.bulk import postgresql
from tests.bulk.rooms import OWN, on_sqlite, prepare


@pytest.fixture(params=["returning", "locking", "sqlite"])
def kinds(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """A database with the tables of these tests, in each way of updating."""
    if request.param == "sqlite":
        with on_sqlite(tmp_path) as engine:
            yield engine
        return
    if request.param == "locking":
        monkeypatch.setattr(postgresql, "RETURNS_OLD", (99,))
    engine = request.getfixturevalue("demo_engine")
    prepare(engine)
    yield engine


@pytest.fixture
def on_16(old_server: URL) -> Iterator[Engine]:
    """A database of a real PostgreSQL 16 with our tables and those of these tests."""
    server = create_engine(old_server, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS bulk WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE bulk"))
    server.dispose()
    engine = create_engine(old_server.set(database="bulk"))
    AuditEntry.metadata.create_all(engine, tables=OWN)  # type: ignore[arg-type]
    prepare(engine)
    yield engine
    engine.dispose()


@pytest.fixture(params=["18", "16"])
def either(request: pytest.FixtureRequest) -> Engine:
    """A real PostgreSQL of each way, with our tables and those of these tests."""
    if request.param == "16":
        engine: Engine = request.getfixturevalue("on_16")
    else:
        engine = request.getfixturevalue("demo_engine")
        prepare(engine)
    return engine
