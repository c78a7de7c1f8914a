"""How a command is found, run, and what is said when it fails.

Nothing but the command's own file is imported, so that help is there at once.
"""

import errno
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

from backoffice.cli import terminal
from backoffice.cli.catalogue import (
    Command,
    commands,
    find_command,
    similar_commands,
)
from backoffice.errors import BackofficeError, DatabaseUnavailable, ModuleProblem

USAGE = 2
FAILURE = 1
INTERRUPTED = 130

UNDEFINED_TABLE = "42P01"
UNDEFINED_COLUMN = "42703"
READ_ONLY = "25006"
NO_RIGHT = "42501"
# What libpq says of a word in the URL's query; it has no code of its own.
NO_SUCH_OPTION = "invalid connection option"


def main() -> NoReturn:
    """The entry of the console script `backoffice`: in the project around us."""
    sys.exit(run_command_line(sys.argv[1:], find_root(Path.cwd()), "backoffice"))


def find_root(start: Path) -> Path:
    """The nearest directory upward with a `settings.toml`, else where we are."""
    for directory in (start, *start.parents):
        if (directory / "settings.toml").is_file():
            return directory
    return start


def run_command_line(arguments: Sequence[str], root: Path, program: str) -> int:
    """Run a command in the project in `root`; 0 done, 1 failed, 2 not understood."""
    _end_cleanly_when_told()
    terminal.program.set(program)
    _have_somewhere_to_write()
    given, show_traceback = _without_common(arguments)
    try:
        code = _run(given, root, program)
        # What is still in the buffer may find the reader gone.
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if show_traceback:
            raise
        if _is_of_output(error):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        say_what_failed(error, root)
        return FAILURE
    return code


def say_what_failed(error: Exception, root: Path) -> None:
    """Say in a sentence what has failed; of a mistake in the program, all of it."""
    sentence = in_words(error, root)
    if sentence is None:
        traceback.print_exception(error)
        return
    print(f"Error: {sentence.strip()}", file=sys.stderr)
    if isinstance(error, ModuleProblem):
        print(error.frames, file=sys.stderr)


def _is_of_output(error: Exception) -> bool:
    """Whether it is what we print that cannot be written: a full disk behind `>`."""
    return (
        isinstance(error, OSError)
        and error.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT)
        and error.filename is None
    )


