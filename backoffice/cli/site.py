"""The site as a command needs it: built to be looked at, or built to be served."""

import atexit
import errno
import gc
import multiprocessing
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import ChangeReload, Multiprocess

from backoffice.bootstrap import (
    Backoffice,
    assemble,
    close,
    load_project,
    open_backoffice,
)
from backoffice.cli.main import say_what_failed
from backoffice.database.engine import database_url
from backoffice.errors import EnvironmentProblem
from backoffice.jobs.worker import Worker
from backoffice.settings import Settings, WebSettings, load_settings
from backoffice.web.app import create_app

# How the processes that uvicorn starts find the project.
ROOT_VARIABLE = "BACKOFFICE_ROOT"
PROCESSES_VARIABLE = "BACKOFFICE_WEB__PROCESSES"


@contextmanager
def application_without_database(root: Path) -> Iterator[Starlette]:
    """The application, complete and never asked for a page: no database is touched."""
    settings = load_settings(root)
    given = settings.database.url.get_secret_value() or "postgresql://"
    project = load_project(root, settings)
    backoffice = assemble(root, settings, database_url(given), project, "backoffice")
    try:
        yield create_app(backoffice)
    finally:
        close(backoffice)


def try_views(root: Path) -> None:
    """Build the site once and let it go: what is wrong with a view is told here.

    Raises:
        SettingsError: a view, or the module that it is in, cannot be used.
    """
    with application_without_database(root):
        pass


def worker_of(backoffice: Backoffice, *, is_alone: bool = False) -> Worker:
    """A worker for this process, not started; the views know what actions do."""
    worker: Worker = create_app(backoffice).state.site.worker
    worker.is_alone = is_alone
    return worker


def application() -> Starlette:
    """The application of one server process, for as long as the process lives."""
    root = Path(os.environ[ROOT_VARIABLE])
    try:
        return _application(root)
    except Exception as error:
        if multiprocessing.parent_process() is None:
            raise
        # A process of several, or one that is started anew: nobody else tells of it.
        say_what_failed(error, root)
        # The next one would fail as this one did; so uvicorn starts none.
        sys.exit(STARTUP_FAILURE)


def _application(root: Path) -> Starlette:
    opened = open_backoffice(root, application_name="backoffice web", kind="server")
    backoffice = opened.__enter__()
    # Closed while the modules that it takes are still there.
    atexit.register(opened.__exit__, None, None, None)
    app = create_app(backoffice)
    collect_less()
    return app


# Containers made before the collector looks: a page of 50 rows makes some thousands,
# nearly all of which end with the request by themselves. Python's own is 700, and a
# whole heap of modules and mappers was gone through in mid-page again and again.
COLLECT_AFTER = (20_000, 10, 20)


def collect_less() -> None:
    """Keep Python's collector from what stays, and from each page's short-lived rows.

    A tenth of the time of a list page: what is alive once the application is built is
    never garbage (https://docs.python.org/3/library/gc.html#gc.freeze).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def take_port(web: WebSettings) -> socket.socket:
    """The socket to serve on.

    Raises:
        EnvironmentProblem: the port is in use, or not ours to take.
    """
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    # Named as TCP: only then asyncio sends an answer's last piece without waiting for
    # word of the one before, which takes the other side 40 ms.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((web.host, web.port))
        found.listen(2048)
    except socket.gaierror as error:
        found.close()
        raise EnvironmentProblem(
            f"web.host is {web.host!r}, which is no address ({error.strerror}); "
            "127.0.0.1 is this machine, 0.0.0.0 all of its addresses."
        ) from error
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise EnvironmentProblem(
                f"web.host is {web.host!r}, which is no address of this machine; "
                "127.0.0.1 is, 0.0.0.0 are all of them."
            ) from error
        if error.errno == errno.EACCES:
            raise EnvironmentProblem(
                f"Port {web.port} is not for every user of this machine; choose one "
                "above 1023, such as BACKOFFICE_WEB__PORT=8000."
            ) from error
        other = web.port + 1 if web.port < 65535 else 8000  # noqa: PLR2004
        reason = error.strerror or error
        raise EnvironmentProblem(
            f"Port {web.port} of {web.host} cannot be used ({reason}). "
            "Stop what listens there, or choose another port with "
            f"BACKOFFICE_WEB__PORT={other}."
        ) from error
    found.set_inheritable(True)
    return found


def serve(
    root: Path, settings: Settings, listening: socket.socket, *, reload: bool = False
) -> None:
    """Serve until Ctrl-C or SIGTERM; requests that run are answered first."""
    os.environ[ROOT_VARIABLE] = str(root)
    # Processes that are started anew have to find the project's modules.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    # What was given on the command line holds in the processes, too: each of them says
    # how many of its kind there should be.
    os.environ[PROCESSES_VARIABLE] = str(1 if reload else settings.web.processes)
    config = uvicorn.Config(
        f"{__name__}:application",
        factory=True,
        workers=1 if reload else settings.web.processes,
        reload=reload,
        reload_dirs=_watched(root, settings) if reload else None,
        log_level="warning" if not reload else "info",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        # A worker starts PostgreSQL's clients and imports the project's models.
        timeout_worker_healthcheck=30,
    )
    server = uvicorn.Server(config)
    try:
        if reload:
            ChangeReload(config, target=server.run, sockets=[listening]).run()
        elif config.workers > 1:
            _serve_with_many(config, listening)
        else:
            server.run(sockets=[listening])
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)


def _serve_with_many(config: uvicorn.Config, sock: socket.socket) -> None:
    """Serve with several processes, each in the place of one that was lost.

    Raises:
        EnvironmentProblem: one of them could not start.
    """
    processes = Multiprocess(config, sockets=[sock])
    processes.run()
    if any(one.exitcode == STARTUP_FAILURE for one in processes.processes):
        raise EnvironmentProblem(
            "A server process could not start, as it says above, so the others were "
            "stopped, too. Put that right and serve again."
        )


def address_of(settings: Settings) -> str:
    """Where the site is to be opened in a browser."""
    web = settings.web
    if web.public_origin:
        return f"{web.public_origin.rstrip('/')}/admin/"
    everywhere = ("0.0.0.0", "::")  # noqa: S104 - they are compared, not listened on
    host = "127.0.0.1" if web.host in everywhere else web.host
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{web.port}/admin/"


def _watched(root: Path, settings: Settings) -> list[str]:
    """Directories whose Python files start the server anew."""
    import backoffice

    tops = {settings.app.models.partition(".")[0], settings.app.admin.partition(".")[0]}
    found = [root / top for top in sorted(tops) if (root / top).is_dir()]
    package = Path(backoffice.__file__).parent
    if package.is_relative_to(root) and ".venv" not in package.parts:
        found.append(package)
    return [str(path) for path in found or [root]]
