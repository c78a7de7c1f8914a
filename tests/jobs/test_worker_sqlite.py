"""The worker on SQLite, which is a thread of the process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from backoffice.bulk.batches import Step, step
from backoffice.bulk.change import Change
from backoffice.bulk.models import Run
from backoffice.bulk.steering import wish
from backoffice.bulk.target import Target
from backoffice.database.engine import make_engine
from backoffice.database.session import make_sessions
from backoffice.errors import DatabaseUnavailable
from backoffice.jobs import walking, worker_sqlite
from backoffice.jobs.making import make_worker
from backoffice.settings import DatabaseSettings
from tests.bulk.rooms import on_sqlite
from tests.jobs.orders import (
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


def test_two_runs_have_the_worker_by_turns(
    lite: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The short one that came later is done before the long one is."""
    monkeypatch.setattr(walking, "TURN", 0.0)
    long = ordered(lite, [0] * 24, name="long", is_queued=False)
    short = ordered(lite, [0] * 4, name="short", is_queued=False)
    make_worker(lite, resolve).run_all()
    first, last = state(lite, short), state(lite, long)
    assert (first.changed, last.changed) == (4, 24)
    assert first.finished_at is not None
    assert last.finished_at is not None
    assert first.finished_at < last.finished_at


def test_two_processes_do_no_batch_twice(lite: Engine) -> None:
    """One writes at a time, and reads how far the run is only then."""
    number = ordered(lite, list(range(8)), is_queued=False)
    hasty = make_engine(
        lite.url, DatabaseSettings(lock_timeout=0.01), application_name="tests"
    )
    refused: list[str] = []

    def beside(session: Session, run: Run) -> tuple[Target, Change]:
        """While the batch is done, another process tries to do one."""
        with pytest.raises(DatabaseUnavailable) as locked:
            step(make_sessions(hasty), resolve, number)
        refused.append(str(locked.value))
        return resolve(session, run)

    while step(make_sessions(lite), beside, number) is Step.ON:
        pass
    hasty.dispose()
    assert len(refused) == 3
    run = state(lite, number)
    assert (run.state, run.changed, run.left) == ("done", 8, 0)
    assert numbers_of(lite) == list(range(1, 9))


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
