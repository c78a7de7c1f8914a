"""Tests of the answers to probes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine
from starlette.applications import Starlette
from starlette.testclient import TestClient

from backoffice.bootstrap import Backoffice, assemble, close
from backoffice.database.base import Base
from backoffice.database.migrations import ProjectMigrations, downgrade, upgrade
from backoffice.settings import DatabaseSettings, Settings
from backoffice.web.endpoints import Probes, endpoints

PROJECT = ProjectMigrations(directory=None, metadata=[Base.metadata])


@contextmanager
def served(url: URL, root: Path, **database: object) -> Iterator[Backoffice]:
    """Everything a server has, on this database."""
    settings = Settings(database=DatabaseSettings(**database))
    (root / "var").mkdir(exist_ok=True)
    opened = assemble(root, settings, url, PROJECT, "tests")
    try:
        yield opened
    finally:
        close(opened)


@contextmanager
def probed(url: URL, root: Path) -> Iterator[TestClient]:
    """A prober of a server on this database."""
    with (
        served(url, root) as opened,
        TestClient(
            Starlette(routes=endpoints(Probes(opened))), client=("127.0.0.1", 50000)
        ) as client,
    ):
        yield client


def test_a_live_server_asks_nobody(tmp_path: Path, empty_database: URL) -> None:
    """The process answers also where the database does not."""
    nowhere = empty_database.set(database="there_is_no_such_database")
    with probed(nowhere, tmp_path) as client:
        assert client.get("/livez").status_code == 200


def test_ready_means_migrated(
    tmp_path: Path, empty_database: URL, engine: Engine
) -> None:
    """A server whose tables stand is ready, and healthy in each part."""
    upgrade(engine, PROJECT, report=lambda _line: None)
    with probed(empty_database, tmp_path) as client:
        assert client.get("/readyz").status_code == 200
        report = client.get("/healthz").json()
    # Warnings are about this test's own server, which may lose what it has written.
    assert report["status"] in {"pass", "warn"}
    assert report["checks"]["database:connection"][0]["status"] == "pass"


def test_an_empty_database_is_not_ready(tmp_path: Path, empty_database: URL) -> None:
    """Before the migrations have run nobody is sent here, and the reason is said."""
    with probed(empty_database, tmp_path) as client:
        response = client.get("/readyz")
    assert response.status_code == 503
    assert "manage.py migrate" in response.text


def test_the_start_is_over_when_all_migrations_have_run(
    tmp_path: Path, empty_database: URL, engine: Engine
) -> None:
    """Until then a probe of the start fails; afterwards it never does again."""
    with probed(empty_database, tmp_path) as client:
        before = client.get("/startupz")
    with probed(empty_database, tmp_path) as client:
        upgrade(engine, PROJECT, report=lambda _line: None)
        after = client.get("/startupz")
        downgrade(
            engine,
            PROJECT,
            target="backoffice_0001_accounts",
            report=lambda _line: None,
        )
        later = client.get("/startupz")
    assert before.status_code == 503
    assert "manage.py migrate" in before.text
    assert (after.status_code, later.status_code) == (200, 200)


@pytest.mark.parametrize("path", ["/readyz", "/healthz", "/startupz"])
def test_without_a_database_it_is_not_ready(
    tmp_path: Path, empty_database: URL, path: str
) -> None:
    """Where the database does not answer that is said, and nothing of its address."""
    nowhere = empty_database.set(database="there_is_no_such_database")
    with probed(nowhere, tmp_path) as client:
        response = client.get(path)
    assert response.status_code == 503
    assert "the database does not answer" in response.text
    assert "there_is_no_such_database" not in response.text


def test_strangers_learn_the_word_alone(tmp_path: Path, empty_database: URL) -> None:
    """Who does not ask from this machine is told no more than how it is."""
    with (
        served(empty_database, tmp_path) as opened,
        TestClient(
            Starlette(routes=endpoints(Probes(opened))), client=("192.0.2.7", 50000)
        ) as client,
    ):
        assert set(client.get("/healthz").json()) == {"status"}
