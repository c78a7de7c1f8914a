"""A run that is walked elsewhere, followed to its end; here, where nobody else is."""

import sys
import threading
from contextlib import suppress

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from backoffice.admin.pages.runs import share_of, share_words
from backoffice.bulk.batches import is_walked
from backoffice.bulk.models import Run
from backoffice.cli.progress import ProgressBar
from backoffice.jobs.attendance import Attendance, attendance
from backoffice.jobs.walking import Interrupted
from backoffice.jobs.worker import Worker

EVERY = 0.5
WATCH = "`manage.py runs` shows how far it is, and so does /admin/runs/{}."


class WentAway(Exception):
    """Whoever watched has gone; the text says what becomes of the run."""


def follow(
    sessions: sessionmaker[Session],
    worker: Worker,
    number: int,
    *,
    is_quiet: bool = False,
) -> Run:
    """Show how far a run is until it ends or rests; the run as it stands then.

    Where no worker is there, `worker` walks it in this process.

    Raises:
        WentAway: it was interrupted; the run goes on without the command.
    """
    helper: threading.Thread | None = None
    pause = threading.Event()
    try:
        with ProgressBar(sys.stderr) as bar:
            while True:
                try:
                    run, workers = _look(sessions, number)
                except OperationalError:
                    # So do the workers: the run goes on when it answers again.
                    bar.draw(0, "The database does not answer; waiting.", step="lost")
                    pause.wait(EVERY)
                    continue
                if not is_walked(run):
                    return run
                if not is_quiet:
                    bar.draw(share_of(run) / 100, _words(run), step=str(run.state))
                if not workers.is_there and helper is None:
                    helper = _help(worker, number)
                pause.wait(EVERY)
    except KeyboardInterrupt:
        raise WentAway(_farewell(number, worker, helper)) from None
    finally:
        if helper is not None:
            worker.stopped.set()
            helper.join()


def _look(sessions: sessionmaker[Session], number: int) -> tuple[Run, Attendance]:
    with sessions() as session:
        return session.get_one(Run, number), attendance(session)


def _words(run: Run) -> str:
    return run.reason or share_words(run)


def _help(worker: Worker, number: int) -> threading.Thread:
    """Walk the run beside whoever shows how far it is."""

    def walk() -> None:
        # What went wrong stands on the run, and in the log.
        with suppress(Exception, Interrupted):
            worker.walk(number)

    helper = threading.Thread(target=walk, name="backoffice walk", daemon=True)
    helper.start()
    return helper


def _farewell(number: int, worker: Worker, helper: threading.Thread | None) -> str:
    if helper is None:
        return f"It goes on without this command. {WATCH.format(number)}"
    worker.stopped.set()
    helper.join()
    return (
        "No worker is there to go on with it; `manage.py runworker` and the server "
        f"(`manage.py runserver`) do. {WATCH.format(number)}"
    )
