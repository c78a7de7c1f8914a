"""A run of more rows than one transaction should hold: batch after batch.

Its keys and versions are written first, by one statement, and only those are walked: no
row is met twice or skipped, even if the action changes what the list was filtered or
ordered by. A batch is one transaction with its changes, their audit, and how far the
run is; whoever dies leaves the run where its last batch was.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum

from sqlalchemy import (
    bindparam,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from backoffice.bulk.careful import apply_at_once, apply_carefully
from backoffice.bulk.change import Change, EachRecord, SetValues
from backoffice.bulk.models import LABEL_LENGTH, Run, RunRow
from backoffice.bulk.outcome import Left, Outcome
from backoffice.bulk.run import Order, start_run
from backoffice.bulk.run_rows import mark_left_out, write_rows
from backoffice.bulk.states import RowState, RunState
from backoffice.bulk.steering import retry
from backoffice.bulk.target import (
    Chosen,
    Digest,
    Target,
)
from backoffice.bulk.walk_postgresql import is_walked_postgresql, walk_postgresql
from backoffice.database.keys import parse_key
from backoffice.database.session import (
    ACTOR,
    PLACE,
    REQUEST_ID,
    RUN_ID,
    Actor,
    Place,
    Work,
    begin_writing,
    limit_statements,
    working,
)
from backoffice.errors import (
    BackofficeError,
    DatabaseUnavailable,
    LockNotAvailable,
    Refused,
)

# What a run's rows are and what is done with them, told by who knows the views.
Resolve = Callable[[Session, Run], tuple[Target, Change]]
# Why nothing should be written at present, or "".
Trouble = Callable[[], str]

FIRST_SIZE, LEAST, MOST = 1_000, 50, 20_000
# How long one batch should take: who edits one of its rows waits as long.
BATCH_SECONDS = 0.7
WRITING_SECONDS = 120
TWICE = "Somebody else held it, the second time as well."
UNPREPARED = "The run met something it was not prepared for."
UNFINISHED = (RunState.WAITING, RunState.RUNNING)


class RowsDrifted(Refused):
    """The rows are not those that were shown."""


def enqueue(
    session: Session,
    target: Target,
    change: Change,
    order: Order,
    *,
    expected: Digest | None,
    left_out: Sequence[tuple[str, RowState, str]] = (),
    since: Target | None = None,
) -> Run:
    """Write a run with all its keys and versions; who calls it queues it for a worker.

    `left_out` are keys with why they are; `since` rows that were changed since.

    Raises:
        RowsDrifted: they are not those of the `expected` digest any more.
    """
    limit_statements(session, statement=WRITING_SECONDS, lock=5)
    run = start_run(session, target, change, order, 0)
    session.info.pop(RUN_ID, None)
    run.state = RunState.WAITING
    run.started_at = None
    written = write_rows(session, run, target, since)
    found, run.left = written.digest, written.left
    if expected is not None and found != expected:
        raise RowsDrifted(
            message=f"The rows are not those that were shown: {expected.count:,} then, "
            f"{found.count:,} now, or some were changed."
        )
    run.total = run.left + found.count
    is_by_one = isinstance(change, EachRecord) and not change.is_of_many
    run.batch_size = 100 if is_by_one else FIRST_SIZE
    mark_left_out(session, run, left_out)
    session.flush()
    return run


# Walking


class Step(Enum):
    """What came of a step of a run."""

    # There is more to do.
    ON = "on"
    # Nothing was done, for a reason that stands on the run; later again.
    HELD = "held"
    # Another worker is at it.
    TAKEN = "taken"
    # It has ended, or rests until somebody wants it to go on, or is not there.
    OVER = "over"


def step(
    sessions: sessionmaker[Session],
    resolve: Resolve,
    number: int,
    *,
    worker: str = "",
    trouble: Trouble | None = None,
) -> Step:
    """Do one batch of a run, if it is still to be done and nobody else is at it.

    A run is held by the lock on its row, for as long as the batch takes: if the worker
    dies the lock dies with it, and any other worker goes on from the last batch.

    Raises:
        DatabaseUnavailable: the run stands where it stood; the same step can be tried
            again.
    """
    with working(Work(Place("runs", "batch"))), sessions() as session:
        try:
            begin_writing(session)
            limit_statements(session, statement=0, lock=2)
            run = session.get(Run, number, with_for_update={"skip_locked": True})
        except OperationalError as error:
            raise DatabaseUnavailable("The database cannot be reached.") from error
        if run is None:
            return Step.TAKEN if is_unfinished(session, number) else Step.OVER
        if not is_walked(run):
            return Step.OVER
        try:
            found = _do_batch(session, run, resolve, worker, trouble)
            session.commit()
        except LockNotAvailable:
            # A row that the rows of the batch hang on; nobody's mistake.
            session.rollback()
            found = _hold(session, number, "Somebody else holds what it needs.")
        except DatabaseUnavailable:
            raise
        except BackofficeError as problem:
            session.rollback()
            found = _fail(session, number, str(problem))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise DatabaseUnavailable("The database was lost.") from error
            session.rollback()
            _fail(session, number, UNPREPARED)
            raise
        except Exception:
            session.rollback()
            _fail(session, number, UNPREPARED)
            raise
    return found


def is_walked(run: Run) -> bool:
    """Whether a worker has something to do for a run."""
    return run.finished_at is None and run.state in UNFINISHED


def is_unfinished(session: Session, number: int) -> bool:
    """Whether there is such a run, and something to do for it; waits for no lock."""
    return number in unfinished(session, number)


def unfinished(session: Session, number: int | None = None) -> list[int]:
    """The runs that a worker has something to do for, the oldest first."""
    found = (
        select(Run.id)
        .where(Run.finished_at.is_(None), Run.state.in_(UNFINISHED))
        .order_by(Run.id)
    )
    if number is not None:
        found = found.where(Run.id == number)
    return list(session.scalars(found))


def _do_batch(
    session: Session, run: Run, resolve: Resolve, worker: str, trouble: Trouble | None
) -> Step:
    now = datetime.now(UTC)
    if run.wish == "cancel":
        return _finish(run, RunState.CANCELLED)
    if run.wish == "pause":
        run.state, run.wish, run.reason = RunState.PAUSED, "", "Paused by hand."
        return Step.OVER
    reason = trouble() if trouble is not None else ""
    if reason:
        run.reason = reason
        run.seen_at = now
        return Step.HELD
    run.state, run.reason = RunState.RUNNING, ""
    run.started_at = run.started_at or now
    run.seen_at, run.worker = now, worker[:100]
    session.info.update(
        {
            ACTOR: Actor(run.actor_id, run.actor_label),
            PLACE: Place(run.view, f"action:{run.action}"),
            REQUEST_ID: run.request_id,
            RUN_ID: run.id,
        }
    )
    target, change = resolve(session, run)
    began = time.monotonic()
    met = _walk(session, run, target, change)
    if not met:
        return Step.ON if _again(session, run) else _finish(run, RunState.DONE)
    spent = time.monotonic() - began
    run.busy_ms += int(spent * 1000)
    run.batches += 1
    ideal = met * BATCH_SECONDS / max(spent, 0.001)
    ideal = min(ideal, run.batch_size * 2)
    run.batch_size = int(max(LEAST, min(MOST, ideal)))
    return Step.ON


def _walk(session: Session, run: Run, target: Target, change: Change) -> int:
    """Do a batch: by one statement if it can be, else row by row; how many rows."""
    are_held = False
    if isinstance(change, SetValues) and is_walked_postgresql(session, target):
        try:
            walked = apply_at_once(
                session, target, lambda: walk_postgresql(session, run, target, change)
            )
        except (Refused, LockNotAvailable) as problem:
            # Which rows these are is found out below.
            are_held = isinstance(problem, LockNotAvailable)
        else:
            if walked.met:
                run.met = walked.last
                run.changed += walked.changed
                run.same += walked.same
                run.left += walked.left
            return walked.met
    positions = _next(session, run, target)
    if positions:
        rows = list(positions.values())
        outcome = apply_carefully(session, target, change, rows, are_held=are_held)
        _keep(session, run, positions, outcome)
    return len(positions)


def _next(session: Session, run: Run, target: Target) -> dict[int, Chosen]:
    """The next rows of a run, by their position."""
    found = session.execute(
        select(RunRow.position, RunRow.key, RunRow.version)
        .where(
            RunRow.run_id == run.id,
            RunRow.position > run.met,
            RunRow.state == RowState.WAITING,
        )
        .order_by(RunRow.position)
        .limit(run.batch_size)
    ).all()
    return {
        row.position: Chosen(parse_key(target.mapper, row.key), row.key, row.version)
        for row in found
    }


def _keep(
    session: Session, run: Run, positions: dict[int, Chosen], outcome: Outcome
) -> None:
    """How far the run is, and each row that was not changed."""
    run.met = max(positions)
    run.changed += len(outcome.changed)
    run.same += outcome.same
    refused = sum(one.state is RowState.REFUSED for one in outcome.left)
    run.refused += refused
    run.left += len(outcome.left) - refused
    by_key = {chosen.key: position for position, chosen in positions.items()}
    _mark(session, run, {by_key[one.row.key]: one for one in outcome.left})


def _mark(session: Session, run: Run, left: Mapping[int, Left]) -> None:
    """Say of rows, by their places, why they were not changed."""
    own = RunRow.__table__.c
    marked = [
        {
            "run": run.id,
            "place": place,
            "state": one.state,
            # A row that comes the second time has moved behind all others.
            "reason": TWICE
            if place > run.total and one.state is RowState.LOCKED
            else one.words,
            "label": one.row.label[:LABEL_LENGTH],
        }
        for place, one in left.items()
    ]
    if marked:
        session.connection().execute(
            update(RunRow)
            .where(own.run_id == bindparam("run"), own.position == bindparam("place"))
            .values({name: bindparam(name) for name in ("state", "reason", "label")}),
            marked,
        )


def _again(session: Session, run: Run) -> bool:
    """Put rows that were locked behind all others, once; whether there are any."""
    is_first = RunRow.position <= run.total
    found = retry(session, run, RunRow.state == RowState.LOCKED, is_first)
    if found:
        run.state = RunState.RUNNING
    return bool(found)


def _finish(run: Run, state: RunState) -> Step:
    run.state, run.wish, run.reason = state, "", ""
    if state is RunState.DONE:
        # Also where the last rows were left out, and not met.
        run.met = max(run.met, run.total)
    run.finished_at = datetime.now(UTC)
    return Step.OVER


def _hold(session: Session, number: int, reason: str) -> Step:
    run = session.get(Run, number, with_for_update=True)
    if run is not None and is_walked(run):
        run.reason, run.seen_at = reason, datetime.now(UTC)
    session.commit()
    return Step.HELD


def _fail(session: Session, number: int, reason: str) -> Step:
    run = session.get(Run, number, with_for_update=True)
    if run is not None and run.finished_at is None:
        run.state, run.reason = RunState.FAILED, reason
        run.finished_at = datetime.now(UTC)
    session.commit()
    return Step.OVER
