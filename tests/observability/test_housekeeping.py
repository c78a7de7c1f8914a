from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import URL, create_engine, text

from backoffice.observability.housekeeping import (
    connections_beside,
    contradictions,
    server_question,
    tables_question,
)
from backoffice.observability.ops_connection import (
    OpsReader,
    Question,
    make_ops_engine,
)
from backoffice.settings import DatabaseSettings, Settings


@pytest.fixture
def reader(empty_database: URL) -> Iterator[OpsReader]:
    """A reader on a new database."""
    engine = make_ops_engine(empty_database, DatabaseSettings())
    yield OpsReader(engine)
    engine.dispose()


def now(reader: OpsReader, question: Question[Any]) -> Any:
    """What the question is answered by, if it is."""
    return reader.ask(question)[question.name].value


def test_tables_are_as_the_catalogue_says(reader: OpsReader) -> None:
    """Size, rows and the last analyze of a table are what the catalogue has."""
    with reader.engine.connect() as connection:
        connection.execute(
            text("CREATE TABLE t AS SELECT n FROM generate_series(1, 5000) AS n")
        )
        connection.execute(text("ANALYZE t"))
        size = connection.scalar(text("SELECT pg_total_relation_size('t')"))
    (table,) = [one for one in now(reader, tables_question()) if one.name == "t"]
    assert (table.rows, table.size) == (5000, size)
    assert table.analyzed is not None
    assert table.vacuumed is None


def test_dead_rows_and_cleaning_are_as_the_catalogue_says(reader: OpsReader) -> None:
    """Dead rows, rows changed since, the last vacuum and analyze: the server's own."""
    with reader.engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (a int)"))
        connection.execute(text("INSERT INTO t SELECT generate_series(1, 3000)"))
        flush = text("SELECT pg_stat_force_next_flush()")
        connection.execute(flush)
        connection.execute(text("VACUUM (ANALYZE) t"))
        connection.execute(text("UPDATE t SET a = 0 WHERE a <= 2000"))
        connection.execute(flush)
        connection.execute(text("SELECT 1"))
        row = connection.execute(
            text(
                "SELECT n_dead_tup, n_mod_since_analyze, last_vacuum, last_analyze"
                " FROM pg_stat_user_tables WHERE relname = 't'"
            )
        ).one()
    (table,) = [one for one in now(reader, tables_question()) if one.name == "t"]
    found = (table.dead, table.changed, table.vacuumed, table.analyzed)
    assert found == tuple(row)
    assert table.dead == 2000
    assert table.needs == "ANALYZE: 2000 rows changed since the last"


@pytest.mark.parametrize(
    ("column", "value", "used"),
    [
        ("id smallint GENERATED ALWAYS AS IDENTITY", 30_000, 30_000 / 32_767),
        ("id smallserial", 29_400, 29_400 / 32_767),
        ("id int DEFAULT nextval('by_hand')", 2_000_000_000, 2e9 / 2_147_483_647),
        ("id bigint GENERATED ALWAYS AS IDENTITY", 2_000_000_000, 0.0),
        ("id smallint GENERATED ALWAYS AS IDENTITY (CYCLE)", 30_000, None),
        ("id int", None, None),
    ],
)
def test_a_key_that_runs_out_is_listed(
    reader: OpsReader, column: str, value: int | None, used: float | None
) -> None:
    """By the numbers of its column's type, whatever the sequence could give."""
    with reader.engine.connect() as connection:
        connection.execute(text("CREATE SEQUENCE by_hand"))
        connection.execute(text(f"CREATE TABLE t ({column})"))
        if value is not None:
            sequence = "by_hand" if "by_hand" in column else "t_id_seq"
            connection.execute(text(f"SELECT setval('{sequence}', {value})"))
    (table,) = [one for one in now(reader, tables_question()) if one.name == "t"]
    assert table.key_used == (
        pytest.approx(used, abs=1e-6) if used is not None else None
    )
    assert table.is_running_out == (used is not None and used >= 0.9)
    assert ("id needs a larger type" in table.needs) == table.is_running_out


def test_a_held_sequence_is_not_waited_for(reader: OpsReader) -> None:
    """Its key is unknown meanwhile; all the rest is read."""
    own = create_engine(reader.engine.url)
    with reader.engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (id smallserial)"))
        connection.execute(text("SELECT setval('t_id_seq', 30000)"))
    with own.begin() as connection:
        connection.execute(text("ALTER SEQUENCE t_id_seq MAXVALUE 32000"))
        (table,) = [one for one in now(reader, tables_question()) if one.name == "t"]
    own.dispose()
    assert table.key_used is None
    assert table.size is not None


def test_a_locked_table_has_no_size_and_costs_no_other(reader: OpsReader) -> None:
    """While one table is held exclusively its size is unknown; the rest is read."""
    own = create_engine(reader.engine.url)
    with reader.engine.connect() as connection:
        connection.execute(text("CREATE TABLE held (a int)"))
        connection.execute(text("CREATE TABLE free (a int)"))
    with own.begin() as connection:
        connection.execute(text("LOCK TABLE held"))
        tables = now(reader, tables_question())
    own.dispose()
    sizes = {table.name: table.size for table in tables}
    assert sizes["held"] is None
    assert sizes["free"] is not None


def test_the_server_tells_its_settings(reader: OpsReader) -> None:
    """Connections, their limit and the settings are read in one statement."""
    server = now(reader, server_question())
    assert server.usable_connections > 0
    assert server.connections >= 1
    assert ("pg_settings_max_connections", ()) in server.exported("x")


def test_contradictions_are_named(reader: OpsReader) -> None:
    """More threads than connections, and more connections than the server gives."""
    server = now(reader, server_question())
    settings = DatabaseSettings(
        pool_size=500, max_overflow=500, statement_timeout=3, lock_timeout=3
    )
    found = " ".join(
        one.text
        for one in contradictions(settings, server=server, processes=2, threads=1001)
    )
    assert "1001 threads share the 1000 connections" in found
    assert "may want 2000 connections" in found
    assert "before its wait for a lock" in found


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"statement_timeout": 0}, "may run without end"),
        ({"lock_timeout": 0}, "Who waits for a lock is told so only"),
        ({"idle_in_transaction_timeout": 0}, "keeps its locks without end"),
        ({"lock_timeout": 9}, "times out before its wait for a lock"),
    ],
)
def test_a_limit_that_is_missing_is_named(
    changed: dict[str, float], words: str
) -> None:
    """Each alone, with what to set."""
    (found,) = contradictions(DatabaseSettings(**changed))
    assert words in found.text
    assert "database." in found.fix


def test_connections_beside_the_pool_count(reader: OpsReader) -> None:
    """Those of exports and of these pages are the server's, too."""
    server = now(reader, server_question())
    settings = Settings()
    beside = connections_beside(settings)
    pool = DatabaseSettings(
        pool_size=server.usable_connections - beside + 1, max_overflow=0
    )
    (found,) = [
        one
        for one in contradictions(pool, server=server, beside=beside)
        if "may want" in one.text
    ]
    assert f"may want {server.usable_connections + 1} connections" in found.text


def test_what_risks_the_data_is_named(reader: OpsReader) -> None:
    """A server that does not wait for its disk, or never cleans up."""
    server = now(reader, server_question())
    risky = replace(server, settings={**server.settings, "autovacuum": "off"})
    texts = [one.text for one in contradictions(DatabaseSettings(), server=risky)]
    assert any(one.startswith("autovacuum is off") for one in texts)


def test_settings_that_agree_are_silent() -> None:
    """The defaults contradict nothing."""
    assert contradictions(DatabaseSettings(), threads=10) == ()
