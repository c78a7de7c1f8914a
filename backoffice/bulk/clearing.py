"""What of selections and runs is deleted, and when: what nobody needs any more.

A selection goes when it has expired. Of a run that ended some days ago those rows go
that only served walking it: a run of a million has a million. What was changed stands
in the audit, which is what an undo reads; rows that were not changed stay with their
reasons for as long as the run does.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, sessionmaker

from backoffice.bulk.models import Run, RunRow, Selection
from backoffice.bulk.states import RowState
from backoffice.database.session import Place, begin_writing, unit_of_work

PLACE = Place("runs", "clear")
# So many rows go in one transaction: nobody waits long for a run's own row.
AT_ONCE = 10_000


def clear(
    sessions: sessionmaker[Session],
    *,
    keep_days: int,
    is_stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Delete what has expired; of how many runs the rows went."""
    now = datetime.now(UTC)
    with unit_of_work(sessions, actor=None, place=PLACE) as session:
        session.execute(delete(Selection).where(Selection.expires_at < now))
    with unit_of_work(sessions, actor=None, place=PLACE) as session:
        due = session.scalars(
            select(Run.id)
            .where(
                Run.cleared_at.is_(None),
                Run.finished_at < now - timedelta(days=keep_days),
            )
            .order_by(Run.finished_at, Run.id)
            .limit(1_000)
        ).all()
    cleared = 0
    for number in due:
        if not _clear_run(sessions, number, is_stopped):
            break
        cleared += 1
    return cleared


def _clear_run(
    sessions: sessionmaker[Session], number: int, is_stopped: Callable[[], bool]
) -> bool:
    """Delete the rows of one run, some at a time; False where it had to stop."""
    start = 0
    while not is_stopped():
        with unit_of_work(sessions, actor=None, place=PLACE) as session:
            begin_writing(session)
            # Whoever tries its locked rows again holds it, and it has not ended then.
            run = session.get(Run, number, with_for_update={"skip_locked": True})
            if run is None or run.finished_at is None:
                return True
            last = session.scalar(
                select(func.max(RunRow.position)).where(RunRow.run_id == number)
            )
            if last is None or start >= last:
                run.cleared_at = datetime.now(UTC)
                return True
            session.execute(
                delete(RunRow)
                .where(
                    RunRow.run_id == number,
                    RunRow.position > start,
                    RunRow.position <= start + AT_ONCE,
                    RunRow.state == RowState.WAITING,
                )
                .execution_options(synchronize_session=False)
            )
            start += AT_ONCE
    return False
