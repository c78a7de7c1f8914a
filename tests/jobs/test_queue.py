"""What is queued: with its run or not at all, once, and never lost."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from backoffice.bulk.models import Run, RunRow
from backoffice.bulk.steering import wish
from backoffice.database.session import make_sessions
from backoffice.errors import DatabaseUnavailable
from backoffice.jobs.making import make_worker
from backoffice.jobs.queue_postgresql import lock_of, queue_run
from tests.jobs.orders import (
    bury_workers,
    jobs,
    numbers_of,
    ordered,
    resolve,
    state,
    write,
)


def test_a_job_is_made_with_its_transaction_or_not_at_all(demo_engine: Engine) -> None:
    """Rolled back there is no job; until it is committed nobody sees one."""
    number = ordered(demo_engine, [0], is_queued=False)
    with Session(demo_engine) as session:
        assert queue_run(session, number)
        session.rollback()
    assert jobs(demo_engine) == []
    with Session(demo_engine) as session:
        assert queue_run(session, number)
        assert jobs(demo_engine) == []
        session.commit()
    assert jobs(demo_engine) == ["todo"]


def test_a_run_that_is_queued_is_not_queued_again(demo_engine: Engine) -> None:
    """The second time is no error, and what the transaction did before stands."""
    number = ordered(demo_engine, [0])
    with Session(demo_engine) as session:
        session.execute(text("UPDATE kinds SET number = 7"))
        assert not queue_run(session, number)
        session.commit()
    assert jobs(demo_engine) == ["todo"]
    assert numbers_of(demo_engine) == [7]


def test_a_queue_that_is_not_there_is_said(demo_engine: Engine) -> None:
    """The transaction is not to be committed, and the sentence names the way out."""
    number = ordered(demo_engine, [0], is_queued=False)
    write(demo_engine, "DROP TABLE procrastinate_jobs CASCADE")
    with (
        Session(demo_engine) as session,
        pytest.raises(DatabaseUnavailable, match=r"manage.py migrate"),
    ):
        queue_run(session, number)


def test_a_job_that_went_well_leaves_nothing(demo_engine: Engine) -> None:
    """The queue holds what is to be done, and no history."""
    ordered(demo_engine, [0] * 8)
    make_worker(demo_engine, resolve).run_all()
    assert jobs(demo_engine) == []
    with demo_engine.connect() as connection:
        events = text("SELECT count(*) FROM procrastinate_events")
        assert connection.scalar(events) == 0


@pytest.mark.parametrize("state_before", ["waiting", "running"])
def test_a_run_without_a_job_is_queued_by_whoever_looks(
    demo_engine: Engine, state_before: str
) -> None:
    """A job that was lost, or a run from before there were jobs, strands nothing."""
    number = ordered(demo_engine, [0] * 4, is_queued=False)
    write(demo_engine, f"UPDATE backoffice_runs SET state = '{state_before}'")
    make_worker(demo_engine, resolve).run_all()
    assert state(demo_engine, number).state == "done"


def test_a_run_that_rests_is_not_queued_by_whoever_looks(demo_engine: Engine) -> None:
    """It goes on when somebody wants it to."""
    number = ordered(demo_engine, [0] * 4, is_queued=False)
    write(demo_engine, "UPDATE backoffice_runs SET state = 'paused'")
    assert make_worker(demo_engine, resolve).run_all() == 0
    assert state(demo_engine, number).state == "paused"


def in_hand(engine: Engine, number: int, beat: str = "0 seconds") -> None:
    """A worker that was heard of so long ago has the run's job, and does not end it."""
    with engine.begin() as connection:
        worker = connection.scalar(
            text(
                "INSERT INTO procrastinate_workers (last_heartbeat) "
                "VALUES (now() - CAST(:beat AS interval)) RETURNING id"
            ),
            {"beat": beat},
        )
        connection.execute(
            text(
                "UPDATE procrastinate_jobs SET status = 'doing', worker_id = :worker "
                "WHERE lock = :lock"
            ),
            {"worker": worker, "lock": lock_of(number)},
        )


