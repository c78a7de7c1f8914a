"""What PostgreSQL alone needs: locks, TRUNCATE, COPY, sequences and VACUUM.

Other sessions read on while the tables are filled, and see the rows when all of them
are there; they write again when it is over. With `--reset`, and where a table gets so
many rows that its indexes are built afterwards, readers of that table wait as well.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psycopg import sql
from sqlalchemy import Connection, Engine, Table, text

from backoffice.database.copy import driver_connection, name_of, open_copy_in
from backoffice.database.triggers import TOUCHED, touch_trigger
from backoffice.seeding import postgresql_indexes
from backoffice.seeding.plan import Fill, Plan
from backoffice.seeding.postgresql_indexes import build_indexes, drop_indexes

# Longer than a page may take, shorter than an operator's patience.
LOCK_TIMEOUT = "10s"


def prepare(connection: Connection, plan: Plan, *, reset: bool) -> None:
    """Keep other writers out, empty the tables if asked, let the given times stand."""
    limits = {
        "lock_timeout": LOCK_TIMEOUT,
        "statement_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
    }
    for name, value in limits.items():
        connection.execute(
            text("SELECT set_config(:name, :value, true)"),
            {"name": name, "value": value},
        )
    tables = sql.SQL(", ").join(name_of(table) for table in plan.resets)
    if reset:
        _run(connection, sql.SQL("TRUNCATE {} RESTART IDENTITY").format(tables))
    else:
        # Two that seed at once would find the tables empty, both of them.
        mode = "LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE"
        _run(connection, sql.SQL(mode).format(tables))
    _switch_touch(connection, plan, "DISABLE")


@contextmanager
def open_copy(connection: Connection, fill: Fill) -> Iterator[Callable[[bytes], None]]:
    """A function that takes blocks in COPY's text format."""
    is_large = fill.rows >= postgresql_indexes.ROWS
    dropped = drop_indexes(connection, fill.table) if is_large else []
    with open_copy_in(connection, fill.table, fill.columns) as copy:
        yield copy.write
    build_indexes(connection, dropped)


def finish(connection: Connection, plan: Plan) -> None:
    """Let the next key follow the last one, and the times be kept again.

    `setval` would outlive a rollback; RESTART belongs to the transaction.
    """
    # No table can be altered while checks wait for the commit: all rows are here now.
    _run(connection, sql.SQL("SET CONSTRAINTS ALL IMMEDIATE").format())
    _switch_touch(connection, plan, "ENABLE")
    for fill in plan.fills:
        table = fill.table
        column = table.autoincrement_column
        if column is None:
            continue
        sequence = connection.scalar(
            text("SELECT pg_get_serial_sequence(:table, :column)::regclass::text"),
            {
                "table": name_of(table).as_string(driver_connection(connection)),
                "column": column.name,
            },
        )
        if sequence is None:
            continue
        last = _last_key(connection, table, column.name)
        # What a cast to regclass gives is quoted already.
        restart = sql.SQL("ALTER SEQUENCE {} RESTART WITH {}")
        _run(connection, restart.format(sql.SQL(sequence), sql.Literal(last + 1)))
    _count_soon(connection)


def _count_soon(connection: Connection) -> None:
    """Have the written rows counted with the commit.

    A session tells its counts once a second. After a quick load that is later than the
    ANALYZE that follows, and each table would stand there as never analyzed.
    """
    version = connection.dialect.server_version_info
    if version is not None and version >= (15,):
        _run(connection, sql.SQL("SELECT pg_stat_force_next_flush()").format())


def vacuum(engine: Engine, table: Table) -> None:
    """Tell the planner about the rows, and mark their pages as all visible."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SET statement_timeout = 0")
        try:
            _run(connection, sql.SQL("VACUUM (ANALYZE) {}").format(name_of(table)))
        finally:
            connection.exec_driver_sql("RESET statement_timeout")


def _last_key(connection: Connection, table: Table, column: str) -> int:
    statement = sql.SQL("SELECT coalesce(max({}), 0) FROM {}").format(
        sql.Identifier(column), name_of(table)
    )
    with driver_connection(connection).cursor() as cursor:
        row = cursor.execute(statement).fetchone()
    return int(row[0]) if row else 0


def _switch_touch(connection: Connection, plan: Plan, switch: str) -> None:
    """Let rows that a trigger changes in between keep the time they were given.

    The trigger that keeps the time of the last change is off inside this transaction
    only; nobody else can write to the table meanwhile.
    """
    for table in (fill.table for fill in plan.fills):
        if not any(column.info.get(TOUCHED) for column in table.columns):
            continue
        trigger = touch_trigger(table.name).name
        is_there = connection.scalar(
            text(
                "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgname = :trigger"
                " AND tgrelid = to_regclass(:table))"
            ),
            {
                "trigger": trigger,
                "table": name_of(table).as_string(driver_connection(connection)),
            },
        )
        if is_there:
            statement = sql.SQL(f"ALTER TABLE {{}} {switch} TRIGGER {{}}")
            _run(connection, statement.format(name_of(table), sql.Identifier(trigger)))


def _run(connection: Connection, statement: sql.Composed) -> None:
    with driver_connection(connection).cursor() as cursor:
        cursor.execute(statement)
