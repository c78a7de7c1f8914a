"""A PostgreSQL that can be frozen: it takes connections and answers nothing."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
Send = Callable[[int], None]


@contextmanager
def freezing_server() -> Iterator[tuple[URL, Send]]:
    """The superuser's URL, and a function that signals all of the server."""
    if not PROGRAMS.is_dir():
        pytest.skip("needs Debian's PostgreSQL programs")
    root = Path(tempfile.mkdtemp(prefix="frozen"))
    run: list[str] = []
    if not os.geteuid():
        shutil.chown(root, "nobody")
        run = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    data = root / "data"
    subprocess.run(
        [*run, PROGRAMS / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N"],
        check=True,
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    process = subprocess.Popen(
        [*run, PROGRAMS / "postgres", "-D", data, "-k", root, "-h", "", "-F"],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = make_url(f"postgresql+psycopg://postgres@/postgres?host={root}")

    def send(number: int) -> None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        for pid in [process.pid, *map(int, children.split())]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    engine = create_engine(url)
    while True:
        with suppress(Exception), engine.connect():
            break
    engine.dispose()
    try:
        yield url, send
    finally:
        send(signal.SIGCONT)
        process.send_signal(signal.SIGINT)
        process.wait()
        shutil.rmtree(root, ignore_errors=True)
