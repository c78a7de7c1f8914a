"""Indexes that are built afterwards are the ones that were there before."""

import pytest
from sqlalchemy import Connection, Engine, text

from backoffice.seeding import postgresql_indexes
from backoffice.seeding.plan import Plan, Recipe, make_plan
from backoffice.seeding.seeder import seed
from tests.seeding.orchard import OrchardBase

TWENTY = make_plan(Recipe("tests.seeding.orchard", {"trees": 20}, 7))
INDEXES = """\
CREATE INDEX plain ON apples (weight, id);
CREATE INDEX "Odd ""100%"" name" ON apples (weight DESC NULLS LAST) INCLUDE (tree_id);
CREATE INDEX partial ON apples ((weight % 7), id) WHERE weight > 100;
CREATE INDEX words ON apples USING gin (to_tsvector('simple', weight::text));
CREATE UNIQUE INDEX one ON apples (tree_id, id);
CREATE INDEX commented ON apples (id, weight);
COMMENT ON INDEX commented IS 'for the report of spring';
CREATE INDEX clustered ON apples (created_at);
ALTER TABLE apples CLUSTER ON clustered"""
PLAIN = {"plain", 'Odd "100%" name', "partial", "words"}


@pytest.fixture(autouse=True)
def _every_table_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql_indexes, "ROWS", 1)


@pytest.fixture
def orchard(engine: Engine) -> Engine:
    """A database with the orchard's tables and indexes of many kinds."""
    OrchardBase.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(INDEXES.replace("%", "%%"))
    return engine


def indexes(connection: Connection) -> dict[str, tuple[str, int]]:
    """Name, definition and number of every index of the apples."""
    found = connection.execute(
        text(
            "SELECT relname, pg_get_indexdef(oid), oid FROM pg_class"
            " JOIN pg_index ON indexrelid = oid WHERE indrelid = 'apples'::regclass"
        )
    )
    return {name: (definition, number) for name, definition, number in found}


def test_the_same_indexes_stand_afterwards(orchard: Engine) -> None:
    """Plain indexes are new and say what they said; all others were never gone."""
    with orchard.connect() as connection:
        before = indexes(connection)
    seed(orchard, TWENTY)
    with orchard.connect() as connection:
        after = indexes(connection)
    assert {n: made for n, (made, _) in after.items()} == {
        n: made for n, (made, _) in before.items()
    }
    assert {n for n in before if before[n] != after[n]} == PLAIN


def test_built_indexes_find_the_rows(orchard: Engine) -> None:
    """A search by a rebuilt index finds what a search without it finds."""
    seed(orchard, TWENTY)
    by_index = "SET LOCAL enable_seqscan = off"
    by_table = "SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off"
    counts = []
    for plan in (by_index, by_table):
        with orchard.begin() as connection:
            connection.exec_driver_sql(plan)
            query = text("SELECT count(*) FROM apples WHERE weight BETWEEN 90 AND 150")
            counts.append(connection.scalar(query))
    assert counts[0] == counts[1] != 0


def test_interrupt_leaves_the_indexes_as_they_were(orchard: Engine) -> None:
    """What was dropped comes back with the rollback."""
    with orchard.connect() as connection:
        before = indexes(connection)
    trees, apples = TWENTY.fills
    with pytest.raises(KeyboardInterrupt):
        seed(orchard, Plan((trees, apples), 7, TWENTY.resets), progress=_stop)
    with orchard.connect() as connection:
        assert indexes(connection) == before


def test_checks_that_wait_for_the_commit_keep_the_indexes(orchard: Engine) -> None:
    """Where a foreign key is deferred nothing is dropped, and the rows are written."""
    with orchard.begin() as connection:
        connection.exec_driver_sql(
            "ALTER TABLE apples ADD FOREIGN KEY (tree_id) REFERENCES trees"
            " DEFERRABLE INITIALLY DEFERRED"
        )
        before = indexes(connection)
    assert seed(orchard, TWENTY).rows == 80
    with orchard.connect() as connection:
        assert indexes(connection) == before


def _stop(progress: object) -> None:
    if getattr(progress, "done", 0) > 20:
        raise KeyboardInterrupt
