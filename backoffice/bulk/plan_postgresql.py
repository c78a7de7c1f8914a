"""What PostgreSQL says of an update: its plan, and its cost where it was tried."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnClause,
    Executable,
    Text,
    cast,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.exc import CompileError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement, Update
from sqlalchemy.sql.visitors import InternalTraversal

from backoffice.bulk.change import SetValues
from backoffice.bulk.postgresql import given_rows, same_keys
from backoffice.bulk.target import Chosen, Target


class Explained(Executable, ClauseElement):
    """`EXPLAIN` of an update, with its values bound; with `runs` it is executed."""

    inherit_cache = False
    _traverse_internals = [("statement", InternalTraversal.dp_clauseelement)]  # noqa: RUF012
    _all_selected_columns = ()

    def __init__(self, statement: Update, *, runs: bool) -> None:
        self.statement = statement
        self.runs = runs


@compiles(Explained, "postgresql")
def _explained(element: Explained, compiler: SQLCompiler, **kwargs: Any) -> str:
    options = "ANALYZE, WAL, FORMAT JSON" if element.runs else "FORMAT TEXT"
    # Not at the top any more: the answer is a plan, and no count of rows.
    compiler.stack.append(
        {
            "correlate_froms": set(),
            "asfrom_froms": set(),
            "selectable": element.statement,
        }
    )
    text = compiler.process(element.statement, **kwargs)
    compiler.stack.pop()
    return f"EXPLAIN ({options}) {text}"


@dataclass(frozen=True, slots=True)
class TriggerHit:
    """A trigger, or a foreign key, that the update has called."""

    name: str
    table: str
    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Tried:
    """What an update has cost that was executed."""

    seconds: float
    written: int
    triggers: tuple[TriggerHit, ...]


def try_postgresql(session: Session, statement: Update) -> Tried:
    """Execute an update and say what it has cost; the caller rolls it back."""
    found = session.execute(Explained(statement, runs=True)).scalar_one()[0]
    triggers = tuple(
        TriggerHit(
            one.get("Constraint Name") or one["Trigger Name"],
            one.get("Relation", ""),
            int(one["Calls"]),
            one.get("Time", 0) / 1000,
        )
        for one in found.get("Triggers", ())
        if one["Calls"]
    )
    return Tried(
        found["Execution Time"] / 1000, int(found["Plan"].get("WAL Bytes", 0)), triggers
    )


def whole_update(target: Target, change: SetValues) -> Update:
    """The update of all rows in one statement, as it is shown and explained."""
    keys = target.keys
    rows = target.only(keys)
    own: Any = keys[0] if len(keys) == 1 else tuple_(*keys)
    return (
        update(target.table)
        .where(own.in_(rows))
        .values({one.column: one.expression for one in change.assignments})
    )


def plan_postgresql(session: Session, target: Target, change: SetValues) -> str:
    """The plan of the whole update, which is not executed."""
    lines = session.execute(
        Explained(whole_update(target, change), runs=False)
    ).scalars()
    return "\n".join(lines)


def statement_text(session: Session, target: Target, change: SetValues) -> str:
    """The update in words, with its values where they can be written."""
    statement = whole_update(target, change)
    dialect = session.get_bind().dialect
    try:
        compiled = statement.compile(
            dialect=dialect, compile_kwargs={"literal_binds": True}
        )
        return str(compiled)
    except (CompileError, NotImplementedError, TypeError, ValueError):
        return str(statement.compile(dialect=dialect))


def unlocked_postgresql(
    session: Session, target: Target, rows: Sequence[Chosen]
) -> set[str]:
    """Keys of the rows that nobody else holds; they are locked until the rollback."""
    given = given_rows(target, rows)
    statement = (
        select(given.c.text)
        .where(same_keys(target, given))
        .with_for_update(of=target.table, key_share=True, skip_locked=True)
    )
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
    locked: dict[str, str] = dict(
        session.execute(
            select(given.c.text, xmax).where(same_keys(target, given))
        ).all()
    )
    found = session.execute(_HOLDERS, {"ids": list(set(locked.values()))})
    holders = {one.xid: _holder(one) for one in found}
    return {key: holders[xid] for key, xid in locked.items() if xid in holders}


def _holder(one: Any) -> str:
    name = one.name or "another connection"
    return f"{name} (process {one.pid}), for {one.seconds:.0f} s"
