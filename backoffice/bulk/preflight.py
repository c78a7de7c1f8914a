"""What an action would do, found out by doing it and rolling it back.

Nothing stays: what is tried stands in a savepoint, under limits of time, and is rolled
back. Of many rows only some are tried, and the answer says so.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Integer, Numeric, func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from backoffice.bulk.batch import settle
from backoffice.bulk.change import Change, EachRecord, SetValues, is_row
from backoffice.bulk.drift_postgresql import snapshot_postgresql
from backoffice.bulk.locks_postgresql import drawn_sequences, held_rows
from backoffice.bulk.outcome import Left
from backoffice.bulk.plan_postgresql import (
    TriggerHit,
    extrapolated,
    pages_postgresql,
    plan_postgresql,
    selecting,
    try_postgresql,
)
from backoffice.bulk.postgresql import each_by_its_key, given_rows, same_keys, update_of
from backoffice.bulk.preflight_each import look_each
from backoffice.bulk.rowwise import new_values, refusal_words
from backoffice.bulk.statements import statements_of
from backoffice.bulk.states import RowState
from backoffice.bulk.target import (
    Chosen,
    Target,
    digest_apart_postgresql,
    digest_of,
    is_postgresql,
    read_chosen,
    take_digest,
)
from backoffice.bulk.trial import Limits, Preflight, Sample, Since, undone
from backoffice.database.estimates import explained_rows_postgresql
from backoffice.database.refusals import explain_refusal
from backoffice.errors import BackofficeError, Refused, StatementTimedOut

# What an entry of the audit adds to each changed row: measured, with its indexes.
AUDIT_BYTES = 390
AUDIT_TIME = 1.4
# Of many rows first so many are tried, and then as many as there is time for: so much
# of the seconds that a trial may take is there for finding, counting and trying.
FIRST, TRYING = 1_000, 0.7
# So many rows are tried one by one where one of them is refused.
FEW = 8
# One in so many rows is tried instead where the time was too short for all.
FEWER = 10


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
    images: int = 0
    triggers: tuple[TriggerHit, ...] = ()
    problem: str = ""


def look(
    session: Session, target: Target, change: Change, limits: Limits | None = None
) -> Preflight:
    """Count the rows, try the action on them, roll it back, and tell."""
    limits = limits or Limits()
    until = time.monotonic() + limits.seconds * TRYING
    most = limits.records if isinstance(change, EachRecord) else limits.rows
    snapshot = snapshot_postgresql(session) if is_postgresql(session) else ""
    some = _read_some(session, target, most, limits)
    patience = limits
    if not some and target.about is not None and target.about > limits.rows:
        # Finding them takes its time; the first are enough to be tried.
        most = min(most, FIRST)
        patience = replace(limits, seconds=limits.count_seconds)
    rows = some or _read(session, target, most, patience)
    if rows is None:
        return _estimated(session, target, least=1)
    if some or len(rows) > most:
        rows = rows[:most]
        found = _count_many(session, target, limits)
        if some and found.is_exact and found.count <= most:
            # Few were left of many: these are looked at one by one.
            few = replace(target, about=found.count)
            return replace(look(session, few, change, limits), left=found.left)
        if limits.count_seconds > limits.seconds:
            # Who has waited for the count is told as much as without it.
            until = time.monotonic() + limits.seconds * TRYING
    else:
        found = Preflight(
            len(rows),
            take_digest(session, target, rows),
            versions={row.key: row.version for row in rows},
        )
    if not rows:
        return found
    if isinstance(change, EachRecord):
        told = look_each(session, target, change, rows, found, limits)
    elif found.count > len(rows):
        told = _look_at_some(session, target, change, rows, found, limits, until)
    else:
        told = _look_update(session, target, change, rows, found, limits)
    return replace(told, sequences=drawn_sequences(session), snapshot=snapshot)


def _look_at_some(
    session: Session,
    target: Target,
    change: SetValues,
    rows: list[Chosen],
    found: Preflight,
    limits: Limits,
    until: float,
) -> Preflight:
    """Try as many of the rows as there is time for, by what the first ones took."""
    started = time.monotonic()
    told = _look_update(session, target, change, rows[:FIRST], found, limits)
    now = time.monotonic()
    many = int(FIRST * (until - now) / max(now - started, 0.001))
    if told.problem or many < 2 * FIRST or len(rows) <= FIRST:
        return told
    return _look_update(session, target, change, rows[:many], found, limits)


def _read_some(
    session: Session, target: Target, most: int, limits: Limits
) -> list[Chosen]:
    """Rows of many that are found without finding all, where that is quicker."""
    if target.some is None or (target.about or 0) <= limits.rows:
        return []
    first = replace(target, rows=target.some(most), some=None, apart=None)
    return _read(session, first, most, limits) or []


def _read(
    session: Session, target: Target, most: int, limits: Limits
) -> list[Chosen] | None:
    """The first rows, one more than are tried; None where that takes too long."""
    seconds = max(limits.seconds, limits.count_seconds)
    try:
        with undone(session, replace(limits, seconds=seconds)):
            return read_chosen(session, target, most)
    except DBAPIError as error:
        _only_late(error, target, session)
        return None


def look_since(
    session: Session, target: Target, limits: Limits, known: int | None = None
) -> Since:
    """The rows that an undo leaves alone: how many there are, and the first of them.

    `known` is how many, where they were counted with the others.
    """
    if known == 0:
        return Since()
    try:
        with undone(session, replace(limits, seconds=limits.count_seconds)):
            rows = read_chosen(session, target, limits.listed)
            count = known or len(rows)
            if known is None and count > limits.listed:
                every = target.only(target.keys).subquery()
                count = session.scalar(select(func.count()).select_from(every)) or 0
            return Since(count, tuple(rows[: limits.listed]))
    except DBAPIError as error:
        _only_late(error, target, session)
        return Since(known)


def _only_late(error: DBAPIError, target: Target, session: Session) -> None:
    """Go on if it is only that it took too long."""
    refusal = explain_refusal(error, target.mapper, session)
    if not isinstance(refusal, StatementTimedOut):
        raise refusal from error


def _count_many(session: Session, target: Target, limits: Limits) -> Preflight:
    """How many rows there are where they are not read one by one."""
    if not is_postgresql(session):
        every = digest_of(read_chosen(session, target))
        return Preflight(every.count, every)
    try:
        with undone(session, replace(limits, seconds=limits.count_seconds)):
            digest, left = digest_apart_postgresql(session, target)
            return Preflight(digest.count, digest, left=left)
    except DBAPIError as error:
        _only_late(error, target, session)
        return _estimated(session, target, least=limits.rows)


def _estimated(session: Session, target: Target, *, least: int) -> Preflight:
    """About how many rows there are: as is known, or by the server's own estimate."""
    if target.about is not None:
        return Preflight(target.about, None, is_exact=False)
    estimate = explained_rows_postgresql(session, target.only(target.keys))
    return Preflight(max(estimate, least), None, is_exact=False)


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
            finding.locked = held_rows(session, target, rows)
            free = _without(rows, finding.locked)
            finding.before = _values(session, target, change, free)
        with undone(session, limits):
            _try(session, target, change, free, finding, limits)
    except (DBAPIError, BackofficeError) as error:
        problem = (
            explain_refusal(error, target.mapper, session)
            if isinstance(error, DBAPIError)
            else error
        )
        if isinstance(problem, StatementTimedOut) and len(rows) >= FEWER:
            # Of fewer it is known as well; only less of the rest.
            few = rows[: len(rows) // FEWER]
            return _look_update(session, target, change, few, found, limits)
        finding.problem = str(problem)
    return _told(session, target, change, found, finding, limits)


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
        given = given_rows(target, rows)
        statement = select(*columns, given.c.text).where(same_keys(target, given))
        with each_by_its_key(session):
            result = session.execute(statement).all()
        return {row[size]: tuple(row[:size]) for row in result}
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
            undecided = _search(session, target, change, rows, finding, limits)
        finding.is_capped = bool(undecided)
        kept = _without(rows[: len(rows) - undecided], finding.refused)
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
                with each_by_its_key(session):
                    tried = try_postgresql(session, statement)
                if finding is not None:
                    finding.seconds, finding.written = tried.seconds, tried.written
                    finding.images = tried.images
                    finding.triggers = tried.triggers
            else:
                _update_each(session, target, change, rows)
            settle(session)
    except DBAPIError as error:
        values = new_values(session, target, change, rows[0]) if len(rows) == 1 else {}
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


def _search(
    session: Session,
    target: Target,
    change: SetValues,
    rows: list[Chosen],
    finding: _Finding,
    limits: Limits,
) -> int:
    """Find the rows that are refused, by halves; what is accepted stays for the next.

    So two rows that exclude each other are told apart: the first is accepted. How many
    of the last rows it found out nothing about, for want of time.
    """
    until = time.monotonic() + limits.seconds
    parts = _parts(rows)
    while parts:
        is_late = time.monotonic() > until
        if is_late or len(finding.refused) >= limits.listed:
            return sum(len(part) for part in parts)
        part = parts.pop(0)
        refusal = _attempt(session, target, change, part)
        if refusal is None:
            continue
        if len(part) == 1:
            words = refusal_words(refusal)
            finding.refused.append(Left(part[0], RowState.REFUSED, words))
        else:
            parts[:0] = _parts(part)
    return 0


def _parts(rows: list[Chosen]) -> list[list[Chosen]]:
    """Halves, and of few rows each for itself: where one is refused more are."""
    if len(rows) <= FEW:
        return [[row] for row in rows]
    middle = len(rows) // 2
    return [rows[:middle], rows[middle:]]


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
        is_largest_first=is_by_amount(change),
        triggers=finding.triggers,
        problem=finding.problem,
        statement=statements_of(
            session, target, change, is_large=found.count > limits.at_once
        ),
        plan=_plan(session, target, change, finding.rows, limits),
    )
    if finding.seconds is None or not told.tried:
        return told
    pages = pages_postgresql(session, target) if finding.images else 0
    written = extrapolated(
        written=finding.written or 0,
        images=finding.images,
        share=told.share,
        pages=pages,
    )
    return replace(
        told,
        spent=finding.seconds,
        seconds=finding.seconds * AUDIT_TIME * told.share,
        written=int(written + AUDIT_BYTES * told.changed * told.share),
    )


