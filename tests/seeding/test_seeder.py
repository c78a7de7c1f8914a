"""All rows or none, the same every time, and nothing else touched."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, func, insert, select, text

from backoffice.database.copy import copy_out
from backoffice.database.engine import database_url, make_engine
from backoffice.errors import LockNotAvailable, Refused
from backoffice.seeding import postgresql, stream
from backoffice.seeding.plan import Fill, Plan, Recipe, blocks, make_plan
from backoffice.seeding.seeder import FILLING, TIDYING, Progress, seed
from backoffice.settings import DatabaseSettings
from tests.seeding.orchard import APPLES, START, TREES, OrchardBase

TWENTY = make_plan(Recipe("tests.seeding.orchard", {"trees": 20}, 7))


@pytest.fixture
def orchard(engine: Engine) -> Engine:
    """A database with the orchard's tables."""
    OrchardBase.metadata.create_all(engine)
    return engine


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Engine]:
    """The same on SQLite."""
    engine = make_engine(
        database_url(f"sqlite:///{tmp_path / 'orchard.db'}"),
        DatabaseSettings(),
        application_name="test",
    )
    OrchardBase.metadata.create_all(engine)
    yield engine
    engine.dispose()


def digest(connection: Connection) -> str:
    """A number that changes when a byte of a row does."""
    found = hashlib.sha256()
    for table in (TREES, APPLES):
        for chunk in copy_out(connection, select(table).order_by(table.c.id)):
            found.update(chunk)
    return found.hexdigest()


def count(engine: Engine, table: Any = APPLES) -> int:
    """How many rows the table has."""
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def failing(fill: Fill) -> Fill:
    """The same fill, interrupted after some rows."""

    def make(units: range, random: Random) -> Iterator[Any]:
        yield from list(fill.make(units, random))[:10]
        raise KeyboardInterrupt

    return Fill(fill.table, fill.columns, fill.units, fill.rows, make)


def test_report_counts_what_was_written(orchard: Engine) -> None:
    """The report names each table with its rows."""
    report = seed(orchard, TWENTY)
    assert [(t.table, t.rows) for t in report.tables] == [("trees", 20), ("apples", 60)]
    assert report.rows == 80
    assert count(orchard) == 60


def test_same_seed_gives_the_same_bytes(orchard: Engine) -> None:
    """Keys, values and times are the seed's, also where a trigger wrote meanwhile."""
    seed(orchard, TWENTY)
    with orchard.connect() as connection:
        first = digest(connection)
    seed(orchard, TWENTY, reset=True)
    with orchard.connect() as connection:
        assert digest(connection) == first


def test_counted_rows_keep_their_times(orchard: Engine) -> None:
    """A trigger counts the rows; it does not count as a change of that moment."""
    seed(orchard, TWENTY)
    with orchard.connect() as connection:
        tree = connection.execute(select(TREES).where(TREES.c.id == 1)).one()
    assert tree.apples == 3
    assert tree.updated_at == START


def test_times_are_kept_again_afterwards(orchard: Engine) -> None:
    """The trigger that keeps the time of the last change is on again."""
    seed(orchard, TWENTY)
    with orchard.begin() as connection:
        connection.execute(text("UPDATE trees SET name = 'x' WHERE id = 1"))
        changed = connection.scalar(select(TREES.c.updated_at).where(TREES.c.id == 1))
    assert changed is not None
    assert changed > START


def test_next_key_follows_the_last(orchard: Engine) -> None:
    """The sequence goes on after the given keys."""
    seed(orchard, TWENTY)
    with orchard.begin() as connection:
        made = connection.execute(insert(TREES).values(name="one more"))
        assert made.inserted_primary_key == (21,)


def test_rows_that_stand_are_refused(orchard: Engine) -> None:
    """Tables with rows are left alone; the sentence counts them and names --reset."""
    seed(orchard, TWENTY)
    with pytest.raises(
        Refused, match="trees has 20 rows and apples has 60 rows"
    ) as told:
        seed(orchard, TWENTY)
    assert "--reset deletes every row of trees and apples" in str(told.value)
    assert count(orchard) == 60


def test_reset_empties_only_the_plans_tables(orchard: Engine) -> None:
    """Other tables of the same database keep their rows."""
    with orchard.begin() as connection:
        connection.execute(text("CREATE TABLE accounts AS SELECT 1 AS id"))
    seed(orchard, TWENTY)
    smaller = make_plan(Recipe("tests.seeding.orchard", {"trees": 2}, 7))
    seed(orchard, smaller, reset=True)
    assert count(orchard) == 6
    assert count(orchard, text("accounts")) == 1


def test_reset_is_refused_where_others_refer(orchard: Engine) -> None:
    """A table that refers to the plan's rows stops the reset, and is named."""
    seed(orchard, TWENTY)
    with orchard.begin() as connection:
        connection.execute(text("CREATE TABLE nests (tree int REFERENCES trees)"))
    with pytest.raises(Refused, match="nests"):
        seed(orchard, TWENTY, reset=True)
    assert count(orchard) == 60


