"""Runs that are done batch by batch, whatever comes between."""

import threading
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.orm import Session

from backoffice.audit.models import AuditEntry
from backoffice.bulk import careful, postgresql
from backoffice.bulk.batches import Step, enqueue, step
from backoffice.bulk.change import Change
from backoffice.bulk.models import Run, RunRow
from backoffice.bulk.run import Order
from backoffice.bulk.target import Target, read_chosen, take_digest
from backoffice.database.session import make_sessions
from backoffice.errors import DatabaseUnavailable, LockNotAvailable, Refused
from backoffice.jobs.making import make_worker
from backoffice.jobs.walking import Interrupted, walk
from tests.bulk.rooms import Kind, all_of, prepare, session_on, setting
from tests.jobs.orders import (
    entries_of,
    numbers_of,
    ordered,
    resolve,
    state,
    until,
    write,
)


def test_every_row_is_met_once(demo_engine: Engine) -> None:
    """After many batches each row has changed by one, with one entry each."""
    number = ordered(demo_engine, list(range(30)))
    assert make_worker(demo_engine, resolve).run_all() >= 8
    assert numbers_of(demo_engine) == list(range(1, 31))
    run = state(demo_engine, number)
    assert (run.state, run.changed, run.total) == ("done", 30, 30)
    assert len(entries_of(demo_engine, number)) == 30


def test_rows_that_changed_before_their_turn_are_left_alone(
    demo_engine: Engine,
) -> None:
    """Changed, deleted and added rows meanwhile: none of them is touched."""
    number = ordered(demo_engine, [0] * 12)
    with demo_engine.begin() as connection:
        connection.execute(text("UPDATE kinds SET number = 50 WHERE id = 9"))
        connection.execute(text("DELETE FROM kinds WHERE id = 10"))
        connection.execute(
            text("INSERT INTO kinds (id, number, name) VALUES (99, 0, 'rows')")
        )
    make_worker(demo_engine, resolve).run_all()
    assert numbers_of(demo_engine) == [1] * 8 + [50, 1, 1, 0]
    run = state(demo_engine, number)
    assert (run.changed, run.left) == (10, 2)
    with Session(demo_engine) as session:
        left = session.scalars(select(RunRow.state).where(RunRow.state != "")).all()
        assert sorted(left) == ["drifted", "gone"]


def test_the_rows_of_an_update_never_leave_the_database(demo_engine: Engine) -> None:
    """What is sent and what comes back of a batch does not grow with its rows."""
    number = ordered(demo_engine, [0] * 400, size=400)
    sent: list[int] = []

    def note(*given: Any) -> None:
        sent.append(len(str(given[3])))

    event.listen(demo_engine, "before_cursor_execute", note)
    try:
        assert step(make_sessions(demo_engine), resolve, number) is Step.ON
    finally:
        event.remove(demo_engine, "before_cursor_execute", note)
    assert state(demo_engine, number).changed == 400
    assert max(sent) < 2_000


@pytest.mark.parametrize("since", [18, 99])
def test_rows_that_are_so_already_are_counted_beside_those_left_alone(
    demo_engine: Engine, monkeypatch: pytest.MonkeyPatch, since: int
) -> None:
    """Of one batch: changed, so already, changed by somebody, deleted; on any server.

    From 18 on the update itself returns the old values.
    """
    monkeypatch.setattr(postgresql, "RETURNS_OLD", (since,))
    number = ordered(demo_engine, [1, 2, 2, 1])

    def to_two(_session: Session, run: Run) -> tuple[Target, Change]:
        return resolve(_session, run)[0], setting(Kind, number=2)

    write(demo_engine, "UPDATE kinds SET day = now() WHERE id = 1")
    write(demo_engine, "DELETE FROM kinds WHERE id = 2")
    sessions = make_sessions(demo_engine)
    while step(sessions, to_two, number) is Step.ON:
        pass
    run = state(demo_engine, number)
    assert (run.changed, run.same, run.left) == (1, 1, 2)
    with Session(demo_engine) as session:
        found = select(AuditEntry.changes).where(AuditEntry.run_id == number)
        assert session.scalars(found).all() == [{"number": [1, 2]}]
    with Session(demo_engine) as session:
        found = select(RunRow.key, RunRow.reason).where(RunRow.state != "")
        told = dict(session.execute(found.order_by(RunRow.position)).all())
    assert told == {
        "1": "Somebody changed it meanwhile.",
        "2": "It is not there any more.",
    }


def test_a_rule_that_refuses_the_last_row_costs_no_other(demo_engine: Engine) -> None:
    """The refused row is listed with its reason; the rest of its batch is changed."""
    number = ordered(demo_engine, [1, 1, 1, 1, 1, 1, 999])
    make_worker(demo_engine, resolve).run_all()
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
    sessions = make_sessions(demo_engine)
    monkeypatch.setattr(careful, "PATIENCE", 0.05)
    with demo_engine.connect() as other:
        other.execute(text("SELECT 1 FROM kinds WHERE id = 2 FOR UPDATE"))
        step(sessions, resolve, number)
        step(sessions, resolve, number)
        assert numbers_of(demo_engine) == [1, 0, 1, 1, 1, 1, 1, 1]
    while step(sessions, resolve, number) is Step.ON:
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
        target, change = all_of(Kind), setting(Kind, number=0)
        digest = take_digest(session, target, read_chosen(session, target))
        session.execute(text("UPDATE kinds SET number = 2"))
        order = Order("token", "kind", "add", "Add one", "all", {})
        with pytest.raises(Refused, match="not those that were shown"):
            enqueue(session, target, change, order, expected=digest)


