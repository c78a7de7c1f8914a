from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from backoffice.observability.history import REMEMBERED, HourWriter, read_hours
from backoffice.observability.models import StatementHour, StatementText
from backoffice.observability.recorder import Recorder
from backoffice.observability.statement_texts import TextWriter, table_of
from backoffice.observability.statements import install

HOUR = 3600.0
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Clock:
    """A clock that stands where it is put."""

    now = 400_000 * HOUR

    def __call__(self) -> float:
        """The time it shows."""
        return self.now


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request: Any, tmp_path: Path) -> Iterator[Engine]:
    """A database with the history's tables, on both dialects."""
    if request.param == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path / 'log.db'}")
    else:
        engine = create_engine(request.getfixturevalue("empty_database"))
    tables = [table_of(StatementText), table_of(StatementHour)]
    tables[0].metadata.create_all(engine, tables=tables)
    yield engine
    engine.dispose()


class Process:
    """One process's recorder and writer."""

    def __init__(self, name: str, clock: Clock, limit: int = 1000) -> None:
        self.recorder = Recorder(clock=clock, limit=limit)
        self.writer = HourWriter(self.recorder, source=name)
        self.texts = TextWriter()
        self.engine = create_engine("sqlite://")
        install(self.engine, self.recorder)

    def call(self, number: int, statement: str = "SELECT 1 AS a") -> str:
        """Run a statement some times; its fingerprint."""
        with self.engine.connect() as connection:
            for _ in range(number):
                connection.execute(text(statement)).all()
        self.engine.dispose()
        return self.recorder.fingerprints.of_text(statement).id

    def write(self, database: Engine) -> int:
        """Write the hour."""
        return self.writer.write(database, self.texts)


def calls(database: Engine, fingerprint: str) -> list[int]:
    """How often a statement ran, hour by hour."""
    with database.connect() as connection:
        return [
            point.calls for point in read_hours(connection, fingerprint, since=LONG_AGO)
        ]


def test_an_hour_is_written_over_and_over(database: Engine) -> None:
    """Two writes within an hour are one row with all calls."""
    process = Process("one", Clock())
    name = process.call(3)
    process.write(database)
    process.call(2)
    process.write(database)
    assert calls(database, name) == [5]


def test_what_did_not_run_is_not_written(database: Engine) -> None:
    """A second write without calls in between writes nothing."""
    process = Process("one", Clock())
    process.call(3)
    assert process.write(database) == 1
    assert process.write(database) == 0


def test_each_hour_has_its_own_calls(database: Engine) -> None:
    """A new hour begins at zero."""
    clock = Clock()
    process = Process("one", clock)
    name = process.call(3)
    process.write(database)
    clock.now += HOUR
    process.write(database)
    process.call(2)
    process.write(database)
    assert calls(database, name) == [3, 2]


def test_the_end_of_an_hour_is_not_lost(database: Engine) -> None:
    """Calls after the last write of an hour stand in that hour."""
    clock = Clock()
    process = Process("one", clock)
    name = process.call(1)
    process.write(database)
    process.call(2)
    clock.now += HOUR
    process.write(database)
    assert calls(database, name) == [3]


def test_a_clock_that_went_back_overwrites_no_hour(database: Engine) -> None:
    """What an hour had before it came again stays in its sum."""
    clock = Clock()
    process = Process("one", clock)
    name = process.call(3)
    process.write(database)
    for hours, number in ((1, 4), (-1, 5), (1, 6)):
        clock.now += hours * HOUR
        process.write(database)
        process.call(number)
        process.write(database)
    assert calls(database, name) == [3 + 5, 4 + 6]


def test_what_is_forgotten_between_two_writes_is_kept(database: Engine) -> None:
    """Calls of a statement that memory has let go of meanwhile are written."""
    process = Process("one", Clock())
    name = process.call(3)
    process.write(database)
    process.call(2)
    process.recorder.forget()
    process.write(database)
    assert calls(database, name) == [5]


def test_many_statements_in_an_hour_cost_no_memory(database: Engine) -> None:
    """What memory has let go of is not kept for the hour's sake; no call is lost."""
    process = Process("one", Clock(), limit=2)
    name = process.call(3)
    process.write(database)
    for number in range(30):
        process.call(1, f"SELECT 1 AS a{number}")
        process.write(database)
    process.call(2)
    process.write(database)
    assert calls(database, name) == [5]
    assert len(process.writer._base) <= 2 * REMEMBERED + 2


def test_processes_add_up(database: Engine) -> None:
    """The hours of two processes are one for the reader, histograms and all."""
    clock = Clock()
    one, two = Process("one", clock), Process("two", clock)
    name = one.call(3)
    two.call(4)
    one.write(database)
    two.write(database)
    with database.connect() as connection:
        (point,) = read_hours(connection, name, since=LONG_AGO)
    assert point.calls == 7
    assert point.p50_ms is not None
    assert point.rows == 7


def test_an_evicted_statement_keeps_its_hour(database: Engine) -> None:
    """A statement that was pushed out of memory and came back loses no call."""
    process = Process("one", Clock())
    name = process.call(3)
    process.write(database)
    process.recorder.forget()
    process.call(2)
    process.write(database)
    assert calls(database, name) == [5]
