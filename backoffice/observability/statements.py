"""When a statement begins and ends, and whose it is: SQLAlchemy's events, listened to.

`install` makes an engine report every statement to a recorder: what the ORM, Core and
raw cursors execute, every commit, and every wait for a connection that came to
nothing.
"""

import re
import time
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.orm import Session

from backoffice.database.session import (
    ACTOR,
    PLACE,
    REQUEST_ID,
    Place,
    Work,
    current_work,
    is_trial,
)
from backoffice.observability.measurement import (
    Measurement,
    Outcome,
    connect_error_code,
    outcome_of,
)
from backoffice.observability.pool import (
    Holder,
    PoolMeter,
    PoolStatus,
    capacity_limit,
    meter_of,
    read_pool,
    watch_pool,
)
from backoffice.observability.recorder import OVERHEAD_SAMPLE, Recorder
from backoffice.observability.request_log import current_request, question_hash
from backoffice.observability.timing import (
    TimedFetch,
    cursor_classes,
    executed,
    has_rows,
)

HOLDER = "backoffice.holder"
# What SQLAlchemy sends to SQLite where PostgreSQL's driver begins by itself.
BEGIN = "BEGIN"
POOL_TIMEOUT = "pool timeout"
_COMMENT_LIMIT = 500
_UNSAFE = re.compile(r"[^A-Za-z0-9_.:/-]")


