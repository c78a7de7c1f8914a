"""How a batch goes on where some of its rows are locked or refused.

What is refused is found by halves, and what is locked is stepped over: the rest of the
batch is changed all the same, and each row that was not says why.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from backoffice.bulk.batch import apply_batch, settle
from backoffice.bulk.change import Change, EachRecord, SetValues
from backoffice.bulk.locks_postgresql import unlocked_postgresql
from backoffice.bulk.outcome import Left, Outcome
from backoffice.bulk.postgresql import versions_postgresql
from backoffice.bulk.rowwise import new_values, refusal_words
from backoffice.bulk.states import RowState
from backoffice.bulk.target import Chosen, Target, is_postgresql
from backoffice.database.refusals import explain_refusal
from backoffice.database.session import limit_statements
from backoffice.errors import LockNotAvailable, Refused

NOTHING = Outcome(frozenset())
# Seconds that a batch waits for somebody else's lock.
PATIENCE = 0.5
T = TypeVar("T")


def apply_at_once(session: Session, target: Target, work: Callable[[], T]) -> T:
    """What `work` comes to, which is undone if the database refuses it.

    Raises:
        Refused: and what else explains the database's error.
    """
    limit_statements(session, statement=0, lock=PATIENCE)
    try:
        with session.begin_nested():
            done = work()
            settle(session)
    except DBAPIError as error:
        raise explain_refusal(error, target.mapper, session) from error
    return done


def apply_carefully(
    session: Session,
    target: Target,
    change: Change,
    rows: Sequence[Chosen],
    *,
    are_held: bool = False,
) -> Outcome:
    """Change what can be changed of these rows, and tell the others by name.

    `are_held` says that some were found locked just now: they are not waited for again.

    Raises:
        StatementTimedOut: and what else is no single row's fault.
    """
    if not rows:
        return NOTHING
    limit_statements(session, statement=0, lock=PATIENCE)
    if not are_held:
        try:
            return _apply(session, target, change, rows)
        except LockNotAvailable:
            pass
    whole = isinstance(change, EachRecord) and change.is_deletion
    free, held = _parted(session, target, rows, whole=whole)
    outcome = _apply(session, target, change, free) if free else NOTHING
    left = tuple(Left(row, RowState.LOCKED) for row in held)
    return replace(outcome, left=(*outcome.left, *left))


def _parted(
    session: Session, target: Target, rows: Sequence[Chosen], *, whole: bool
) -> tuple[list[Chosen], list[Chosen]]:
    """The rows that are free, locked from here on, and those that somebody holds."""
    if not is_postgresql(session):
        return [], list(rows)
    keys = unlocked_postgresql(session, target, rows, whole=whole)
    others = [row for row in rows if row.key not in keys]
    there = versions_postgresql(session, target, others) if others else {}
    held = [row for row in others if row.key in there]
    # What is gone nobody holds: it is said to be gone.
    return [row for row in rows if row.key not in there], held


def _apply(
    session: Session, target: Target, change: Change, rows: Sequence[Chosen]
) -> Outcome:
    refusal = None
    try:
        with session.begin_nested():
            return apply_batch(session, target, change, rows)
    except DBAPIError as error:
        values = {}
        if len(rows) == 1 and isinstance(change, SetValues):
            values = new_values(session, target, change, rows[0])
        refusal = explain_refusal(error, target.mapper, session, values=values)
        if not isinstance(refusal, Refused) or isinstance(change, EachRecord):
            raise refusal from error
    if len(rows) == 1:
        words = refusal_words(refusal)
        return Outcome(frozenset(), left=(Left(rows[0], RowState.REFUSED, words),))
    middle = len(rows) // 2
    first = _apply(session, target, change, rows[:middle])
    second = _apply(session, target, change, rows[middle:])
    return Outcome(
        first.changed | second.changed,
        first.same + second.same,
        (*first.left, *second.left),
    )