@pytest.mark.parametrize("reset", [False, True])
def test_interrupt_leaves_the_database_as_it_was(
    orchard: Engine,
    reset: bool,  # noqa: FBT001 - pytest names it
) -> None:
    """Ctrl-C in the middle of the rows keeps what was there, sequences included."""
    if reset:
        seed(orchard, TWENTY)
    trees, apples = TWENTY.fills
    half = Plan((trees, failing(apples)), 8, TWENTY.resets)
    with orchard.connect() as connection:
        before = digest(connection)
    with pytest.raises(KeyboardInterrupt):
        seed(orchard, half, reset=reset)
    with orchard.begin() as connection:
        assert digest(connection) == before
        made = connection.execute(insert(TREES).values(name="next"))
        assert made.inserted_primary_key == (21 if reset else 1,)


def test_a_server_that_ends_the_session_leaves_nothing(
    orchard: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows made by another process are gone with the transaction, and so is it."""
    monkeypatch.setattr(stream, "ROWS_FOR_A_PROCESS", 1)

    def stop(progress: Progress) -> None:
        if progress.table == "apples" and progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seed(orchard, TWENTY, progress=stop)
    assert count(orchard, TREES) == 0


def test_another_process_fills_the_same_rows(
    orchard: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run large enough for a second process gives the same bytes."""
    seed(orchard, TWENTY)
    with orchard.connect() as connection:
        first = digest(connection)
    monkeypatch.setattr(stream, "ROWS_FOR_A_PROCESS", 1)
    seed(orchard, TWENTY, reset=True)
    with orchard.connect() as connection:
        assert digest(connection) == first


def test_missing_tables_are_named(engine: Engine) -> None:
    """Before migrate there is nothing to fill, and the sentence says so."""
    with pytest.raises(Refused, match="trees and apples are not in this database"):
        seed(engine, TWENTY)


def test_another_writer_is_waited_for_and_named(
    orchard: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that somebody writes to is not seeded behind their back."""
    monkeypatch.setattr(postgresql, "LOCK_TIMEOUT", "50ms")
    with orchard.begin() as other:
        other.execute(insert(TREES).values(name="theirs"))
        with pytest.raises(LockNotAvailable, match="somebody else"):
            seed(orchard, TWENTY)


def test_planner_knows_the_rows(orchard: Engine) -> None:
    """After a run the planner's estimate is the count."""
    seed(orchard, TWENTY)
    with orchard.connect() as connection:
        estimate = connection.scalar(
            text("SELECT reltuples FROM pg_class WHERE relname = 'apples'")
        )
    assert estimate == 60


def test_filled_tables_are_vacuumed(orchard: Engine) -> None:
    """Not analyzed alone: what was written is marked as seen by all."""
    seed(orchard, TWENTY)

    counts = text(
        "SELECT relname, vacuum_count FROM pg_stat_user_tables ORDER BY relname"
    )
    with orchard.connect() as connection:
        assert dict(connection.execute(counts).all()) == {"apples": 1, "trees": 1}


def test_no_table_waits_for_an_analyze(orchard: Engine) -> None:
    """The rows of a quick load are counted before their ANALYZE, not after it."""
    seed(orchard, TWENTY)
    with orchard.connect() as connection:
        if connection.dialect.server_version_info < (15,):  # type: ignore[operator]
            pytest.skip("statistics are told at once from PostgreSQL 15 on")
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        connection.commit()
        changed = connection.scalar(
            text(
                "SELECT n_mod_since_analyze FROM pg_stat_user_tables"
                " WHERE relname = 'apples'"
            )
        )
    assert changed == 0


def test_progress_ends_at_the_total(orchard: Engine) -> None:
    """Progress grows to all rows, then tells that they are committed."""
    heard: list[Progress] = []
    seed(orchard, TWENTY, progress=heard.append)
    assert heard[0] == Progress(FILLING, "trees", 0, 80)
    filling = [p for p in heard if p.stage == FILLING]
    assert [p.done for p in filling] == sorted(p.done for p in filling)
    assert filling[-1] == Progress(FILLING, "apples", 80, 80)
    assert heard[-1].stage == TIDYING


def test_sqlite_has_the_same_rows(file: Engine) -> None:
    """Without COPY the values are the same."""
    seed(file, TWENTY)
    with file.connect() as connection:
        tree = connection.execute(select(TREES).where(TREES.c.id == 2)).one()
        weights = list(
            connection.scalars(select(APPLES.c.weight).order_by(APPLES.c.id))
        )
    assert tree.name == "Tree\t2\\é\n"
    (apples,) = blocks(TWENTY.fills[1], TWENTY.seed)
    assert weights == [row[2] for row in apples]


def test_sqlite_refuses_and_resets_too(file: Engine) -> None:
    """The second run is refused; with a reset it replaces the rows."""
    seed(file, TWENTY)
    with pytest.raises(Refused, match="trees has 20 rows"):
        seed(file, TWENTY)
    seed(file, TWENTY, reset=True)
    assert count(file) == 60


def test_sqlite_keeps_nothing_of_an_interrupted_run(file: Engine) -> None:
    """Ctrl-C in the middle leaves the file as it was."""
    trees, apples = TWENTY.fills
    with pytest.raises(KeyboardInterrupt):
        seed(file, Plan((trees, failing(apples)), 8, TWENTY.resets))
    assert count(file, TREES) == 0
