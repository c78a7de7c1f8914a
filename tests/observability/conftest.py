"""Engines under observation, on PostgreSQL and on SQLite."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import URL, Engine, QueuePool, create_engine

from backoffice.observability.measurement import Measurement
from backoffice.observability.pool import observed_pool
from backoffice.observability.recorder import Recorder, Slow
from backoffice.observability.statements import Observation, install


class Kept(Recorder):
    """A recorder that keeps every measurement, for tests to look at."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.all: list[Measurement] = []
        self.slow_ones: list[Slow] = []
        self.slow = self.slow_ones.append

    def record(self, measured: Measurement) -> None:
        """Count it, and keep it."""
        super().record(measured)
        self.all.append(measured)

    def of(self, operation: str) -> list[Measurement]:
        """The measurements of one operation, in their order."""
        return [one for one in self.all if one.fingerprint.operation == operation]


@pytest.fixture
def recorder() -> Kept:
    """A recorder of its own for each test."""
    return Kept()


@pytest.fixture
def make_observed(
    empty_database: URL, recorder: Kept
) -> Iterator[Callable[..., tuple[Engine, Observation]]]:
    """Makes engines on the test's database whose statements `recorder` gets."""
    made: list[Engine] = []

    def make(**options: Any) -> tuple[Engine, Observation]:
        options.setdefault("poolclass", observed_pool(QueuePool))
        engine = create_engine(empty_database, **options)
        made.append(engine)
        return engine, install(engine, recorder)

    yield make
    for engine in made:
        engine.dispose()


@pytest.fixture
def observed(make_observed: Callable[..., tuple[Engine, Observation]]) -> Engine:
    """An engine on PostgreSQL under observation."""
    engine, _ = make_observed()
    return engine


@pytest.fixture
def observed_sqlite(recorder: Kept) -> Iterator[Engine]:
    """An engine on SQLite, in memory, under observation."""
    engine = create_engine("sqlite://")
    install(engine, recorder)
    yield engine
    engine.dispose()
