"""Debian's PostgreSQL 15, where it is installed, with whatever settings."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url

PROGRAMS = Path("/usr/lib/postgresql/15/bin")


@contextmanager
def debian_server(**settings: str) -> Iterator[tuple[URL, int]]:
    """The superuser's URL of a server that runs meanwhile, and its process."""
    if not PROGRAMS.is_dir():
        pytest.skip("needs Debian's PostgreSQL programs")
    root = Path(tempfile.mkdtemp(prefix="debian"))
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
    options = [f"--{name}={value}" for name, value in settings.items()]
    process = subprocess.Popen(
        [*run, PROGRAMS / "postgres", "-D", data, "-k", root, "-h", "", "-F", *options],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = make_url(f"postgresql+psycopg://postgres@/postgres?host={root}")
    engine = create_engine(url)
    while process.poll() is None:
        with suppress(Exception), engine.connect():
            break
    engine.dispose()
    assert process.poll() is None, "The server did not start."
    try:
        yield url, process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        shutil.rmtree(root, ignore_errors=True)
