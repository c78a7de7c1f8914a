"""A recorded session on an office with one branch and one worker, on both databases."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Engine, text
from sqlalchemy.orm import Session

from backoffice.audit.models import AuditEntry
from backoffice.audit.recorder import record_changes
from backoffice.database.engine import make_engine
from backoffice.database.session import ACTOR, PLACE, Actor, Place
from backoffice.settings import DatabaseSettings
from tests.editing.office import Base, Branch, Worker


def recorded_session(engine: Engine, name: str = "Ruth Adeyemi") -> Session:
    """A session in which this person acts."""
    session = Session(engine, expire_on_commit=False)
    session.info[ACTOR] = Actor(name.lower(), name)
    session.info[PLACE] = Place("worker", "edit")
    record_changes(session)
    return session


@pytest.fixture(scope="session")
def office_on_postgresql(server: Engine) -> Iterator[Engine]:
    """The office's tables, in a database that the tests of this folder share."""
    name = f"test_office_{os.getpid()}"
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine = make_office(server.url.set(database=name))
    yield engine
    engine.dispose()
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


def make_office(url: URL) -> Engine:
    """An engine on a database with the tables of the office."""
    settings = DatabaseSettings(lock_timeout=0.2)
    engine = make_engine(url, settings, application_name="test")
    Base.metadata.create_all(engine)
    AuditEntry.metadata.tables["backoffice_audit"].create(engine)
    return engine


@pytest.fixture(params=["postgresql", "sqlite"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine on the office with one branch and one worker."""
    if request.param == "sqlite":
        engine = make_office(URL.create("sqlite", database=str(tmp_path / "office.db")))
    else:
        engine = request.getfixturevalue("office_on_postgresql")
        tables = ", ".join([*Base.metadata.tables, "backoffice_audit"])
        with engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
    with Session(engine) as session:
        session.add(Branch(name="North"))
        session.flush()
        session.add(Worker(code="W1", name="Ann", branch_id=1, level=6))
        session.commit()
    yield engine
    if request.param == "sqlite":
        engine.dispose()


@pytest.fixture
def desk(office: Engine) -> Iterator[Session]:
    """Ruth's session."""
    with recorded_session(office) as session:
        yield session


@pytest.fixture
def other_desk(office: Engine) -> Iterator[Session]:
    """Grace's session, on a connection of its own."""
    with recorded_session(office, "Grace Mensah") as session:
        yield session


def add(session: Session, *records: Any) -> None:
    """Records that are there before the test begins, without entries."""
    with Session(session.get_bind()) as other:
        for record in records:
            other.add(record)
            other.flush()
        other.commit()
