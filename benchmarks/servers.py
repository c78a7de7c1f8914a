"""Who answers? One uvicorn process each: ours through manage.py, and the baseline's."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from benchmarks import stock
from benchmarks.client import Client

ROOT = Path(__file__).resolve().parent.parent
EMAIL, PASSWORD = "bench@example.org", "four wild geese fly"


@dataclass(frozen=True, slots=True)
class Server:
    """A server process, and a connection to it that may see everything."""

    name: str
    port: int
    pid: int
    client: Client

    def another_client(self) -> Client:
        """One more connection of the same person."""
        client = Client(self.port)
        client.cookies.update(self.client.cookies)
        return client


def our_environment(url: URL) -> dict[str, str]:
    """The settings under which manage.py works on a database of ours."""
    return {
        **os.environ,
        "BACKOFFICE_DATABASE__URL": url.render_as_string(hide_password=False),
        "BACKOFFICE_WEB__SECRET_KEY": "measured, and served to nobody but this machine",
    }


def manage(url: URL, *words: str, given: str | None = None) -> None:
    """Run one of our commands on a database."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *words],
        env=our_environment(url),
        cwd=ROOT,
        input=given,
        text=True,
        check=False,
        capture_output=given is not None,
    )
    if done.returncode:
        raise RuntimeError(f"manage.py {words[0]} failed: {done.stderr or ''}")


@contextmanager
def ours(url: URL) -> Iterator[Server]:
    """Our site with a login session."""
    manage(
        url,
        "createsuperuser",
        *("--email", EMAIL, "--name", "Bench", "--password-stdin", "--if-missing"),
        given=PASSWORD + "\n",
    )
    port = free_port()
    command = [str(ROOT / "manage.py"), "runserver", "--port", str(port)]
    with running([sys.executable, *command], our_environment(url), port) as pid:
        client = Client(port)
        client.log_in("/admin/login", EMAIL, PASSWORD)
        yield Server("ours", port, pid, client)
        client.close()


@contextmanager
def theirs(url: URL) -> Iterator[Server]:
    """The baseline, which asks nobody who they are."""
    port = free_port()
    environment = {
        **os.environ,
        stock.URL: url.render_as_string(hide_password=False),
        "PYTHONPATH": str(ROOT),
    }
    command = [
        *(sys.executable, "-m", "uvicorn", f"{stock.__name__}:application"),
        *("--factory", "--port", str(port), "--log-level", "warning"),
        "--no-access-log",
    ]
    with running(command, environment, port) as pid:
        client = Client(port)
        yield Server("stock", port, pid, client)
        client.close()


@contextmanager
def running(
    command: list[str], environment: Mapping[str, str], port: int
) -> Iterator[int]:
    """A server process from when it listens until the block ends; its id."""
    process = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError(f"{' '.join(command)} ended by itself.")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
