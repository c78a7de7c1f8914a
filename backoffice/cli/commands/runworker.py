"""Do the long work that waits, beside the server, until it is stopped.

One worker stands inside `runserver` anyway; more of them, on any machine, each take
another run. With --once everything that waits is done, then the command ends.
"""

import signal
import sys
import threading
from typing import Annotated

import typer

from backoffice.cli.project import opened
from backoffice.cli.terminal import YELLOW, styled

GROUP = "Serve"


def run(
    context: typer.Context,
    *,
    once: Annotated[
        bool, typer.Option("--once", help="End when nothing waits any more.")
    ] = False,
) -> None:
    """Work until nothing waits, or until Ctrl-C; the batch under way is finished."""
    from backoffice.admin.words import plural
    from backoffice.cli.site import worker_of
    from backoffice.database.migrations import pending

    with opened(context, kind="worker") as backoffice:
        due = pending(backoffice.engine, backoffice.project)
        if due:
            names = ", ".join(one.id for one in due)
            warning = f"Migrations are due ({names}); `manage.py migrate` applies them."
            print(styled(warning, YELLOW, sys.stderr), file=sys.stderr)
        worker = worker_of(backoffice)
        if once:
            print(f"Did {plural(worker.run_all(), 'batch', 'batches')}.")
            return
        told = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: told.set())
        worker.start()
        print(f"Worker {worker.name} waits for work (Ctrl-C stops it)", flush=True)
        try:
            told.wait()
        finally:
            worker.stop()
        print(f"Stopped; {plural(worker.batches, 'batch', 'batches')} done.")
