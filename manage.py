#!/usr/bin/env python3
"""Run a command of this project, in its own virtual environment."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Change to `.venv` where we are not in it yet, and run the command."""
    environment = ROOT / ".venv"
    python = environment / "bin" / "python"
    if Path(sys.prefix).resolve() != environment.resolve() and python.exists():
        # Of a path with links the virtual environment would not know itself.
        os.execv(python, [str(python), str(ROOT / "manage.py"), *sys.argv[1:]])
    if sys.version_info < (3, 11):  # noqa: UP036 - an older Python does get here
        sys.exit(
            f"Python {sys.version_info[0]}.{sys.version_info[1]} is too old; "
            "Backoffice needs 3.11 or newer."
        )
    try:
        from backoffice.cli.main import run_command_line
    except ModuleNotFoundError as error:
        sys.exit(
            f"The package {error.name} is not installed here; `make install` in "
            f"{ROOT} makes .venv with all of them."
        )
    sys.exit(run_command_line(sys.argv[1:], ROOT, "manage.py"))


if __name__ == "__main__":
    main()
