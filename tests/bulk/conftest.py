"""The same tests on PostgreSQL 18's way, on the way of older ones, and on SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from backoffice.bulk import postgresql
from tests.bulk.rooms import on_sqlite, prepare


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
