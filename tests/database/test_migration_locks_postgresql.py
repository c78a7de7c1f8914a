"""Whether a plan tells the locks that PostgreSQL takes, and on what."""

import pytest
from sqlalchemy import Connection, Engine, text

from backoffice.database.migration_locks_postgresql import (
    locks_of,
    statements_of,
    table_locks,
)

TABLES = (
    "CREATE TABLE parents (id integer PRIMARY KEY, name text)",
    (
        "CREATE TABLE children (id integer PRIMARY KEY, parent integer, "
        "CONSTRAINT late CHECK (parent > 0) NOT VALID)"
    ),
    "CREATE INDEX by_parent ON children (parent)",
    (
        "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RETURN NEW; END'"
    ),
    (
        "CREATE TRIGGER looks BEFORE UPDATE ON children "
        "FOR EACH ROW EXECUTE FUNCTION look()"
    ),
)
STATEMENTS = [
    "ALTER TABLE children ADD COLUMN note text",
    "ALTER TABLE ONLY children ALTER COLUMN parent SET NOT NULL",
    "ALTER TABLE children ADD CONSTRAINT positive CHECK (id > 0)",
    "ALTER TABLE children ADD CONSTRAINT up FOREIGN KEY (parent) REFERENCES parents",
    "ALTER TABLE children VALIDATE CONSTRAINT late",
    "ALTER TABLE children DISABLE TRIGGER looks",
    "ALTER TABLE children ALTER COLUMN parent SET STATISTICS 500",
    "CREATE INDEX more ON children (parent, id)",
    "CREATE UNIQUE INDEX IF NOT EXISTS once ON public.children (id, parent)",
    "DROP INDEX by_parent",
    (
        "CREATE OR REPLACE TRIGGER other BEFORE INSERT OR UPDATE OF parent\n"
        "ON children FOR EACH ROW EXECUTE FUNCTION look()"
    ),
    "DROP TRIGGER looks ON children",
    "CREATE TABLE pets (id integer, child integer REFERENCES children (id))",
    "INSERT INTO children (id) VALUES (1)",
    "UPDATE children SET parent = 1",
    "DELETE FROM children",
    "TRUNCATE children",
    "DROP TABLE children",
]

# From the weakest to the strongest.
ORDER = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)


def _spaced(mode: str) -> str:
    """`ShareRowExclusiveLock` as the manual writes it."""
    words = "".join(f" {c}" if c.isupper() else c for c in mode.removesuffix("Lock"))
    return words.strip().upper()


def _held(connection: Connection, oid: int) -> str:
    """The strongest lock that the session has on a table; "" where it only reads it."""
    modes = connection.scalars(
        text(
            "SELECT mode FROM pg_locks WHERE pid = pg_backend_pid()"
            " AND locktype = 'relation' AND relation = :oid"
        ),
        {"oid": oid},
    )
    strongest = max(map(_spaced, modes), key=ORDER.index, default=ORDER[0])
    return strongest if ORDER.index(strongest) > ORDER.index("ROW SHARE") else ""


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_plan_tells_the_lock_that_postgresql_takes(
    engine: Engine, statement: str
) -> None:
    """The statement is run, and what it holds then is what was told before."""
    with engine.begin() as connection:
        for one in TABLES:
            connection.exec_driver_sql(one)
    with engine.connect() as connection:
        told = {one.table: one.mode for one in table_locks(connection, statement)}
        oids = {
            name: connection.scalar(text(f"SELECT '{name}'::regclass::oid"))
            for name in ("parents", "children")
        }
        connection.rollback()
        connection.exec_driver_sql(statement)
        held = {name: _held(connection, oid) for name, oid in oids.items()}
        connection.rollback()
    assert told == {name: mode for name, mode in held.items() if mode}


def test_an_index_built_beside_the_work_says_so() -> None:
    """CONCURRENTLY cannot be tried in a transaction: the manual is believed."""
    (lock,) = locks_of("CREATE INDEX CONCURRENTLY i ON children (parent)")
    assert lock == ("SHARE UPDATE EXCLUSIVE", "children")


def test_a_table_that_is_not_there_yet_keeps_nobody_waiting(engine: Engine) -> None:
    """What the migration itself makes is nobody else's."""
    with engine.connect() as connection:
        script = "CREATE TABLE fresh (id integer); CREATE INDEX i ON fresh (id);"
        assert list(table_locks(connection, script)) == []


def test_statements_end_where_they_do() -> None:
    """Not in a text, a name, a body or a comment."""
    script = """
    -- first; of all
    UPDATE "odd;name" SET a = 'x;''y' /* ; */ ;
    CREATE FUNCTION f() RETURNS void AS $b$ BEGIN; END $b$;;
    SELECT 1"""
    assert list(statements_of(script)) == [
        "UPDATE \"odd;name\" SET a = 'x;''y'",
        "CREATE FUNCTION f() RETURNS void AS $b$ BEGIN; END $b$",
        "SELECT 1",
    ]


def test_a_lock_says_how_large_the_table_is(engine: Engine) -> None:
    """Rows as the planner knows them, megabytes, and what it means for others."""
    with engine.begin() as connection:
        for one in TABLES:
            connection.exec_driver_sql(one)
        connection.exec_driver_sql(
            "INSERT INTO children SELECT n, 1 FROM generate_series(1, 50000) n"
        )
        unknown = "ALTER TABLE parents ADD note text"
        (parents,) = table_locks(connection, unknown)
        connection.exec_driver_sql("ANALYZE children")
        (children,) = table_locks(connection, "CREATE INDEX i ON children (id)")
    assert "parents (never analyzed, 0.0 MB): nobody reads or writes" in parents.words()
    told = children.words()
    assert told.startswith("SHARE on children (about 50,000 rows, 1.")
    assert told.endswith("MB): nobody writes it meanwhile")
