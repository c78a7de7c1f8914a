from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    NullPool,
    create_engine,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from backoffice.database.session import Actor, Place, make_sessions, unit_of_work
from backoffice.observability.models import SlowStatement, StatementText
from backoffice.observability.pruning import KEPT_AN_HOUR, prune, thin
from backoffice.observability.recorder import Recorder
from backoffice.observability.slow_log import (
    KEPT_A_MINUTE,
    PENDING,
    SlowLog,
    read_slow,
    write_slow,
)
from backoffice.observability.statement_texts import (
    TextWriter,
    new_since,
    read_statement,
    table_of,
)
from backoffice.observability.statements import Observation, install
from tests.observability.conftest import Kept

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
TABLES = [table_of(StatementText), table_of(SlowStatement)]


def create_tables(engine: Engine) -> None:
    """The two tables of the slow log, in an empty database."""
    table_of(StatementText).metadata.create_all(engine, tables=TABLES)


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request: Any, tmp_path: Path) -> Iterator[Engine]:
    """A database with the slow log's tables, on both dialects."""
    if request.param == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path / 'log.db'}")
    else:
        engine = create_engine(request.getfixturevalue("empty_database"))
    create_tables(engine)
    yield engine
    engine.dispose()


def log_of(recorder: Recorder) -> SlowLog:
    """A slow log that gets what is slow."""
    log = SlowLog(process="test:1")
    recorder.slow = log.offer
    return log


def test_a_slow_view_is_one_row(
    make_observed: Callable[..., tuple[Engine, Observation]], recorder: Kept
) -> None:
    """A view that sleeps 0.3 s is exactly one row with its view, user and times."""
    log = log_of(recorder)
    engine, _ = make_observed()
    create_tables(engine)
    with unit_of_work(
        make_sessions(engine),
        actor=Actor("7", "bob"),
        place=Place("student", "list"),
        request_id="r1",
    ) as session:
        session.execute(text("SELECT pg_sleep(0.3)")).all()
        session.execute(text("SELECT 1")).all()
    assert write_slow(engine, log, TextWriter()) == 1
    with engine.connect() as connection:
        (entry,) = read_slow(connection)
    assert (entry.view, entry.action, entry.actor_label) == ("student", "list", "bob")
    assert (entry.request_id, entry.row_count, entry.error) == ("r1", 1, "")
    assert entry.reason == "slow"
    assert entry.text == "SELECT pg_sleep(?)"
    assert entry.total_ms >= entry.execute_ms >= 300


def test_errors_are_in_the_log(database: Engine, recorder: Kept) -> None:
    """A statement that failed is there with its code, and without its text's values."""
    log = log_of(recorder)
    watched = create_engine(database.url)
    install(watched, recorder)
    with watched.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(text("SELECT 'canary-4711' FROM nowhere"))
    watched.dispose()
    write_slow(database, log, TextWriter())
    with database.connect() as connection:
        (entry,) = read_slow(connection)
    assert entry.error in {"42P01", "SQLITE_ERROR"}
    assert entry.reason == "failed"
    assert "canary" not in repr(entry)


def test_slower_than_its_own_kind_is_slow(empty_database: URL) -> None:
    """A statement five times slower than it used to be is logged with its baseline."""
    recorder = Kept(slow_ms=10_000)
    engine = create_engine(empty_database, poolclass=NullPool)
    install(engine, recorder)
    statement = text("SELECT pg_sleep(:s)")
    with engine.connect() as connection:
        for _ in range(5):
            connection.execute(statement, {"s": 0.002}).all()
        assert not recorder.slow_ones
        connection.execute(statement, {"s": 0.1}).all()
    (slow,) = recorder.slow_ones
    assert slow.reason == "slower than usual"
    assert slow.baseline_ms is not None
    assert slow.baseline_ms < 50


def test_many_alike_are_one_with_a_number(database: Engine, recorder: Kept) -> None:
    """Of a flood within a minute fifteen rows are written; the rest is counted."""
    log = log_of(recorder)
    watched = create_engine(database.url)
    install(watched, recorder)
    recorder.slow_ns = 0
    recorder.clock = lambda: 0.0
    with watched.connect() as connection:
        for _ in range(KEPT_A_MINUTE + 10):
            connection.execute(text("SELECT 1")).all()
    watched.dispose()
    for pending in log._pending:
        pending.values["at"] = NOW
    write_slow(database, log, TextWriter())
    with database.connect() as connection:
        found = read_slow(connection, limit=100)
    assert sum(1 + entry.more for entry in found) == KEPT_A_MINUTE + 10
    assert len(found) <= 2 * KEPT_A_MINUTE


def test_what_cannot_be_written_waits(
    database: Engine, recorder: Kept, tmp_path: Path
) -> None:
    """Rows that met a database without tables are written when there is one."""
    log = log_of(recorder)
    recorder.slow_ns = 0
    watched = create_engine("sqlite://")
    install(watched, recorder)
    with watched.connect() as connection:
        connection.execute(text("SELECT 1")).all()
    watched.dispose()
    texts = TextWriter()
    bare = create_engine(f"sqlite:///{tmp_path / 'bare.db'}")
    with pytest.raises(SQLAlchemyError):
        write_slow(bare, log, texts)
    bare.dispose()
    assert write_slow(database, log, texts) == 1


