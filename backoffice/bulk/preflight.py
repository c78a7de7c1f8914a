"""What an action would do, found out by doing it and rolling it back.

Nothing stays: what is tried stands in a savepoint, under limits of time, and is rolled
back. Of many rows only some are tried, and the answer says so.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import CheckConstraint, Column, func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from backoffice.audit.models import AuditEntry
from backoffice.audit.recorder import audited_table
from backoffice.bulk.batch import settle
from backoffice.bulk.change import Change, EachRecord, SetValues, is_row
from backoffice.bulk.models import RowState
from backoffice.bulk.outcome import Left
from backoffice.bulk.plan_postgresql import (
    TriggerHit,
    holders_postgresql,
    plan_postgresql,
    statement_text,
    try_postgresql,
    unlocked_postgresql,
)
from backoffice.bulk.postgresql import given_rows, update_of
from backoffice.bulk.rowwise import call_each, refusal_words
from backoffice.bulk.target import (
    Chosen,
    Digest,
    Target,
    digest_of,
    digest_postgresql,
    has_plain_keys,
    is_postgresql,
    read_chosen,
    take_digest,
)
from backoffice.database.conditions import checks_of, columns_of
from backoffice.database.constraints import explain_refusal
from backoffice.database.estimates import explained_rows_postgresql
from backoffice.database.session import REQUEST_ID, limit_statements, trying
from backoffice.errors import BackofficeError, Refused

# What an entry of the audit adds to each changed row: measured, with its indexes.
AUDIT_BYTES = 420
AUDIT_TIME = 1.6


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is tried: rows, records of a function, seconds, refusals.

    `count_seconds` is how long counting may take where not every row is tried.
    """

    rows: int = 10_000
    records: int = 1_000
    seconds: float = 2.0
    count_seconds: float = 2.0
    lock_seconds: float = 0.5
    refusals: int = 20
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
    tried: int = 0
    changed: int = 0
    same: int = 0
    refused: tuple[Left, ...] = ()
    # There are more refusals than were looked for.
    is_refused_capped: bool = False
    locked: tuple[Left, ...] = ()
    samples: tuple[Sample, ...] = ()
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
    # Why it was not tried to its end.
    problem: str = ""
    versions: Mapping[str, str] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every row was tried."""
        return self.is_exact and self.tried + len(self.locked) >= self.count

    @property
    def share(self) -> float:
        """How many rows there are for each that was tried."""
        return self.count / self.tried if self.tried else 0


@dataclass(slots=True)
class _Finding:
    """What is known so far."""

    rows: list[Chosen]
    refused: list[Left] = field(default_factory=list)
    locked: list[Left] = field(default_factory=list)
    before: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    after: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    is_capped: bool = False
    seconds: float | None = None
    written: int | None = None
    triggers: tuple[TriggerHit, ...] = ()
    problem: str = ""


class _Enough(Exception):
    """As much was found out as is worth its time."""


def look(
    session: Session, target: Target, change: Change, limits: Limits | None = None
) -> Preflight:
    """Count the rows, try the action on them, roll it back, and tell."""
    limits = limits or Limits()
    most = limits.records if isinstance(change, EachRecord) else limits.rows
    rows = read_chosen(session, target, most)
    if len(rows) > most:
        rows = rows[:most]
        found = _count_many(session, target, limits)
    else:
        found = Preflight(
            len(rows),
            take_digest(session, target, rows),
            versions={row.key: row.version for row in rows},
        )
    if not rows:
        return found
    if isinstance(change, EachRecord):
        return _look_each(session, target, change, rows, found, limits)
    return _look_update(session, target, change, rows, found, limits)


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


def _count_many(session: Session, target: Target, limits: Limits) -> Preflight:
    """How many rows there are where they are not read one by one."""
    is_plain = is_postgresql(session) and has_plain_keys(target.keys)
    if not is_plain:
        every = digest_of(read_chosen(session, target))
        return Preflight(every.count, every)
    try:
        with undone(session, replace(limits, seconds=limits.count_seconds)):
            digest = digest_postgresql(session, target)
            return Preflight(digest.count, digest)
    except DBAPIError:
        pass
    estimate = explained_rows_postgresql(session, target.only(target.keys))
    return Preflight(max(estimate, limits.rows), None, is_exact=False)


# Updates


def _look_update(
    session: Session,
    target: Target,
    change: SetValues,
    rows: list[Chosen],
    found: Preflight,
    limits: Limits,
) -> Preflight:
    finding = _Finding(rows)
    try:
        with undone(session, limits):
            _find_locked(session, target, finding)
            free = _without(rows, finding.locked)
            finding.before = _values(session, target, change, free)
        with undone(session, limits):
            _try(session, target, change, free, finding, limits)
    except DBAPIError as error:
        finding.problem = str(explain_refusal(error, target.mapper, session))
    except BackofficeError as error:
        finding.problem = str(error)
    return _told(session, target, change, found, finding, limits)


def _find_locked(session: Session, target: Target, finding: _Finding) -> None:
    if not is_postgresql(session):
        return
    free = unlocked_postgresql(session, target, finding.rows)
    locked = [row for row in finding.rows if row.key not in free]
    if locked:
        holders = holders_postgresql(session, target, locked)
        finding.locked = [
            Left(
                row,
                RowState.LOCKED,
                f"Held by {holders[row.key]}." if row.key in holders else "",
            )
            for row in locked
        ]


def _without(rows: Sequence[Chosen], left: Sequence[Left]) -> list[Chosen]:
    gone = {one.row.key for one in left}
    return [row for row in rows if row.key not in gone]


def _values(
    session: Session, target: Target, change: SetValues, rows: Sequence[Chosen]
) -> dict[str, tuple[Any, ...]]:
    """What stands in the columns that are set, by key."""
    columns = [one.column for one in change.assignments]
    size = len(columns)
    if is_postgresql(session):
        from backoffice.bulk.postgresql import same_keys

        given = given_rows(target, rows)
        statement = select(*columns, given.c.text).where(same_keys(target, given))
        return {row[size]: tuple(row[:size]) for row in session.execute(statement)}
    found = {}
    for row in rows:
        statement = select(*columns).where(is_row(target.keys, row))
        found[row.key] = tuple(session.execute(statement).one())
    return found


def _try(
    session: Session,
    target: Target,
    change: SetValues,
    rows: list[Chosen],
    finding: _Finding,
    limits: Limits,
) -> None:
    """Execute the update; where it is refused, find out for which rows."""
    refusal = _attempt(session, target, change, rows, finding)
    if refusal is not None:
        with undone(session, limits):
            _search(session, target, change, rows, finding, limits)
        kept = _without(rows, finding.refused)
        if finding.is_capped:
            return
        again = _attempt(session, target, change, kept, finding)
        if again is not None:
            words = refusal_words(again)
            finding.problem = f"These rows cannot be changed together: {words}"
            return
        rows = kept
    finding.after = _values(session, target, change, rows)


def _attempt(
    session: Session,
    target: Target,
    change: SetValues,
    rows: Sequence[Chosen],
    finding: _Finding | None = None,
) -> Refused | None:
    """Execute the update within a savepoint that stays; why it was refused, if so."""
    if not rows:
        return None
    try:
        with session.begin_nested():
            if is_postgresql(session):
                statement = update_of(target, change, given_rows(target, rows))
                if finding is None:
                    session.execute(statement)
                else:
                    tried = try_postgresql(session, statement)
                    finding.seconds, finding.written = tried.seconds, tried.written
                    finding.triggers = tried.triggers
            else:
                _update_each(session, target, change, rows)
            settle(session)
    except DBAPIError as error:
        values = _new_values(session, target, change, rows) if len(rows) == 1 else {}
        explained = explain_refusal(error, target.mapper, session, values=values)
        if isinstance(explained, Refused):
            return explained
        raise explained from error
    return None


def _update_each(
    session: Session, target: Target, change: SetValues, rows: Sequence[Chosen]
) -> None:
    values = {one.column: one.expression for one in change.assignments}
    for row in rows:
        session.connection().execute(
            update(target.table)
            .where(is_row(target.keys, row), change.differs())
            .values(values)
        )


def _new_values(
    session: Session, target: Target, change: SetValues, rows: Sequence[Chosen]
) -> dict[str, Any]:
    """What one row would have been set to, for the sentence that refuses it."""
    try:
        with session.begin_nested():
            row = session.execute(
                select(*(one.expression for one in change.assignments)).where(
                    is_row(target.keys, rows[0])
                )
            ).one()
    except DBAPIError:
        return {}
    return dict(zip(change.attributes, row, strict=True))


def _search(
    session: Session,
    target: Target,
    change: SetValues,
    rows: list[Chosen],
    finding: _Finding,
    limits: Limits,
) -> None:
    """Find the rows that are refused, by halves; what is accepted stays for the next.

    So two rows that exclude each other are told apart: the first is accepted.
    """
    until = time.monotonic() + limits.seconds
    parts = (
        [rows[: len(rows) // 2], rows[len(rows) // 2 :]] if len(rows) > 1 else [rows]
    )
    while parts:
        part = parts.pop(0)
        refusal = _attempt(session, target, change, part)
        if refusal is None:
            continue
        if len(part) == 1:
            words = refusal_words(refusal)
            finding.refused.append(Left(part[0], RowState.REFUSED, words))
        else:
            middle = len(part) // 2
            parts[:0] = [part[:middle], part[middle:]]
        is_late = time.monotonic() > until
        if parts and (len(finding.refused) >= limits.refusals or is_late):
            finding.is_capped = True
            return


def _told(
    session: Session,
    target: Target,
    change: SetValues,
    found: Preflight,
    finding: _Finding,
    limits: Limits,
) -> Preflight:
    """The finding in the end: numbers, and a sample of rows."""
    changed = {
        key for key, after in finding.after.items() if after != finding.before.get(key)
    }
    told = replace(
        found,
        tried=len(finding.after) + len(finding.refused),
        changed=len(changed),
        same=len(finding.after) - len(changed),
        refused=tuple(finding.refused),
        is_refused_capped=finding.is_capped,
        locked=tuple(finding.locked),
        samples=tuple(_samples(change, finding, changed, limits)),
        attributes=change.attributes,
        triggers=finding.triggers,
        problem=finding.problem,
        statement=statement_text(session, target, change),
        plan=_plan(session, target, change, limits),
    )
    if finding.seconds is None or not told.tried:
        return told
    written = (finding.written or 0) + AUDIT_BYTES * len(changed)
    return replace(
        told,
        spent=finding.seconds,
        seconds=finding.seconds * AUDIT_TIME * told.share,
        written=int(written * told.share),
    )


def _plan(session: Session, target: Target, change: SetValues, limits: Limits) -> str:
    if not is_postgresql(session):
        return ""
    try:
        with undone(session, limits):
            return plan_postgresql(session, target, change)
    except DBAPIError:
        return ""


def _samples(
    change: SetValues, finding: _Finding, changed: set[str], limits: Limits
) -> Iterator[Sample]:
    """The refused first, then those that are locked, that change, that stay."""
    names = change.attributes
    left = {one.row.key: one for one in (*finding.refused, *finding.locked)}
    rank = [
        [row for row in finding.rows if row.key in left],
        [row for row in finding.rows if row.key in changed],
        [row for row in finding.rows if row.key not in changed and row.key not in left],
    ]
    order = [row for rows in rank for row in rows]
    # At least one that stays the same is shown, if there is one.
    chosen = order[: limits.samples]
    if rank[2] and rank[2][0] not in chosen:
        chosen = [*chosen[:-1], rank[2][0]]
    for row in chosen:
        before = dict(zip(names, finding.before.get(row.key, ()), strict=False))
        after = dict(zip(names, finding.after.get(row.key, ()), strict=False))
        why = left.get(row.key)
        if why is not None:
            yield Sample(row, before, after, why.state, why.words)
        elif row.key not in changed:
            yield Sample(row, before, after, RowState.SAME)
        else:
            yield Sample(row, before, after)


# Functions


def _look_each(
    session: Session,
    target: Target,
    change: EachRecord,
    rows: list[Chosen],
    found: Preflight,
    limits: Limits,
) -> Preflight:
    """Call the function with each record, as many as there is time for."""
    until = time.monotonic() + limits.seconds
    tried, same, problem = 0, 0, ""
    left: list[Left] = []
    entries: list[Any] = []
    started = time.monotonic()
    try:
        with undone(session, limits):
            last = session.scalar(select(func.max(AuditEntry.id))) or 0
            for start in range(0, len(rows), 25):
                part = rows[start : start + 25]
                outcome = call_each(session, target, change, part)
                settle(session)
                tried += len(part)
                same += outcome.same
                left += outcome.left
                if time.monotonic() > until:
                    break
            spent = time.monotonic() - started
            entries = _entries(session, last)
    except DBAPIError as error:
        problem = str(explain_refusal(error, target.mapper, session))
        spent = 0.0
    except BackofficeError as error:
        problem, spent = str(error), 0.0
    refused = tuple(one for one in left if one.state is RowState.REFUSED)
    told = replace(
        found,
        tried=tried,
        changed=tried - same - len(left),
        same=same,
        refused=refused,
        is_refused_capped=bool(refused) and tried < found.count,
        samples=tuple(
            _each_samples(target, change, rows[:tried], entries, left, limits)
        ),
        problem=problem,
        elsewhere=tuple(_elsewhere(target, entries)),
        attributes=_touched(target, change, entries),
        statement="",
    )
    if not tried:
        return told
    return replace(told, spent=spent, seconds=spent * told.share)


def _entries(session: Session, last: int) -> list[Any]:
    """What this session has written into the audit since."""
    own = str(session.info.get(REQUEST_ID) or "")[:64]
    statement = (
        select(
            AuditEntry.table_name,
            AuditEntry.action,
            AuditEntry.key,
            AuditEntry.label,
            AuditEntry.changes,
        )
        .where(AuditEntry.id > last, AuditEntry.request_id == own)
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


# What is touched, by the metadata


def touched_checks(change: SetValues) -> list[CheckConstraint]:
    """The check constraints that look at a column that is set."""
    names = {one.column.name for one in change.assignments}
    return [
        check
        for check in checks_of(change.table)
        if names & set(columns_of(check, change.table))
    ]


def touched_indexes(change: SetValues) -> tuple[list[str], int]:
    """Names of the indexes that have a column that is set, and of how many in all."""
    columns: set[Column[Any]] = {one.column for one in change.assignments}
    found = [
        str(index.name)
        for index in sorted(change.table.indexes, key=lambda i: str(i.name))
        if columns & set(index.columns)
    ]
    return found, len(change.table.indexes)


def touched_references(change: SetValues) -> list[str]:
    """The tables whose rows the columns that are set refer to."""
    columns = {one.column for one in change.assignments}
    return sorted(
        {
            key.referred_table.name
            for key in change.table.foreign_key_constraints
            if columns & set(key.columns)
        }
    )