@pytest.mark.parametrize(
    ("beat", "becomes"), [("10 seconds", "waiting"), ("30 seconds", "done")]
)
def test_the_job_of_a_dead_worker_is_taken_up(
    demo_engine: Engine, beat: str, becomes: str
) -> None:
    """Dead is who was not heard of for 25 seconds; before that the job is theirs."""
    number = ordered(demo_engine, [0] * 4)
    in_hand(demo_engine, number, beat)
    make_worker(demo_engine, resolve).run_all()
    assert state(demo_engine, number).state == becomes
    assert jobs(demo_engine) == (["doing"] if becomes == "waiting" else [])


def test_a_run_remembers_the_worker_that_was_lost(demo_engine: Engine) -> None:
    """Who it was, when it was heard of last, and when another took the run up."""
    number = ordered(demo_engine, [0] * 4)
    in_hand(demo_engine, number, "1 hour")
    write(
        demo_engine,
        "UPDATE backoffice_runs SET state = 'running', worker = 'first',"
        " seen_at = now() - interval '1 hour'",
    )
    make_worker(demo_engine, resolve).run_all()
    run = state(demo_engine, number)
    (lost,) = run.lost
    assert (run.state, lost["worker"]) == ("done", "first")
    seen, taken = map(datetime.fromisoformat, (lost["seen_at"], lost["at"]))
    assert taken - seen >= timedelta(hours=1)


def test_a_dead_job_does_not_stand_in_the_way_of_a_queued_one(
    demo_engine: Engine,
) -> None:
    """Who went on by hand meanwhile finds the run done, and the queue empty."""
    number = ordered(demo_engine, [0] * 4)
    in_hand(demo_engine, number, "1 hour")
    with Session(demo_engine) as session:
        assert queue_run(session, number)
        session.commit()
    assert jobs(demo_engine) == ["doing", "todo"]
    make_worker(demo_engine, resolve).run_all()
    assert state(demo_engine, number).state == "done"
    assert jobs(demo_engine) == []


def test_a_job_that_nobody_is_at_is_taken_from_a_worker_that_lives(
    demo_engine: Engine,
) -> None:
    """Its end could not be written down: after a minute without a batch it is lost."""
    number = ordered(demo_engine, [0] * 4)
    in_hand(demo_engine, number)
    write(
        demo_engine,
        "UPDATE procrastinate_events SET at = now() - interval '2 minutes'",
    )
    write(
        demo_engine,
        "UPDATE backoffice_runs SET state = 'running', "
        "seen_at = now() - interval '2 minutes'",
    )
    with demo_engine.connect() as batch:
        # However long a batch takes, its lock says that somebody is at it.
        batch.execute(text("SELECT 1 FROM backoffice_runs FOR UPDATE"))
        make_worker(demo_engine, resolve).run_all()
        assert jobs(demo_engine) == ["doing"]
    make_worker(demo_engine, resolve).run_all()
    assert state(demo_engine, number).state == "done"


def test_workers_that_died_are_forgotten(demo_engine: Engine) -> None:
    """Nobody counts them as being there."""
    number = ordered(demo_engine, [0])
    in_hand(demo_engine, number)
    bury_workers(demo_engine)
    make_worker(demo_engine, resolve).run_all()
    with demo_engine.connect() as connection:
        workers = text("SELECT count(*) FROM procrastinate_workers")
        assert connection.scalar(workers) == 0


def test_what_is_wanted_of_a_run_says_whether_it_is_to_be_queued(
    demo_engine: Engine,
) -> None:
    """Going on and trying again are work for a worker; pausing and ending are not."""
    number = ordered(demo_engine, [0] * 4)
    sessions = make_sessions(demo_engine)
    with sessions() as session:
        run = session.get_one(Run, number)
        assert not wish(session, run, "pause")
        run.state = "paused"
        assert wish(session, run, "resume")
        assert not wish(session, run, "cancel")
        session.commit()
    make_worker(demo_engine, resolve).run_all()
    with sessions() as session:
        run = session.get_one(Run, number)
        assert run.state == "cancelled"
        assert not wish(session, run, "retry")
        assert wish(session, run, "resume")
        session.commit()
    make_worker(demo_engine, resolve).run_all()
    with sessions() as session:
        run = session.get_one(Run, number)
        assert run.state == "done"
        assert not wish(session, run, "retry")
        row = session.scalars(select(RunRow)).first()
        assert row is not None
        row.state, run.left = "locked", 1
        assert wish(session, run, "retry")
