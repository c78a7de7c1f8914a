"""What PostgreSQL says of an update: its plan, and its cost where it was tried."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Executable,
    Select,
    Text,
    cast,
    func,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement, Update
from sqlalchemy.sql.visitors import InternalTraversal

from backoffice.bulk.change import SetValues
from backoffice.bulk.target import Target, version_postgresql

PAGE = 8192
# What a whole page is among what is written, without its hole: measured.
IMAGE_BYTES = 7_400


class Explained(Executable, ClauseElement):
    """`EXPLAIN` of an update, with its values bound; with `runs` it is executed."""

    inherit_cache = False
    # What is cached under these: with another answer it is another statement.
    _traverse_internals = [  # noqa: RUF012
        ("statement", InternalTraversal.dp_clauseelement),
        ("runs", InternalTraversal.dp_boolean),
    ]
    _all_selected_columns = ()

    def __init__(self, statement: Update | Select[Any], *, runs: bool) -> None:
        self.statement = statement
        self.runs = runs


@compiles(Explained, "postgresql")
def _explained(element: Explained, compiler: SQLCompiler, **kwargs: Any) -> str:
    options = "ANALYZE, WAL, FORMAT JSON" if element.runs else "SETTINGS"
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
    # Whole pages among what was written: each is, once after a checkpoint.
    images: int = 0


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
    plan = found["Plan"]
    return Tried(
        found["Execution Time"] / 1000,
        int(plan.get("WAL Bytes", 0)),
        triggers,
        int(plan.get("WAL FPI", 0)),
    )


def extrapolated(*, written: int, images: int, share: float, pages: int) -> float:
    """What is written of `share` times as many rows as were tried.

    A page is written whole once after a checkpoint: of a few rows each has pages of its
    own, but all of them together have no more than there are.
    """
    if share <= 1:
        return written * share
    rows = max(0, written - images * IMAGE_BYTES) * share
    return rows + IMAGE_BYTES * min(images * share, pages)


def pages_postgresql(session: Session, target: Target) -> int:
    """How many pages a table has with its indexes."""
    name = session.get_bind().dialect.identifier_preparer.format_table(target.table)
    size = func.pg_total_relation_size(cast(literal(name, Text), REGCLASS))
    return int(session.scalar(select(size)) or 0) // PAGE


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


def selecting(target: Target) -> Select[Any]:
    """How the rows of a run are found: their keys, and their versions."""
    return target.only([*target.keys, version_postgresql(target.table)])


def plan_postgresql(session: Session, statement: Update | Select[Any]) -> str:
    """The plan of a statement, which is not executed."""
    return "\n".join(session.execute(Explained(statement, runs=False)).scalars())