class Observation:
    """One engine under observation: its statements go to `recorder`."""

    def __init__(self, engine: Engine, recorder: Recorder, name: str) -> None:
        self.engine = engine
        self.recorder = recorder
        self.name = name
        self.meter: PoolMeter = meter_of(engine)
        self._holders: dict[int, Holder] = {}
        self._comments: dict[tuple[str, str, str], str] = {}
        self._commented: dict[tuple[str, str], str] = {}
        self._cursor, self._server, self._sqlite = cursor_classes(self)
        self._number = 0
        self._is_postgresql = engine.dialect.name == "postgresql"
        self._commit = recorder.fingerprints.of_text("COMMIT")
        self._no_connection = recorder.fingerprints.of_text("CONNECT")
        # Counts connections into the pool that its owner holds past the engine.
        self.beside: Callable[[PoolStatus], PoolStatus] | None = None

    def status(self) -> PoolStatus:
        """The engine's pool, now."""
        found = read_pool(self.engine, self.meter)
        return found if self.beside is None else self.beside(found)

    # -- connections

    def connecting(
        self, _dialect: object, _record: object, _args: object, options: Any
    ) -> None:
        """Give SQLite's connections cursors of ours."""
        options.setdefault("factory", self._sqlite)

    def connected(self, connection: Any, _record: object) -> None:
        """Give psycopg's connections cursors of ours."""
        if isinstance(connection, psycopg.Connection):
            if connection.cursor_factory is psycopg.Cursor:
                connection.cursor_factory = self._cursor
            if connection.server_cursor_factory is psycopg.ServerCursor:
                connection.server_cursor_factory = self._server

    def checked_out(self, connection: Any, record: Any, _proxy: object) -> None:
        """Note whose the connection is."""
        limit = capacity_limit(self.engine.pool)
        holder = self.meter.checked_out(connection, record, limit)
        record.info[HOLDER] = holder
        self._holders[id(connection)] = holder

    def checked_in(self, _connection: object, record: Any) -> None:
        """Note that it is nobody's."""
        holder = self.meter.checked_in(record, capacity_limit(self.engine.pool))
        if holder is None:
            return
        self._holders.pop(id(holder.connection), None)
        record.info.pop(HOLDER, None)
        for measured in tuple(holder.unread):  # nobody read their rows to the end
            self.finish(measured, None)

    def pool_timed_out(self, waited: int, work: Work | None) -> None:
        """Log a statement that never came to be, for want of a connection."""
        measured = Measurement(
            fingerprint=self._no_connection,
            work=work,
            at=time.time(),
            started=perf_counter_ns() - waited,
            wait=waited,
            error=POOL_TIMEOUT,
            outcome=Outcome.TIMED_OUT,
        )
        self.recorder.record(measured)

    def not_connected(
        self, nanoseconds: int, work: Work | None, error: BaseException
    ) -> None:
        """Log a statement that never came to be: the server gave no connection."""
        measured = Measurement(
            fingerprint=self._no_connection,
            work=work,
            at=time.time(),
            started=perf_counter_ns() - nanoseconds,
            wait=nanoseconds,
            error=connect_error_code(error),
            outcome=outcome_of(error),
        )
        self.recorder.record(measured)

    # -- statements

    def before(
        self,
        connection: Connection,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: ExecutionContext,
        executemany: bool,  # noqa: FBT001
    ) -> tuple[str, Any]:
        """Begin a measurement, and tell the server whose statement it is."""
        if statement.startswith(BEGIN):
            return statement, parameters
        self._number += 1
        # One in 64 is timed and stands for all, as in the recorder.
        begun = 0 if self._number & OVERHEAD_SAMPLE else perf_counter_ns()
        is_ours = isinstance(cursor, TimedFetch)
        if is_ours:  # shorter than the way through the connection's own dictionary
            holder = self._holders.get(id(cursor.connection))
        else:
            holder = connection.info.get(HOLDER)
        work = holder.work if holder is not None else None
        if work is None:
            work = current_work.get()
        request = current_request.get()
        measured = Measurement(
            fingerprint=self.recorder.fingerprints.of(context, statement),
            work=work,
            at=time.time(),
            started=0,
            is_trial=is_trial.get(),
        )
        if not executemany:
            if request is not None:
                measured.parameters = question_hash(statement, parameters)
            if context.compiled is not None:
                measured.context = context
        if is_ours:
            if cursor.measurement is not None:  # the batch before, on the same cursor
                self.finish(cursor.measurement, cursor.connection)
            cursor.measurement = measured
        else:
            connection.info["backoffice.measurement"] = measured
        if work is not None and self._is_postgresql:
            route = request.route if request is not None else ""
            statement = self._with_comment(statement, work.place, route)
        now = perf_counter_ns()
        if holder is not None:
            measured.wait, holder.wait = holder.wait, 0
            holder.statement = measured.fingerprint.id
            holder.statement_since = now
        if begun:
            self._note_cost(now - begun)
        measured.started = now
        return statement, parameters

    def after(
        self,
        connection: Connection,
        cursor: Any,
        _statement: str,
        _parameters: Any,
        _context: ExecutionContext,
        _executemany: bool,  # noqa: FBT001
    ) -> None:
        """End the execution; the measurement ends when the cursor closes."""
        if isinstance(cursor, TimedFetch):
            measured = cursor.measurement
            if measured is not None:
                executed(cursor, measured)
                if not self._number & OVERHEAD_SAMPLE:
                    ended = measured.started + measured.execute
                    self._note_cost(perf_counter_ns() - ended)
                if not has_rows(cursor):
                    cursor.measurement = None
                    self.finish(measured, cursor.connection)
                else:
                    self._reading(measured, cursor.connection)
            return
        measured = connection.info.pop("backoffice.measurement", None)
        if measured is not None:
            executed(cursor, measured)
            self.finish(measured, None)
            holder = connection.info.get(HOLDER)
            if holder is not None:
                holder.statement_since, holder.idle_since = None, perf_counter_ns()

    def _note_cost(self, nanoseconds: int) -> None:
        """Count what the events themselves take, recording left out."""
        self.recorder.add_overhead("events", nanoseconds * (OVERHEAD_SAMPLE + 1))

    def failed(self, context: ExceptionContext) -> None:
        """Note the error; what is still open on its cursor ends with it."""
        execution: Any = context.execution_context
        cursor: Any = getattr(execution, "cursor", None)
        connection = context.connection
        measured = getattr(cursor, "measurement", None)
        if measured is None and connection is not None and not connection.invalidated:
            measured = connection.info.pop("backoffice.measurement", None)
        if measured is None:
            return
        if not measured.executed:
            measured.execute = perf_counter_ns() - measured.started
            measured.executed = True
        measured.fail(context.original_exception)
        if isinstance(cursor, TimedFetch):
            cursor.measurement = None
            self.finish(measured, cursor.connection)
        else:
            self.finish(measured, None)

    def finish(self, measured: Measurement, connection: Any) -> None:
        """Hand a complete measurement over, once."""
        if measured.recorded:
            return
        measured.recorded = True
        holder = self._holders.get(id(connection))
        if holder is not None:
            if measured in holder.unread:
                holder.unread.remove(measured)
            if holder.statement_since is not None:
                holder.statement_since = None
                holder.idle_since = perf_counter_ns()
        self.recorder.record(measured)

    def begin_raw(self, connection: Any, statement: Any) -> Measurement | None:
        """Begin a measurement of a statement past SQLAlchemy.

        None where nobody has the connection: the pool itself tests or prepares it.
        """
        holder = self._holders.get(id(connection))
        if holder is None:
            return None
        if isinstance(statement, bytes):
            text = statement.decode(errors="replace")
        elif isinstance(statement, str):
            text = statement
        else:
            text = statement.as_string(connection)
        if text.startswith(BEGIN):
            return None
        now = perf_counter_ns()
        measured = Measurement(
            fingerprint=self.recorder.fingerprints.of_text(text),
            work=holder.work or current_work.get(),
            at=time.time(),
            started=now,
            wait=holder.wait,
            is_trial=is_trial.get(),
        )
        holder.wait = 0
        holder.statement = measured.fingerprint.id
        holder.statement_since = now
        return measured

    def commit(self, do_commit: Any, connection: Any) -> None:
        """Commit, timed as a statement of its own."""
        started = perf_counter_ns()
        holder: Holder | None = self._holders.get(id(connection.dbapi_connection))
        measured = Measurement(
            fingerprint=self._commit,
            work=(holder.work if holder else None) or current_work.get(),
            at=time.time(),
            started=started,
        )
        if holder is not None:
            measured.wait, holder.wait = holder.wait, 0
        try:
            do_commit(connection)
        except BaseException as error:
            measured.fail(error)
            raise
        finally:
            measured.commit = perf_counter_ns() - started
            self.recorder.record(measured)

    def _reading(self, measured: Measurement, connection: Any) -> None:
        """Note that the server is done for now, and the rows are still to be read."""
        holder = self._holders.get(id(connection))
        if holder is not None:
            holder.unread.append(measured)
            holder.statement_since = None
            holder.idle_since = perf_counter_ns()

    def _with_comment(self, statement: str, place: Place, route: str) -> str:
        """The statement behind a comment that `pg_stat_activity` shows.

        Of a few words only, and never of values: text that is never the same twice
        would keep the driver from preparing anything.
        """
        key = (place.view, place.action, route)
        comment = self._comments.get(key)
        if comment is None:
            if len(self._comments) >= _COMMENT_LIMIT:
                return statement
            comment = self._comments[key] = comment_of(*key)
        whole = (statement, comment)
        found = self._commented.get(whole)
        if found is None:
            found = comment + statement
            if len(statement) < 4_000:  # noqa: PLR2004 - an expanded list never returns
                if len(self._commented) >= 2 * _COMMENT_LIMIT:
                    self._commented.clear()
                self._commented[whole] = found
        return found


