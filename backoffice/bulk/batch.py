"""How a batch of rows is changed, in the caller's transaction."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from backoffice.bulk.change import Change, EachRecord
from backoffice.bulk.deleting_postgresql import delete_many_postgresql
from backoffice.bulk.outcome import Outcome
from backoffice.bulk.postgresql import apply_batch_postgresql
from backoffice.bulk.rowwise import call_each, set_values
from backoffice.bulk.target import Chosen, Target, is_postgresql


def apply_batch(
    session: Session, target: Target, change: Change, rows: Sequence[Chosen]
) -> Outcome:
    """Change the rows that still have their version; each has its entry in the audit.

    Nothing is committed. What the database refuses comes out as its own error; of a
    function each record is refused for itself.
    """
    if not rows:
        return Outcome(frozenset())
    if isinstance(change, EachRecord):
        outcome = apply_to_records(session, target, change, rows)
    elif is_postgresql(session):
        outcome = apply_batch_postgresql(session, target, change, rows)
    else:
        outcome = set_values(session, target, change, rows)
    settle(session)
    return outcome


def apply_to_records(
    session: Session, target: Target, change: EachRecord, rows: Sequence[Chosen]
) -> Outcome:
    """Call the function with each record; where it is of many, do them together."""
    if change.is_of_many and is_postgresql(session):
        return delete_many_postgresql(session, target, change, rows)
    return call_each(session, target, change, rows)


def settle(session: Session) -> None:
    """Have deferred constraints speak now and not at the commit."""
    if is_postgresql(session):
        session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
