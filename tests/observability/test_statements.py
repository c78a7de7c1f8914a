import contextvars
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import (
    URL,
    Engine,
    NullPool,
    QueuePool,
    Select,
    create_engine,
    literal_column,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import StaticPool

from backoffice.database.engine import make_engine
from backoffice.database.session import (
    Actor,
    Place,
    Work,
    make_sessions,
    trying,
    unit_of_work,
    working,
)
from backoffice.observability.error_words import error_words
from backoffice.observability.measurement import Outcome, connect_error_code
from backoffice.observability.pool import observed_pool
from backoffice.observability.request_log import RequestLog, observe_request
from backoffice.observability.statements import Observation, comment_of, install
from backoffice.settings import DatabaseSettings
from tests.observability.conftest import Kept

MILLISECOND = 1_000_000
LIST = Place("student", "list")
BOB = Actor("7", "bob")


def test_a_statement_is_recorded_once(observed: Engine, recorder: Kept) -> None:
    """One statement that sleeps is one measurement with its time and its rows."""
    with observed.connect() as connection:
        connection.execute(text("SELECT pg_sleep(0.05)")).all()
    (found,) = recorder.of("SELECT")
    assert found.execute >= 50 * MILLISECOND
    assert found.rows == 1


def test_a_server_side_cursor_is_timed_while_it_is_read(
    observed: Engine, recorder: Kept
) -> None:
    """The database's work behind a server-side cursor counts as fetching."""
    slow: Select[float] = select(literal_column("pg_sleep(0.002)")).select_from(
        text("generate_series(1, 50)")
    )
    with observed.connect() as connection:
        rows = connection.execution_options(yield_per=10).execute(slow)
        assert len(rows.all()) == 50
    (found,) = recorder.of("SELECT")
    assert found.fetch >= 100 * MILLISECOND > found.execute
    assert found.rows == 50


def test_sqlite_is_timed_while_it_is_read(
    observed_sqlite: Engine, recorder: Kept
) -> None:
    """SQLite's rows are counted as they are fetched."""
    series = (
        "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 500)"
        " SELECT n FROM s"
    )
    with observed_sqlite.connect() as connection:
        connection.execute(text(series)).all()
    (found,) = recorder.of("WITH")
    assert found.rows == 500
    assert found.fetch > 0


def test_a_commit_is_a_statement_of_its_own(observed: Engine, recorder: Kept) -> None:
    """The time of a commit is apart from the statement before it."""
    with observed.begin() as connection:
        connection.execute(text("CREATE TABLE t (a int)"))
    (found,) = recorder.of("COMMIT")
    assert found.commit > 0
    assert found.execute == 0


def test_the_first_statement_carries_the_wait(observed: Engine, recorder: Kept) -> None:
    """The wait for a connection is counted with the first statement, once."""
    with observed.connect() as connection:
        connection.execute(text("SELECT 1")).all()
        connection.execute(text("SELECT 1")).all()
    first, second = recorder.of("SELECT")
    assert first.wait > 0
    assert second.wait == 0


@pytest.mark.parametrize(
    ("statement", "code", "outcome"),
    [
        ("SELECT 1/0", "22012", Outcome.FAILED),
        ("SELECT * FROM nowhere", "42P01", Outcome.FAILED),
        ("SELECT pg_sleep(9)", "57014", Outcome.TIMED_OUT),
    ],
)
def test_an_error_has_its_code(
    observed: Engine, recorder: Kept, statement: str, code: str, outcome: Outcome
) -> None:
    """A failing statement is recorded with its SQLSTATE and how it ended."""
    with observed.connect() as connection:
        connection.execute(text("SET statement_timeout = '50ms'"))
        with pytest.raises(DBAPIError):
            connection.execute(text(statement))
    (found,) = recorder.of("SELECT")
    assert (found.error, found.outcome) == (code, outcome)


def test_a_cancelled_statement_says_so(observed: Engine, recorder: Kept) -> None:
    """What a person cancels is told apart from what a limit ended."""

    def cancel(pid: int) -> None:
        running = text(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
            " WHERE pid = :pid AND state = 'active' AND query LIKE '%sleep%'"
        )
        own = create_engine(
            observed.url, poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        with own.connect() as other:
            while not other.execute(running, {"pid": pid}).all():
                pass

    with observed.connect() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        thread = threading.Thread(target=cancel, args=(pid,))
        thread.start()
        with pytest.raises(DBAPIError):
            connection.execute(text("SELECT pg_sleep(20)"))
        thread.join()
    found = recorder.of("SELECT")[-1]
    assert (found.error, found.outcome) == ("57014", Outcome.CANCELLED)


def test_an_error_while_fetching_is_recorded(observed: Engine, recorder: Kept) -> None:
    """A row that fails behind a server-side cursor gives the statement its error."""
    failing: Select[int] = select(literal_column("1 / (20 - n)")).select_from(
        text("generate_series(1, 30) AS n")
    )
    with observed.connect() as connection, pytest.raises(DBAPIError):
        connection.execution_options(yield_per=5).execute(failing).all()
    assert [one.error for one in recorder.of("SELECT")] == ["22012"]


def test_sqlite_errors_have_their_names(
    observed_sqlite: Engine, recorder: Kept
) -> None:
    """SQLite has no SQLSTATE: its own name of the error is recorded."""
    with observed_sqlite.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(text("SELECT * FROM nowhere"))
    assert [one.error for one in recorder.of("SELECT")] == ["SQLITE_ERROR"]


def test_orm_core_and_raw_statements_belong_to_the_unit_of_work(
    observed: Engine, recorder: Kept
) -> None:
    """Session, connection and raw cursor are attributed to the same view and user."""
    with unit_of_work(
        make_sessions(observed), actor=BOB, place=LIST, request_id="r1"
    ) as session:
        session.execute(text("SELECT 1")).all()
        with observed.connect() as connection:
            connection.execute(text("SELECT 2, 2")).all()
            cursor: Any = connection.connection.driver_connection
            cursor.execute("SELECT 3, 3, 3").close()
    found = recorder.of("SELECT")
    assert len(found) == 3
    assert {one.work for one in found} == {Work(LIST, BOB, "r1")}


def test_the_work_ends_with_the_unit(observed: Engine, recorder: Kept) -> None:
    """A statement after the unit of work belongs to nobody."""
    with unit_of_work(make_sessions(observed), actor=BOB, place=LIST) as session:
        session.execute(text("SELECT 1")).all()
    with observed.connect() as connection:
        connection.execute(text("SELECT 2")).all()
    assert recorder.of("SELECT")[-1].view == ""


def test_a_streaming_answer_keeps_its_work(observed: Engine, recorder: Kept) -> None:
    """A session that is read in other threads and contexts keeps its attribution."""

    def stream() -> Any:
        with unit_of_work(make_sessions(observed), actor=BOB, place=LIST) as session:
            for number in range(3):
                yield session.execute(text("SELECT :n"), {"n": number}).scalar_one()

    rows = stream()
    for _ in range(3):  # each hop in a context of its own, as a server does it
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(next, rows))
        thread.start()
        thread.join()
    rows.close()
    found = recorder.of("SELECT")
    assert [one.view for one in found] == ["student"] * 3


def test_copy_is_a_statement(observed: Engine, recorder: Kept) -> None:
    """COPY through the driver's cursor is timed, counted and attributed."""
    with unit_of_work(make_sessions(observed), actor=BOB, place=LIST) as session:
        driver: Any = session.connection().connection.driver_connection
        with (
            driver.cursor() as cursor,
            cursor.copy("COPY (SELECT generate_series(1, 5)) TO STDOUT") as copy,
        ):
            assert len(list(copy)) == 5
    (found,) = recorder.of("COPY")
    assert (found.view, found.rows) == ("student", 5)


def test_the_pools_own_statements_are_not_counted(
    make_observed: Callable[..., tuple[Engine, Observation]], recorder: Kept
) -> None:
    """A ping of the pool belongs to the wait, and is no statement."""
    engine, _ = make_observed(pool_pre_ping=True)
    for _ in range(2):
        with engine.connect() as connection:
            connection.execute(text("SELECT 1")).all()
    assert len(recorder.all) == 2


def test_rows_that_nobody_reads_are_recorded_all_the_same(
    observed: Engine, recorder: Kept
) -> None:
    """A result left half read is complete when the connection goes back."""
    with observed.connect() as connection:
        connection.execute(text("SELECT generate_series(1, 10)")).fetchone()
    assert [one.rows for one in recorder.of("SELECT")] == [10]


def test_a_transactions_begin_is_no_statement(recorder: Kept, tmp_path: Path) -> None:
    """On SQLite, where BEGIN is sent by itself, it is not counted, as elsewhere."""
    engine = make_engine(
        make_url(f"sqlite:///{tmp_path / 'x.db'}"),
        DatabaseSettings(),
        application_name="test",
    )
    install(engine, recorder)
    with engine.begin() as connection:
        connection.execute(text("SELECT 1")).all()
    engine.dispose()
    assert [one.fingerprint.operation for one in recorder.all] == ["SELECT", "COMMIT"]


def test_a_full_pool_is_an_entry_of_its_own(
    make_observed: Callable[..., tuple[Engine, Observation]], recorder: Kept
) -> None:
    """A connection that could not be had is recorded with the view that wanted it."""
    engine, _ = make_observed(pool_size=1, max_overflow=0, pool_timeout=0.05)
    with (
        engine.connect(),
        working(Work(LIST, BOB, "r2")),
        pytest.raises(PoolTimeout),
    ):
        engine.connect()
    (found,) = recorder.all
    assert (found.error, found.view, found.outcome) == (
        "pool timeout",
        "student",
        Outcome.TIMED_OUT,
    )
    assert found.wait >= 50 * MILLISECOND


def test_the_backend_sees_whose_statement_it_is(observed: Engine) -> None:
    """`pg_stat_activity` shows view, action and route in front of the statement."""
    log = RequestLog(route="/admin/{identity}/list")
    with (
        observe_request(log),
        unit_of_work(make_sessions(observed), actor=BOB, place=LIST) as session,
    ):
        shown = session.execute(
            text("SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        ).scalar_one()
    assert shown.startswith(
        "/*view:student action:list route:/admin/_identity_/list */ SELECT query"
    )


def test_a_comment_cannot_be_left() -> None:
    """Whatever a route is called, it stays within the comment."""
    made = comment_of("a*/ drop", "%(x)s", "")
    assert made == "/*view:a_/_drop action:__x_s */ "


def test_a_route_that_ends_in_a_slash_ends_its_comment(observed: Engine) -> None:
    """PostgreSQL's comments nest: the start page's route must not open another."""
    comment = comment_of("site", "index", "/admin/")
    with observed.connect() as connection:
        assert connection.scalar(text(f"{comment}SELECT 1")) == 1


def test_parameters_with_percent_signs_survive_the_comment(observed: Engine) -> None:
    """A statement with parameters and a percent sign runs behind its comment."""
    with unit_of_work(make_sessions(observed), actor=None, place=LIST) as session:
        found = session.execute(
            text("SELECT :a WHERE 'abc' LIKE 'a%'"), {"a": "1%"}
        ).scalar_one()
    assert found == "1%"


@pytest.mark.parametrize("poolclass", [QueuePool, NullPool, StaticPool])
def test_every_pool_class_reports_statements(
    make_observed: Callable[..., tuple[Engine, Observation]],
    recorder: Kept,
    poolclass: Any,
) -> None:
    """Statements are recorded whatever the pool, observed or not."""
    engine, _ = make_observed(poolclass=poolclass)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1")).all()
    assert len(recorder.of("SELECT")) == 1


def test_counting_goes_on_after_dispose(
    make_observed: Callable[..., tuple[Engine, Observation]], recorder: Kept
) -> None:
    """A pool that was replaced is still observed, and its numbers go on."""
    engine, observation = make_observed()
    for _ in range(2):
        with engine.connect() as connection:
            connection.execute(text("SELECT 1")).all()
        engine.dispose()
    assert len(recorder.all) == 2
    assert observation.status().created == 2


def test_an_engine_of_another_creator_is_recorded_without_fetch(
    recorder: Kept,
) -> None:
    """Where the cursors are not ours, the statement is recorded at its execution."""
    import sqlite3

    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(":memory:"),
        poolclass=observed_pool(NullPool),
    )
    install(engine, recorder)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1")).all()
    (found,) = recorder.of("SELECT")
    assert found.execute > 0
    assert found.fetch == 0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("22012", "division by zero (22012)"),
        ("55P03", "lock timeout (55P03)"),
        ("23505", "unique violation (23505)"),
        ("SQLITE_CONSTRAINT_UNIQUE", "constraint unique (SQLITE_CONSTRAINT_UNIQUE)"),
        ("pool timeout", "pool timeout"),
        ("ConnectionTimeout", "no connection in time"),
        ("99ZZZ", "99ZZZ"),
    ],
)
def test_a_code_has_words(code: str, words: str) -> None:
    """Nobody knows SQLSTATEs by heart."""
    assert error_words(code) == words


