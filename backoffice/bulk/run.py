"""One run of an action in one transaction: exactly the rows that were shown."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from backoffice.audit.recorder import audited_table
from backoffice.bulk.batch import apply_batch
from backoffice.bulk.careful import apply_carefully
from backoffice.bulk.change import Change, SetValues
from backoffice.bulk.models import LABEL_LENGTH, Run, RunRow
from backoffice.bulk.outcome import Left, Outcome
from backoffice.bulk.run_rows import write_left
from backoffice.bulk.states import RowState, RunState
from backoffice.bulk.target import Chosen, Target
from backoffice.database.refusals import explain_refusal
from backoffice.database.session import ACTOR, REQUEST_ID, RUN_ID
from backoffice.errors import Refused


@dataclass(frozen=True, slots=True)
class Drift:
    """What has become different between what was shown and what is there now."""

    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    # Changed or added: of many rows it is not known which of both.
    written: tuple[str, ...] = ()
    before: int = 0
    now: int = 0

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Drift":
        """It as it was kept as a document."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in document.items()
        }
        return cls(**values)

    @property
    def most(self) -> int:
        """How many rows there are of the kind that has most."""
        kinds = (self.changed, self.added, self.removed, self.written)
        return max(map(len, kinds))

    def sentence(self) -> str:
        """As in: Since then 3 rows were changed, 1 was added and 2 are gone."""
        parts = [
            f"{len(keys):,} {'was' if len(keys) == 1 else 'were'} {word}"
            for keys, word in (
                (self.changed, "changed"),
                (self.added, "added"),
                (self.removed, "taken away"),
            )
            if keys
        ]
        if not parts:
            return (
                f"The rows are not the ones that were shown: {self.before:,} then, "
                f"{self.now:,} now."
            )
        *first, last = parts
        told = f"{', '.join(first)} and {last}" if first else last
        return f"Of the rows that were shown {told} since."


def drift_of(shown: Mapping[str, str] | None, now: Mapping[str, str] | None) -> Drift:
    """Which rows differ, where their versions are known."""
    if shown is None or now is None:
        return Drift()
    return Drift(
        tuple(k for k, version in now.items() if k in shown and shown[k] != version),
        tuple(k for k in now if k not in shown),
        tuple(k for k in shown if k not in now),
        before=len(shown),
        now=len(now),
    )


@dataclass(frozen=True, slots=True)
class Order:
    """What a run is called and where it comes from."""

    token: str
    view: str
    action: str
    label: str
    words: str
    parameters: Mapping[str, str]
    statement: str = ""
    undone_run_id: int | None = None


def start_run(
    session: Session, target: Target, change: Change, order: Order, total: int
) -> Run:
    """The row of a run that begins now; entries of the audit name it from here on."""
    who = session.info.get(ACTOR)
    run = Run(
        token=order.token,
        actor_id=who.id if who else None,
        actor_label=(who.label if who else "system")[:LABEL_LENGTH],
        view=order.view,
        table_name=audited_table(target.mapper),
        action=order.action,
        label=order.label[:LABEL_LENGTH],
        words=order.words,
        parameters=dict(order.parameters),
        attributes=undoable_attributes(change),
        statement=order.statement,
        state=RunState.RUNNING,
        undone_run_id=order.undone_run_id,
        total=total,
        request_id=str(session.info.get(REQUEST_ID) or "")[:64],
        started_at=datetime.now(UTC),
    )
    session.add(run)
    session.flush()
    session.info[RUN_ID] = run.id
    return run


def undoable_attributes(change: Change) -> list[str]:
    """What an undo of this would give back; nothing where it cannot."""
    if not change.is_undoable:
        return []
    if isinstance(change, SetValues):
        return list(change.attributes)
    return list(change.touched)


def run_at_once(
    session: Session,
    target: Target,
    change: Change,
    rows: Sequence[Chosen],
    order: Order,
    left_out: Sequence[Left] = (),
    *,
    since: Target | None = None,
    is_careful: bool = False,
) -> Run:
    """Change all rows in the caller's transaction, and keep what came of each.

    `left_out` are rows that were shown as refused or were taken out by hand, `since`
    those that were changed since. Who is careful leaves out what is refused besides.

    Raises:
        Refused: the database refuses it after all; nothing may be committed.
        LockNotAvailable: somebody else holds a row for too long.
    """
    run = start_run(session, target, change, order, len(rows) + len(left_out))
    began = time.monotonic()
    before = 0
    if since is not None:
        # Afterwards the rows that were given back would be among them.
        before = write_left(session, run, since)
    apply = apply_carefully if is_careful else apply_batch
    try:
        outcome = apply(session, target, change, rows)
    except DBAPIError as error:
        raise explain_refusal(error, target.mapper, session) from error
    finally:
        session.info.pop(RUN_ID, None)
    if any(one.state in (RowState.DRIFTED, RowState.GONE) for one in outcome.left):
        raise Refused(message="Rows were changed at this very moment; look once more.")
    finish(session, run, outcome, left_out, after=before)
    run.total += before
    run.met = run.total
    run.batches = 1
    run.batch_size = len(rows)
    run.busy_ms = int((time.monotonic() - began) * 1000)
    session.flush()
    return run


def finish(
    session: Session,
    run: Run,
    outcome: Outcome,
    left_out: Iterable[Left],
    *,
    after: int = 0,
) -> None:
    """Keep the counts, and each row that was not changed with its reason.

    `after` so many rows that were left alone and stand there already.
    """
    left = [*outcome.left, *left_out]
    run.changed, run.same = len(outcome.changed), outcome.same
    run.refused = sum(one.state is RowState.REFUSED for one in left)
    run.left = after + len(left) - run.refused
    run.state = RunState.DONE
    run.finished_at = datetime.now(UTC)
    rows: list[dict[str, Any]] = [
        {
            "run_id": run.id,
            "position": position,
            "key": one.row.key,
            "version": one.row.version,
            "state": one.state,
            "reason": one.words,
            "label": one.row.label[:LABEL_LENGTH],
        }
        for position, one in enumerate(left, after + 1)
    ]
    if rows:
        session.execute(insert(RunRow), rows)
