import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Engine, QueuePool, create_engine, make_url, text

from backoffice.database.session import Actor, Place, make_sessions, unit_of_work
from backoffice.observability.activity import (
    Backend,
    LockNode,
    Signal,
    SignalOutcome,
    activity_question,
    end_backend,
    lock_tree,
    read_activity,
    read_blockers,
    with_holders,
)
from backoffice.observability.housekeeping import server_question, tables_question
from backoffice.observability.ops_connection import (
    OpsReader,
    Question,
    State,
    make_ops_engine,
)
from backoffice.observability.pool import observed_pool
from backoffice.observability.recorder import Recorder
from backoffice.observability.statements import install
from backoffice.settings import DatabaseSettings
from tests.frozen import freezing_server

ONE = Question("one", "SELECT 1 AS n", lambda rows: rows[0]["n"])


@pytest.fixture
def reader(empty_database: URL) -> Iterator[OpsReader]:
    """A reader on a new database."""
    engine = make_ops_engine(empty_database, DatabaseSettings())
    yield OpsReader(engine)
    engine.dispose()


def test_answers_are_dated(reader: OpsReader) -> None:
    """What was read says when."""
    before = time.time()
    reading = reader.ask(ONE)["one"]
    assert (reading.state, reading.value) == (State.MEASURED, 1)
    assert reading.at is not None
    assert before <= reading.at <= time.time()


def test_each_statement_has_its_own_limit(reader: OpsReader) -> None:
    """A question that takes too long is timed out, and the next is answered."""
    slow: Question[Any] = Question("slow", "SELECT pg_sleep(5)", list)
    answers = reader.ask(slow, ONE)
    assert answers["slow"].state is State.TIMED_OUT
    assert answers["slow"].value is None
    assert answers["one"].value == 1


def test_what_was_read_before_is_shown_with_its_date(reader: OpsReader) -> None:
    """A question that fails now brings the last answer, dated, and is not fresh."""
    first = reader.ask(ONE)["one"]
    second = reader.ask(Question("one", "SELECT pg_sleep(5)", list))["one"]
    assert (second.state, second.value, second.at) == (State.TIMED_OUT, 1, first.at)
    assert not second.is_fresh


def test_several_statements_in_one_are_refused(
    reader: OpsReader,
) -> None:
    """A text with two statements runs neither of them."""
    smuggled: Question[Any] = Question(
        "two", "SELECT 1; CREATE TABLE smuggled (a int)", list
    )
    assert reader.ask(smuggled)["two"].text == "the database refused: 42601"
    exists = Question(
        "exists",
        "SELECT to_regclass('smuggled') AS found",
        lambda rows: rows[0]["found"],
    )
    assert reader.ask(exists)["exists"].value is None


def test_no_right_is_not_zero(reader: OpsReader) -> None:
    """What the role may not read is said to be so."""
    forbidden: Question[Any] = Question("file", "SELECT * FROM secret", list)
    with reader.engine.connect() as connection:
        connection.execute(text("CREATE TABLE secret (a int)"))
        connection.execute(text("DROP ROLE IF EXISTS ops_nobody"))
        connection.execute(text("CREATE ROLE ops_nobody"))
        connection.execute(text("SET ROLE ops_nobody"))
    reading = reader.ask(forbidden)["file"]
    assert (reading.state, reading.value) == (State.NO_RIGHTS, None)


def test_a_server_that_is_not_there_is_said_at_once() -> None:
    """Without a database every question is answered: not available."""
    engine = make_ops_engine(
        make_url("postgresql+psycopg://nobody@127.0.0.1:1/x"), DatabaseSettings()
    )
    reading = OpsReader(engine).ask(ONE)["one"]
    assert reading.state is State.UNAVAILABLE
    assert reading.text == "the database does not answer"


