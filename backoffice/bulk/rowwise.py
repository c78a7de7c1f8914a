"""How rows are changed one by one.

So it is where one statement cannot tell old from new, and where an action is a function
that is called with each record.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Select, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, lazyload

from backoffice.audit.recorder import (
    add_entry,
    audit_value,
    audited_table,
    record_changes,
)
from backoffice.bulk.change import EachRecord, SetValues, is_row
from backoffice.bulk.outcome import Left, Outcome
from backoffice.bulk.states import RowState
from backoffice.bulk.target import (
    Chosen,
    Target,
    is_postgresql,
    version_of,
    version_postgresql,
)
from backoffice.database.refusals import explain_refusal
from backoffice.database.words import record_word, sentence
from backoffice.errors import Refused

DEFERRED = "has_deferred_constraints"


def set_values(
    session: Session, target: Target, change: SetValues, rows: Sequence[Chosen]
) -> Outcome:
    """Update row by row what still has its version, with an entry for each."""
    changed, same, left = set(), 0, []
    attributes = _recorded(change)
    for row in rows:
        before = session.execute(
            select(*target.table.columns).where(is_row(target.keys, row))
        ).one_or_none()
        if before is None:
            left.append(Left(row, RowState.GONE))
        elif version_of(target.table, before) != row.version:
            left.append(Left(row, RowState.DRIFTED))
        elif _update(session, target, change, row):
            old = dict(zip(target.table.columns, before, strict=True))
            _record(session, target, row, attributes, old)
            changed.add(row.key)
        else:
            same += 1
    return Outcome(frozenset(changed), same, tuple(left))


def _update(session: Session, target: Target, change: SetValues, row: Chosen) -> bool:
    statement = (
        update(target.table)
        .where(is_row(target.keys, row), change.differs())
        .values({one.column: one.expression for one in change.assignments})
    )
    return bool(session.connection().execute(statement).rowcount)


def _recorded(change: SetValues) -> dict[str, Column[Any]]:
    found = {one.attribute: one.column for one in change.assignments}
    for prop in change.mapper.column_attrs:
        own = prop.columns[0]
        if isinstance(own, Column) and own.computed is not None:
            found.setdefault(prop.key, own)
    return found


def _record(
    session: Session,
    target: Target,
    row: Chosen,
    attributes: dict[str, Column[Any]],
    old: dict[Any, Any],
) -> None:
    now = session.execute(
        select(*attributes.values()).where(is_row(target.keys, row))
    ).one()
    changes = {
        attribute: [audit_value(own, old[own]), audit_value(own, new)]
        for (attribute, own), new in zip(attributes.items(), now, strict=True)
        if old[own] != new
    }
    usual = f"{sentence(record_word(target.mapper))} {row.key}"
    add_entry(
        session,
        action="update",
        table_name=audited_table(target.mapper),
        key=row.key,
        label=row.label or usual,
        changes=changes,
    )


def call_each(
    session: Session, target: Target, change: EachRecord, rows: Sequence[Chosen]
) -> Outcome:
    """Call the action's function with each record, under lock; each stands alone.

    What one record is refused for, the others are not.
    """
    record_changes(session)
    changed, same, left = set(), 0, []
    for row in rows:
        try:
            with session.begin_nested():
                found = locked_record(session, target, row)
                if isinstance(found, Left):
                    left.append(found)
                    continue
                is_done = change.work(session, found)
                session.flush()
                settle_for_a_moment(session)
        except Refused as refused:
            left.append(Left(row, RowState.REFUSED, refusal_words(refused)))
        except DBAPIError as error:
            refusal = explain_refusal(error, target.mapper, session)
            if not isinstance(refusal, Refused):
                raise refusal from error
            left.append(Left(row, RowState.REFUSED, refusal_words(refusal)))
        else:
            if is_done is False:
                same += 1
            else:
                changed.add(row.key)
    return Outcome(frozenset(changed), same, tuple(left))


def settle_for_a_moment(session: Session) -> None:
    """Have deferred constraints speak of what was done, and wait for the next again.

    At the end of the batch nobody could say whose fault it was.
    """
    if not _has_deferred(session):
        return
    session.execute(text("SAVEPOINT settling"))
    session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    session.execute(text("ROLLBACK TO SAVEPOINT settling"))


def _has_deferred(session: Session) -> bool:
    """Whether the database has a rule that may wait; asked once in a session."""
    if DEFERRED not in session.info:
        session.info[DEFERRED] = is_postgresql(session) and bool(
            session.scalar(
                text("SELECT EXISTS (SELECT FROM pg_constraint WHERE condeferrable)")
            )
        )
    return bool(session.info[DEFERRED])


def locking(session: Session, target: Target, row: Chosen) -> Select[Any]:
    """The statement that locks one record, and reads it with what its version is of."""
    table, model = target.table, target.mapper.class_
    version: list[Any] = (
        [version_postgresql(table)] if is_postgresql(session) else list(table.columns)
    )
    return (
        select(model, *version)
        .where(is_row(target.keys, row))
        .options(lazyload("*"))
        .with_for_update(of=table)
        .execution_options(populate_existing=True)
    )


def locked_record(session: Session, target: Target, row: Chosen) -> Any | Left:
    """The record, locked and as it was when it was shown; or why not."""
    table = target.table
    found = session.execute(locking(session, target, row)).one_or_none()
    if found is None:
        return Left(row, RowState.GONE)
    now = found[1] if is_postgresql(session) else version_of(table, found[1:])
    return found[0] if now == row.version else Left(row, RowState.DRIFTED)


def refusal_words(refused: Refused) -> str:
    """Why a row was refused, in one line."""
    sentences = dict.fromkeys(text for text in refused.fields.values() if text)
    return " ".join(sentences) or str(refused) or "The database refuses this."


def new_values(
    session: Session, target: Target, change: SetValues, row: Chosen
) -> dict[str, Any]:
    """What one row would have been set to, for the sentence that refuses it."""
    try:
        with session.begin_nested():
            found = session.execute(
                select(*(one.expression for one in change.assignments)).where(
                    is_row(target.keys, row)
                )
            ).one()
    except DBAPIError:
        return {}
    return dict(zip(change.attributes, found, strict=True))
