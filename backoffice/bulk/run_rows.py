"""How are the rows of a run written down? By one statement, wherever that can be.

The database writes the key of a row as we do where it is plain; other keys are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Insert,
    Numeric,
    Text,
    case,
    cast,
    func,
    insert,
    literal,
    not_,
    select,
    update,
)
from sqlalchemy.orm import Session

from backoffice.bulk.keys_postgresql import has_plain_keys, key_text_postgresql
from backoffice.bulk.models import LABEL_LENGTH, Run, RunRow
from backoffice.bulk.outcome import WORDS
from backoffice.bulk.states import RowState
from backoffice.bulk.target import (
    Chosen,
    Digest,
    Target,
    digest_of,
    digest_postgresql,
    is_postgresql,
    read_chosen,
    version_postgresql,
)

AT_ONCE = 5_000
OWN = ("run_id", "position", "key", "version", "state", "reason", "label")


@dataclass(frozen=True, slots=True)
class Written:
    """What was written down: the digest of the rows, and how many are left alone."""

    digest: Digest
    left: int = 0


def write_rows(
    session: Session, run: Run, target: Target, since: Target | None = None
) -> Written:
    """Write down the rows of a target, and those that are left alone beside them."""
    if is_postgresql(session) and has_plain_keys(target.keys):
        if since is None or target.apart is not None:
            return _write_postgresql(session, run, target)
        left = write_left(session, run, since)
        return replace(_write_postgresql(session, run, target, left), left=left)
    left = write_left(session, run, since) if since is not None else 0
    chosen = read_chosen(session, target)
    _insert(session, run, chosen, left, RowState.WAITING)
    if is_postgresql(session):
        # Of other rows than were read it is another digest: their versions differ.
        found = digest_postgresql(session, target)
        return Written(Digest(len(chosen), found.hash), left)
    return Written(digest_of(chosen), left)


def write_left(session: Session, run: Run, since: Target) -> int:
    """Write down rows that are left alone, for they were changed since; how many."""
    if is_postgresql(session) and has_plain_keys(since.keys):
        number = literal(run.id, BigInteger)
        statement = rows_postgresql(since, number, state=RowState.DRIFTED)
        found: Any = session.execute(
            statement.execution_options(preserve_rowcount=True)
        )
        return int(found.rowcount)
    chosen = read_chosen(session, since)
    _insert(session, run, chosen, 0, RowState.DRIFTED)
    return len(chosen)


def _insert(
    session: Session, run: Run, chosen: Sequence[Chosen], after: int, state: RowState
) -> None:
    rows = [
        {
            "run_id": run.id,
            "position": at,
            "key": one.key,
            "version": one.version,
            "state": state,
            "reason": WORDS.get(state, ""),
            "label": one.label[:LABEL_LENGTH] if state else "",
        }
        for at, one in enumerate(chosen, after + 1)
    ]
    for start in range(0, len(rows), AT_ONCE):
        session.execute(insert(RunRow), rows[start : start + AT_ONCE])


def _write_postgresql(
    session: Session, run: Run, target: Target, after: int = 0
) -> Written:
    number = literal(run.id, BigInteger)
    session.execute(rows_postgresql(target, number, after=after))
    hashed = func.hashtextextended(RunRow.key + literal(":") + RunRow.version, 0)
    is_ours = RunRow.state == RowState.WAITING
    count, total, left = session.execute(
        select(
            func.count().filter(is_ours),
            func.coalesce(func.sum(cast(hashed, Numeric)).filter(is_ours), 0),
            func.count().filter(not_(is_ours)),
        ).where(RunRow.run_id == run.id, RunRow.position > after)
    ).one()
    return Written(Digest(int(count), str(total)), int(left))


def rows_postgresql(
    target: Target,
    number: ColumnElement[int],
    *,
    after: int = 0,
    state: RowState = RowState.WAITING,
) -> Insert:
    """The statement that writes down the rows of a run, by its number.

    Rows that stand beside them and are left alone are written by the same look.
    """
    keys, apart = target.keys, target.apart
    place = func.row_number().over(order_by=list(keys)) + literal(after, BigInteger)
    key, version = key_text_postgresql(keys), version_postgresql(target.table)
    label: ColumnElement[str] = literal("", Text)
    if target.label is not None:
        label = func.left(func.coalesce(cast(target.label, Text), ""), LABEL_LENGTH)
    if apart is None:
        words: list[ColumnElement[str]] = [
            literal(str(state), Text),
            literal(WORDS.get(state, ""), Text),
            label if state else literal("", Text),
        ]
        rows = target.only([number, place, key, version, *words])
        return insert(RunRow.__table__).from_select(OWN, rows)  # type: ignore[arg-type]
    # With a window function in it this is a select of its own, so that what tells them
    # apart is computed once for each row.
    found = (
        replace(target, rows=apart.every)
        .only(
            [
                place.label("position"),
                key.label("key"),
                version.label("version"),
                apart.is_left.label("is_left"),
                label.label("label"),
            ]
        )
        .subquery("found")
    )
    drifted = RowState.DRIFTED
    told = (literal(str(drifted), Text), literal(WORDS[drifted], Text), found.c.label)
    rows = select(
        number,
        found.c.position,
        found.c.key,
        found.c.version,
        *(case((found.c.is_left, one), else_=literal("", Text)) for one in told),
    )
    return insert(RunRow.__table__).from_select(OWN, rows)  # type: ignore[arg-type]


def mark_left_out(
    session: Session, run: Run, left_out: Sequence[tuple[str, RowState, str]]
) -> None:
    """Say of rows that they are not to be changed, and why; of the run's rows alone."""
    for key, state, reason in left_out:
        marked: Any = session.execute(
            update(RunRow)
            .where(
                RunRow.run_id == run.id,
                RunRow.key == key,
                RunRow.state == RowState.WAITING,
            )
            .values(state=state, reason=reason or WORDS.get(state, ""))
        )
        if state is RowState.REFUSED:
            run.refused += marked.rowcount
        else:
            run.left += marked.rowcount