def test_a_connection_that_was_ended_is_made_anew(reader: OpsReader) -> None:
    """After a restart of the server the first question is answered."""
    pid = Question("pid", "SELECT pg_backend_pid() AS n", lambda rows: rows[0]["n"])
    first = reader.ask(pid)["pid"].value
    own = create_engine(reader.engine.url, isolation_level="AUTOCOMMIT")
    with own.connect() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(:pid, 2000)"), {"pid": first}
        )
    own.dispose()
    second = reader.ask(pid)["pid"]
    assert second.is_fresh
    assert second.value != first


def test_a_server_that_hangs_holds_nobody_up() -> None:
    """While it is frozen each question is answered; when it wakes, it answers."""
    with freezing_server() as (url, send):
        engine = make_ops_engine(url, DatabaseSettings())
        reader = OpsReader(engine)
        assert reader.ask(ONE)["one"].value == 1
        send(signal.SIGSTOP)
        readings = [reader.ask(ONE)["one"] for _ in range(4)]
        send(signal.SIGCONT)
        while not reader.ask(ONE)["one"].is_fresh:
            pass
        engine.dispose()
    assert {one.state for one in readings} <= {State.TIMED_OUT, State.UNAVAILABLE}
    assert {one.value for one in readings} == {1}


def test_a_locked_catalogue_is_a_reading(reader: OpsReader) -> None:
    """With `pg_class` locked the answer comes in time and is not 'all well'."""
    reader.ask(ONE)
    own = create_engine(reader.engine.url)
    with own.begin() as connection:
        connection.execute(text("LOCK TABLE pg_catalog.pg_class"))
        answers = reader.ask(tables_question(), server_question())
    own.dispose()
    assert answers["tables"].state is State.TIMED_OUT
    assert answers["tables"].value is None


def test_activity_names_view_and_text_without_values(
    reader: OpsReader, empty_database: URL
) -> None:
    """A session of a view is shown with the view, its state and no literal."""
    engine = create_engine(empty_database, poolclass=observed_pool(QueuePool))
    observation = install(engine, Recorder())
    with unit_of_work(
        make_sessions(engine), actor=Actor("7", "bob"), place=Place("student", "edit")
    ) as session:
        session.execute(text("SELECT 'canary-4711'")).all()
        found = read_activity(reader).value
        live = with_holders(found or (), [observation.status()])
    engine.dispose()
    mine = next(one for one in live if one.backend.view == "student")
    assert mine.backend.state == "idle in transaction"
    assert mine.backend.action == "edit"
    assert mine.backend.text == "SELECT ?"
    assert mine.holding is not None
    assert mine.holding.user == "bob"
    assert mine.process == os.getpid()


@pytest.fixture
def chain(reader: OpsReader, empty_database: URL) -> Iterator[list[int]]:
    """Three sessions: the third waits for the second, which waits for the first."""
    engine = create_engine(empty_database, pool_size=3)
    links = [engine.connect() for _ in range(3)]
    pids = [link.scalar(text("SELECT pg_backend_pid()")) or 0 for link in links]
    with engine.begin() as own:
        own.execute(text("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)"))
    for link in links:
        link.rollback()
    update = text("UPDATE t SET a = a WHERE a = :a")
    links[0].execute(update, {"a": 1})
    links[1].execute(update, {"a": 2})

    def wait(index: int, key: int) -> None:
        with suppress(Exception):
            links[index].execute(update, {"a": key})

    threads = [threading.Thread(target=wait, args=(1, 1))]
    threads.append(threading.Thread(target=wait, args=(2, 2)))
    for thread in threads:
        thread.start()
    while len(blocked(reader)) < 2:
        pass
    yield pids
    links[0].rollback()
    threads[0].join()
    links[1].rollback()
    threads[1].join()
    for link in links:
        link.close()
    engine.dispose()


def now(reader: OpsReader, question: Question[Any]) -> Any:
    """What the question is answered by, if it is."""
    return reader.ask(question)[question.name].value


