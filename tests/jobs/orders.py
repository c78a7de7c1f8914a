"""Runs of a few rows that each get one more, and what is left of them."""

import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, Select, func, select, text
from sqlalchemy.orm import Session

from backoffice.audit.models import AuditEntry
from backoffice.bulk.batches import enqueue
from backoffice.bulk.change import Change
from backoffice.bulk.models import Run
from backoffice.bulk.run import Order
from backoffice.bulk.target import Target, read_chosen, take_digest
from backoffice.jobs.queue_postgresql import queue_run
from tests.bulk.rooms import Kind, all_of, prepare, session_on, setting

JOBS = "SELECT status FROM procrastinate_jobs WHERE queue_name = 'backoffice-runs'"


def resolve(_session: Session, run: Run) -> tuple[Target, Change]:
    """What every run of these tests does: to the rows that bear its token as a name."""
    rows: Select[Any] = select(Kind).where(Kind.name == run.token)
    return Target(all_of(Kind).mapper, rows), setting(Kind, number=Kind.number + 1)


def ordered(
    engine: Engine,
    numbers: list[int],
    *,
    size: int = 4,
    name: str = "rows",
    is_queued: bool = True,
) -> int:
    """Rows with these numbers, and a run that adds one to each; its number."""
    prepare(engine)
    with session_on(engine) as session:
        first = session.scalar(select(func.coalesce(func.max(Kind.id), 0))) or 0
        session.add_all(
            Kind(id=key, number=number, name=name)
            for key, number in enumerate(numbers, first + 1)
        )
        session.commit()
        target, change = resolve(session, Run(token=name))
        digest = take_digest(session, target, read_chosen(session, target))
        order = Order(name, "kind", "add", "Add one", "all", {})
        run = enqueue(session, target, change, order, expected=digest)
        run.batch_size = size
        if is_queued:
            queue_run(session, run.id)
        session.commit()
        return run.id


def state(engine: Engine, number: int) -> Run:
    """A run as it stands."""
    with Session(engine, expire_on_commit=False) as session:
        found = session.get(Run, number)
        assert found is not None
        return found


def numbers_of(engine: Engine, name: str = "rows") -> list[int | None]:
    """What the rows hold, by key."""
    rows = select(Kind.number).where(Kind.name == name).order_by(Kind.id)
    with Session(engine) as session:
        return list(session.scalars(rows))


def entries_of(engine: Engine, number: int) -> list[str]:
    """The keys of the rows that a run has changed, one for each entry in the audit."""
    with Session(engine) as session:
        found = select(AuditEntry.key).where(AuditEntry.run_id == number)
        return list(session.scalars(found))


def jobs(engine: Engine) -> list[str]:
    """The states of the jobs that are in the queue."""
    with engine.connect() as connection:
        return list(connection.scalars(text(f"{JOBS} ORDER BY id")))


def write(engine: Engine, statement: str) -> None:
    """Write past everything."""
    with engine.begin() as connection:
        connection.execute(text(statement))


def bury_workers(engine: Engine) -> None:
    """Whoever has worked here was not heard of for long."""
    write(
        engine,
        "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'",
    )


def until(is_so: Callable[[], bool]) -> None:
    """Come back when it is so; the test's own time limit says when it never is."""
    nothing = threading.Event()
    while not is_so():
        nothing.wait(0.05)
