"""`run` and `runserver`, as processes that answer requests and are stopped."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import URL

import backoffice
from tests.cli.conftest import Manage, write_project

SOURCE = Path(backoffice.__file__).parent.parent
RUN = (
    "import sys; sys.path.insert(0, sys.argv.pop(1));"
    "from pathlib import Path; from backoffice.cli.main import run_command_line;"
    "sys.exit(run_command_line(sys.argv[1:], Path.cwd(), 'manage.py'))"
)


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


WRONG_VIEW = """
from backoffice.admin.model_view import ModelView
from tiny_models import Thing

class ThingAdmin(ModelView, model=Thing):
    form_readonly_columns = ["nmae"]

views = [ThingAdmin]
"""


@contextmanager
def serving(
    root: Path, port: int, *arguments: str, url: str = ""
) -> Iterator[subprocess.Popen[str]]:
    """A server process; killed if it does not end by itself."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("BACKOFFICE_")
    }
    environment["BACKOFFICE_WEB__PORT"] = str(port)
    if url:
        environment["BACKOFFICE_DATABASE__URL"] = url
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(SOURCE), *arguments],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said_until(process: subprocess.Popen[str], end: str) -> str:
    """What the process says up to a line that holds `end`, or its own end."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if end in line:
            break
    return said


def answer(port: int, path: str, process: subprocess.Popen[str]) -> int:
    """The status of a page, asked for until the server takes connections."""
    nothing = threading.Event()
    while process.poll() is None:
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=60).status_code
        except httpx.TransportError:
            nothing.wait(0.1)
    return 0


def stopped(process: subprocess.Popen[str]) -> int:
    """The return code after Ctrl-C in the terminal."""
    os.killpg(process.pid, signal.SIGINT)
    return process.wait(timeout=60)


@pytest.fixture
def alone() -> Iterator[Path]:
    """A project without a database, where the embedded server's user may go."""
    top = Path(tempfile.mkdtemp(prefix="project-"))
    top.chmod(0o755)
    yield write_project(top)
    shutil.rmtree(top)


def test_run_does_all_it_takes(alone: Path, port: int) -> None:
    """One command: tables, rows, accounts and a site; Ctrl-C stops all of it."""
    with serving(alone, port, "run") as process:
        said = said_until(process, "Ctrl-C stops it")
        assert "Applied 0001_things" in said
        assert "Seeded 5 rows" in said
        assert re.search(r"admin@example\.org +(\w{4}-){3}\w{4} +admin", said)
        assert all(
            f"{role}@example.org" in said for role in ("ops", "editor", "viewer")
        )
        assert f"http://127.0.0.1:{port}/admin/" in said
        assert "Look at a thing." in said
        assert answer(port, "/readyz", process) == 200
        assert stopped(process) == 0
        assert process.stdout is not None
        assert "Traceback" not in process.stdout.read()

    assert not (alone / "var/postgres/postmaster.pid").exists()


def test_run_again_shows_no_password(alone: Path, port: int) -> None:
    """The second time nothing is made, and no password is shown."""
    for _ in range(2):
        with serving(alone, port, "run") as process:
            said = said_until(process, "Ctrl-C stops it")
            assert answer(port, "/livez", process) == 200
            assert stopped(process) == 0

    assert "Applied" not in said
    assert "Seeded" not in said
    assert not re.search(r"(\w{4}-){3}\w{4}", said)
    assert "changepassword" in said


def test_a_signal_that_the_shell_ignores_stops_it_as_well(
    alone: Path, port: int
) -> None:
    """Started by a script in the background, it still ends without a traceback."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with serving(alone, port, "run") as process:
            signal.signal(signal.SIGINT, before)
            said_until(process, "Ctrl-C stops it")
            assert answer(port, "/readyz", process) == 200
            assert stopped(process) == 0
            assert process.stdout is not None
            assert "Traceback" not in process.stdout.read()
    finally:
        signal.signal(signal.SIGINT, before)

    assert not (alone / "var/postgres/postmaster.pid").exists()


def test_run_leaves_a_database_of_ones_own_alone(manage: Manage) -> None:
    """With a database that is not ours nothing is done unasked; commands are named."""
    said = manage("run")

    assert said.code == 1
    assert "./manage.py migrate" in said.err
    assert "[ ] 0001_things" in manage("showmigrations").out


def test_a_host_that_is_none(manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another port would not help."""
    monkeypatch.setenv("BACKOFFICE_WEB__HOST", "no such host")

    said = manage("runserver")

    assert said.code == 1
    assert "web.host is 'no such host', which is no address" in said.err
    assert "port" not in said.err


