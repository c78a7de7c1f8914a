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

    root = root_of(context)
    if importlib.util.find_spec("pytest") is None:
        # The package does not bring it; what else a project has is its own affair.
        is_ours = (root / "Makefile").is_file()
        how = "make install" if is_ours else f"{sys.executable} -m pip install pytest"
        raise EnvironmentProblem(f"pytest is not installed; `{how}` installs it.")
    # A process of its own: nothing that we have imported is in the tests' way.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *context.args],
        cwd=root,
        check=False,
    )
    raise typer.Exit(done.returncode)
