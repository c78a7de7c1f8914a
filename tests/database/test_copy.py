"""COPY in and out, with names and values that need quoting."""

from collections.abc import Iterator

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    select,
)

from backoffice.database.copy import CHUNK, copy_out, copy_rows, copy_text

ODD = Table(
    'odd "names"',
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column('the "value" %s', Text, key="value"),
)


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection to a database with a table whose names need quoting."""
    with engine.connect() as connection:
        ODD.create(connection)
        yield connection


def test_rows_are_quoted(connection: Connection) -> None:
    """Values come back as they went in, whatever they contain."""
    values = ["'; DROP TABLE x --", "a\tb\\N", None, "100 %s"]
    assert copy_rows(connection, ODD, ["id", "value"], list(enumerate(values))) == 4
    read = connection.scalars(select(ODD.c.value).order_by(ODD.c.id))
    assert list(read) == values


def test_text_is_taken_as_it_is(connection: Connection) -> None:
    """Chunks may end anywhere, also within a row."""
    assert copy_text(connection, ODD, ["id", "value"], [b"1\tyes\n2", b"\t\\N\n"]) == 2
    read = connection.scalars(select(ODD.c.value).order_by(ODD.c.id))
    assert list(read) == ["yes", None]


def test_rows_belong_to_the_transaction(connection: Connection) -> None:
    """A rollback takes the copied rows back."""
    connection.commit()
    copy_rows(connection, ODD, ["id", "value"], [(1, "x")])
    connection.rollback()
    assert connection.scalars(select(ODD.c.id)).all() == []


def test_bound_values_are_quoted_into_the_copy(connection: Connection) -> None:
    """A select with values, lists and percent signs is copied as it is read."""
    rows = [(1, "100%"), (2, "it's"), (3, "other"), (4, "100x")]
    copy_rows(connection, ODD, ["id", "value"], rows)
    query = (
        select(ODD)
        .where(ODD.c.value.in_(["it's", "100%", "\\"]), ODD.c.id.in_([1, 2, 3]))
        .where(ODD.c.value.not_like("z%"))
        .order_by(ODD.c.id)
    )
    text = b"".join(copy_out(connection, query)).decode()
    assert text == 'id,"the ""value"" %s"\n1,100%\n2,it\'s\n'


def test_select_without_values_keeps_its_percent_signs(connection: Connection) -> None:
    """A percent sign in a name is not doubled where nothing is bound."""
    assert b'"the ""value"" %s"' in b"".join(copy_out(connection, select(ODD)))


def test_much_comes_in_chunks(connection: Connection) -> None:
    """A long result is handed on in parts of about the same size."""
    copy_rows(connection, ODD, ["id", "value"], [(n, "x" * 100) for n in range(3000)])
    sizes = [len(chunk) for chunk in copy_out(connection, select(ODD))]
    assert len(sizes) > 3
    assert max(sizes) < 2 * CHUNK


def test_leaving_early_frees_the_connection(connection: Connection) -> None:
    """A reader that stops half-way can use the connection for something else."""
    copy_rows(connection, ODD, ["id", "value"], [(n, "x" * 100) for n in range(3000)])
    connection.commit()
    chunks = copy_out(connection, select(ODD))
    next(chunks)
    chunks.close()
    connection.rollback()
    assert connection.scalar(select(ODD.c.id).where(ODD.c.id == 5)) == 5
