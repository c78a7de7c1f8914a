"""What can be asked of a run, and what becomes of it?"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from backoffice.bulk.models import Run, RunRow
from backoffice.bulk.states import RowState, RunState

# What may turn out otherwise the next time; a row that somebody has changed is not
# what was shown, and stays.
WORTH_RETRYING = (RowState.LOCKED, RowState.REFUSED)
CUT_SHORT = (RunState.CANCELLED, RunState.FAILED)


def can_go_on(run: Run) -> bool:
    """Whether a run rests or ended before its last row, and knows what is left."""
    if run.state == RunState.PAUSED:
        return True
    return run.state in CUT_SHORT and run.cleared_at is None


def worth_retrying(session: Session, run: Run) -> int:
    """How many rows a run that has met all of its rows could try once more."""
    if run.state != RunState.DONE or not run.left + run.refused:
        return 0
    return sum(_counts(session, run, RunRow.state.in_(WORTH_RETRYING)).values())


def wish(session: Session, run: Run, asked: str) -> bool:
    """Ask a run to pause, to go on, to stop, or to try once more what was not changed.

    Whether there is something to do for a worker again: then it is to be queued. What
    cannot be asked of it as it stands changes nothing.
    """
    if asked == "retry" and run.state == RunState.DONE:
        return bool(retry(session, run, RunRow.state.in_(WORTH_RETRYING)))
    if asked == "resume" and can_go_on(run):
        run.state, run.wish, run.reason = RunState.WAITING, "", ""
        run.finished_at = None
        return True
    if run.finished_at is not None:
        return False
    if asked == "cancel" and run.state == RunState.PAUSED:
        run.state, run.wish, run.reason = RunState.CANCELLED, "", ""
        run.finished_at = datetime.now(UTC)
    elif asked in {"pause", "cancel"} and run.state != RunState.PAUSED:
        run.wish = asked
    return False


def retry(session: Session, run: Run, *conditions: Any) -> int:
    """Let a run meet such rows once more, behind all others; how many there are."""
    counts = _counts(session, run, *conditions)
    found = sum(counts.values())
    if not found:
        return 0
    last = session.scalar(
        select(func.max(RunRow.position)).where(RunRow.run_id == run.id)
    )
    behind = max(last or 0, run.met)
    place = func.row_number().over(order_by=RunRow.position)
    rows = (
        select(RunRow.position, place.label("place"))
        .where(RunRow.run_id == run.id, *conditions)
        .subquery()
    )
    session.execute(
        update(RunRow)
        .where(
            RunRow.run_id == run.id,
            RunRow.position == rows.c.position,
            # Known twice: before they are analyzed, all rows of the run would be
            # looked at for each of these.
            RunRow.state != "",
            *conditions,
        )
        .values(position=behind + rows.c.place, state=RowState.WAITING, reason="")
        .execution_options(synchronize_session=False)
    )
    refused = counts.get(RowState.REFUSED, 0)
    run.refused -= refused
    run.left -= found - refused
    run.state, run.finished_at, run.cleared_at = RunState.WAITING, None, None
    return found


def _counts(session: Session, run: Run, *conditions: Any) -> dict[str, int]:
    """How many such rows of a run there are, by their state."""
    statement = (
        select(RunRow.state, func.count())
        .where(RunRow.run_id == run.id, RunRow.state != "", *conditions)
        .group_by(RunRow.state)
    )
    return dict(session.execute(statement).all())
