"""What is queued, and how: Procrastinate's jobs, in the database that is worked on.

A run that is to be walked is one job, queued in the transaction that makes the run, so
that neither can be without the other. By the clock come two chores: taking up what a
dead worker has left, and deleting what nobody needs any more.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from procrastinate import App, JobContext, RetryDecision
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Job
from procrastinate.psycopg_connector import PsycopgConnector
from procrastinate.retry import BaseRetryStrategy
from procrastinate.sync_psycopg_connector import SyncPsycopgConnector
from procrastinate.worker import Worker
from sqlalchemy import text
from sqlalchemy.orm import Session

from backoffice.errors import DatabaseUnavailable
from backoffice.jobs.upkeep_postgresql import forget_old_jobs, take_up
from backoffice.jobs.walking import Interrupted

RUNS, CHORES = "backoffice-runs", "backoffice-chores"
WALK, TAKE_UP, CLEAN = "backoffice.walk", "backoffice.take_up", "backoffice.clean"

# A worker says every few seconds that it lives. Who was not heard of for so long is
# dead; with the time between two looks its run goes on within three quarters of a
# minute.
BEAT, DEAD_AFTER = 5.0, 25.0
# The last field of six is the seconds.
EVERY_LOOK, EVERY_CLEANING = "* * * * * */15", "17 * * * *"
# Who queues a run tells the workers; a job that was given back is found by looking.
LOOK_SECONDS = 5.0
KEEP_FAILED_HOURS = 7 * 24

OPTIONS: dict[str, Any] = {
    "concurrency": 1,
    "delete_jobs": "successful",
    "fetch_job_polling_interval": LOOK_SECONDS,
    "update_heartbeat_interval": BEAT,
    "stalled_worker_timeout": DEAD_AFTER,
    # A run looks for itself whether it has to stop, and gives itself back.
    "shutdown_graceful_timeout": 0,
    "install_signal_handlers": False,
}

Walk = Callable[[int, Callable[[], bool]], object]

# What queues has no connection of its own: each job goes through a session's.
_QUEUEING = App(connector=SyncPsycopgConnector())


def lock_of(number: int) -> str:
    """What of all jobs of a run at most one holds, while it waits and while it runs."""
    return f"backoffice run {number}"


def queue_run(session: Session, number: int) -> bool:
    """Queue a run in the session's own transaction; False where it is queued already.

    Raises:
        DatabaseUnavailable: the queue does not take it; nothing is to be committed.
    """
    lock = lock_of(number)
    try:
        # What is there already is refused by a unique index, which ends a savepoint.
        with session.begin_nested():
            driver = session.connection().connection.driver_connection
            _QUEUEING.configure_task(
                WALK, queue=RUNS, lock=lock, queueing_lock=lock, connection=driver
            ).defer(run_id=number)
    except AlreadyEnqueued:
        return False
    except ConnectorException as error:
        raise DatabaseUnavailable(
            "The run could not be queued, so nothing was changed. "
            "Is the database migrated (`manage.py migrate`)?"
        ) from error
    return True


_WAITING = text(
    "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE queue_name = :queue"
    " AND status = 'todo' AND lock IS DISTINCT FROM :own"
    " AND (scheduled_at IS NULL OR scheduled_at <= now()))"
)


def give_way(session: Session, number: int) -> bool:
    """Queue a run that is at work behind the others, if any waits; whether one does."""
    own = {"queue": RUNS, "own": lock_of(number)}
    if not session.scalar(_WAITING, own):
        return False
    queue_run(session, number)
    return True


async def queue_lost(app: App) -> None:
    """Queue the runs that no job leads to, and those whose worker is dead."""
    for number in await take_up(app, (RUNS, CHORES), DEAD_AFTER):
        lock = lock_of(number)
        job = app.configure_task(WALK, queue=RUNS, lock=lock, queueing_lock=lock)
        with suppress(AlreadyEnqueued):
            await job.defer_async(run_id=number)


class _GoesBack(BaseRetryStrategy):
    """A run that was interrupted goes back to the queue; what failed stays."""

    def get_retry_decision(
        self, *, exception: BaseException, job: Job
    ) -> RetryDecision | None:
        del job
        if isinstance(exception, Interrupted):
            return RetryDecision(retry_in={"seconds": exception.seconds})
        return None


def make_app(
    connector: PsycopgConnector,
    walk: Walk,
    clean: Callable[[], object],
    *,
    has_chores: bool = True,
) -> App:
    """The tasks of a worker: `walk` is called with a run's id, and what says stop."""
    app = App(connector=connector)

    @app.task(name=WALK, queue=RUNS, retry=_GoesBack(), pass_context=True)
    def walk_run(context: JobContext, *, run_id: int) -> None:
        walk(run_id, context.should_abort)

    if not has_chores:
        return app

    @app.periodic(cron=EVERY_LOOK)
    @app.task(name=TAKE_UP, queue=CHORES, queueing_lock=TAKE_UP)
    async def take_up_runs(timestamp: int) -> None:
        del timestamp
        await queue_lost(app)

    @app.periodic(cron=EVERY_CLEANING)
    @app.task(name=CLEAN, queue=CHORES, queueing_lock=CLEAN, lock=CLEAN)
    async def clean_up(timestamp: int) -> None:
        del timestamp
        await asyncio.to_thread(clean)
        await forget_old_jobs(app, (RUNS, CHORES), KEEP_FAILED_HOURS)

    return app


def make_workers(app: App, name: str) -> list[Any]:
    """Procrastinate's workers of one worker of ours: of runs one at a time, and chores.

    Two, so that a long run keeps nobody from looking after the others.
    """
    runs = Worker(app, name=name, queues=[RUNS], **OPTIONS)
    chores = Worker(app, name=name, queues=[CHORES], listen_notify=False, **OPTIONS)
    return [runs, chores]


async def work_off(app: App, name: str) -> None:
    """Walk what is queued now, and end."""
    await Worker(app, name=name, queues=[RUNS], wait=False, **OPTIONS).run()  # type: ignore[no-untyped-call]
