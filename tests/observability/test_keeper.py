from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, QueuePool, create_engine, text

from backoffice.database.session import Actor, Place, make_sessions, unit_of_work
from backoffice.observability.keeper import Keeper, make_flush_engine
from backoffice.observability.models import (
    SlowStatement,
    StatementHour,
    StatementText,
    TableSize,
)
from backoffice.observability.pool import observed_pool
from backoffice.observability.slow_log import read_slow
from backoffice.observability.statement_texts import table_of
from backoffice.settings import DatabaseSettings, ObservabilitySettings

TABLES = [
    table_of(model)
    for model in (StatementText, SlowStatement, StatementHour, TableSize)
]


@pytest.fixture
def observed_engine(empty_database: URL) -> Iterator[Engine]:
    """An engine that can be observed, on a database with our tables."""
    engine = create_engine(empty_database, poolclass=observed_pool(QueuePool))
    TABLES[0].metadata.create_all(engine, tables=TABLES)
    engine.dispose()
    yield engine
    engine.dispose()


def make_keeper(engine: Engine, directory: Path) -> Keeper:
    """A keeper for which everything is slow, and that never does anything by itself."""
    return Keeper(
        ObservabilitySettings(slow_ms=0, flush_seconds=600, snapshot_seconds=60),
        directory,
        flush_engine=make_flush_engine(engine.url, DatabaseSettings()),
    )


def work(engine: Engine) -> None:
    """A statement of bob's."""
    with unit_of_work(
        make_sessions(engine), actor=Actor("7", "bob"), place=Place("student", "list")
    ) as session:
        session.execute(text("SELECT 1 AS a")).all()


def test_its_end_writes_what_is_left(observed_engine: Engine, tmp_path: Path) -> None:
    """A process that ends properly loses no entry of the slow log."""
    keeper = make_keeper(observed_engine, tmp_path)
    keeper.observe(observed_engine)
    keeper.start()
    work(observed_engine)
    keeper.stop()
    with observed_engine.connect() as connection:
        found = read_slow(connection)
    assert "SELECT ? AS a" in {entry.text for entry in found}
    assert keeper.picture().tally.calls >= 2


def test_its_own_statements_are_no_news(
    observed_engine: Engine, tmp_path: Path
) -> None:
    """Writing the slow log adds nothing to the slow log."""
    keeper = make_keeper(observed_engine, tmp_path)
    keeper.observe(observed_engine)
    work(observed_engine)
    assert keeper.flush() > 0
    assert keeper.flush() == 0
    keeper.stop()


def test_without_its_tables_it_waits(empty_database: URL, tmp_path: Path) -> None:
    """Before the migrations have run nothing is lost and nothing breaks."""
    engine = create_engine(empty_database, poolclass=observed_pool(QueuePool))
    keeper = make_keeper(engine, tmp_path)
    keeper.observe(engine)
    work(engine)
    assert keeper.flush() == 0
    assert keeper.flush_error
    TABLES[0].metadata.create_all(engine, tables=TABLES)
    assert keeper.flush() > 0
    assert keeper.flush_error == ""
    keeper.stop()
    engine.dispose()


def test_it_shows_what_it_costs(observed_engine: Engine, tmp_path: Path) -> None:
    """What hooks, reports and writing took is counted."""
    keeper = make_keeper(observed_engine, tmp_path)
    keeper.observe(observed_engine)
    work(observed_engine)
    keeper.report()
    keeper.flush()
    overhead = keeper.picture().tally.overhead
    keeper.stop()
    assert {"hook", "snapshot", "flush"} <= set(overhead)
    assert all(overhead.values())


def test_it_judges_its_pools(observed_engine: Engine, tmp_path: Path) -> None:
    """Each pool has its verdicts, by its name."""
    keeper = make_keeper(observed_engine, tmp_path)
    keeper.observe(observed_engine, name="staff")
    keeper.report()
    assert {one.rule for one in keeper.verdicts()["staff"]} >= {
        "utilization",
        "waiters",
    }
    keeper.stop()


def test_old_entries_are_pruned(observed_engine: Engine, tmp_path: Path) -> None:
    """What is older than the settings say is forgotten."""
    keeper = make_keeper(observed_engine, tmp_path)
    keeper.observe(observed_engine)
    work(observed_engine)
    keeper.flush()
    with observed_engine.begin() as connection:
        connection.execute(
            text("UPDATE backoffice_slow_statements SET at = at - interval '15 days'")
        )
    assert keeper.prune() > 0
    with observed_engine.connect() as connection:
        assert read_slow(connection) == ()
    keeper.stop()
