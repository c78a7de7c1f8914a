"""What may a trial cost, and what has it found out?"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from backoffice.bulk.outcome import Left
from backoffice.bulk.plan_postgresql import TriggerHit
from backoffice.bulk.states import RowState
from backoffice.bulk.target import Chosen, Digest
from backoffice.database.session import limit_statements, trying


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is tried: rows, records of a function, seconds.

    `count_seconds` is how long finding and counting the rows may take. `listed` rows
    are named one by one, at most, of those that would be left out.
    """

    rows: int = 10_000
    records: int = 1_000
    seconds: float = 2.0
    count_seconds: float = 2.0
    lock_seconds: float = 0.5
    listed: int = 1_000
    # More rows are a run for a worker.
    at_once: int = 1_000
    samples: int = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """One row before and after; `state` says why it would not change."""

    row: Chosen
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    state: RowState = RowState.WAITING
    words: str = ""


@dataclass(frozen=True, slots=True)
class Preflight:
    """What would happen, as far as it was found out."""

    count: int
    # None where there are too many rows to compare them later with what was shown.
    digest: Digest | None
    is_exact: bool = True
    # Rows beside them that are left alone, where they were counted by the same look.
    left: int | None = None
    tried: int = 0
    changed: int = 0
    same: int = 0
    refused: tuple[Left, ...] = ()
    # There may be more: not every row was found out about.
    is_refused_capped: bool = False
    locked: tuple[Left, ...] = ()
    samples: tuple[Sample, ...] = ()
    # Whether those that change are in the order of how much.
    is_largest_first: bool = False
    attributes: tuple[str, ...] = ()
    # What trying took, and what all of it would, with its audit.
    spent: float | None = None
    seconds: float | None = None
    written: int | None = None
    triggers: tuple[TriggerHit, ...] = ()
    plan: str = ""
    statement: str = ""
    # Table and action of what else would be written, with how many rows.
    elsewhere: tuple[tuple[str, str, int], ...] = ()
    # Sequences that numbers were drawn from: those are not given back.
    sequences: tuple[str, ...] = ()
    # Why it was not tried to its end.
    problem: str = ""
    versions: Mapping[str, str] | None = None
    # Of many rows: what was visible when they were counted.
    snapshot: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether every row was tried."""
        return self.is_exact and self.tried + len(self.locked) >= self.count

    @property
    def share(self) -> float:
        """How many rows there are for each that was tried."""
        return self.count / self.tried if self.tried else 0


@dataclass(frozen=True, slots=True)
class Since:
    """Rows that an undo leaves alone: how many, None if not known, and the first."""

    count: int | None = 0
    rows: tuple[Chosen, ...] = ()


@contextmanager
def undone(session: Session, limits: Limits) -> Iterator[None]:
    """A savepoint under the limits that is rolled back, whatever happens in it."""
    savepoint = session.begin_nested()
    with trying():
        try:
            limit_statements(
                session, statement=limits.seconds, lock=limits.lock_seconds
            )
            yield
        finally:
            if savepoint.is_active:
                savepoint.rollback()
            session.expunge_all()
