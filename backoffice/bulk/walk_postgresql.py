"""How a batch of a run is done by PostgreSQL alone: no row of it leaves the database.

One statement takes the next rows that the run has written down, updates those that
still have their version, and records each in the audit. What comes back is how many
there were, and the places of those that were not changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    Select,
    Update,
    any_,
    case,
    cast,
    exists,
    func,
    literal,
    not_,
    select,
    update,
)
from sqlalchemy.orm import Session

from backoffice.bulk.change import SetValues
from backoffice.bulk.keys_postgresql import has_plain_keys
from backoffice.bulk.models import Run, RunRow
from backoffice.bulk.outcome import WORDS
from backoffice.bulk.postgresql import changed_of, each_by_its_key, entries_of
from backoffice.bulk.states import RowState
from backoffice.bulk.target import Target, is_postgresql, version_postgresql


@dataclass(frozen=True, slots=True)
class Walked:
    """What came of a batch: its last place, and how many rows of each outcome."""

    last: int
    met: int
    changed: int
    left: int = 0

    @property
    def same(self) -> int:
        """How many were so already."""
        return self.met - self.changed - self.left


def is_walked_postgresql(session: Session, target: Target) -> bool:
    """Whether an update of these rows can be done without reading them."""
    return (
        is_postgresql(session) and len(target.keys) == 1 and has_plain_keys(target.keys)
    )


def walk_postgresql(
    session: Session, run: Run, target: Target, change: SetValues
) -> Walked:
    """Do a run's next batch, if there is a row left.

    What the database refuses comes out as its own error, of no row in particular.
    """
    statement = batch_statement(session, run, target, change)
    with each_by_its_key(session):
        last, count, changes, unchanged = session.execute(statement).one()
    left = _mark(session, run, target, unchanged) if unchanged else 0
    return Walked(last or 0, count, changes, left)


def batch_statement(
    session: Session, run: Any, target: Target, change: SetValues
) -> Select[Any]:
    """The one statement of a batch: the run's next rows, their update, its audit."""
    given = _given(run, target)
    changed, columns = changed_of(session, target, change, given)
    entries = entries_of(session, target, changed, columns).cte("entries")
    met = select(func.count()).select_from(given).scalar_subquery()
    done = select(func.count()).select_from(changed).scalar_subquery()
    # By its hash: a join of the two would be planned for the one row that each is
    # thought to have as long as the run's rows are not analyzed.
    others = select(func.array_agg(given.c.position)).where(
        given.c.text.not_in(select(changed.c.key))
    )
    return select(
        select(func.max(given.c.position)).scalar_subquery(),
        met,
        done,
        case((met > done, others.scalar_subquery())),
    ).add_cte(entries)


def _given(run: Any, target: Target) -> CTE:
    """The next rows of a run, with their keys as the table has them."""
    key = target.keys[0]
    return (
        select(
            RunRow.position,
            cast(RunRow.key, key.type).label("k0"),
            RunRow.key.label("text"),
            RunRow.version,
        )
        .where(
            RunRow.run_id == run.id,
            RunRow.position > run.met,
            RunRow.state == RowState.WAITING,
        )
        .order_by(RunRow.position)
        .limit(run.batch_size)
        .cte("given")
    )


def _mark(session: Session, run: Run, target: Target, places: Sequence[int]) -> int:
    """Say of rows that were not changed why, unless they were so already."""
    # For a handful of rows the whole table would be read otherwise.
    with each_by_its_key(session):
        marked: Any = session.execute(mark_statement(run, target, places))
    return int(marked.rowcount)


def mark_statement(run: Run, target: Target, places: Sequence[int]) -> Update:
    """Of the rows at these places: which were changed or taken away since."""
    key = target.keys[0]
    own = key == cast(RunRow.key, key.type)
    is_as_it_was = exists(
        select(literal(1))
        .select_from(target.table)
        .where(own, version_postgresql(target.table) == RunRow.version)
        .correlate(RunRow)
    )
    is_there = exists(
        select(literal(1)).select_from(target.table).where(own).correlate(RunRow)
    )
    drifted, gone = RowState.DRIFTED, RowState.GONE
    # No join with the run's rows once more: before they are analyzed, all of them
    # would be looked at for each of these.
    return (
        update(RunRow)
        .where(
            RunRow.run_id == run.id,
            RunRow.position == any_(literal(list(places), ARRAY(BigInteger))),
            not_(is_as_it_was),
        )
        .values(
            state=case((is_there, drifted), else_=gone),
            reason=case((is_there, WORDS[drifted]), else_=WORDS[gone]),
        )
        .execution_options(synchronize_session=False)
    )
