"""Databases with our own tables, and people in them."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, Table, create_engine, make_url, text
from sqlalchemy.orm import Session

from backoffice.audit.models import AuditEntry
from backoffice.auth import passwords
from backoffice.auth.models import LoginAttempt, LoginSession, User
from backoffice.database.base import Base
from backoffice.database.engine import make_engine
from backoffice.settings import DatabaseSettings

PASSWORD = "four wild geese fly"
OWN_TABLES = [m.__table__ for m in (User, LoginSession, LoginAttempt, AuditEntry)]
QUICK = PasswordHasher(time_cost=1, memory_cost=1_024, parallelism=1)
_numbers = count(1)

MakeUser = Callable[..., User]


def own_tables() -> list[Table]:
    """Our tables, as `create_all` wants them."""
    return [table for table in OWN_TABLES if isinstance(table, Table)]


@pytest.fixture(scope="session")
def accounts_server(server: Engine) -> Iterator[Engine]:
    """A PostgreSQL database with our tables, for all tests here one after the other."""
    name = f"accounts_{os.getpid()}"
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    url = server.url.set(database=name)
    engine = make_engine(url, DatabaseSettings(), application_name="tests")
    Base.metadata.create_all(engine, tables=own_tables())
    yield engine
    engine.dispose()
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def accounts(accounts_server: Engine) -> Engine:
    """A PostgreSQL database with our tables and no rows."""
    names = ", ".join(table.name for table in own_tables())
    with accounts_server.begin() as connection:
        connection.execute(text(f"TRUNCATE {names}"))
    return accounts_server


@pytest.fixture(scope="session")
def accounts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with our tables and no rows, to be copied."""
    path = tmp_path_factory.mktemp("accounts") / "empty.db"
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine, tables=own_tables())
    engine.dispose()
    return path


@pytest.fixture
def accounts_sqlite(accounts_file: Path, tmp_path: Path) -> Iterator[Engine]:
    """A SQLite database with our tables and no rows."""
    copy = shutil.copy(accounts_file, tmp_path / "accounts.db")
    url = make_url(f"sqlite:///{copy}")
    engine = make_engine(url, DatabaseSettings(), application_name="tests")
    yield engine
    engine.dispose()


@pytest.fixture(params=["postgresql", "sqlite"])
def either(request: pytest.FixtureRequest) -> Engine:
    """Our tables on PostgreSQL, then on SQLite."""
    name = "accounts" if request.param == "postgresql" else "accounts_sqlite"
    engine = request.getfixturevalue(name)
    assert isinstance(engine, Engine)
    return engine


@pytest.fixture
def db(either: Engine) -> Iterator[Session]:
    """A session on either database."""
    with Session(either, expire_on_commit=False) as session:
        yield session


@pytest.fixture(autouse=True)
def quick_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2id with little memory: tests log in hundreds of times."""
    monkeypatch.setattr(passwords, "HASHER", QUICK)


@pytest.fixture(scope="session")
def password_hash() -> str:
    """The hash of `PASSWORD`."""
    return QUICK.hash(PASSWORD)


@pytest.fixture
def make_user(password_hash: str) -> MakeUser:
    """Adds an account; `role` first, everything else by name."""

    def make(session: Session, role: str = "viewer", **given: object) -> User:
        number = next(_numbers)
        values = {
            "email": f"person{number}@example.org",
            "name": f"Person {number}",
            "password_hash": password_hash,
        }
        user = User(id=uuid.uuid4(), role=role, **values | given)
        session.add(user)
        session.commit()
        return user

    return make
