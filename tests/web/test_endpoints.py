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
from backoffice.database.migrations import ProjectMigrations, upgrade
from backoffice.settings import DatabaseSettings, Settings
from backoffice.web.endpoints import endpoints

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
        TestClient(Starlette(routes=endpoints(opened))) as client,
    ):
        yield client


def test_a_live_server_asks_nobody(tmp_path: Path, empty_database: URL) -> None:
    """The process answers also where the database does not."""
    nowhere = empty_database.set(database="there_is_no_such_database")
    with probed(nowhere, tmp_path) as client:
        assert client.get("/livez").text == "alive\n"


def test_ready_means_migrated(
    tmp_path: Path, empty_database: URL, engine: Engine
) -> None:
    """A server whose tables stand is ready, and healthy in each part."""
    upgrade(engine, PROJECT, report=lambda _line: None)
    with probed(empty_database, tmp_path) as client:
        assert client.get("/readyz").status_code == 200
        assert client.get("/healthz").json() == {
            "status": "ok",
            "checks": {
                "database": {"ok": True, "text": "It answers."},
                "migrations": {"ok": True, "text": "All have run."},
            },
        }


def test_an_empty_database_is_not_ready(tmp_path: Path, empty_database: URL) -> None:
    """Before the migrations have run nobody is sent here, and the reason is said."""
    with probed(empty_database, tmp_path) as client:
        response = client.get("/readyz")
    assert response.status_code == 503
    assert "manage.py migrate" in response.text


@pytest.mark.parametrize("path", ["/readyz", "/healthz"])
def test_without_a_database_it_is_not_ready(
    tmp_path: Path, empty_database: URL, path: str
) -> None:
    """Where the database does not answer that is said, and nothing of its address."""
    nowhere = empty_database.set(database="there_is_no_such_database")
    with probed(nowhere, tmp_path) as client:
        response = client.get(path)
    assert response.status_code == 503
    assert "No connection, or no answer." in response.text
    assert "there_is_no_such_database" not in response.text


def test_a_full_pool_is_not_ready(tmp_path: Path, empty_database: URL) -> None:
    """Probes go through the pool of the pages: where that is full, so they say."""
    with (
        served(
            empty_database, tmp_path, pool_size=1, max_overflow=0, pool_timeout=0.1
        ) as opened,
        TestClient(Starlette(routes=endpoints(opened))) as client,
        opened.engine.connect(),
    ):
        assert "No connection" in client.get("/readyz").text
