"""Indexes that cost writes and serve nobody, on the newest server and on an old one."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from backoffice.observability.indexes_postgresql import (
    SHOWN,
    UnusedIndexes,
    covered_question,
    unused_question,
)
from backoffice.observability.ops_connection import OpsReader, make_ops_engine
from backoffice.settings import DatabaseSettings


@pytest.fixture(params=["postgresql 18", "postgresql 16"])
def reader(request: pytest.FixtureRequest) -> Iterator[OpsReader]:
    """A reader on a new database."""
    if request.param == "postgresql 18":
        url = request.getfixturevalue("empty_database")
    else:
        old = request.getfixturevalue("old_server")
        server = create_engine(old, isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text("DROP DATABASE IF EXISTS indexed WITH (FORCE)"))
            connection.execute(text("CREATE DATABASE indexed"))
        server.dispose()
        url = make_url(old).set(database="indexed")
    engine = make_ops_engine(url, DatabaseSettings())
    with engine.connect() as connection:
        version = connection.scalar(text("SHOW server_version_num"))
    if int(version or 0) < 150_000:
        engine.dispose()
        pytest.skip("14 tells what was read half a second later, and not when asked")
    yield OpsReader(engine)
    engine.dispose()


def do(reader: OpsReader, *statements: str) -> Any:
    """Run them, for as long as they take; the value of the last one, if it has one."""
    own = create_engine(reader.engine.url, isolation_level="AUTOCOMMIT")
    with own.connect() as connection:
        for statement in statements:
            result = connection.execute(text(statement))
        value = result.scalar() if result.returns_rows else None
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        connection.execute(text("SELECT 1"))
    own.dispose()
    return value


def unused(reader: OpsReader) -> UnusedIndexes:
    """Those that were never scanned."""
    reading = reader.ask(unused_question())["unused indexes"]
    assert isinstance(reading.value, UnusedIndexes), reading
    return reading.value


def covered(reader: OpsReader) -> dict[str, str]:
    """Those that another one covers, and which."""
    reading = reader.ask(covered_question())["covered indexes"]
    assert reading.value is not None, reading
    return {one.index.name: one.by_name for one in reading.value}


LARGE = "INSERT INTO t SELECT n, n, n, 'x' FROM generate_series(1, 70000) AS n"
TABLE = "CREATE TABLE t (id int PRIMARY KEY, a int UNIQUE, b int, c text)"


def test_an_index_that_nobody_reads_is_listed(reader: OpsReader) -> None:
    """With columns and size, until something reads it; keys and rules never are."""
    do(reader, TABLE, "CREATE INDEX t_b_c ON t (b, lower(c), id)", LARGE)
    (found,) = unused(reader).indexes
    size = do(reader, "SELECT pg_relation_size('t_b_c')")
    assert (found.table, found.name, found.size) == ("t", "t_b_c", size)
    assert found.columns == "b, (expression), id"

    do(reader, "SET enable_seqscan = off", "SELECT id FROM t WHERE b = 7")
    assert unused(reader).indexes == ()


def test_it_is_said_since_when_nobody_has_read_it(reader: OpsReader) -> None:
    """Since the counters began, or were set to nothing."""
    before = unused(reader).since
    now = do(reader, "SELECT pg_stat_reset()", "SELECT clock_timestamp()")
    after = unused(reader).since

    assert isinstance(before, datetime)
    assert isinstance(after, datetime)
    assert before < after <= now


def test_what_is_small_or_ours_is_no_matter(reader: OpsReader) -> None:
    """An index below a megabyte costs nothing; those of our tables are our own."""
    do(
        reader,
        "CREATE TABLE small (a int)",
        "CREATE INDEX small_a ON small (a)",
        TABLE.replace("TABLE t", "TABLE backoffice_t"),
        "CREATE INDEX ours ON backoffice_t (b)",
        "CREATE INDEX ours_again ON backoffice_t (b)",
        LARGE.replace("INTO t", "INTO backoffice_t"),
    )
    assert unused(reader).indexes == ()
    assert covered(reader) == {}


def test_the_only_index_of_a_foreign_key_is_needed(reader: OpsReader) -> None:
    """Who deletes a parent needs it one day; a second one may go."""
    do(
        reader,
        "CREATE TABLE p (id int PRIMARY KEY)",
        "INSERT INTO p SELECT generate_series(1, 70000)",
        TABLE,
        LARGE,
        "ALTER TABLE t ADD FOREIGN KEY (b) REFERENCES p",
        "CREATE INDEX t_b_id ON t (b, id)",
    )
    assert unused(reader).indexes == ()

    do(reader, "CREATE INDEX t_b_a ON t (b, a)")
    assert {one.name for one in unused(reader).indexes} == {"t_b_id", "t_b_a"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("(b)", "(b, id)", id="a beginning"),
        pytest.param("(b, c DESC)", "(b, c DESC, id)", id="an order"),
        pytest.param("(b) INCLUDE (c)", "(b, c)", id="with what it includes"),
        pytest.param("(b) WHERE c  IS NULL", "(b, id) WHERE c IS NULL", id="a part"),
        pytest.param("(b)", "(b) INCLUDE (c)", id="less of the same"),
    ],
)
def test_an_index_that_another_begins_with_is_listed(
    reader: OpsReader, one: str, other: str
) -> None:
    """Whichever was made first."""
    for first, second in ((one, other), (other, one)):
        do(reader, TABLE, f"CREATE INDEX i1 ON t {first}")
        do(reader, f"CREATE INDEX the_second ON t {second}")
        short, long = ("i1", "the_second") if first is one else ("the_second", "i1")
        assert covered(reader) == {short: long}
        do(reader, "DROP TABLE t")


@pytest.mark.parametrize(
    "definition", ["(b)", "(lower(c))", "USING hash (b)", "(b) WHERE a > 3"]
)
def test_of_two_that_are_the_same_the_younger_is_listed(
    reader: OpsReader, definition: str
) -> None:
    """Also by an expression, and by a method that knows no beginnings."""
    do(reader, TABLE, f"CREATE INDEX older ON t {definition}")
    do(reader, f"CREATE INDEX a_younger_one ON t {definition}")

    assert covered(reader) == {"a_younger_one": "older"}


def test_a_unique_index_covers_and_is_not_covered(reader: OpsReader) -> None:
    """It is a rule as well: another one by the same columns may go, it may not."""
    do(reader, TABLE, "CREATE INDEX t_a ON t (a)", "CREATE INDEX t_a_b ON t (a, b)")

    assert covered(reader) == {"t_a": "t_a_key"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("(b)", "(id, b)", id="other columns"),
        pytest.param("(b DESC)", "(b, id)", id="another order"),
        pytest.param("(c text_pattern_ops)", "(c, id)", id="another operator class"),
        pytest.param('(c COLLATE "C")', '(c COLLATE "POSIX", id)', id="a collation"),
        pytest.param("USING hash (b)", "(b, id)", id="another method"),
        pytest.param("(b) WHERE c = 'x'", "(b, id)", id="a part of the rows"),
        pytest.param("(b)", "(b, id) WHERE c = 'x'", id="the whole"),
        pytest.param("(b) INCLUDE (c)", "(b, id)", id="includes more"),
        pytest.param("(lower(c))", "(upper(c))", id="another expression"),
        pytest.param("USING gin (to_tsvector('simple', c))", "(c)", id="a search"),
    ],
)
def test_an_index_that_does_other_work_is_not_listed(
    reader: OpsReader, one: str, other: str
) -> None:
    """Method, condition, operator class and order have to be the same."""
    do(reader, TABLE, f"CREATE INDEX i1 ON t {one}", f"CREATE INDEX i2 ON t {other}")

    assert covered(reader) == {}


def test_a_held_table_is_not_waited_for(reader: OpsReader) -> None:
    """Its indexes are listed without their sizes."""
    do(reader, TABLE, LARGE, "CREATE INDEX i1 ON t (b)", "CREATE INDEX i2 ON t (b, c)")
    own = create_engine(reader.engine.url)
    with own.begin() as connection:
        connection.execute(text("LOCK TABLE t"))
        sizes = [one.size for one in unused(reader).indexes]
        assert covered(reader) == {"i1": "i2"}
    own.dispose()
    assert sizes == [None, None]


def test_no_more_are_read_than_are_shown(reader: OpsReader) -> None:
    """And one, that tells that there are more."""
    indexes = [f"CREATE INDEX i{n} ON t (b, c)" for n in range(SHOWN + 3)]
    do(reader, TABLE, LARGE, *indexes)
    assert len(unused(reader).indexes) == SHOWN + 1
    assert len(covered(reader)) == SHOWN + 1
