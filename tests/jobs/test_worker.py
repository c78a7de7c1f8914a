"""Workers as they run: in threads and processes, alone, side by side, and killed."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from backoffice.bulk.change import Change
from backoffice.bulk.models import Run
from backoffice.bulk.target import Target
from backoffice.jobs import walking
from backoffice.jobs.making import make_worker
from backoffice.jobs.worker import Worker
from backoffice.jobs.worker_postgresql import PostgresWorker
from tests.jobs.orders import (
    bury_workers,
    entries_of,
    jobs,
    numbers_of,
    ordered,
    resolve,
    state,
    until,
    write,
)
from tests.office import counted

OURS = "application_name = 'backoffice jobs' AND datname = current_database()"


@contextmanager
def at_work(engine: Engine, **options: object) -> Iterator[Worker]:
    """A worker in a thread, stopped at the end."""
    clear = options.pop("clear", None)
    worker = make_worker(engine, options.pop("resolve", resolve), **options)  # type: ignore[arg-type]
    if clear is not None:  # what it does once an hour
        vars(worker)["clear"] = clear
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def is_done(engine: Engine, number: int) -> bool:
    """Whether a run has ended well."""
    return state(engine, number).state == "done"


def value(engine: Engine, statement: str) -> object:
    """The one value that a statement gives."""
    with engine.connect() as connection:
        return connection.scalar(text(statement))


KILLED = """
import os, signal, sys
from sqlalchemy import create_engine, event
from backoffice.bulk import batches
from backoffice.jobs.making import make_worker
from tests.jobs.orders import resolve
batches.LEAST = batches.MOST = 4
engine = create_engine(sys.argv[1])
left = [int(sys.argv[2])]
@event.listens_for(engine, "after_cursor_execute")
def count(c, cursor, statement, *rest):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
make_worker(engine, resolve).run_all()
"""


def test_a_run_that_is_killed_again_and_again_ends_as_any_other(
    demo_engine: Engine,
) -> None:
    """Kill -9 of the worker's process, anywhere: the next goes on from there."""
    number = ordered(demo_engine, list(range(24)))
    url = demo_engine.url.render_as_string(hide_password=False)
    for statements in (1, 3, 8, 14, 19):
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, url, str(statements)],
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            capture_output=True,
        )
        assert ended.returncode == -9, ended.stderr
        assert jobs(demo_engine) == ["doing"]
        bury_workers(demo_engine)
    make_worker(demo_engine, resolve).run_all()
    assert numbers_of(demo_engine) == list(range(1, 25))
    run = state(demo_engine, number)
    assert (run.state, run.changed, run.met) == ("done", 24, 24)
    keys = entries_of(demo_engine, number)
    assert len(keys) == len(set(keys)) == 24


def test_a_worker_takes_what_is_queued_while_it_waits(demo_engine: Engine) -> None:
    """It is told by the database, and does not wait for its next look."""
    with at_work(demo_engine):
        until(lambda: value(demo_engine, f"{LISTENING} AND {OURS}") == 1)
        number = ordered(demo_engine, [0] * 8)
        until(lambda: is_done(demo_engine, number))


