"""Is a worker there? What is to be said of runs that wait for one."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from backoffice.bulk.models import Run
from backoffice.bulk.states import RunState
from backoffice.jobs.queue_postgresql import DEAD_AFTER

UNATTENDED, INTERRUPTED, HELD = "waiting for a worker", "interrupted", "held back"
NOBODY = (
    "No worker is there. One stands inside the server (manage.py runserver); "
    "manage.py runworker starts another, on any machine."
)


@dataclass(frozen=True, slots=True)
class Attendance:
    """Whether workers are there, and when one was heard of last.

    Where they leave no word (SQLite, whose server process works itself) it is unknown.
    """

    is_known: bool = False
    is_there: bool = False
    seen_at: datetime | None = None

    @property
    def is_missing(self) -> bool:
        """Whether it is known that nobody is there."""
        return self.is_known and not self.is_there


def attendance(session: Session) -> Attendance:
    """Who is there now, by what the workers say of themselves every few seconds."""
    if session.get_bind().dialect.name != "postgresql":
        return Attendance()
    seen_at, is_there = session.execute(
        text(
            "SELECT max(last_heartbeat), "
            "max(last_heartbeat) > now() - make_interval(secs => :seconds) "
            "FROM procrastinate_workers"
        ),
        {"seconds": DEAD_AFTER},
    ).one()
    return Attendance(is_known=True, is_there=bool(is_there), seen_at=seen_at)


def standing(run: Run, found: Attendance) -> str:
    """The state of a run in a word or some, also where nobody works on it."""
    if run.finished_at is None and found.is_missing:
        if run.state == RunState.WAITING:
            return UNATTENDED
        if run.state == RunState.RUNNING and not is_worked_on(run):
            return INTERRUPTED
    if run.state == RunState.RUNNING and run.reason:
        return HELD
    return run.state


def is_worked_on(run: Run) -> bool:
    """Whether somebody was at it just now; a command may be, without any worker."""
    if run.seen_at is None:
        return False
    seen = run.seen_at if run.seen_at.tzinfo else run.seen_at.replace(tzinfo=UTC)
    return datetime.now(UTC) - seen < timedelta(seconds=DEAD_AFTER)
