"""Which statements does an action send? The very ones, with their values.

They are compiled from the same parts that run. What is no single value (keys and
versions of the rows) and what is not known before (the run, how far it is) stays a
name with a colon.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from sqlalchemy import BigInteger, Integer, Text, bindparam, event, update
from sqlalchemy.exc import CompileError
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler

from backoffice.bulk.change import SetValues
from backoffice.bulk.keys_postgresql import has_plain_keys
from backoffice.bulk.postgresql import recorded_update
from backoffice.bulk.run_rows import rows_postgresql
from backoffice.bulk.target import Target, is_postgresql
from backoffice.bulk.walk_postgresql import batch_statement, is_walked_postgresql
from backoffice.database.session import REQUEST_ID, RUN_ID

BETWEEN = ";\n\n"
LONGEST_VALUE = 200
# Of a function so many different statements are told.
MOST = 20
# What frames a transaction changes nothing.
FRAMES = ("SAVEPOINT", "RELEASE", "ROLLBACK", "SET ", "SELECT set_config")
# Where a statement comes from is written before it.
_ORIGIN = re.compile(r"^/\*.*?\*/\s*", re.DOTALL)
_PLACE = re.compile(r"%\((\w+)\)s|%%")


def statements_of(
    session: Session, target: Target, change: SetValues, *, is_large: bool
) -> str:
    """The statements of an update: of few rows one, of many also what begins it."""
    return BETWEEN.join(
        rendered(session, one, has_values=change.is_undoable)
        for one in _statements(session, target, change, is_large=is_large)
    )


def _statements(
    session: Session, target: Target, change: SetValues, *, is_large: bool
) -> Iterator[Executable]:
    if not is_postgresql(session):
        key = {f"key_{k.name}": k for k in target.keys}
        yield (
            update(target.table)
            .where(*(own == bindparam(name) for name, own in key.items()))
            .where(change.differs())
            .values({one.column: one.expression for one in change.assignments})
        )
        return
    run = SimpleNamespace(
        id=bindparam("run", type_=BigInteger),
        met=bindparam("met", type_=BigInteger),
        batch_size=bindparam("batch_size", type_=Integer),
    )
    with _named(session):
        if is_large and has_plain_keys(target.keys):
            yield rows_postgresql(target, run.id)
        if is_large and is_walked_postgresql(session, target):
            yield batch_statement(session, run, target, change)
            return
        yield recorded_update(session, target, change, [])


@contextmanager
def _named(session: Session) -> Iterator[None]:
    """The run and its request by name: neither is there yet."""
    before = {key: session.info.get(key) for key in (RUN_ID, REQUEST_ID)}
    session.info[RUN_ID] = bindparam("run", type_=BigInteger)
    session.info[REQUEST_ID] = bindparam("request", type_=Text)
    try:
        yield
    finally:
        session.info.update(before)
        if before[RUN_ID] is None:
            session.info.pop(RUN_ID)


def rendered(session: Session, statement: Any, *, has_values: bool = True) -> str:
    """A statement as it is sent, with the values that can be written in it."""
    compiled = statement.compile(
        dialect=session.get_bind().dialect,
        compile_kwargs={"render_postcompile": True},
    )
    values: Mapping[str, Any] = compiled.params

    def place(found: re.Match[str]) -> str:
        name = found.group(1)
        if name is None:
            return "%"
        return _written(compiled, name, values.get(name)) if has_values else f":{name}"

    return _PLACE.sub(place, str(compiled)).strip()


def _written(compiled: SQLCompiler, name: str, value: Any) -> str:
    """A value as SQL; its name where it is many, long, or not known."""
    bind = compiled.binds.get(name)
    if bind is None:
        # One of several in an IN, which has the type of them all.
        bind = compiled.binds[name.rpartition("_")[0]]
    if isinstance(value, list) or bind.required or (value is None and not bind.unique):
        return f":{name}"
    if isinstance(value, str | bytes) and len(value) > LONGEST_VALUE:
        return f":{name}"
    try:
        return compiled.render_literal_value(value, bind.type)
    except (CompileError, NotImplementedError, TypeError, ValueError):
        return f":{name}"


@contextmanager
def caught(session: Session) -> Iterator[Counter[str]]:
    """The statements that the session sends meanwhile, and how often each."""
    sent: Counter[str] = Counter()

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        plain = _ORIGIN.sub("", statement).strip()
        if not plain.startswith(FRAMES):
            sent[plain] += 1

    connection = session.connection()
    event.listen(connection, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(connection, "before_cursor_execute", note)


def told(sent: Counter[str]) -> str:
    """Statements of a function as they are shown, the first of each kind in order."""
    texts = [_PLACE.sub(r":\1", one) for one in list(sent)[:MOST]]
    if len(sent) > MOST:
        texts.append(f"-- and {len(sent) - MOST:,} more")
    return BETWEEN.join(texts)