def blocked(reader: OpsReader) -> list[Backend]:
    """The sessions that wait for others."""
    return [one for one in read_activity(reader).value or () if one.blocked_by]


def test_the_root_of_a_chain_comes_first(reader: OpsReader, chain: list[int]) -> None:
    """In a chain of three the one that holds everybody up is the root."""
    tree = lock_tree(reader.ask(activity_question())["activity"].value or ())
    assert [node.pid for node in tree] == chain
    assert [(node.depth, node.waiting) for node in tree] == [(0, 2), (1, 1), (2, 0)]
    assert tree[0].is_root


def test_who_is_in_the_way_is_named(reader: OpsReader, chain: list[int]) -> None:
    """A waiting session learns whom it waits for."""
    (found,) = read_blockers(reader, chain[1]).value or ()
    assert found.pid == chain[0]
    assert found.state == "idle in transaction"


def test_a_cancel_ends_the_statement(reader: OpsReader, chain: list[int]) -> None:
    """The waiting statement is cancelled; asked again, it is already finished."""
    victim = next(one for one in blocked(reader) if one.pid == chain[2])
    assert (
        end_backend(reader, Signal.CANCEL, victim.pid, victim.started)
        is SignalOutcome.SENT
    )
    while any(one.pid == victim.pid for one in blocked(reader)):
        pass
    assert (
        end_backend(reader, Signal.CANCEL, victim.pid, "2000-01-01 00:00:00+00")
        is SignalOutcome.FINISHED
    )


def test_another_statement_is_not_hit(reader: OpsReader, chain: list[int]) -> None:
    """The same session with another start of its statement is left alone."""
    outcome = end_backend(reader, Signal.TERMINATE, chain[2], "2000-01-01 00:00:00+00")
    assert outcome is SignalOutcome.FINISHED
    assert len(blocked(reader)) == 2


def test_a_circle_has_a_tree_all_the_same() -> None:
    """Sessions that wait for each other are shown once each."""
    blank: dict[str, Any] = dict.fromkeys(Backend.__dataclass_fields__)
    one = Backend(**{**blank, "pid": 1, "blocked_by": (2,)})
    two = Backend(**{**blank, "pid": 2, "blocked_by": (1,)})
    assert [node.pid for node in lock_tree([one, two])] == [1, 2]


def test_a_blocker_that_is_no_session_is_shown() -> None:
    """Zero stands for a prepared transaction: a root without a session."""
    blank: dict[str, Any] = dict.fromkeys(Backend.__dataclass_fields__)
    waiting = Backend(**{**blank, "pid": 7, "blocked_by": (0,)})
    assert lock_tree([waiting])[0] == LockNode(0, 0, None, 1)


def test_sqlite_says_that_it_has_no_sessions(tmp_path: Path) -> None:
    """On SQLite the panel does not apply: nothing is amiss; questions are answered."""
    engine = make_ops_engine(
        make_url(f"sqlite:///{tmp_path / 'x.db'}"), DatabaseSettings()
    )
    reader = OpsReader(engine)
    assert read_activity(reader).state is State.NOT_HERE
    assert reader.ask(ONE)["one"].value == 1
    engine.dispose()


def test_what_a_crash_forgot_is_not_what_the_planner_knows(engine: Engine) -> None:
    """Counters are lost in a crash; statistics are not, and only they are missed."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
        for name in ("known", "unknown"):
            link.execute(text(f"CREATE TABLE {name} AS SELECT generate_series(1,2000)"))
        link.execute(text("ANALYZE known"))
        link.execute(text("CREATE INDEX ON unknown (generate_series)"))
        link.execute(text("SELECT pg_stat_reset()"))
    ops = make_ops_engine(engine.url, DatabaseSettings())
    found = OpsReader(ops).ask(tables_question())["tables"].value or ()
    ops.dispose()
    needs = {one.name: one.needs for one in found}
    assert needs["known"] == ""
    assert needs["unknown"] == "ANALYZE: the planner knows nothing of it"