def test_what_waits_is_bounded(recorder: Kept) -> None:
    """While the database is away, memory does not grow without end."""
    log = log_of(recorder)
    recorder.slow_ns = 0
    watched = create_engine("sqlite://")
    install(watched, recorder)
    with watched.connect() as connection:
        for number in range(PENDING + 10):
            connection.execute(text(f"SELECT 1 AS a{number}")).all()
    watched.dispose()
    assert len(log) == PENDING
    assert log.dropped == 10


def test_a_statement_knows_its_revision(database: Engine, recorder: Kept) -> None:
    """A statement that came with a migration is found by it."""
    log = log_of(recorder)
    recorder.slow_ns = 0
    watched = create_engine("sqlite://")
    install(watched, recorder)
    with watched.connect() as connection:
        connection.execute(text("SELECT 1")).all()
        write_slow(database, log, TextWriter(revision="r1"))
        connection.execute(text("SELECT 1")).all()
        connection.execute(text("SELECT 2 AS b")).all()
        write_slow(database, log, TextWriter(revision="r2"))
    watched.dispose()
    with database.connect() as connection:
        (found,) = new_since(connection, "r2")
        assert found.text == "SELECT ? AS b"
        again = read_statement(connection, found.fingerprint)
        assert again == found
        assert read_statement(connection, "0" * 16) is None


def fill(
    connection: Connection, number: int, at: datetime, *, name: str = "a" * 16
) -> None:
    """Rows of one statement, all of one moment, each a millisecond slower."""
    known = table_of(StatementText)
    if not connection.scalar(select(known).where(known.c.fingerprint == name)):
        connection.execute(
            insert(known),
            {
                "fingerprint": name,
                "text": "SELECT ?",
                "operation": "SELECT",
                "table_name": "t",
                "first_seen": at,
                "last_seen": at,
            },
        )
    zeros = dict.fromkeys(("wait_ms", "execute_ms", "fetch_ms", "commit_ms"), 0.0)
    row = {"at": at, "fingerprint": name, "reason": "slow", **zeros}
    connection.execute(
        insert(table_of(SlowStatement)),
        [{**row, "total_ms": float(ms)} for ms in range(number)],
    )


def count(engine: Engine) -> int:
    """The rows of the slow log."""
    with engine.connect() as connection:
        return connection.scalar(select(func.count(SlowStatement.id))) or 0


def test_old_rows_are_forgotten(database: Engine) -> None:
    """After fourteen days a row goes, and its text when nothing refers to it."""
    with database.begin() as connection:
        fill(connection, 3, NOW - timedelta(days=15))
        fill(connection, 2, NOW - timedelta(days=13), name="b" * 16)
    database_has_hours(database)
    prune(database, keep_days=14, now=NOW.timestamp())
    assert count(database) == 2
    with database.connect() as connection:
        assert read_statement(connection, "a" * 16) is None
        assert read_statement(connection, "b" * 16) is not None


def database_has_hours(engine: Engine) -> None:
    """Pruning looks at the history as well."""
    from backoffice.observability.models import StatementHour, TableSize

    table_of(StatementHour).create(engine)
    table_of(TableSize).create(engine)


def test_old_rows_are_thinned(database: Engine) -> None:
    """Of a day ago the fifteen worst of an hour are left, of today all."""
    with database.begin() as connection:
        fill(connection, 40, NOW - timedelta(days=1, hours=2))
        fill(connection, 40, NOW - timedelta(hours=2))
    assert thin(database, now=NOW.timestamp()) == 40 - KEPT_AN_HOUR
    with database.connect() as connection:
        old = connection.scalars(
            select(SlowStatement.total_ms).where(
                SlowStatement.at < NOW - timedelta(days=1)
            )
        ).all()
    assert min(old) == 40 - KEPT_AN_HOUR


def test_what_came_since_can_be_followed(database: Engine) -> None:
    """Newest first, and only what is newer than the last one seen."""
    with database.begin() as connection:
        fill(connection, 3, NOW)
        last = read_slow(connection, limit=1)[0].id
        fill(connection, 1, NOW + timedelta(seconds=1), name="b" * 16)
        found = read_slow(connection, after_id=last)
    assert [entry.fingerprint for entry in found] == ["b" * 16]
    assert found[0].to_json()["at"].startswith("2026-05-20T12:00:01")


def test_the_newest_come_by_an_index(engine: Engine) -> None:
    """Among many rows the newest are read backwards from the index, not sorted."""
    create_tables(engine)
    with engine.begin() as connection:
        fill(connection, 5, NOW)
        connection.execute(
            text(
                "INSERT INTO backoffice_slow_statements (at, total_ms, wait_ms,"
                " execute_ms, fetch_ms, commit_ms, reason, fingerprint)"
                " SELECT now() - n * interval '1 second', n, 0, 0, 0, 0, 'slow',"
                " repeat('a', 16) FROM generate_series(1, 20000) AS n"
            )
        )
        connection.execute(text("ANALYZE"))
        plan = "\n".join(
            connection.scalars(
                text(
                    "EXPLAIN SELECT * FROM backoffice_slow_statements"
                    " ORDER BY at DESC, id DESC LIMIT 50"
                )
            )
        )
    assert "Index Scan Backward" in plan
    assert "Sort" not in plan
