"""Run the project's tests: pytest, with whatever arguments pytest takes."""

import subprocess
import sys

import typer

from backoffice.cli.project import root_of
from backoffice.errors import EnvironmentProblem

GROUP = "Develop"
CONTEXT = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}


def run(context: typer.Context) -> None:
    """Start pytest in the project's directory; its return code is ours."""
    import importlib.util

    if importlib.util.find_spec("pytest") is None:
        raise EnvironmentProblem("pytest is not installed; `make install` installs it.")
    # A process of its own: nothing that we have imported is in the tests' way.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *context.args],
        cwd=root_of(context),
        check=False,
    )
    raise typer.Exit(done.returncode)
