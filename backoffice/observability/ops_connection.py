"""Ask the database how it is, without waiting for it.

The ops connection is apart from the staff's pool. Each statement has its own limit, and
all together a deadline, connecting included: what did not answer in time is shown from
memory, with its date, and says why it is old.
"""

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Generic, TypeVar

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backoffice.database.engine import make_engine
from backoffice.settings import DatabaseSettings

T = TypeVar("T")

STATEMENT_LIMIT = 0.3
LOCK_LIMIT = 0.2
DEADLINE = 0.7
APPLICATION_NAME = "backoffice-ops"
CONNECTIONS = 2

# What the ops connection was asked in this context: name, seconds, and how it ended.
asked: ContextVar[list[tuple[str, float, "State"]] | None] = ContextVar(
    "asked", default=None
)

_LIMITS = {"57014", "55P03", "25P03", "25P04"}
_NO_RIGHTS = {"42501", "0L000"}


class State(StrEnum):
    """Whether a number was read just now, and if not, why."""

    MEASURED = "measured"
    NO_RIGHTS = "no rights"
    TIMED_OUT = "timed out"
    NO_DATA = "no data yet"
    UNAVAILABLE = "not available"
    # This kind of database has no such thing: nothing is amiss.
    NOT_HERE = "does not apply"


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What was read, when, and whether that is now.

    Where `state` is not MEASURED, `value` is what was read last, at `at` (epoch
    seconds), or None if it never was: neither zero nor well.
    """

    state: State
    value: T | None = None
    at: float | None = None
    text: str = ""
    # How long the statement took; not the wait for it.
    seconds: float = 0.0

    @property
    def is_fresh(self) -> bool:
        """Whether it was read just now."""
        return self.state is State.MEASURED


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """One statement for the ops connection, and what to make of its rows.

    `absent` is the answer where its table does not exist.
    """

    name: str
    sql: str
    read: Callable[[Sequence[Mapping[str, Any]]], T]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    absent: T | None = None


def make_ops_engine(
    url: URL, settings: DatabaseSettings, *, application_name: str = APPLICATION_NAME
) -> Engine:
    """An engine of one connection and one more, with short limits of its own."""
    limits = {
        "pool": "queue",
        "pool_size": 1,
        "max_overflow": CONNECTIONS - 1,
        "pool_timeout": STATEMENT_LIMIT,
        "pool_pre_ping": False,  # a lost connection is noticed by its first question
        "statement_timeout": STATEMENT_LIMIT,
        "lock_timeout": LOCK_LIMIT,
        "idle_in_transaction_timeout": 5.0,
        "echo": False,
        "echo_pool": False,
    }
    options: dict[str, Any] = {}
    if _is_postgresql(url):
        options["isolation_level"] = "AUTOCOMMIT"
        # A prepared statement needs no catalogue that somebody may hold.
        options["connect_args"] = {"prepare_threshold": 0}
    return make_engine(
        url,
        settings.model_copy(update=limits),
        application_name=application_name,
        **options,
    )


class OpsReader:
    """Asks over the ops connection and remembers the answers."""

    def __init__(
        self, engine: Engine, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.engine = engine
        self._clock = clock
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        self._memory: dict[str, Reading[Any]] = {}

    @property
    def is_postgresql(self) -> bool:
        """Whether the database has sessions, locks and statistics to ask for."""
        return _is_postgresql(self.engine.url)

    def ask(
        self, *questions: Question[Any], deadline: float = DEADLINE
    ) -> dict[str, Reading[Any]]:
        """An answer for every question within `deadline` seconds, in one hop."""
        answers: dict[str, Reading[Any]] = {}
        failure = self._within(
            deadline, lambda link: self._run(questions, answers, link)
        )
        late = failure or Reading(
            State.TIMED_OUT, text=f"no answer in {deadline:.1f} s"
        )
        found = {}
        for question in questions:
            reading = dict(answers).get(question.name, late)
            _note(question.name, reading.seconds, reading.state)
            found[question.name] = self._remembered(question.name, reading)
        return found

    def call(
        self,
        name: str,
        work: Callable[[Connection], T],
        *,
        deadline: float = DEADLINE,
    ) -> Reading[T]:
        """What `work` makes of the ops connection, within `deadline` seconds."""
        answers: list[T] = []

        def run(link: "_Link") -> None:
            for is_last in (False, True):
                try:
                    answers.append(work(link.open(self.engine)))
                except DBAPIError as error:
                    if is_last or not error.connection_invalidated:
                        raise
                    link.close()
                else:
                    return

        begun = time.perf_counter()
        failure = self._within(deadline, run)
        took = time.perf_counter() - begun
        _note(name, took, State.MEASURED if answers else State.TIMED_OUT)
        if answers:
            return self._remembered(
                name, Reading(State.MEASURED, answers[0], self._clock())
            )
        late = failure or Reading(
            State.TIMED_OUT, text=f"no answer in {deadline:.1f} s"
        )
        return self._remembered(name, late)

    def remembered(self, name: str) -> Reading[Any]:
        """What was read last under this name, without asking."""
        return self._memory.get(name, Reading(State.NO_DATA))

    def _within(
        self, deadline: float, work: Callable[["_Link"], None]
    ) -> Reading[Any] | None:
        """Let a thread work until the deadline; why it failed, if it did in time."""
        begun = time.monotonic()
        if deadline <= 0 or not self._places.acquire(timeout=deadline):
            return Reading(State.TIMED_OUT, text="earlier questions are not answered")
        link = _Link()
        failures: list[Reading[Any]] = []
        done = threading.Event()

        def run() -> None:
            try:
                work(link)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is an answer
                failures.append(reading_of(error))
            finally:
                with suppress(Exception):
                    link.close()
                self._places.release()
                done.set()

        threading.Thread(target=run, name="ops-connection", daemon=True).start()
        left = deadline - (time.monotonic() - begun)
        if not done.wait(max(0.0, left)):
            link.cut()
            return None
        return failures[0] if failures else None

    def _run(
        self,
        questions: Sequence[Question[Any]],
        answers: dict[str, Reading[Any]],
        link: "_Link",
    ) -> None:
        """Ask one after the other; the answer to each is there at once."""
        is_first = True
        for question in questions:
            answer = self._one(question, link)
            if is_first and answer is None:
                link.close()  # the server was started anew: connect once more
                answer = self._one(question, link)
            is_first = False
            if answer is None:
                return
            answers[question.name] = answer

    def _one(self, question: Question[Any], link: "_Link") -> Reading[Any] | None:
        """One answer; None when the connection is lost."""
        connection = link.open(self.engine)
        driver: Any = connection.connection.driver_connection
        begun = time.perf_counter()
        try:
            if isinstance(driver, psycopg.Connection):
                with driver.cursor(row_factory=dict_row) as cursor:
                    # Prepared statements are single ones: nothing can be smuggled in.
                    cursor.execute(
                        question.sql,
                        question.parameters or None,
                        prepare=True,
                    )
                    rows: Sequence[Mapping[str, Any]] = cursor.fetchall()
            else:
                result = connection.exec_driver_sql(question.sql, question.parameters)
                rows = [dict(row) for row in result.mappings()]
        except (psycopg.Error, DBAPIError) as error:
            if isinstance(driver, psycopg.Connection) and driver.closed:
                connection.invalidate()
                return None
            if question.absent is not None and is_absent(error):
                return Reading(State.MEASURED, question.absent, self._clock())
            return replace(reading_of(error), seconds=time.perf_counter() - begun)
        took = time.perf_counter() - begun
        found = question.read(rows)
        return Reading(State.MEASURED, found, self._clock(), seconds=took)

    def _remembered(self, name: str, reading: Reading[T]) -> Reading[T]:
        """The reading itself, or why there is none with what was read last."""
        if reading.is_fresh:
            self._memory[name] = reading
            return reading
        last = self._memory.get(name)
        if last is None:
            return reading
        return replace(reading, value=last.value, at=last.at)


def _note(name: str, seconds: float, state: State) -> None:
    """Remember for the page's own cost what was asked."""
    noted = asked.get()
    if noted is not None:
        noted.append((name, seconds, state))