def comment_of(view: str, action: str, route: str) -> str:
    """`/*view:student action:list */ ` and the route, of harmless letters only."""
    words = {"view": view, "action": action, "route": route}
    text = " ".join(
        f"{name}:{_UNSAFE.sub('_', word)[:80]}" for name, word in words.items() if word
    )
    # With a blank: PostgreSQL's comments nest, and a route that ends in "/" would begin
    # another one with the end of this.
    return f"/*{text} */ "


def install(
    engine: Engine, recorder: Recorder, *, name: str = "default"
) -> Observation:
    """Report every statement of the engine to the recorder, from now on.

    To be called before the engine's first connection. The pool's waits are known
    where the engine was made with `poolclass=observed_pool(…)`.
    """
    observation = Observation(engine, recorder, name)
    watch_pool(engine, observation.meter, name)
    observation.meter.on_timeout = observation.pool_timed_out
    observation.meter.on_connect_error = observation.not_connected
    if engine.dialect.name == "sqlite":
        event.listen(engine, "do_connect", observation.connecting)
    event.listen(engine, "connect", observation.connected)
    event.listen(engine, "checkout", observation.checked_out)
    event.listen(engine, "checkin", observation.checked_in)
    event.listen(engine, "detach", observation.checked_in)
    event.listen(engine, "before_cursor_execute", observation.before, retval=True)
    event.listen(engine, "after_cursor_execute", observation.after)
    event.listen(engine, "handle_error", observation.failed)
    _time_commits(engine, observation)
    if not event.contains(Session, "after_begin", attribute_session):
        event.listen(Session, "after_begin", attribute_session)
    return observation


def attribute_session(session: Session, _begun: object, connection: Connection) -> None:
    """Let a session's own word on its work hold in whatever thread it is used.

    The hops of a streaming answer run in contexts that know nothing of each other.
    """
    holder: Holder | None = connection.info.get(HOLDER)
    place = session.info.get(PLACE)
    if holder is not None and place is not None:
        holder.work = Work(
            place, session.info.get(ACTOR), session.info.get(REQUEST_ID, "")
        )


def _time_commits(engine: Engine, observation: Observation) -> None:
    """No event spans a commit: the dialect's own method is timed."""
    do_commit = engine.dialect.do_commit

    def timed(dbapi_connection: Any) -> None:
        observation.commit(do_commit, dbapi_connection)

    engine.dialect.do_commit = timed  # type: ignore[method-assign]
