"""What a command asks: only at a terminal, and never twice for what cannot be had."""

import getpass
import sys
from collections.abc import Callable

from backoffice.errors import BackofficeError, Refused

TRIES = 3
INPUT_LIMIT = 10_000


class NobodyToAsk(BackofficeError):
    """A question came up and no terminal is there; the text says which option helps."""


def is_terminal() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin is not None and sys.stdin.isatty()


def ask(question: str, option: str, problem: Callable[[str], str]) -> str:
    """A line that `problem` has nothing against; three tries, as for a password."""
    require_terminal(option)
    found = ""
    for _ in range(TRIES):
        if found:
            print(found, file=sys.stderr)
        print(f"{question}: ", end="", file=sys.stderr, flush=True)
        answer = _line().strip()
        found = problem(answer)
        if not found:
            return answer
    raise Refused(message=found)


def confirm(warning: str, *, word: str, yes: bool) -> None:
    """Go on only if the word is typed, or `--yes` was given.

    Raises:
        NobodyToAsk: there is no terminal.
        Refused: something else was typed.
    """
    if yes:
        return
    if not is_terminal():
        raise NobodyToAsk(f"{warning}\nNobody is there to be asked; --yes goes on.")
    print(warning, file=sys.stderr)
    print(f"Type {word} to go on: ", end="", file=sys.stderr, flush=True)
    if _line().strip() != word:
        raise Refused(message="Nothing was changed.")


def new_password(problems: Callable[[str], list[str]], option: str) -> str:
    """A password typed twice that `problems` has nothing against; three tries."""
    require_terminal(option)
    for _ in range(TRIES):
        password = getpass.getpass("Password: ")
        found = problems(password)
        if not found and getpass.getpass("Again: ") != password:
            found = ["The two are not the same."]
        if not found:
            return password
        print("\n".join(found), file=sys.stderr)
    raise Refused(message="No password was set.")


def piped_password() -> str:
    """The first line of the standard input, for `--password-stdin`."""
    if is_terminal():
        return getpass.getpass("Password: ")
    line = sys.stdin.readline(INPUT_LIMIT).rstrip("\r\n")
    if not line:
        raise Refused(message="--password-stdin: the standard input is empty.")
    return line


def require_terminal(option: str) -> None:
    """Raise where nobody can be asked, naming the option that answers."""
    if not is_terminal():
        raise NobodyToAsk(f"There is no terminal to ask at; use {option}.")


def _line() -> str:
    line = sys.stdin.readline()
    if not line:
        print(file=sys.stderr)
        raise Refused(message="Nothing was changed.")
    return line
