"""The project that a command works on: opened, and said who works.

Nothing of it is imported before it is opened: a command's --help needs none of it.
"""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backoffice.bootstrap import Backoffice
    from backoffice.database.session import Actor


def root_of(context: typer.Context) -> Path:
    """The project's directory."""
    root: Path = context.obj
    return root


def name_of(context: typer.Context) -> str:
    """The command as it was typed."""
    return context.info_name or ""


@contextmanager
def opened(context: typer.Context, *, kind: str = "command") -> "Iterator[Backoffice]":
    """The project with its database, whose statements may take as long as commands'.

    An empty `kind` is a command that only watches over other processes.
    """
    from backoffice.bootstrap import open_backoffice
    from backoffice.database.session import Place, Work, working
    from backoffice.settings import load_settings

    root = root_of(context)
    settings = load_settings(root)
    place = Place("command", name_of(context).rpartition(" ")[2])
    with (
        working(Work(place, operator())),
        open_backoffice(
            root,
            application_name=f"backoffice {name_of(context).rpartition(' ')[2]}",
            statement_timeout=settings.database.command_timeout,
            kind=kind,
        ) as backoffice,
    ):
        yield backoffice


@contextmanager
def transaction(
    context: typer.Context, backoffice: "Backoffice"
) -> "Iterator[Session]":
    """One transaction of this command, in the operator's name."""
    from backoffice.database.session import Place, unit_of_work

    place = Place(view="command", action=name_of(context).rpartition(" ")[2])
    with unit_of_work(backoffice.sessions, actor=operator(), place=place) as session:
        yield session


def operator() -> "Actor":
    """Whoever types: the audit names the system's user."""
    from backoffice.database.session import Actor

    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "somebody"
    return Actor(id=None, label=f"{user} at the command line")
