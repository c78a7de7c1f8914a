"""What would this statement be? Caught on its way to the database, which stays asleep.

The statement goes through SQLAlchemy as ever, on an engine that has the real one's
dialect and no connection: its text and values are those that the driver would get.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

from sqlalchemy import Engine, NullPool, event
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import Executable

from backoffice.explain.statement import Caught, numbered


class _Caught(Exception):
    def __init__(self, text: str, values: Any) -> None:
        self.text, self.values = text, values


class _Nothing:
    """A connection that leads nowhere; whatever is said to it is done."""

    def cursor(self) -> "_Nothing":
        return self

    def rollback(self) -> None:
        pass

    commit = close = rollback


def catch(
    engine: Engine,
    statement: Executable,
    title: str,
    *,
    note: str = "",
    is_known: bool = True,
) -> Caught:
    """The statement exactly as `engine` would send it; nothing is sent.

    Without `is_known` it has places for its values, and none.
    """
    caught = catch_first(
        engine, lambda session: session.execute(statement), title, note=note
    )
    if is_known:
        return caught
    return replace(caught, text=numbered(caught.text)[0], values=None)


def catch_first(
    engine: Engine,
    work: Callable[[Session], object],
    title: str,
    *,
    note: str = "",
    info: Mapping[Any, Any] | None = None,
) -> Caught:
    """The first statement that `work` would send with a session; nothing is sent.

    `info` is what the session knows of who acts, for what.
    """
    nowhere: Any = _Nothing
    still = Engine(NullPool(nowhere), engine.dialect, engine.url)
    event.listen(still, "before_cursor_execute", _stop)
    try:
        with Session(still, info=dict(info or {})) as session:
            work(session)
    except _Caught as caught:
        return Caught(title, caught.text, caught.values, note=note)
    raise AssertionError("a statement went past its event")


def _stop(
    _connection: object,
    _cursor: object,
    statement: str,
    parameters: Any,
    _context: object,
    _executemany: bool,  # noqa: FBT001
) -> NoReturn:
    raise _Caught(statement, parameters)
