"""The worker on SQLite, which is a thread of the process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from backoffice.bulk.batches import wish
from backoffice.bulk.models import Run
from backoffice.jobs import worker_sqlite
from backoffice.jobs.making import make_worker
from tests.bulk.rooms import on_sqlite
from tests.jobs.orders import (
    entries_of,
    numbers_of,
    ordered,
    resolve,
    state,
    until,
)


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Engine]:
    """A SQLite database with our tables."""
    with on_sqlite(tmp_path) as engine:
        yield engine


def test_it_walks_what_is_there_and_what_comes(
    lite: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by the commit of its own process, it does not wait for its next look."""
    monkeypatch.setattr(worker_sqlite, "LOOK", 3_600.0)
    first = ordered(lite, [0] * 8, name="first", is_queued=False)
    worker = make_worker(lite, resolve)
    worker.start()
    until(lambda: state(lite, first).state == "done")
    second = ordered(lite, [0] * 8, name="second", is_queued=False)
    with Session(lite) as session:
        worker.queue(session, second)
        session.get_one(Run, second).words = "queued"
        session.commit()
    until(lambda: state(lite, second).state == "done")
    worker.stop()
    assert numbers_of(lite, "second") == [1] * 8


def test_two_processes_do_no_batch_twice(lite: Engine) -> None:
    """One writes at a time, and reads how far the run is only then."""
    number = ordered(lite, list(range(40)), is_queued=False)
    workers = [make_worker(lite, resolve) for _ in range(2)]
    for worker in workers:
        worker.start()
    until(lambda: state(lite, number).state == "done")
    for worker in workers:
        worker.stop()
    assert numbers_of(lite) == list(range(1, 41))
    assert len(entries_of(lite, number)) == 40


def test_a_run_that_rests_is_left_alone(lite: Engine) -> None:
    """It goes on when somebody wants it to."""
    number = ordered(lite, [0] * 8, is_queued=False)
    worker = make_worker(lite, resolve)
    with Session(lite) as session:
        wish(session, session.get_one(Run, number), "pause")
        session.commit()
    assert worker.run_all() == 0
    assert state(lite, number).state == "paused"
    with Session(lite) as session:
        wish(session, session.get_one(Run, number), "resume")
        session.commit()
    assert worker.run_all() == 2
    assert numbers_of(lite) == [1] * 8