class _Link:
    """A thread's connection, that another thread can cut."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._is_cut = False

    def open(self, engine: Engine) -> Connection:
        """The connection; made when first asked for."""
        if self._connection is None or self._connection.closed:
            self._connection = engine.connect()
        return self._connection

    def close(self) -> None:
        """Give it back; one that was cut is thrown away."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._is_cut:
            connection.invalidate()
        connection.close()

    def cut(self) -> None:
        """End what the connection waits for, whatever the server does.

        A server that was stopped answers neither a query nor a cancel request; the
        socket's end is noticed by the thread that waits for it.
        """
        self._is_cut = True
        connection: Any = self._connection
        with suppress(Exception):
            driver = connection.connection.driver_connection
            number = driver.fileno()
            with socket.socket(fileno=socket.dup(number)) as copy:
                copy.shutdown(socket.SHUT_RDWR)


def too_late(deadline: float) -> Reading[Any]:
    """The reading of what has not answered within so many seconds."""
    left = f"{deadline:.1f}"
    words = f"no answer in {left} s" if left != "0.0" else "no time was left"
    return Reading(State.TIMED_OUT, text=words)


def reading_of(error: BaseException) -> Reading[Any]:
    """An error as a reading: by its code; its text may hold values."""
    original = getattr(error, "orig", None) or error
    code = getattr(original, "sqlstate", None)
    if code in _NO_RIGHTS:
        return Reading(State.NO_RIGHTS, text="the role may not read this")
    if code in _LIMITS or isinstance(error, PoolTimeout):
        return Reading(State.TIMED_OUT, text="over its time limit")
    if isinstance(original, psycopg.OperationalError) and code is None:
        return Reading(State.UNAVAILABLE, text="the database does not answer")
    name = code or type(original).__name__
    return Reading(State.UNAVAILABLE, text=f"the database refused: {name}")


def is_absent(error: BaseException) -> bool:
    """Whether the error says that there is no such table."""
    original = getattr(error, "orig", None) or error
    if isinstance(original, psycopg.Error):
        return isinstance(original, psycopg.errors.UndefinedTable)
    return "no such table" in str(original)  # SQLite has one code for all mistakes


def _is_postgresql(url: URL) -> bool:
    return url.get_backend_name() == "postgresql"
