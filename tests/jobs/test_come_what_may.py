"""Runs that are killed, that overlap, and that others write beside: row by row."""

import os
import random
import signal
import threading
from typing import Any

import pytest
from sqlalchemy import (
    Engine,
    Select,
    String,
    cast,
    create_engine,
    event,
    literal,
    select,
    text,
)
from sqlalchemy.orm import Session

from backoffice.audit.models import AuditEntry
from backoffice.bulk import batches
from backoffice.bulk.batches import Step, enqueue, step
from backoffice.bulk.change import Change, SetValues
from backoffice.bulk.models import Run, RunRow
from backoffice.bulk.plan_postgresql import plan_postgresql
from backoffice.bulk.postgresql import each_by_its_key, given_rows, update_of
from backoffice.bulk.run import Order
from backoffice.bulk.target import Target, read_chosen, take_digest
from backoffice.bulk.walk_postgresql import mark_statement
from backoffice.database.session import make_sessions
from tests.bulk.rooms import Kind, all_of, prepare, session_on, setting
from tests.jobs.orders import numbers_of, ordered, resolve, state, write


def walk_on(engine: Engine, number: int, how: Any = resolve) -> None:
    """Walk a run to its end."""
    while step(make_sessions(engine), how, number) is Step.ON:
        pass


def is_killed(engine: Engine, number: int, after: int) -> bool:
    """Walk a run in a process that kills itself after so many statements."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status)
    try:
        # Connections of its own: the parent's are the parent's.
        own = create_engine(engine.url)
        left = [after]

        @event.listens_for(own, "after_cursor_execute")
        def count(*_given: Any) -> None:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

        walk_on(own, number)
    finally:
        os._exit(0)


def what_came_of(engine: Engine, number: int, name: str) -> Any:
    """The rows of a run, its audit and its counts, without the keys."""
    with Session(engine) as session:
        run = session.get_one(Run, number)
        first = session.scalar(
            select(RunRow.key).where(RunRow.run_id == number, RunRow.position == 1)
        )
        offset = int(first or 0)
        entries = sorted(
            (int(one.key) - offset, str(one.changes))
            for one in session.scalars(
                select(AuditEntry).where(AuditEntry.run_id == number)
            )
        )
        rows = sorted(
            (int(one.key) - offset, one.state, one.reason)
            for one in session.scalars(select(RunRow).where(RunRow.run_id == number))
        )
        counts = (run.state, run.changed, run.same, run.left, run.refused, run.met)
    return numbers_of(engine, name), entries, rows, counts


def test_a_run_that_is_killed_ten_times_ends_as_one_that_is_not(
    demo_engine: Engine,
) -> None:
    """Rows, audit, reasons and counts: whatever moment the process died at."""
    before = [*range(20), 999, *range(20, 40)]
    runs = {name: ordered(demo_engine, before, name=name) for name in ("calm", "hit")}
    for name in runs:
        write(
            demo_engine,
            "UPDATE kinds SET number = 500 WHERE id = (SELECT id + 7 FROM kinds"
            f" WHERE name = '{name}' ORDER BY id LIMIT 1)",
        )
        write(
            demo_engine,
            "DELETE FROM kinds WHERE id = (SELECT id + 30 FROM kinds"
            f" WHERE name = '{name}' ORDER BY id LIMIT 1)",
        )
    walk_on(demo_engine, runs["calm"])
    chance = random.Random(8)  # noqa: S311 - moments, not secrets
    killed = 0
    for _ in range(10):
        killed += is_killed(demo_engine, runs["hit"], chance.randint(2, 11))
    walk_on(demo_engine, runs["hit"])
    assert killed == 10
    calm = what_came_of(demo_engine, runs["calm"], "calm")
    assert what_came_of(demo_engine, runs["hit"], "hit") == calm
    assert calm[3] == ("done", 38, 0, 2, 1, 41)


def run_of(session: Session, target: Target, change: Change, token: str) -> int:
    """A run of these rows that waits; its number."""
    digest = take_digest(session, target, read_chosen(session, target))
    order = Order(token, "kind", "add", "Add", "all", {})
    run = enqueue(session, target, change, order, expected=digest)
    run.batch_size = 4
    session.commit()
    return run.id


def test_two_runs_on_overlapping_rows_change_each_row_once(demo_engine: Engine) -> None:
    """Who comes second leaves a row alone, and lists it: it is not what was shown."""
    prepare(demo_engine)
    change = setting(Kind, number=Kind.number + 1)
    numbers = []
    with session_on(demo_engine) as session:
        session.add_all(Kind(id=key, number=0) for key in range(1, 31))
        session.commit()
        for first, last in ((1, 20), (11, 30)):
            rows: Select[Any] = select(Kind).where(Kind.id.between(first, last))
            target = Target(all_of(Kind).mapper, rows)
            numbers.append(run_of(session, target, change, f"{first}"))

    def both(_session: Session, _run: Run) -> tuple[Target, Change]:
        return all_of(Kind), change

    sessions = make_sessions(demo_engine)
    threads = [
        threading.Thread(target=walk_on, args=(demo_engine, number, both))
        for number in numbers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with sessions() as session:
        found = session.scalars(select(Kind.number).order_by(Kind.id)).all()
        drifted = session.scalars(
            select(RunRow.key).where(RunRow.state == "drifted")
        ).all()
    assert found == [1] * 30
    assert sorted(map(int, drifted)) == list(range(11, 21))
    runs = [state(demo_engine, number) for number in numbers]
    assert sum(run.changed for run in runs) == 30
    assert sum(run.left for run in runs) == 10


def test_a_value_that_the_last_row_may_not_have_costs_no_other(
    demo_engine: Engine,
) -> None:
    """Another row has it already: the last one is refused by name, the rest is done."""
    prepare(demo_engine)
    with session_on(demo_engine) as session:
        session.add_all(Kind(id=key, number=key, name="rows") for key in range(1, 12))
        session.add(Kind(id=99, code="c11"))
        session.commit()
        rows: Select[Any] = select(Kind).where(Kind.name == "rows")
        target = Target(all_of(Kind).mapper, rows)
        code = literal("c") + cast(Kind.id, String)
        change = SetValues(Kind.__mapper__, {"code": code})
        number = run_of(session, target, change, "codes")
    walk_on(demo_engine, number, lambda _s, _r: (all_of(Kind), change))
    with Session(demo_engine) as session:
        left = session.scalars(select(RunRow).where(RunRow.state != "")).all()
    assert [(one.key, one.state) for one in left] == [("11", "refused")]
    assert state(demo_engine, number).changed == 10


def test_a_large_run_keeps_its_rows_while_others_write(
    demo_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its rows is changed once or says why not; what came stays as it is."""
    for name in ("LEAST", "MOST"):
        monkeypatch.setattr(batches, name, 150)
    count = 3_000
    number = ordered(demo_engine, [0] * count, size=150)
    ended = threading.Event()

    def others() -> None:
        """Insert, delete and change rows of the same selection, without a pause."""
        chance = random.Random(3)  # noqa: S311 - rows, not secrets
        with demo_engine.connect() as other:
            last = 10_000
            while not ended.is_set():
                last += 1
                ids = {"new": last, "id": chance.randint(1, count)}
                for statement in (
                    "INSERT INTO kinds (id, number, name) VALUES (:new, 0, 'rows')",
                    "DELETE FROM kinds WHERE id = :id AND id % 3 = 0",
                    "UPDATE kinds SET is_on = true WHERE id = :id AND id % 3 = 1",
                ):
                    other.execute(text(statement), ids)
                other.commit()

    beside = threading.Thread(target=others)
    beside.start()
    try:
        walk_on(demo_engine, number)
    finally:
        ended.set()
        beside.join()
    run = state(demo_engine, number)
    with Session(demo_engine) as session:
        changed = session.scalars(
            select(AuditEntry.key).where(AuditEntry.run_id == number)
        ).all()
        left = session.scalars(select(RunRow.key).where(RunRow.state != "")).all()
        new = session.scalars(select(Kind.number).where(Kind.id > 10_000)).all()
    assert len(changed) == len(set(changed)) == run.changed
    assert set(changed) | set(left) == {str(key) for key in range(1, count + 1)}
    assert not set(changed) & set(left)
    assert run.changed + run.left == count
    assert new
    assert set(new) == {0}


