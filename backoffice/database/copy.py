"""PostgreSQL's COPY in bounded memory: rows in, rows out, quoted by psycopg.

A COPY takes no bound parameters: psycopg puts the values into the statement, quoted,
where a select has some. Identifiers are quoted by psycopg too.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, Select, Table
from sqlalchemy.sql.compiler import Compiled, SQLCompiler

# What is gathered before it is handed on: one row at a time costs more than the row.
CHUNK = 64 * 1024


def copy_text(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    chunks: Iterable[bytes],
) -> int:
    """Write what is already in COPY's text format; how many rows it was.

    The rows belong to the connection's transaction. Nothing is kept but one chunk.
    """
    with driver_connection(connection).cursor() as cursor:
        with cursor.copy(_copy_into(table, columns)) as copy:
            for chunk in chunks:
                copy.write(chunk)
        return cursor.rowcount


@contextmanager
def open_copy_in(
    connection: Connection, table: Table, columns: Sequence[str]
) -> Iterator[psycopg.Copy]:
    """A COPY into the table that takes what is written to it, until it is closed."""
    with (
        driver_connection(connection).cursor() as cursor,
        cursor.copy(_copy_into(table, columns)) as copy,
    ):
        yield copy


def copy_rows(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> int:
    """Write rows of Python values, quoted by psycopg; how many they were."""
    with driver_connection(connection).cursor() as cursor:
        with cursor.copy(_copy_into(table, columns)) as copy:
            for row in rows:
                copy.write_row(row)
        return cursor.rowcount


def copy_out(
    connection: Connection, select: Select[Any], options: str = "FORMAT csv, HEADER"
) -> Generator[bytes, None, None]:
    """The rows of a select as COPY writes them, in chunks of about 64 KB.

    `options` is SQL and comes from the program, never from a person. Who stops early
    closes the generator (`contextlib.closing`), which stops the statement on the
    server: until then the connection can do nothing else, not even roll back.
    """
    compiled = select.compile(
        dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
    )
    values = {
        name: _bound(compiled, name, value) for name, value in compiled.params.items()
    }
    # Percent signs come doubled; psycopg halves them only where there are values.
    query = str(compiled) if values else str(compiled).replace("%%", "%")
    statement = f"COPY ({query}) TO STDOUT ({options})"
    with (
        driver_connection(connection).cursor() as cursor,
        cursor.copy(statement.encode(), values) as copy,
    ):
        gathered = bytearray()
        for data in copy:
            gathered += data
            if len(gathered) >= CHUNK:
                yield bytes(gathered)
                gathered.clear()
        if gathered:
            yield bytes(gathered)


def _copy_into(table: Table, columns: Sequence[str]) -> sql.Composed:
    """`COPY table (columns) FROM STDIN`, with the names quoted."""
    listed = sql.SQL(", ").join(
        sql.Identifier(table.columns[column].name) for column in columns
    )
    return sql.SQL("COPY {} ({}) FROM STDIN").format(name_of(table), listed)


def name_of(table: Table) -> sql.Identifier:
    """The table's name, quoted by psycopg where it must be."""
    return sql.Identifier(*filter(None, (table.schema, table.name)))


def _bound(compiled: Compiled, name: str, value: Any) -> Any:
    """The value as its column's type hands it to psycopg."""
    assert isinstance(compiled, SQLCompiler)  # noqa: S101 - a select is SQL
    # The parts of an IN are named after it: `id_1_1`, `id_1_2`, ….
    bind = compiled.binds.get(name, compiled.binds.get(name.rpartition("_")[0]))
    if bind is None:
        return value
    process = bind.type.dialect_impl(compiled.dialect).bind_processor(compiled.dialect)
    return value if process is None else process(value)


def driver_connection(connection: Connection) -> psycopg.Connection[Any]:
    """The driver's own connection, inside the transaction that SQLAlchemy has begun."""
    if not connection.in_transaction():
        connection.begin()
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - PostgreSQL only
    return driver
