"""What would a function do, called with each record, found out by calling it?"""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from backoffice.audit.models import AuditEntry
from backoffice.audit.recorder import audited_table
from backoffice.bulk.batch import apply_to_records
from backoffice.bulk.change import EachRecord
from backoffice.bulk.locks_postgresql import held_rows
from backoffice.bulk.outcome import Left, Outcome
from backoffice.bulk.statements import caught
from backoffice.bulk.statements import told as told_of
from backoffice.bulk.states import RowState
from backoffice.bulk.target import Chosen, Target
from backoffice.bulk.trial import Limits, Preflight, Sample, undone
from backoffice.database.refusals import explain_refusal
from backoffice.database.session import REQUEST_ID
from backoffice.errors import BackofficeError, LockNotAvailable, StatementTimedOut

# Of records that can be done together so many are tried first, and at least.
FIRST = 50


def look_each(
    session: Session,
    target: Target,
    change: EachRecord,
    rows: list[Chosen],
    found: Preflight,
    limits: Limits,
) -> Preflight:
    """Do it with the records, as many as there is time for."""
    started = time.monotonic()
    same, problem, spent = 0, "", 0.0
    tried: list[Chosen] = []
    left: list[Left] = []
    locked: list[Left] = []
    entries: list[Any] = []
    statement = ""
    try:
        with undone(session, limits):
            locked += held_rows(session, target, rows, whole=change.is_deletion)
        held = {one.row.key for one in locked}
        free = [row for row in rows if row.key not in held]
        with undone(session, limits), _marked(session) as mark, caught(session) as sent:
            last = session.scalar(select(func.max(AuditEntry.id))) or 0
            for found_out in _try(session, target, change, free, started, limits):
                tried += found_out.rows
                same += found_out.outcome.same
                left += found_out.outcome.left
                locked += found_out.locked
            spent = time.monotonic() - started
            statement = told_of(sent)
            entries = _entries(session, last, mark)
    except DBAPIError as error:
        problem = str(explain_refusal(error, target.mapper, session))
    except BackofficeError as error:
        problem = str(error)
    met = len(tried) + len(locked)
    if not met and not problem:
        problem = f"Not one record was tried out within {limits.seconds:g} s."
    refused = tuple(one for one in left if one.state is RowState.REFUSED)
    keys = {row.key for row in (*tried, *(one.row for one in locked))}
    seen = [row for row in rows if row.key in keys]
    told = replace(
        found,
        tried=len(tried),
        changed=len(tried) - same - len(left),
        same=same,
        refused=refused,
        is_refused_capped=bool(refused) and met < found.count,
        locked=tuple(locked),
        samples=tuple(
            _each_samples(target, change, seen, entries, [*left, *locked], limits)
        ),
        problem=problem,
        elsewhere=tuple(_elsewhere(target, entries)),
        attributes=_touched(target, change, entries),
        statement=statement,
    )
    if not tried:
        return told
    return replace(told, spent=spent, seconds=spent * told.share)


@dataclass(frozen=True, slots=True)
class _FoundOut:
    """What came of some records: those that were tried, and those that are held."""

    rows: Sequence[Chosen]
    outcome: Outcome
    locked: Sequence[Left] = ()


def _try(
    session: Session,
    target: Target,
    change: EachRecord,
    rows: Sequence[Chosen],
    started: float,
    limits: Limits,
) -> Iterator[_FoundOut]:
    """Try the records until the time is over: one by one, or some of many at once."""
    at, size, now = 0, FIRST if change.is_of_many else 1, time.monotonic()
    while at < len(rows) and (not at or now - started <= limits.seconds):
        part, began = rows[at : at + size], now
        try:
            outcome = apply_to_records(session, target, change, part)
        except LockNotAvailable as error:
            if len(part) > 1:
                size, now = 1, time.monotonic()
                continue
            # Not the record itself: something that hangs on it.
            held = Left(part[0], RowState.LOCKED, str(error))
            yield _FoundOut((), Outcome(frozenset()), (held,))
        except StatementTimedOut:
            return
        else:
            yield _FoundOut(part, outcome)
        at, now = at + len(part), time.monotonic()
        if change.is_of_many:
            # Half of what there would be time for, by what these have taken.
            rest = max(0.0, limits.seconds - (now - started))
            size = max(FIRST, int(len(part) * rest / max(now - began, 0.001) / 2))


@contextmanager
def _marked(session: Session) -> Iterator[str]:
    """Let what is tried bear a mark of its own in the audit, and nobody else's does."""
    before = session.info.get(REQUEST_ID)
    session.info[REQUEST_ID] = mark = f"trial {uuid.uuid4()}"
    try:
        yield mark
    finally:
        session.info[REQUEST_ID] = before


def _entries(session: Session, last: int, mark: str) -> list[Any]:
    """What was written into the audit since then, under a mark."""
    statement = (
        select(
            AuditEntry.table_name,
            AuditEntry.action,
            AuditEntry.key,
            AuditEntry.label,
            AuditEntry.changes,
        )
        .where(AuditEntry.id > last, AuditEntry.request_id == mark)
        .order_by(AuditEntry.id)
    )
    return list(session.execute(statement))


def _elsewhere(
    target: Target, entries: Sequence[Any]
) -> Iterator[tuple[str, str, int]]:
    own = audited_table(target.mapper)
    keys: dict[tuple[str, str], set[str]] = {}
    for entry in entries:
        if entry.table_name != own:
            keys.setdefault((entry.table_name, entry.action), set()).add(entry.key)
    for (table_name, action), found in keys.items():
        yield table_name, action, len(found)


def _touched(
    target: Target, change: EachRecord, entries: Sequence[Any]
) -> tuple[str, ...]:
    if change.is_deletion:
        return ()
    own = audited_table(target.mapper)
    found = dict.fromkeys(change.touched)
    for entry in entries:
        if entry.table_name == own:
            found.update(dict.fromkeys(entry.changes))
    return tuple(found)


def _each_samples(
    target: Target,
    change: EachRecord,
    rows: Sequence[Chosen],
    entries: Sequence[Any],
    left: Sequence[Left],
    limits: Limits,
) -> Iterator[Sample]:
    own = audited_table(target.mapper)
    changes: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry.table_name == own:
            known = changes.setdefault(entry.key, {})
            for name, (old, new) in entry.changes.items():
                known[name] = [known[name][0] if name in known else old, new]
    why = {one.row.key: one for one in left}
    first = [row for row in rows if row.key in why]
    second = [row for row in rows if row.key not in why and row.key in changes]
    third = [row for row in rows if row.key not in why and row.key not in changes]
    # Half of them at most are left out: what would change is to be seen as well.
    first = first[: max(limits.samples // 2, limits.samples - len(second) - len(third))]
    for row in [*first, *second, *third][: limits.samples]:
        known = changes.get(row.key, {})
        before = {name: pair[0] for name, pair in known.items()}
        after = {} if change.is_deletion else {n: pair[1] for n, pair in known.items()}
        reason = why.get(row.key)
        state = RowState.WAITING if row.key in changes else RowState.SAME
        words = ""
        if reason is not None:
            state, words = reason.state, reason.words
        yield Sample(row, before, after, state, words)
