"""How tables are emptied, all of them or none."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, Table, text


def empty_tables(engine: Engine, tables: Sequence[Table]) -> None:
    """Delete every row of these tables in one transaction; parents come first."""
    if not tables:
        return
    with (
        engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection,
        connection.begin(),
    ):
        if connection.dialect.name == "postgresql":
            _truncate_on_postgresql(connection, tables)
        else:
            _delete_on_sqlite(connection, tables)


def _truncate_on_postgresql(connection: Connection, tables: Sequence[Table]) -> None:
    names = ", ".join(map(connection.dialect.identifier_preparer.format_table, tables))
    connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))


def _delete_on_sqlite(connection: Connection, tables: Sequence[Table]) -> None:
    """Children first; triggers, which keep counts and administrators, are put aside."""
    with _without_triggers(connection, tables):
        for table in reversed(tables):
            connection.execute(table.delete())


@contextmanager
def _without_triggers(
    connection: Connection, tables: Sequence[Table]
) -> Iterator[None]:
    found = connection.exec_driver_sql(
        "SELECT name, sql, tbl_name FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall()
    emptied = {table.name for table in tables}
    quote = connection.dialect.identifier_preparer.quote_identifier
    aside = [row for row in found if row.tbl_name in emptied]
    for row in aside:
        connection.exec_driver_sql(f"DROP TRIGGER {quote(row.name)}")
    yield
    for row in aside:
        connection.exec_driver_sql(row.sql)
