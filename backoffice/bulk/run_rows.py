"""How are the rows of a run written down? By one statement, wherever that can be.

The database writes the key of a row as we do where it is plain; other keys are read.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Insert,
    Numeric,
    Text,
    cast,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Session

from backoffice.bulk.models import LABEL_LENGTH, Run, RunRow
from backoffice.bulk.outcome import WORDS
from backoffice.bulk.states import RowState
from backoffice.bulk.target import (
    Digest,
    Target,
    digest_of,
    digest_postgresql,
    has_plain_keys,
    is_postgresql,
    key_text_postgresql,
    read_chosen,
    version_postgresql,
)

AT_ONCE = 5_000
OWN = ("run_id", "position", "key", "version", "state", "reason", "label")


def write_rows(
    session: Session,
    run: Run,
    target: Target,
    *,
    after: int = 0,
    state: RowState = RowState.WAITING,
) -> Digest:
    """Write the rows of a target, behind so many others; their digest as written."""
    if is_postgresql(session) and has_plain_keys(target.keys):
        return _write_postgresql(session, run, target, after, state)
    chosen = read_chosen(session, target)
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
    if is_postgresql(session):
        # Of other rows than were read it is another digest: their versions differ.
        found = digest_postgresql(session, target)
        return Digest(len(chosen), found.hash)
    return digest_of(chosen)


def _write_postgresql(
    session: Session, run: Run, target: Target, after: int, state: RowState
) -> Digest:
    number = literal(run.id, BigInteger)
    session.execute(rows_postgresql(target, number, after=after, state=state))
    hashed = func.hashtextextended(RunRow.key + literal(":") + RunRow.version, 0)
    count, total = session.execute(
        select(func.count(), func.coalesce(func.sum(cast(hashed, Numeric)), 0)).where(
            RunRow.run_id == run.id, RunRow.position > after
        )
    ).one()
    return Digest(int(count), str(total))


def rows_postgresql(
    target: Target,
    number: ColumnElement[int],
    *,
    after: int = 0,
    state: RowState = RowState.WAITING,
) -> Insert:
    """The statement that writes down the rows of a run, by its number."""
    keys, label = target.keys, target.label
    named: Any = literal("", Text)
    if state and label is not None:
        named = func.left(func.coalesce(cast(label, Text), ""), LABEL_LENGTH)
    rows = target.only(
        [
            number,
            func.row_number().over(order_by=list(keys)) + literal(after, BigInteger),
            key_text_postgresql(keys),
            version_postgresql(target.table),
            literal(str(state), Text),
            literal(WORDS.get(state, ""), Text),
            named,
        ]
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
