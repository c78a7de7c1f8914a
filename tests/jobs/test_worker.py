"""Runs that are done batch by batch, whatever comes between."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from backoffice.audit.models import AuditEntry
from backoffice.bulk import batches
from backoffice.bulk.batches import enqueue, step
from backoffice.bulk.careful import apply_carefully
from backoffice.bulk.change import Change
from backoffice.bulk.models import Run, RunRow
from backoffice.bulk.run import Order
from backoffice.bulk.target import Target, read_chosen, take_digest
from backoffice.errors import Refused
from backoffice.jobs.worker import Worker
from tests.bulk.rooms import Kind, all_of, prepare, session_on, setting


def resolve(_session: Session, _run: Run) -> tuple[Target, Change]:
    """What every run of these tests does."""
    return all_of(Kind), setting(Kind, number=Kind.number + 1)


def ordered(engine: Engine, numbers: list[int], size: int = 4) -> int:
    """Rows with these numbers, and a run that adds one to each; its number."""
    prepare(engine)
    with session_on(engine) as session:
        session.add_all(
            Kind(id=key, number=number) for key, number in enumerate(numbers, 1)
        )
        session.commit()
        target, change = resolve(session, Run())
        digest = take_digest(session, target, read_chosen(session, target))
        order = Order("token", "kind", "add", "Add one", "all", {})
        run = enqueue(session, target, change, order, expected=digest)
        run.batch_size = size
        session.commit()
        return run.id


def state(engine: Engine, number: int) -> Run:
    """A run as it stands."""
    with Session(engine, expire_on_commit=False) as session:
        found = session.get(Run, number)
        assert found is not None
        return found


def numbers_of(engine: Engine) -> list[int | None]:
    """What the rows hold, by key."""
    with Session(engine) as session:
        return list(session.scalars(select(Kind.number).order_by(Kind.id)))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches stay as small as they were made."""
    monkeypatch.setattr(batches, "LEAST", 4)
    monkeypatch.setattr(batches, "MOST", 4)


def test_every_row_is_met_once(demo_engine: Engine) -> None:
    """After many batches each row has changed by one, with one entry each."""
    number = ordered(demo_engine, list(range(30)))
    assert Worker(demo_engine, resolve).run_all() >= 8
    assert numbers_of(demo_engine) == list(range(1, 31))
    run = state(demo_engine, number)
    assert (run.state, run.changed, run.total) == ("done", 30, 30)
    with Session(demo_engine) as session:
        entries = select(func.count()).select_from(AuditEntry)
        assert session.scalar(entries.where(AuditEntry.run_id == number)) == 30


def test_rows_that_changed_before_their_turn_are_left_alone(
    demo_engine: Engine,
) -> None:
    """Changed, deleted and added rows meanwhile: none of them is touched."""
    number = ordered(demo_engine, [0] * 12)
    with demo_engine.begin() as connection:
        connection.execute(text("UPDATE kinds SET number = 50 WHERE id = 9"))
        connection.execute(text("DELETE FROM kinds WHERE id = 10"))
        connection.execute(text("INSERT INTO kinds (id, number) VALUES (99, 0)"))
    Worker(demo_engine, resolve).run_all()
    assert numbers_of(demo_engine) == [1] * 8 + [50, 1, 1, 0]
    run = state(demo_engine, number)
    assert (run.changed, run.left) == (10, 2)
    with Session(demo_engine) as session:
        left = session.scalars(select(RunRow.state).where(RunRow.state != "")).all()
        assert sorted(left) == ["drifted", "gone"]


def test_a_rule_that_refuses_the_last_row_costs_no_other(demo_engine: Engine) -> None:
    """The refused row is listed with its reason; the rest of its batch is changed."""
    number = ordered(demo_engine, [1, 1, 1, 1, 1, 1, 999])
    Worker(demo_engine, resolve).run_all()
    assert numbers_of(demo_engine) == [2, 2, 2, 2, 2, 2, 999]
    assert (state(demo_engine, number).changed, state(demo_engine, number).refused) == (
        6,
        1,
    )


def test_a_locked_row_is_stepped_over_and_met_again(
    demo_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who holds it holds up nobody; at the end it is tried once more."""
    number = ordered(demo_engine, [0] * 8)
    sessions = Worker(demo_engine, resolve).sessions
    monkeypatch.setattr(apply_carefully, "__kwdefaults__", {"patience": 0.05})
    with demo_engine.connect() as other:
        other.execute(text("SELECT 1 FROM kinds WHERE id = 2 FOR UPDATE"))
        step(sessions, resolve)
        step(sessions, resolve)
        assert numbers_of(demo_engine) == [1, 0, 1, 1, 1, 1, 1, 1]
    while step(sessions, resolve):
        pass
    assert numbers_of(demo_engine) == [1] * 8
    run = state(demo_engine, number)
    assert (run.changed, run.left, run.state) == (8, 0, "done")


def test_a_digest_that_is_not_the_shown_one_stops_the_run(demo_engine: Engine) -> None:
    """Nothing is written down for a worker."""
    prepare(demo_engine)
    with session_on(demo_engine) as session:
        session.add(Kind(number=1))
        session.commit()
        target, change = resolve(session, Run())
        digest = take_digest(session, target, read_chosen(session, target))
        session.execute(text("UPDATE kinds SET number = 2"))
        order = Order("token", "kind", "add", "Add one", "all", {})
        with pytest.raises(Refused, match="not those that were shown"):
            enqueue(session, target, change, order, expected=digest)


KILLED = """
import os, signal, sys
from sqlalchemy import create_engine, event
from backoffice.bulk import batches
from backoffice.jobs.worker import Worker
from tests.jobs.test_worker import resolve
batches.LEAST = batches.MOST = 4
engine = create_engine(sys.argv[1])
left = [int(sys.argv[2])]
@event.listens_for(engine, "after_cursor_execute")
def count(c, cursor, statement, *rest):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
Worker(engine, resolve).run_all()
"""


def test_a_run_that_is_killed_again_and_again_ends_as_any_other(
    demo_engine: Engine,
) -> None:
    """Kill -9 in the middle of a batch: the next worker goes on from the last one."""
    number = ordered(demo_engine, list(range(24)))
    url = demo_engine.url.render_as_string(hide_password=False)
    for statements in (3, 8, 14, 19):
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, url, str(statements)],
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            capture_output=True,
        )
        assert ended.returncode == -9, ended.stderr
    Worker(demo_engine, resolve).run_all()
    assert numbers_of(demo_engine) == list(range(1, 25))
    run = state(demo_engine, number)
    assert (run.state, run.changed, run.met) == ("done", 24, 24)
    with Session(demo_engine) as session:
        keys: Any = session.scalars(select(AuditEntry.key)).all()
        assert len(keys) == len(set(keys)) == 24


def test_a_worker_that_rests_ends_when_told_to(demo_engine: Engine) -> None:
    """Nobody who stops the site waits for the end of a pause."""
    worker = Worker(demo_engine, resolve, idle=3_600)
    worker.start()
    worker.stop(patience=30)

    names = [thread.name for thread in threading.enumerate()]
    assert "backoffice worker" not in names
