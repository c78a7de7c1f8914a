"""How output looks: columns that line up, colour only where it is wanted and seen."""

import json
import os
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, TextIO

# How a command of this project is typed: `manage.py`, or `backoffice` elsewhere.
program: ContextVar[str] = ContextVar("program", default="manage.py")


def typed(command: str) -> str:
    """How one of our commands is typed here, as in: ./manage.py migrate."""
    name = program.get()
    return f"./{name} {command}" if name.endswith(".py") else f"{name} {command}"


BOLD, RED, GREEN, YELLOW, DIM = "1", "31", "32", "33", "2"


def styled(text: str, code: str, stream: TextIO | None = None) -> str:
    """The text in a colour, or as it is: NO_COLOR, a pipe and a dumb terminal."""
    stream = stream or sys.stdout
    wants_colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    if wants_colour and stream.isatty():
        return f"\033[{code}m{text}\033[0m"
    return text


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Rows whose columns stand below each other."""
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())


def print_json(value: Any) -> None:
    """The value for machines."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def tell(line: str) -> None:
    """Say something beside the result, at once and into a pipe as well."""
    print(line, file=sys.stderr, flush=True)
