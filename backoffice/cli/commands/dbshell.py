"""Open the database's own prompt: psql, or sqlite3.

What stands after `--` is handed on: `dbshell -- -c 'SELECT 1'`.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from backoffice.cli.project import opened
from backoffice.errors import EnvironmentProblem

if TYPE_CHECKING:
    from sqlalchemy import URL

GROUP = "Database"
CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}


def run(context: typer.Context) -> None:
    """Start the client; its return code is ours."""
    with opened(context) as backoffice:
        url = backoffice.engine.url
        if url.get_backend_name() == "postgresql":
            command, extra = _psql(url)
        else:
            command, extra = _sqlite(url)
        # The embedded server runs while the client does: it is not replaced by it.
        with _ctrl_c_is_the_clients():
            done = subprocess.run(
                [*command, *context.args],
                env=os.environ | extra,
                check=False,
            )
    raise typer.Exit(done.returncode)


def _psql(url: "URL") -> tuple[list[str], dict[str, str]]:
    from backoffice.database.embedded_place import wheel_programs

    program = shutil.which("psql") or str(wheel_programs(18) / "psql")
    named = {
        "PGHOST": url.host or str(url.query.get("host", "")),
        "PGPORT": str(url.port or url.query.get("port", "")),
        "PGUSER": url.username or "",
        # By the environment: others can read the arguments of a process.
        "PGPASSWORD": url.password or "",
        "PGDATABASE": url.database or "",
        "PGSSLMODE": str(url.query.get("sslmode", "")),
        "PGAPPNAME": "backoffice dbshell",
    }
    return [program], {key: value for key, value in named.items() if value}


def _sqlite(url: "URL") -> tuple[list[str], dict[str, str]]:
    program = shutil.which("sqlite3")
    if program is None:
        raise EnvironmentProblem(
            "The program sqlite3 is not installed; `apt install sqlite3` installs it."
        )
    return [program, str(Path(url.database or ":memory:"))], {}


@contextmanager
def _ctrl_c_is_the_clients() -> Iterator[None]:
    # Not ignored: that the client would inherit.
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
