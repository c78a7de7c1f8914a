"""How PostgreSQL deletes many records at once, with the history of each.

One statement deletes those that still have their version, and the foreign keys take
along what hangs on them. Its entries are those that the deletion of each by itself
writes: they are made before, of the locked rows, and what forbids one to go is found
with them. What is refused besides is found by halves.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, lazyload, undefer
from sqlalchemy.sql.dml import ReturningDelete

from backoffice.audit.recorder import add_entries
from backoffice.bulk.change import EachRecord
from backoffice.bulk.outcome import Left, Outcome, outcome_of
from backoffice.bulk.postgresql import (
    each_by_its_key,
    given_rows,
    same_keys,
    versions_postgresql,
)
from backoffice.bulk.rowwise import call_each, refusal_words, settle_for_a_moment
from backoffice.bulk.states import RowState
from backoffice.bulk.target import Chosen, Target, version_postgresql
from backoffice.database.refusals import explain_refusal
from backoffice.errors import Refused

# So many records are held in memory, whatever the size of a batch.
AT_ONCE = 1_000
# So many are deleted one by one where one of them is refused.
FEW = 8
# The keys that went, and why others cannot: with no reason they have to be asked by
# themselves.
Found = tuple[frozenset[str], dict[str, Refused | None]]


def delete_many_postgresql(
    session: Session, target: Target, change: EachRecord, rows: Sequence[Chosen]
) -> Outcome:
    """Delete the rows that still have their version, and record each in the audit.

    Raises:
        LockNotAvailable: and what else is no single row's fault.
    """
    parts = [rows[at : at + AT_ONCE] for at in range(0, len(rows), AT_ONCE)]
    return together([_delete(session, target, change, part) for part in parts])


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """What became of all rows, part by part."""
    return Outcome(
        frozenset().union(*(one.changed for one in outcomes)),
        sum(one.same for one in outcomes),
        tuple(left for one in outcomes for left in one.left),
    )


def _delete(
    session: Session, target: Target, change: EachRecord, rows: Sequence[Chosen]
) -> Outcome:
    if len(rows) <= FEW:
        return call_each(session, target, change, rows)
    found = _together(session, target, change, rows)
    if found is None:
        middle = len(rows) // 2
        halves = (rows[:middle], rows[middle:])
        return together([_delete(session, target, change, half) for half in halves])
    gone, others = found
    refused = tuple(
        Left(row, RowState.REFUSED, refusal_words(why))
        for row in rows
        if (why := others.get(row.key)) is not None
    )
    rest = [one for one in rows if one.key not in gone and one.key not in others]
    now = versions_postgresql(session, target, rest) if rest else {}
    outcome = outcome_of(rest, frozenset(), now)
    alone = [one for one in rows if one.key in others and others[one.key] is None]
    asked = call_each(session, target, change, alone)
    return together([Outcome(gone, left=refused), outcome, asked])


def _together(
    session: Session, target: Target, change: EachRecord, rows: Sequence[Chosen]
) -> Found | None:
    """What `_at_once` finds; None, and nothing is done, where one spoils it for all.

    Raises:
        LockNotAvailable: and what else is no single row's fault.
    """
    try:
        with session.begin_nested() as all_of_it:
            found = _at_once(session, target, change, rows)
            if found is None:
                all_of_it.rollback()
                return None
            settle_for_a_moment(session)
    except DBAPIError as error:
        try:
            refusal = explain_refusal(error, target.mapper, session)
        except DBAPIError:
            # A fault, perhaps of the statement for many alone: a trigger may have
            # met a row of the same statement, or the entries may be too much at once.
            return None
        if not isinstance(refusal, Refused):
            raise refusal from error
        return None
    return found


def _at_once(
    session: Session, target: Target, change: EachRecord, rows: Sequence[Chosen]
) -> Found | None:
    """Delete what can go with the others; None where the database keeps one silently.

    A trigger or a policy may do so: what that means is asked of each by itself.
    """
    assert change.entries is not None  # noqa: S101 - that is what it is called for
    by_key = {one.key: one for one in rows}
    with each_by_its_key(session):
        found = session.execute(_records(target, rows)).all()
    told = change.entries(session, [record for _, record in found])
    entries: dict[str, list[dict[str, Any]]] = {}
    others: dict[str, Refused | None] = {}
    for (key, _), foretold in zip(found, told, strict=True):
        if isinstance(foretold, list):
            entries[key] = foretold
        else:
            others[key] = foretold
    if not entries:
        return frozenset(), others
    with each_by_its_key(session):
        going = [by_key[key] for key in entries]
        gone = frozenset(session.connection().scalars(deletion_of(target, going)))
    if len(gone) < len(entries):
        return None
    add_entries(session, [one for own in entries.values() for one in own])
    return gone, others


def _records(target: Target, rows: Sequence[Chosen]) -> Select[Any]:
    """The records that are as they were when they were shown, whole and locked."""
    given = given_rows(target, rows)
    return (
        select(given.c.text, target.mapper.class_)
        .where(_is_as_given(target, given))
        .options(lazyload("*"), undefer("*"))
        .with_for_update(of=target.table)
        .execution_options(populate_existing=True)
    )


def deletion_of(target: Target, rows: Sequence[Chosen]) -> ReturningDelete[Any]:
    """The statement that deletes these rows where they have their version still."""
    given = given_rows(target, rows)
    return (
        delete(target.table).where(_is_as_given(target, given)).returning(given.c.text)
    )


def _is_as_given(target: Target, given: Any) -> ColumnElement[bool]:
    is_same_version = version_postgresql(target.table) == given.c.version
    return and_(same_keys(target, given), is_same_version)
