"""The site on a database of its own, with people of every role in it."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import URL, Engine, create_engine, delete, event, text
from sqlalchemy.orm import Session
from starlette.applications import Starlette

from backoffice.admin.site import Site
from backoffice.auth import passwords
from backoffice.auth.models import LoginAttempt, User
from backoffice.bootstrap import Backoffice, assemble, close
from backoffice.database.migrations import upgrade
from backoffice.seeding.plan import load_project
from backoffice.seeding.seeder import seed
from backoffice.settings import Settings, load_settings
from backoffice.web.app import create_app
from tests.browser import Browser, Seen
from tests.conftest import _numbers
from tests.lab import LabBase
from tests.projects import ROOT, demo_project

PASSWORD = "four wild geese fly"
ROLES = ("admin", "ops", "editor", "viewer")
NAMES = {
    "admin": "Ada Admin",
    "ops": "Olga Ops",
    "editor": "Emil Editor",
    "viewer": "Vera Viewer",
}
SIZES = {"students": 150, "products": 40, "authors": 20, "texts": 60}
QUICK = PasswordHasher(time_cost=1, memory_cost=1_024, parallelism=1)
UNCOUNTED = ("BEGIN", "COMMIT", "ROLLBACK", "SET ", "SELECT set_config", "PRAGMA")


@dataclass(slots=True)
class Office:
    """A running site: its application, its database, and its people's browsers."""

    backoffice: Backoffice
    app: Starlette
    browsers: dict[str, Browser] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        """The site itself."""
        found = self.app.state.site
        assert isinstance(found, Site)
        return found

    @property
    def engine(self) -> Engine:
        """The engine that the site uses."""
        return self.backoffice.engine

    def session(self) -> Session:
        """A session beside the site's own."""
        return Session(self.engine, expire_on_commit=False)

    def add(self, make: Callable[..., Any], **given: Any) -> Any:
        """A row made by one of `tests.factories`, committed."""
        with self.session() as session:
            row = make(session, **given)
            session.commit()
            return row

    def read(self, model: type[Any], key: Any) -> Any:
        """A row as it stands now; None where there is none."""
        with self.session() as session:
            return session.get(model, key)

    def value(self, statement: Any, **parameters: Any) -> Any:
        """The one value that a statement gives."""
        if isinstance(statement, str):
            statement = text(statement)
        with self.engine.connect() as connection:
            return connection.execute(statement, parameters).scalar()

    def values(self, statement: str, **parameters: Any) -> list[Any]:
        """All rows that a statement gives."""
        with self.engine.connect() as connection:
            return list(connection.execute(text(statement), parameters).all())

    def run(self, statement: str, **parameters: Any) -> None:
        """Write past the site."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), parameters)

    def stranger(self) -> Browser:
        """A browser that is not logged in."""
        return Browser(self.app)

    def browser(self, role: str) -> Browser:
        """The browser of the person with this role; logged in once."""
        if role not in self.browsers:
            self.browsers[role] = self.fresh(role)
        return self.browsers[role]

    def fresh(self, role: str) -> Browser:
        """Another browser of the same person, logged in."""
        browser = self.stranger()
        seen = log_in(browser, f"{role}@example.org")
        assert seen.status == 303, seen.text
        return browser


def log_in(browser: Browser, email: str, password: str = PASSWORD) -> Seen:
    """Fill in the login page."""
    page = browser.get("/admin/login")
    return browser.submit(page, {"email": email, "password": password})


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """The statements that run meanwhile; what only frames a transaction is left out."""
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(UNCOUNTED):
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def settings_with(**sections: dict[str, Any]) -> Settings:
    """The demo's settings, some of them changed."""
    settings = load_settings(ROOT, {})
    changed = {
        name: getattr(settings, name).model_copy(update=values)
        for name, values in sections.items()
    }
    return settings.model_copy(update=changed)


@contextmanager
def opened(url: URL, root: Path = ROOT, **sections: dict[str, Any]) -> Iterator[Office]:
    """The demo's site on this database."""
    from pydantic import SecretStr

    web = {"secret_key": SecretStr("for tests alone " * 3), **sections.pop("web", {})}
    # Of its own: other servers of this machine are not among its processes.
    name = f"backoffice-metrics-{os.getpid()}-{next(_numbers)}"
    directory = Path(tempfile.gettempdir()) / name
    meeting = {"metrics_directory": str(directory)}
    observability = {**meeting, **sections.pop("observability", {})}
    settings = settings_with(web=web, observability=observability, **sections)
    backoffice = assemble(root, settings, url, demo_project(), "tests")
    try:
        yield Office(backoffice, create_app(backoffice))
    finally:
        close(backoffice)
        shutil.rmtree(directory, ignore_errors=True)


def add_people(engine: Engine) -> None:
    """One person of each role."""
    with Session(engine) as session:
        for role in ROLES:
            session.add(
                User(
                    id=uuid.uuid4(),
                    email=f"{role}@example.org",
                    name=NAMES[role],
                    role=role,
                    password_hash=QUICK.hash(PASSWORD),
                )
            )
        session.commit()


@pytest.fixture(scope="module")
def quick_passwords() -> Iterator[None]:
    """argon2id with little memory: tests log in hundreds of times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "HASHER", QUICK)
        yield


def seeded_office(server: Engine, demo_template: str) -> Iterator[str]:
    """The name of a database with a small demo and a person of each role."""
    name = f"office_{os.getpid()}"
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{demo_template}"'))
    fill_office(server.url.set(database=name))
    yield name
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


def fill_office(url: URL) -> None:
    """A small demo and a person of each role, into tables that are there."""
    engine = create_engine(url)
    seed(engine, load_project("models.seeding").plan(SIZES, 7))
    add_people(engine)
    engine.dispose()


def seed_office(url: URL) -> None:
    """The demo's tables, a small demo and a person of each role, on any server."""
    engine = create_engine(url)
    upgrade(engine, demo_project(), report=lambda _line: None)
    engine.dispose()
    fill_office(url)


def _copy(server: Engine, template: str) -> Iterator[URL]:
    name = f"office_{os.getpid()}_{next(_numbers)}"
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    yield server.url.set(database=name)
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="module")
def office_url(server: Engine, office_template: str) -> Iterator[URL]:
    """The URL of this module's own small demo."""
    yield from _copy(server, office_template)


@pytest.fixture(scope="module")
def site(office_url: URL, quick_passwords: None) -> Iterator[Office]:
    """The site on this module's own small demo, shared by its tests."""
    with opened(office_url) as office:
        yield office


@pytest.fixture(scope="module")
def lab(office_url: URL, quick_passwords: None) -> Iterator[Office]:
    """A site of models that are hard to administer, and few words about them."""
    del quick_passwords
    names = {"models": "tests.lab", "admin": "tests.lab"}
    with opened(office_url, app=names) as office:
        LabBase.metadata.create_all(office.engine)
        yield office


@pytest.fixture(autouse=True)
def nobody_has_failed(request: pytest.FixtureRequest) -> None:
    """Each test begins without failed logins."""
    if "site" in request.fixturenames:
        office = request.getfixturevalue("site")
        with office.engine.begin() as connection:
            connection.execute(delete(LoginAttempt))