def test_a_connection_that_is_not_given_is_an_error(
    empty_database: URL, recorder: Kept
) -> None:
    """Counted by the minute, told by its code, offered to the slow log, by its view."""
    gone = empty_database.set(database="there_is_no_such_database")
    engine = create_engine(gone, poolclass=observed_pool(QueuePool))
    observation = install(engine, recorder)
    work = Work(Place("course", "list"))
    with working(work), pytest.raises(OperationalError):
        engine.connect()
    failed = recorder.all[-1]
    assert (failed.error, failed.view) == ("3D000", "course")
    assert recorder.minutes[-1].errors == 1
    assert recorder.slow_ones[-1].measured is failed
    assert observation.status().connect_errors == 1


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("FATAL:  sorry, too many clients already", "53300"),
        ("connection refused: is the server running?", "08001"),
        ("FATAL:  the database system is starting up", "57P03"),
    ],
)
def test_what_the_server_says_without_a_code_has_one(said: str, code: str) -> None:
    """While connecting there are no SQLSTATEs, only words."""
    assert connect_error_code(psycopg.OperationalError(said)) == code


def test_a_connection_that_is_lost_has_a_code(observed: Engine, recorder: Kept) -> None:
    """The server's end in mid-statement is an error of the connection."""
    with observed.connect() as link:
        driver: Any = link.connection.driver_connection
        with socket.socket(fileno=os.dup(driver.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)
        with pytest.raises(DBAPIError):
            link.execute(text("SELECT 2"))
    assert [one.error for one in recorder.of("SELECT")] == ["08006"]


def test_what_is_only_tried_does_not_fail(observed: Engine, recorder: Kept) -> None:
    """A refusal in a preflight is its answer: no error, nothing for the slow log."""
    with trying(), observed.connect() as link, pytest.raises(DBAPIError):
        link.execute(text("SELECT 1 / 0"))
    with observed.connect() as link, pytest.raises(DBAPIError):
        link.execute(text("SELECT 2 / 0"))
    assert [one.error for one in recorder.of("SELECT")] == ["", "22012"]
    assert recorder.minutes[-1].errors == 1
    assert len(recorder.slow_ones) == 1


def test_the_cost_of_the_events_is_counted(observed: Engine, recorder: Kept) -> None:
    """Not recording alone: what runs before and after each statement as well."""
    with observed.connect() as link:
        for number in range(130):
            link.execute(text("SELECT :n"), {"n": number}).all()
    assert recorder.overhead["events"] > 0
    assert recorder.overhead["hook"] > 0