def in_words(error: Exception, root: Path | None = None) -> str | None:
    """What an operator is told; None for what can only be a mistake in the program."""
    if isinstance(error, DatabaseUnavailable) and isinstance(
        error.__cause__, Exception
    ):
        # Pages keep the reason to themselves; who types commands has to mend it.
        return _database_in_words(error.__cause__) or str(error)
    if isinstance(error, BackofficeError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").isidentifier():
        if root is not None and (root / "Makefile").is_file():
            return (
                f"The package {error.name} is not installed here; `make install` in "
                f"{root} makes .venv with all of them."
            )
        return f"The package {error.name} is not installed here."
    if isinstance(error, OSError) and _is_of_output(error):
        return f"What this prints cannot be written: {error.strerror}."
    return _database_in_words(error)


def _database_in_words(error: Exception) -> str | None:
    """What the database, or its driver by itself, has refused."""
    # Only where they are imported can they have raised anything.
    exceptions: Any = sys.modules.get("sqlalchemy.exc")
    driver: Any = sys.modules.get("psycopg")
    is_known = exceptions is not None and isinstance(error, exceptions.DBAPIError)
    is_bare = driver is not None and isinstance(error, driver.Error)
    if not (is_known or is_bare):
        return None
    cause: Any = getattr(error, "orig", None) if is_known else error
    said = str(cause).strip().partition("\n")[0]
    state = getattr(cause, "sqlstate", None) or ""
    if state in (UNDEFINED_TABLE, UNDEFINED_COLUMN) or "no such table" in said:
        do = terminal.typed("migrate")
        return f"The database lacks something: {said}. `{do}` makes it."
    if state == READ_ONLY or "readonly database" in said:
        return (
            "The database takes no changes: it is a replica, or an operator has made "
            "it read-only. Nothing was changed."
        )
    if state == NO_RIGHT:
        return f"The database's role may not do this: {said}."
    if NO_SUCH_OPTION in said and not state:
        return f"database.url ends in something that no connection takes: {said}."
    if type(cause).__name__ in ("OperationalError", "ConnectionTimeout") and not state:
        return f"No connection to the database: {said}"
    if is_known and isinstance(error, exceptions.OperationalError):
        return f"The database does not do it: {said}"
    return None


def print_help(program: str) -> None:
    """All commands in their groups, a line each."""
    found = commands()
    width = max((len(command.name) for command in found), default=0) + 2
    print(f"Usage: {program} COMMAND [OPTIONS]\n")
    group = ""
    for command in found:
        if command.group != group:
            print(f"{'' if not group else chr(10)}{command.group}")
            group = command.group
        print(f"  {command.name:<{width}}{command.summary}")
    print(
        f"\n`{program} COMMAND --help` says more about one. Everywhere: --traceback "
        "shows where an\nerror comes from, --no-color (or NO_COLOR) writes plain text."
    )


def _run(arguments: list[str], root: Path, program: str) -> int:
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    if not arguments or arguments[0] in ("--help", "-h"):
        print_help(program)
        return 0
    name, *rest = arguments
    if name in ("--version", "version"):
        print(f"backoffice {_version()}")
        return 0
    command = find_command(name)
    if command is None:
        return _say_unknown(name, program)
    return _invoke(command, rest, root, program)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("backoffice")
    except PackageNotFoundError:
        return "(not installed; run from its directory)"


def _say_unknown(name: str, program: str) -> int:
    meant = similar_commands(name)
    what = "option" if name.startswith("-") else "command"
    hint = f" Did you mean {' or '.join(meant)}?" if meant else ""
    print(f"Error: There is no {what} {name!r}.{hint}", file=sys.stderr)
    print(f"`{program} --help` lists all commands.", file=sys.stderr)
    return USAGE


def _invoke(command: Command, arguments: list[str], root: Path, program: str) -> int:
    import typer
    import typer.main

    module = importlib.import_module(command.module)
    app = typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    function = _function(module, root)
    app.command(
        command.name,
        help=module.__doc__,
        epilog=getattr(function, "epilog", None),
        context_settings={
            "help_option_names": ["-h", "--help"],
            **getattr(module, "CONTEXT", {}),
        },
    )(function)
    try:
        typer.main.get_command(app).main(
            args=arguments, prog_name=f"{program} {command.name}", obj=root
        )
    except SystemExit as ended:
        if _is_interrupted(ended):
            raise KeyboardInterrupt from ended
        return _code_of(ended)
    return 0


def _function(module: ModuleType, root: Path) -> Any:
    if hasattr(module, "make_run"):
        return module.make_run(root)
    return module.run


def _is_interrupted(ended: SystemExit) -> bool:
    """Whether Typer has made a silent end of somebody's Ctrl-C."""
    return isinstance(getattr(ended.__context__, "__cause__", None), KeyboardInterrupt)


def _code_of(ended: SystemExit) -> int:
    if ended.code is None or isinstance(ended.code, int):
        return ended.code or 0
    print(ended.code, file=sys.stderr)
    return FAILURE


def _without_common(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """The arguments without those that every command takes, wherever they stand."""
    given = list(arguments)
    end = given.index("--") if "--" in given else len(given)
    before, after = given[:end], given[end:]
    if "--no-color" in before:
        os.environ["NO_COLOR"] = "1"
    show_traceback = "--traceback" in before
    kept = [one for one in before if one not in ("--traceback", "--no-color")]
    return [*kept, *after], show_traceback


def _have_somewhere_to_write() -> None:
    """Started with its output closed, a command has no stream at all; it needs one."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115


def _end_cleanly_when_told() -> None:
    """SIGTERM and a closed terminal end a command as Ctrl-C does: with its cleaning."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        # What `nohup` ignores stays ignored.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, leave)
