"""Which rows does somebody hold, and who? Which sequences were drawn from?"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnClause, Text, cast, select, text
from sqlalchemy.orm import Session

from backoffice.bulk.outcome import Left
from backoffice.bulk.postgresql import each_by_its_key, given_rows, same_keys
from backoffice.bulk.states import RowState
from backoffice.bulk.target import Chosen, Target, is_postgresql


def held_rows(
    session: Session, target: Target, rows: Sequence[Chosen], *, whole: bool = False
) -> list[Left]:
    """The rows that somebody else holds, each with who; the others are locked now.

    For a deletion the `whole` row is locked: who adds a child holds it as well.
    """
    if not is_postgresql(session):
        return []
    free = unlocked_postgresql(session, target, rows, whole=whole)
    locked = [row for row in rows if row.key not in free]
    holders = holders_postgresql(session, target, locked) if locked else {}
    return [
        Left(
            row,
            RowState.LOCKED,
            f"Held by {holders[row.key]}." if row.key in holders else "",
        )
        for row in locked
    ]


# A sequence is locked by who draws from it until the end of the transaction, whatever
# is rolled back before that.
_DRAWN = text(
    "SELECT CAST(CAST(c.oid AS regclass) AS text) FROM pg_locks l"
    " JOIN pg_class c ON c.oid = l.relation"
    " WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.database ="
    " (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND c.relkind = 'S' AND l.mode = 'RowExclusiveLock' ORDER BY 1"
)


def drawn_sequences(session: Session) -> tuple[str, ...]:
    """The sequences that this transaction has drawn numbers from, by name."""
    if not is_postgresql(session):
        return ()
    return tuple(session.scalars(_DRAWN))


def unlocked_postgresql(
    session: Session, target: Target, rows: Sequence[Chosen], *, whole: bool = False
) -> set[str]:
    """Keys of the rows that nobody else holds; they are locked until the rollback."""
    given = given_rows(target, rows)
    statement = (
        select(given.c.text)
        .where(same_keys(target, given))
        .with_for_update(of=target.table, key_share=not whole, skip_locked=True)
    )
    with each_by_its_key(session):
        return set(session.scalars(statement))


_HOLDERS = text(
    "SELECT CAST(l.transactionid AS text) AS xid, a.pid, a.application_name AS name,"
    " CAST(extract(epoch FROM now() - a.xact_start) AS float) AS seconds"
    " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
    " WHERE l.locktype = 'transactionid' AND l.granted"
    " AND CAST(l.transactionid AS text) = ANY(:ids)"
)


def holders_postgresql(
    session: Session, target: Target, rows: Sequence[Chosen]
) -> Mapping[str, str]:
    """Who holds each of these locked rows, as far as it can be told."""
    given = given_rows(target, rows)
    xmax = cast(ColumnClause("xmax", Text, _selectable=target.table), Text)
    statement = select(given.c.text, xmax).where(same_keys(target, given))
    with each_by_its_key(session):
        locked: dict[str, str] = dict(session.execute(statement).all())
    found = session.execute(_HOLDERS, {"ids": list(set(locked.values()))})
    holders = {one.xid: _holder(one) for one in found}
    return {key: holders[xid] for key, xid in locked.items() if xid in holders}


def _holder(one: Any) -> str:
    name = one.name or "another connection"
    return f"{name} (process {one.pid}), for {one.seconds:.0f} s"
