"""A Python prompt on the project: what it knows, and what becomes of what it writes."""

import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from sqlalchemy import Engine, event, func, select, text
from sqlalchemy.orm import Session, registry

from backoffice.audit.recorder import record_changes
from backoffice.bootstrap import Backoffice
from backoffice.cli.project import opened, operator
from backoffice.cli.prompts import is_terminal
from backoffice.database.base import Base
from backoffice.database.session import ACTOR, PLACE, Place
from backoffice.project_module import import_project_module


def interpret(context: typer.Context, code: str | None, *, is_sandbox: bool) -> None:
    """Run the code, or read it from whoever is there."""
    with (
        opened(context, kind="shell") as backoffice,
        _session(backoffice, is_sandbox=is_sandbox) as session,
    ):
        names = _names(backoffice, session)
        if code is not None:
            _execute(code, "-c", names)
        elif is_terminal():
            _interact(names, is_sandbox=is_sandbox)
        else:
            _execute(sys.stdin.read(), "<stdin>", names)


@contextmanager
def _session(backoffice: Backoffice, *, is_sandbox: bool) -> Iterator[Session]:
    """A session in the operator's name; in the sandbox its commits are savepoints."""
    info = {ACTOR: operator(), PLACE: Place(view="command", action="shell")}
    if not is_sandbox:
        with Session(backoffice.engine, info=info) as session:
            record_changes(session)
            yield session
        return
    with backoffice.engine.connect() as connection:
        outer = connection.begin()
        mode = "create_savepoint"
        with Session(connection, info=info, join_transaction_mode=mode) as session:  # type: ignore[arg-type]
            record_changes(session)
            _forbid_commits(backoffice.engine)
            yield session
        outer.rollback()


TAKEN_BACK = "In the sandbox only `session` writes, and is taken back."

# What a semicolon or a word means nothing in: texts, bodies of functions, comments.
_QUOTED = re.compile(r"'(?:[^']|'')*'|(\$\w*\$).*?\1|--[^\n]*|/\*.*?\*/", re.DOTALL)
_ENDS = re.compile(
    r"(?:^|;)\s*(?:commit|end|abort|rollback(?!\s+(?:work\s+|transaction\s+)?to\b)"
    r"|prepare\s+transaction)\b",
    re.IGNORECASE,
)


def _forbid_commits(engine: Engine) -> None:
    """What goes around the session cannot be taken back, so it cannot be written."""

    @event.listens_for(engine, "commit")
    def refuse(_connection: Any) -> None:
        raise RuntimeError(TAKEN_BACK)

    @event.listens_for(engine, "before_cursor_execute")
    def look(connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        driver = connection.connection.driver_connection
        is_autocommit = getattr(driver, "autocommit", False) is True
        if is_autocommit or _ENDS.search(_QUOTED.sub(" ", statement)):
            raise RuntimeError(TAKEN_BACK)


def _names(backoffice: Backoffice, session: Session) -> dict[str, Any]:
    module = import_project_module(
        backoffice.root, backoffice.settings.app.models, "app.models"
    )
    # A project may have declarative bases of its own; ours comes last.
    found = [getattr(value, "registry", None) for value in vars(module).values()]
    registries = {
        id(one): one for one in (Base.registry, *found) if isinstance(one, registry)
    }
    models = {
        mapper.class_.__name__: mapper.class_
        for one in registries.values()
        for mapper in one.mappers
    }
    return {
        **models,
        "session": session,
        "engine": backoffice.engine,
        "settings": backoffice.settings,
        "select": select,
        "func": func,
        "text": text,
        "__name__": "__console__",
    }


def _execute(code: str, source: str, names: dict[str, Any]) -> None:
    """Run code; what it raises is shown from the code's own first line on.

    Raises:
        SystemExit: 1 after an error.
    """
    try:
        exec(compile(code, source, "exec"), names)  # noqa: S102 - that is what it is for
    except Exception as error:
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename != source:
            frames = frames.tb_next
        traceback.print_exception(type(error), error, frames)
        raise SystemExit(1) from error


def _interact(names: dict[str, Any], *, is_sandbox: bool) -> None:
    import code
    import readline
    import rlcompleter

    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind("tab: complete")
    models = sorted(key for key, value in names.items() if isinstance(value, type))
    lines = [
        f"Models: {', '.join(models)}",
        "Also: session, engine, settings, select, func, text",
        "Sandbox: all is taken back at the end."
        if is_sandbox
        else "session.commit() makes it stand; Ctrl-D ends.",
    ]
    # The banner goes to the error stream: a pipe gets results only.
    code.interact(banner="\n".join(lines), local=names, exitmsg="")