def test_a_batch_reads_its_own_rows_and_no_others(demo_engine: Engine) -> None:
    """Of a table that is large beside it PostgreSQL would read everything each time."""
    prepare(demo_engine)
    write(
        demo_engine,
        "INSERT INTO kinds (id, number, name)"
        " SELECT i, 0, 'rows' FROM generate_series(1, 6000) i",
    )
    write(demo_engine, "ANALYZE kinds")
    with session_on(demo_engine) as session:
        target, change = resolve(session, Run(token="rows"))
        number = run_of(session, target, change, "rows")
        session.get_one(Run, number).batch_size = 2_000
        session.commit()
        assert isinstance(change, SetValues)
        rows = read_chosen(session, target)[:2_000]
        statement = update_of(target, change, given_rows(target, rows))
        assert "Seq Scan on kinds" in plan_postgresql(session, statement)
        with each_by_its_key(session):
            assert "Seq Scan on kinds" not in plan_postgresql(session, statement)
    assert step(make_sessions(demo_engine), resolve, number) is Step.ON
    assert state(demo_engine, number).changed == 2_000


def test_what_a_batch_has_left_alone_is_found_without_all_other_rows(
    demo_engine: Engine,
) -> None:
    """Before the run's rows are analyzed PostgreSQL takes them to be none."""
    prepare(demo_engine)
    write(
        demo_engine,
        "INSERT INTO kinds (id, number, name)"
        " SELECT i, 0, 'rows' FROM generate_series(1, 6000) i",
    )
    write(demo_engine, "ANALYZE kinds, backoffice_run_rows")
    with session_on(demo_engine) as session:
        target, change = resolve(session, Run(token="rows"))
        run = session.get_one(Run, run_of(session, target, change, "rows"))
        with each_by_its_key(session):
            plan = plan_postgresql(session, mark_statement(run, target, [7, 9, 11]))
    assert plan.count("on backoffice_run_rows") == 2  # what is updated, and its scan
    assert plan.count('"position" = ANY') == 1
    assert "Seq Scan" not in plan