def test_port_in_use(manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that is taken is one sentence with a way out."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        monkeypatch.setenv("BACKOFFICE_WEB__PORT", str(number))

        for command in ("run", "runserver"):
            said = manage(command)

            assert said.code == 1
            assert f"Port {number} of 127.0.0.1 cannot be used" in said.err
            assert f"BACKOFFICE_WEB__PORT={number + 1}" in said.err
            assert said.err.count("\n") == 1


def test_port_that_is_not_for_everybody(
    manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system keeps a port for root, one that is free for all is named."""
    start = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if os.geteuid() == 0 or not start.exists() or int(start.read_text()) <= 80:
        pytest.skip("every port is ours here")
    monkeypatch.setenv("BACKOFFICE_WEB__PORT", "80")

    said = manage("runserver")

    assert said.code == 1
    assert said.err == (
        "Error: Port 80 is not for every user of this machine; choose one above 1023, "
        "such as BACKOFFICE_WEB__PORT=8000.\n"
    )


@pytest.mark.parametrize("words", [["run"], ["runserver", "--processes", "2"]])
def test_a_wrong_view_is_told_before_any_address(
    migrated: Manage,
    root: Path,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
) -> None:
    """Nobody is sent to a site that does not start."""
    monkeypatch.setenv("BACKOFFICE_WEB__PORT", str(port))
    (root / "wrong_views.py").write_text(WRONG_VIEW)
    settings = (root / "settings.toml").read_text()
    (root / "settings.toml").write_text(settings.replace("tiny_admin", "wrong_views"))

    said = migrated(*words)

    assert said.code == 1
    assert said.out == ""
    assert said.err == (
        "Error: ThingAdmin.form_readonly_columns names 'nmae'; Thing has no such "
        "attribute. Is 'name' meant?\n"
    )


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="one process"),
        pytest.param(("--processes", "2"), id="two processes"),
        pytest.param(("--reload",), id="reload"),
    ],
)
def test_runserver(
    migrated: Manage,
    root: Path,
    empty_database: URL,
    port: int,
    options: tuple[str, ...],
) -> None:
    """The site answers, and Ctrl-C ends it without an error."""
    url = empty_database.render_as_string(hide_password=False)
    with serving(root, port, "runserver", *options, url=url) as process:
        assert answer(port, "/readyz", process) == 200
        assert stopped(process) == 0


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_mistake_in_a_view_ends_the_server_in_a_sentence(
    migrated: Manage, root: Path, empty_database: URL, port: int, processes: str
) -> None:
    """Once, however many processes there should be: none of them is started."""
    (root / "tiny_admin.py").write_text("views = [Nobody]")
    url = empty_database.render_as_string(hide_password=False)
    options = ("--processes", processes)
    with serving(root, port, "runserver", *options, url=url) as process:
        said = said_until(process, "never said")
        assert process.wait(timeout=60) == 1

    sentence = "Error: tiny_admin.py, line 1: NameError: name 'Nobody' is not defined."
    assert said.startswith(sentence)
    assert said.count(sentence) == 1
    assert "Traceback" not in said


def test_a_process_that_cannot_start_any_more_ends_the_server(
    migrated: Manage, root: Path, empty_database: URL, port: int
) -> None:
    """It takes the place of one that died, and says why it cannot; once, and rc 1."""
    url = empty_database.render_as_string(hide_password=False)
    with serving(root, port, "runserver", "--processes", "2", url=url) as process:
        assert answer(port, "/livez", process) == 200
        (root / "tiny_admin.py").write_text("views = [Nobody]")
        workers = [
            one
            for one in psutil.Process(process.pid).children()
            if "--multiprocessing-fork" in one.cmdline()
        ]
        assert len(workers) == 2
        workers[0].kill()
        said = said_until(process, "never said")
        assert process.wait(timeout=60) == 1

    assert "NameError: name 'Nobody' is not defined." in said
    assert "A server process could not start, as it says above" in said
    assert "Traceback" not in said
    assert psutil.wait_procs(workers, timeout=60)[1] == []


def test_reload_serves_the_change(
    migrated: Manage, root: Path, empty_database: URL, port: int
) -> None:
    """A changed file starts the server anew; a mistake in it does not end it."""
    url = empty_database.render_as_string(hide_password=False)
    nothing = threading.Event()
    with serving(root, port, "runserver", "--reload", url=url) as process:
        assert answer(port, "/livez", process) == 200
        assert process.stdout is not None
        file = root / "tiny_admin.py"
        file.write_text("this is no Python")
        os.utime(file, (2e9, 2e9))
        assert "Traceback" not in said_until(process, "SyntaxError")
        assert process.poll() is None

        file.write_text("views = []  # mended")
        os.utime(file, (2.1e9, 2.1e9))
        while answer(port, "/livez", process) != 200:
            nothing.wait(0.1)
        assert stopped(process) == 0


def test_runserver_warns_of_migrations(
    manage: Manage, root: Path, empty_database: URL, port: int
) -> None:
    """Tables that are behind are said before the site serves."""
    url = empty_database.render_as_string(hide_password=False)
    with serving(root, port, "runserver", url=url) as process:
        said = said_until(process, "Ctrl-C")
        assert "`./manage.py migrate` applies them" in said
        # Stopped while it still starts, it says so in the shell's own way.
        assert stopped(process) in (0, 1, 130)


def test_terminated_server_leaves_nothing(alone: Path, port: int) -> None:
    """SIGTERM, as a container sends it, stops the database, too."""
    with serving(alone, port, "run") as process:
        said_until(process, "Ctrl-C stops it")
        assert answer(port, "/livez", process) == 200
        process.terminate()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM

    assert not (alone / "var/postgres/postmaster.pid").exists()
