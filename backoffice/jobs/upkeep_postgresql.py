"""What keeps long work going: jobs of dead workers, and runs that have lost theirs."""

from collections.abc import Sequence
from contextlib import suppress

from procrastinate import App
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status

# Runs with something to do, where no job leads to it: there is none, or it is marked
# as running while nobody was at the run for a minute. The lock on a run's row is held
# while a batch is done, so who holds it is at work, however long the batch takes.
_LOST = """
SELECT run.id AS run_id, job.id AS job_id
FROM backoffice_runs AS run
LEFT JOIN procrastinate_jobs AS job
  ON job.lock = 'backoffice run ' || run.id AND job.status IN ('todo', 'doing')
LEFT JOIN LATERAL (
  SELECT max(event.at) AS at FROM procrastinate_events AS event
  WHERE event.job_id = job.id AND event.type = 'started'
) AS started ON true
WHERE run.finished_at IS NULL AND run.state IN ('waiting', 'running')
  AND (job.id IS NULL OR job.status = 'doing'
    AND greatest(run.seen_at, started.at) < now() - make_interval(secs => %(seconds)s))
ORDER BY run.id
FOR UPDATE OF run SKIP LOCKED
"""
ABANDONED_AFTER = 60.0
# Who was at them is remembered: the run's page says when it was heard of last.
_REMEMBER = """
UPDATE backoffice_runs SET lost = lost || jsonb_build_array(jsonb_build_object(
  'worker', worker, 'seen_at', seen_at, 'at', now()))
WHERE id = ANY(%(runs)s) AND state = 'running' AND worker <> '' AND seen_at IS NOT NULL
"""


async def take_up(app: App, queues: Sequence[str], dead_after: float) -> list[int]:
    """Drop the jobs that nobody works on; the runs that have to be queued anew.

    `dead_after` are the seconds after which a worker that says nothing is dead.
    """
    manager = app.job_manager
    for queue in queues:
        for job in await manager.get_stalled_jobs(
            queue=queue, seconds_since_heartbeat=dead_after
        ):
            await _drop(app, job.id)
    await manager.prune_stalled_workers(dead_after)
    found = await app.connector.execute_query_all_async(_LOST, seconds=ABANDONED_AFTER)
    for row in found:
        await _drop(app, row["job_id"])
    runs = [int(row["run_id"]) for row in found]
    if runs:
        await app.connector.execute_query_async(_REMEMBER, runs=runs)
    return runs


async def _drop(app: App, number: int | None) -> None:
    """Delete a job; that somebody else has done so by now is as well."""
    if number is None:
        return
    with suppress(ConnectorException):
        await app.job_manager.finish_job_by_id_async(
            number, status=Status.ABORTED, delete_job=True
        )


async def forget_old_jobs(app: App, queues: Sequence[str], hours: int) -> None:
    """Delete jobs that failed so long ago; those that went well went at once."""
    for queue in queues:
        await app.job_manager.delete_old_jobs(
            nb_hours=hours,
            queue=queue,
            include_failed=True,
            include_cancelled=True,
            include_aborted=True,
        )