def test_two_who_walk_one_run_do_no_batch_twice(demo_engine: Engine) -> None:
    """The lock on its row decides, also when both believe that the run is theirs."""
    number = ordered(demo_engine, list(range(40)))
    turned_away = threading.Event()
    at_once: list[int] = []
    inside = [0]

    def slow(session: Session, run: Run) -> tuple[Target, Change]:
        """Stay in the batch until the other has been turned away, or is in it too."""
        inside[0] += 1
        until(lambda: turned_away.is_set() or inside[0] > 1)
        at_once.append(inside[0])
        inside[0] -= 1
        return resolve(session, run)

    def work(name: str) -> None:
        walk(
            make_sessions(demo_engine),
            slow,
            number,
            worker=name,
            is_stopped=lambda: False,
            rest=lambda _seconds: turned_away.set(),
        )

    both = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    # Who found it taken has left it; what is left is walked by whoever comes.
    work_on(demo_engine, number)
    assert set(at_once) == {1}
    assert numbers_of(demo_engine) == list(range(1, 41))
    run = state(demo_engine, number)
    assert (run.changed, run.left) == (40, 0)


def work_on(engine: Engine, number: int) -> None:
    """Walk a run to its end."""
    while step(make_sessions(engine), resolve, number) is Step.ON:
        pass


def test_a_run_in_other_hands_is_left_to_them(demo_engine: Engine) -> None:
    """Nothing is done, and nobody waits for the lock."""
    number = ordered(demo_engine, [0] * 4)
    with demo_engine.connect() as other:
        other.execute(text("SELECT 1 FROM backoffice_runs FOR UPDATE"))
        found = step(make_sessions(demo_engine), resolve, number)
    assert found is Step.TAKEN
    assert numbers_of(demo_engine) == [0] * 4


def test_a_run_that_is_not_there_is_over(demo_engine: Engine) -> None:
    """A job may be older than the rows that it was queued for."""
    assert step(make_sessions(demo_engine), resolve, 4711) is Step.OVER


def test_trouble_holds_a_run_back_and_says_why(demo_engine: Engine) -> None:
    """It rests and looks again; when there is no trouble any more it goes on."""
    number = ordered(demo_engine, [0] * 4)
    reasons = ["the pool is at 100 %.", "the pool is at 90 %."]
    rested: list[str] = []

    def rest(_seconds: float) -> None:
        rested.append(state(demo_engine, number).reason)

    walk(
        make_sessions(demo_engine),
        resolve,
        number,
        worker="one",
        trouble=lambda: reasons.pop(0) if reasons else "",
        is_stopped=lambda: False,
        rest=rest,
    )
    assert rested == ["the pool is at 100 %.", "the pool is at 90 %."]
    assert numbers_of(demo_engine) == [1] * 4
    assert state(demo_engine, number).reason == ""


def test_who_is_told_to_stop_stops_between_two_batches(demo_engine: Engine) -> None:
    """The batch under way is done; the run waits for whoever goes on with it."""
    number = ordered(demo_engine, [0] * 12)
    asked = iter([False, True])
    with pytest.raises(Interrupted):
        walk(
            make_sessions(demo_engine),
            resolve,
            number,
            worker="one",
            is_stopped=lambda: next(asked),
            rest=lambda _seconds: None,
        )
    assert numbers_of(demo_engine) == [1] * 4 + [0] * 8
    assert state(demo_engine, number).finished_at is None


@pytest.mark.parametrize("times", [1, 2])
def test_a_lost_connection_is_no_failure_of_the_run(
    demo_engine: Engine, times: int
) -> None:
    """The run stands where it stood, and the same step is done by the next try."""
    number = ordered(demo_engine, [0] * 4)
    left = [times]

    def cut(session: Session, run: Run) -> tuple[Target, Change]:
        if left[0]:
            left[0] -= 1
            pid = session.scalar(text("SELECT pg_backend_pid()"))
            with demo_engine.connect() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        return resolve(session, run)

    for _ in range(times):
        with pytest.raises(DatabaseUnavailable):
            step(make_sessions(demo_engine), cut, number)
    assert state(demo_engine, number).state == "waiting"
    work_on(demo_engine, number)
    assert numbers_of(demo_engine) == [1] * 4


def test_what_a_row_hangs_on_is_waited_for(demo_engine: Engine) -> None:
    """A lock beside the rows themselves holds the run back; it does not end it."""
    number = ordered(demo_engine, [0] * 4)

    def busy(_session: Session, _run: Run) -> tuple[Target, Change]:
        raise LockNotAvailable("Somebody else.")

    assert step(make_sessions(demo_engine), busy, number) is Step.HELD
    assert state(demo_engine, number).reason == "Somebody else holds what it needs."
    work_on(demo_engine, number)
    assert numbers_of(demo_engine) == [1] * 4


def test_what_is_not_expected_ends_the_run_in_words(demo_engine: Engine) -> None:
    """It is failed, with a sentence, and no worker meets it again."""
    number = ordered(demo_engine, [0] * 4)

    def broken(_session: Session, _run: Run) -> tuple[Target, Change]:
        raise ValueError

    assert make_worker(demo_engine, broken).run_all() == 0
    run = state(demo_engine, number)
    assert (run.state, run.finished_at is None) == ("failed", False)
    assert "not prepared for" in run.reason


def test_a_database_that_is_not_there_is_no_failure_either(demo_engine: Engine) -> None:
    """Whoever walks lets go of the run, to come back to it in some seconds."""
    nowhere = create_engine(
        demo_engine.url.set(host="127.0.0.1", port=1, query={}),
        connect_args={"connect_timeout": 2},
    )
    with pytest.raises(Interrupted) as left:
        walk(
            make_sessions(nowhere),
            resolve,
            1,
            worker="one",
            is_stopped=lambda: False,
            rest=lambda _seconds: None,
        )
    nowhere.dispose()
    assert left.value.seconds > 0
