"""Do the long work that waits, beside the server, until it is stopped.

One worker stands inside `runserver` anyway; more of them, on any machine, each take
another run. With --once everything that waits is done, then the command ends.
"""

import signal
from typing import Annotated

import typer

from backoffice.admin.words import plural
from backoffice.cli.project import opened
from backoffice.jobs.worker import Worker
from backoffice.web.app import create_app

GROUP = "Serve"


def run(
    context: typer.Context,
    *,
    once: Annotated[
        bool, typer.Option("--once", help="End when nothing waits any more.")
    ] = False,
) -> None:
    """Work until nothing waits, or until Ctrl-C."""
    with opened(context) as backoffice:
        # The views know what their actions do.
        site = create_app(backoffice).state.site
        worker = Worker(backoffice.exports, site.worker.resolve, is_alone=False)
        if once:
            print(f"Did {plural(worker.run_all(), 'batch', 'batches')}.")
            return
        signal.signal(signal.SIGTERM, lambda *_: worker.stop(0))
        print(f"Worker {worker.name} waits for work (Ctrl-C stops it)", flush=True)
        try:
            worker.run()
        except KeyboardInterrupt:
            worker.stop(0)
