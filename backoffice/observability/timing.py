"""How long reading takes: cursors that time what SQLAlchemy's events do not see.

An event ends before the first row is fetched: with a server-side cursor, and always
with SQLite, that is before the work begins. Statements that go past SQLAlchemy (COPY,
a raw cursor) are seen by the cursor only.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter_ns
from typing import Any, Protocol

import psycopg

from backoffice.observability.measurement import Measurement


class Watch(Protocol):
    """Who is told of statements that the cursors see."""

    def begin_raw(self, connection: Any, statement: Any) -> Measurement | None:
        """A measurement for a statement past SQLAlchemy; None if it is not of ours."""

    def finish(self, measured: Measurement, connection: Any) -> None:
        """Take a statement in whose last row was read."""


class TimedFetch:
    """What both drivers' cursors are mixed with: the time of every fetch."""

    measurement: Measurement | None = None
    watch: Watch

    def fetchone(self) -> Any:
        """One row, timed."""
        measured = self.measurement
        if measured is None:
            return super().fetchone()  # type: ignore[misc]
        started = perf_counter_ns()
        try:
            row = super().fetchone()  # type: ignore[misc]
        finally:
            measured.fetch += perf_counter_ns() - started
        if measured.counts_rows and row is not None:
            measured.rows += 1
        return row

    def fetchmany(self, *args: Any, **options: Any) -> Any:
        """Some rows, timed."""
        return self._timed_rows(super().fetchmany, *args, **options)  # type: ignore[misc]

    def fetchall(self) -> Any:
        """All rows, timed."""
        return self._timed_rows(super().fetchall)  # type: ignore[misc]

    def _timed_rows(self, fetch: Any, *args: Any, **options: Any) -> Any:
        measured = self.measurement
        if measured is None:
            return fetch(*args, **options)
        started = perf_counter_ns()
        try:
            rows = fetch(*args, **options)
        finally:
            measured.fetch += perf_counter_ns() - started
        if measured.counts_rows:
            measured.rows += len(rows)
        return rows

    def __next__(self) -> Any:
        """The next row, timed."""
        measured = self.measurement
        if measured is None:
            return super().__next__()  # type: ignore[misc]
        started = perf_counter_ns()
        try:
            row = super().__next__()  # type: ignore[misc]
        finally:
            measured.fetch += perf_counter_ns() - started
        if measured.counts_rows:
            measured.rows += 1
        return row

    def close(self) -> None:
        """Close it; the statement's measurement is complete then."""
        measured, self.measurement = self.measurement, None
        if measured is None:
            super().close()  # type: ignore[misc]
            return
        started = perf_counter_ns()
        try:
            super().close()  # type: ignore[misc]
        finally:
            measured.fetch += perf_counter_ns() - started
            self.watch.finish(measured, self.connection)

    def _timed_execute(
        self, execute: Any, statement: Any, *args: Any, **kw: Any
    ) -> Any:
        """Execute; measured here unless SQLAlchemy's event does it already."""
        measured = self.measurement
        if measured is not None and not measured.executed:
            return execute(statement, *args, **kw)
        if measured is not None:
            self.measurement = None
            self.watch.finish(measured, self.connection)
        measured = self.watch.begin_raw(self.connection, statement)
        if measured is None:
            return execute(statement, *args, **kw)
        self.measurement = measured
        try:
            result = execute(statement, *args, **kw)
        except BaseException as error:
            measured.fail(error)
            raise
        finally:
            executed(self, measured)
        return result

    connection: Any
    rowcount: int
    description: Any


class TimedCursor(TimedFetch, psycopg.Cursor[Any]):
    """psycopg's cursor, timed; COPY through it is a statement as well."""

    # The base classes declare what the mixin asks for.
    connection: Any
    rowcount: int
    description: Any

    def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        """Execute, timed."""
        return self._timed_execute(super().execute, query, *args, **options)

    def executemany(self, query: Any, *args: Any, **options: Any) -> Any:
        """Execute many times, timed as one."""
        return self._timed_execute(super().executemany, query, *args, **options)

    @contextmanager
    def copy(self, statement: Any, *args: Any, **options: Any) -> Iterator[Any]:
        """COPY; what the reader or writer of the rows takes counts as fetching."""
        measured = self.watch.begin_raw(self.connection, statement)
        if measured is None:
            with super().copy(statement, *args, **options) as copy:
                yield copy
            return
        try:
            with super().copy(statement, *args, **options) as copy:
                measured.execute = perf_counter_ns() - measured.started
                yield copy
        except BaseException as error:
            measured.fail(error)
            raise
        finally:
            spent = perf_counter_ns() - measured.started
            measured.fetch = max(0, spent - measured.execute)
            measured.rows = self.rowcount
            self.watch.finish(measured, self.connection)


class TimedServerCursor(TimedFetch, psycopg.ServerCursor[Any]):
    """psycopg's server-side cursor, timed: here fetching is the database's work."""

    connection: Any
    rowcount: int
    description: Any

    def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        """Declare the cursor, timed."""
        return self._timed_execute(super().execute, query, *args, **options)


class TimedSqliteCursor(TimedFetch, sqlite3.Cursor):
    """SQLite's cursor, timed: it does its work while it is read."""

    connection: Any
    rowcount: int
    description: Any

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """Execute, timed."""
        return self._timed_execute(super().execute, sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        """Execute many times, timed as one."""
        return self._timed_execute(super().executemany, sql, parameters)


class TimedSqliteConnection(sqlite3.Connection):
    """SQLite's connection with cursors of ours."""

    cursors: type[sqlite3.Cursor] = sqlite3.Cursor

    def cursor(self, factory: Any = None) -> Any:
        """A cursor, timed."""
        return super().cursor(factory or self.cursors)


def executed(cursor: Any, measured: Measurement) -> None:
    """Note the end of an execution, and what the cursor knows of its rows."""
    measured.execute = perf_counter_ns() - measured.started
    measured.executed = True
    rows = cursor.rowcount
    if rows >= 0 and not isinstance(cursor, psycopg.ServerCursor):
        measured.rows = rows
    elif has_rows(cursor):
        # Only reading tells: a server-side cursor, or SQLite.
        measured.rows = 0
        measured.counts_rows = True


def has_rows(cursor: Any) -> bool:
    """Whether there is something to fetch, in the cheapest way the driver offers."""
    if isinstance(cursor, psycopg.Cursor):
        # `description` makes an object of every column.
        result = cursor.pgresult
        return result is not None and result.nfields > 0
    return cursor.description is not None


def cursor_classes(watch: Watch) -> Sequence[type[Any]]:
    """The cursor classes of one engine: psycopg's two, and SQLite's connection."""
    body = {"watch": watch}
    cursor = type("TimedCursor", (TimedCursor,), body)
    server = type("TimedServerCursor", (TimedServerCursor,), body)
    sqlite = type("TimedSqliteCursor", (TimedSqliteCursor,), body)
    connection = type(
        "TimedSqliteConnection", (TimedSqliteConnection,), {"cursors": sqlite}
    )
    return cursor, server, connection
