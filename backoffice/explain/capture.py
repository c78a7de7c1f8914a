"""What would this statement be? Caught on its way to the database, which stays asleep.

The statement goes through SQLAlchemy as ever, on an engine that has the real one's
dialect and no connection: its text and values are those that the driver would get.
"""

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
    nowhere: Any = _Nothing
    still = Engine(NullPool(nowhere), engine.dialect, engine.url)
    event.listen(still, "before_cursor_execute", _stop)
    try:
        with Session(still) as session:
            session.execute(statement)
    except _Caught as caught:
        if is_known:
            return Caught(title, caught.text, caught.values, note=note)
        return Caught(title, numbered(caught.text)[0], note=note)
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