def test_a_short_run_does_not_wait_for_the_end_of_a_long_one(
    demo_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have the worker by turns; the long one goes on, and no job is left over."""
    monkeypatch.setattr(walking, "TURN", 0.0)
    long = ordered(demo_engine, [0] * 40, name="long")
    short = ordered(demo_engine, [0] * 8, name="short")
    make_worker(demo_engine, resolve).run_all()
    assert numbers_of(demo_engine, "long") == [1] * 40
    assert numbers_of(demo_engine, "short") == [1] * 8
    first, last = state(demo_engine, short), state(demo_engine, long)
    assert first.finished_at is not None
    assert last.finished_at is not None
    assert first.finished_at < last.finished_at
    assert jobs(demo_engine) == []


LISTENING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"


def test_two_workers_do_two_runs_side_by_side(demo_engine: Engine) -> None:
    """Each waits in its first batch for the other to be in its own."""
    together = threading.Barrier(2)
    met: set[int] = set()

    def meeting(session: Session, run: Run) -> tuple[Target, Change]:
        if run.id not in met:
            met.add(run.id)
            together.wait()
        return resolve(session, run)

    first = ordered(demo_engine, [0] * 8, name="first")
    second = ordered(demo_engine, [0] * 8, name="second")
    with (
        at_work(demo_engine, resolve=meeting, is_alone=False),
        at_work(demo_engine, resolve=meeting, is_alone=False),
    ):
        until(lambda: is_done(demo_engine, first) and is_done(demo_engine, second))
    assert numbers_of(demo_engine, "first") == [1] * 8
    assert numbers_of(demo_engine, "second") == [1] * 8


LOCKS = (
    "FROM pg_locks JOIN pg_database ON oid = database "
    "WHERE locktype = 'advisory' AND granted AND datname = current_database()"
)


def test_of_those_inside_servers_one_works_and_the_next_takes_over(
    demo_engine: Engine,
) -> None:
    """A lock of the database decides; it goes with the connection that holds it."""
    first, second = (make_worker(demo_engine, resolve) for _ in range(2))
    first.name, second.name = "first", "second"
    first.start()
    until(lambda: value(demo_engine, f"SELECT count(*) {LOCKS}") == 1)
    second.start()
    number = ordered(demo_engine, [0] * 4, name="before")
    until(lambda: is_done(demo_engine, number))
    assert state(demo_engine, number).worker == "first"
    # Who has lost its connection has lost the lock, whatever it believes.
    write(demo_engine, f"SELECT pg_terminate_backend(pid) {LOCKS}")
    first.stop()
    number = ordered(demo_engine, [0] * 4, name="after")
    until(lambda: is_done(demo_engine, number))
    assert state(demo_engine, number).worker == "second"
    second.stop()
    assert value(demo_engine, "SELECT count(*) FROM procrastinate_workers") == 0
    # The server notices a moment later that a connection was closed.
    until(lambda: value(demo_engine, f"SELECT count(*) {LOCKS}") == 0)


def test_a_worker_that_is_stopped_gives_its_run_back(demo_engine: Engine) -> None:
    """The batch is finished, the job waits again, and the worker is gone at once."""
    number = ordered(demo_engine, [0] * 40)
    in_batch, go_on = threading.Event(), threading.Event()

    def slow(session: Session, run: Run) -> tuple[Target, Change]:
        in_batch.set()
        go_on.wait()
        return resolve(session, run)

    worker = make_worker(demo_engine, slow)
    worker.start()
    in_batch.wait()
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    until(worker.stopped.is_set)
    go_on.set()
    stopping.join()
    assert numbers_of(demo_engine) == [1] * 4 + [0] * 36
    assert jobs(demo_engine) == ["todo"]
    assert value(demo_engine, "SELECT count(*) FROM procrastinate_workers") == 0
    present = f"SELECT count(*) FROM pg_stat_activity WHERE {OURS}"
    until(lambda: value(demo_engine, present) == 0)
    make_worker(demo_engine, resolve).run_all()
    assert is_done(demo_engine, number)


@pytest.mark.parametrize("connections", [0, 1, 2, 3])
def test_a_worker_ends_whenever_it_is_told_to(
    demo_engine: Engine, connections: int
) -> None:
    """Nobody who stops the site waits for its pauses, or for what it has begun."""
    for _ in range(15):
        worker = make_worker(demo_engine, resolve)
        assert isinstance(worker, PostgresWorker)
        worker.start()
        known = worker.connections._open
        until(lambda known=known: len(known) >= connections)  # type: ignore[misc]
        worker.stop(patience=30)

        names = [thread.name for thread in threading.enumerate()]
        assert "backoffice worker" not in names


def test_a_worker_outlives_the_loss_of_the_database(
    demo_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """All its connections are cut, in rest and at work; it says so once and goes on."""
    number = ordered(demo_engine, [0] * 40, is_queued=False)
    cuts = [3]

    def cut(session: Session, run: Run) -> tuple[Target, Change]:
        if cuts[0]:
            cuts[0] -= 1
            write(
                demo_engine,
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}",
            )
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return resolve(session, run)

    with at_work(demo_engine, resolve=cut):
        until(lambda: value(demo_engine, f"{LISTENING} AND {OURS}") == 1)
        write(
            demo_engine,
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}",
        )
        until(lambda: is_done(demo_engine, number))
    assert numbers_of(demo_engine) == [1] * 40
    assert len(entries_of(demo_engine, number)) == 40
    said = [one for one in caplog.records if one.levelname in {"WARNING", "ERROR"}]
    assert {one.name for one in said} <= {"backoffice.jobs.worker_postgresql"}
    assert len([one for one in said if "has lost the database" in one.message]) <= 5


def test_a_worker_waits_for_the_migrations(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """On a database without the queue it says so once, and asks for nothing else."""
    with at_work(engine):
        until(lambda: "waits for the migrations" in caplog.text)
    assert caplog.text.count("waits for the migrations") == 1


def test_a_worker_at_rest_asks_past_the_engine(demo_engine: Engine) -> None:
    """Nothing of its queue stands among the site's statements."""
    looked = "SELECT count(*) FROM procrastinate_periodic_defers"
    with (
        counted(demo_engine) as statements,
        at_work(demo_engine, clear=lambda: None),
    ):
        until(lambda: value(demo_engine, looked) != 0)
    assert set(statements) == {looked}


def test_a_run_that_lost_its_job_is_found_while_the_worker_waits(
    demo_engine: Engine,
) -> None:
    """By the clock it looks for such runs; nobody has to start it anew for that."""
    with at_work(demo_engine):
        until(lambda: value(demo_engine, f"{LISTENING} AND {OURS}") == 1)
        number = ordered(demo_engine, [0] * 4, is_queued=False)
        until(lambda: is_done(demo_engine, number))