def _plan(
    session: Session,
    target: Target,
    change: SetValues,
    rows: Sequence[Chosen],
    limits: Limits,
) -> str:
    """How the rows are found, and how those that were tried are changed."""
    if not is_postgresql(session):
        return ""
    try:
        with undone(session, limits):
            found = plan_postgresql(session, selecting(target))
            changed = update_of(target, change, given_rows(target, rows))
            with each_by_its_key(session):
                return f"{found}\n\n{plan_postgresql(session, changed)}"
    except DBAPIError:
        return ""


def _samples(
    change: SetValues, finding: _Finding, changed: set[str], limits: Limits
) -> Iterator[Sample]:
    """Some that are left out first, then the largest changes, and one that stays."""
    names = change.attributes
    left = {one.row.key: one for one in (*finding.refused, *finding.locked)}
    would = [row for row in finding.rows if row.key in changed]
    if is_by_amount(change):
        would.sort(key=lambda row: _size(finding, row), reverse=True)
    # Half of them at most are left out: what would change is to be seen as well.
    rank = [
        [row for row in finding.rows if row.key in left],
        would,
        [row for row in finding.rows if row.key not in changed and row.key not in left],
    ]
    others = len(would) + len(rank[2])
    rank[0] = rank[0][: max(limits.samples // 2, limits.samples - others)]
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


def is_by_amount(change: SetValues) -> bool:
    """Whether one amount is set, and to something: changes of it have a size."""
    if len(change.assignments) > 1 or change.assignments[0].value is None:
        return False
    column = change.assignments[0].column
    return isinstance(column.type, Integer | Numeric) and not column.foreign_keys


def _size(finding: _Finding, row: Chosen) -> Any:
    """How much an amount would change; from or to nothing is more than anything."""
    before, after = finding.before[row.key][0], finding.after[row.key][0]
    return float("inf") if before is None or after is None else abs(after - before)
