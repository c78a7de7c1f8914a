"""CSV files: the same bytes from both databases, harmless, and never held whole."""

import csv
import io
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    JSON,
    URL,
    Column,
    Date,
    DateTime,
    Engine,
    Enum,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    TypeDecorator,
    Uuid,
    cast,
    func,
    insert,
    literal,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import Boolean

from backoffice.database.engine import make_engine
from backoffice.import_export.exporter import export_csv
from backoffice.settings import DatabaseSettings

METADATA = MetaData()
THINGS = Table(
    "things",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(50)),
    Column("amount", Numeric(10, 2)),
    Column("ratio", Float),
    Column("is_on", Boolean),
    Column("born", Date),
    Column("seen_at", DateTime(timezone=True)),
    Column("local_at", DateTime),
    Column("token", Uuid),
    Column("level", Enum("low", "-high", name="level")),
    Column("extra", JSON().with_variant(JSONB(), "postgresql")),
    Column("raw", LargeBinary),
)


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Each database in turn, with an empty table."""
    url = (
        request.getfixturevalue("empty_database")
        if request.param == "postgresql"
        else make_url(f"sqlite:///{tmp_path / 'export.db'}")
    )
    engine = make_engine(url, DatabaseSettings(pool="null"), application_name="tests")
    METADATA.create_all(engine)
    yield engine
    engine.dispose()


class Cents(TypeDecorator[int]):
    """A type of a project's own."""

    impl = Integer
    cache_ok = True


def add(engine: Engine, *rows: dict[str, Any]) -> None:
    """Rows with keys from 1."""
    with engine.begin() as connection:
        for index, row in enumerate(rows, 1):
            connection.execute(insert(THINGS).values(id=index, **row))


def exported(engine: Engine, *columns: str, **given: Any) -> str:
    """The file with these columns, in the order of keys."""
    chosen = [THINGS.c[name] for name in columns]
    rows = select(*chosen).select_from(THINGS).order_by(THINGS.c.id)
    return b"".join(export_csv(engine, rows, columns, **given)).decode()


def test_every_type_has_one_text(database: Engine) -> None:
    """Dates are ISO, times in UTC, booleans words, whatever the database."""
    add(
        database,
        {
            "name": "Ann",
            "amount": Decimal("-1.50"),
            "ratio": 5.0,
            "is_on": True,
            "born": date(2026, 1, 31),
            "seen_at": datetime(2026, 1, 31, 12, 0, 0, 120000, tzinfo=UTC),
            "local_at": datetime(2026, 1, 31, 12),  # noqa: DTZ001 - has none
            "token": UUID(int=1),
            "level": "low",
            "extra": {"a": [1, None, "é"], "b": "x" * 100},
            "raw": b"\x00\xff",
        },
    )
    columns = [column.name for column in THINGS.columns][1:]

    _, line, _ = exported(database, *columns).split("\n")

    assert line == (
        "Ann,-1.50,5,true,2026-01-31,2026-01-31 12:00:00.12+00,2026-01-31 12:00:00,"
        "00000000-0000-0000-0000-000000000001,low,"
        '"{""a"": [1, null, ""é""], ""b"": ""' + "x" * 100 + '""}",\\x00ff'
    )


def test_null_and_an_empty_text_differ(database: Engine) -> None:
    """Null is nothing, an empty text is a pair of quotes."""
    add(database, {"name": None}, {"name": ""})

    assert exported(database, "id", "name") == 'id,name\n1,\n2,""\n'


EVIL = [
    *("=cmd", "+cmd", "-cmd", "@cmd", "\tcmd", "\rcmd", "\ncmd"),
    *(" =cmd", "\xa0\u3000+cmd", '"=cmd"', "''=cmd", " \"' \t@cmd", "\ufeff-cmd"),
    *("\uff1dcmd", "\uff0bcmd", " \uff0dcmd", "\uff20cmd", "="),
]


def test_no_cell_is_a_formula(database: Engine) -> None:
    """What a spreadsheet would compute has an apostrophe before it, blanks or not."""
    add(database, *({"name": name} for name in EVIL))

    _, *lines = csv.reader(io.StringIO(exported(database, "name"), newline=""))

    assert [line[0] for line in lines] == [f"'{name}" for name in EVIL]


def test_what_is_no_formula_is_left_alone(database: Engine) -> None:
    """Signs within a text, blanks and quotes before a word, letters of any language."""
    names = ["a=1", " Ann", '"Ann"', "'n =1", "5-1", "\u3000王", "é+", "😀=", "  ", "'"]
    add(database, *({"name": name} for name in names))

    _, *lines = csv.reader(io.StringIO(exported(database, "name"), newline=""))

    assert [line[0] for line in lines] == names


def test_a_text_in_json_is_no_formula(database: Engine) -> None:
    """Its quotes are dropped by some programs."""
    add(database, {"extra": "=1+1"}, {"extra": -5}, {"extra": [-5]})

    _, *lines = csv.reader(io.StringIO(exported(database, "extra")))

    assert lines == [['\'"=1+1"'], ["'-5"], ["[-5]"]]


def test_a_database_without_unicode_is_read_too(
    server: Engine, empty_database: URL
) -> None:
    """The file is UTF-8; signs that the database cannot hold are not looked for."""
    name = f"{empty_database.database}_latin"
    with server.connect() as connection:
        has_providers = (connection.dialect.server_version_info or (0,)) >= (15,)
        connection.execute(
            text(
                f'CREATE DATABASE "{name}" TEMPLATE template0 ENCODING LATIN1 '
                "LC_COLLATE 'C' LC_CTYPE 'C'"
                + (" LOCALE_PROVIDER libc" if has_providers else "")
            )
        )
    engine = make_engine(
        empty_database.set(database=name),
        DatabaseSettings(pool="null"),
        application_name="tests",
    )
    try:
        METADATA.create_all(engine)
        add(engine, {"name": "José"}, {"name": " =1"})

        assert exported(engine, "name") == "name\nJosé\n' =1\n"
    finally:
        with server.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


def test_a_choice_is_no_formula_either(database: Engine) -> None:
    """An enum is text in the file."""
    add(database, {"level": "-high"})

    assert exported(database, "level") == "level\n'-high\n"


def test_numbers_stay_numbers(database: Engine) -> None:
    """A minus before a number is one."""
    add(database, {"amount": Decimal(-3), "ratio": -0.5})

    assert exported(database, "amount", "ratio") == "amount,ratio\n-3.00,-0.5\n"


def test_a_number_of_a_type_of_ones_own_stays_a_number(database: Engine) -> None:
    """A project's type is what it is stored as."""
    rows = select(cast(literal(-3), Cents))

    assert b"".join(export_csv(database, rows, ["n"])) == b"n\n-3\n"


def test_a_file_may_begin_with_the_mark_of_utf_8(database: Engine) -> None:
    """By which Excel knows how to read it."""
    chunks = export_csv(database, select(THINGS.c.id), ["é"], byte_order_mark=True)

    assert b"".join(chunks).decode("utf-8-sig") == "é\n"
    assert b"".join(export_csv(database, select(THINGS.c.id), ["é"]))[:1] != b"\xef"


def test_a_head_is_no_formula(database: Engine) -> None:
    """Labels are somebody's text too."""
    rows = select(THINGS.c.id)

    assert b"".join(export_csv(database, rows, ['=1+"1"'])) == b'"\'=1+""1"""\n'


def test_what_parts_cells_is_quoted(database: Engine) -> None:
    """Commas, quotes and line ends come back as they were."""
    names = ["a,b", 'a"b', "a\nb", "a\r\nb", "é€😀", " a ", "\\.", "100% :x %s"]
    add(database, *({"name": name} for name in names))

    found = csv.reader(io.StringIO(exported(database, "name"), newline=""))

    assert [line[0] for line in found][1:] == names


def test_values_are_quoted_not_pasted(database: Engine) -> None:
    """COPY takes no parameters; what a person typed is still only a value."""
    nasty = "'; DROP TABLE things; -- \\' %s %(x)s \" $1"
    add(database, {"name": nasty}, {"name": "other"})
    rows = select(THINGS.c.name).where(THINGS.c.name.in_([nasty, "%"]))

    found = b"".join(export_csv(database, rows, ["name"])).decode()

    assert list(csv.reader(io.StringIO(found)))[1:] == [[nasty]]


def test_heads_come_before_the_first_row(database: Engine) -> None:
    """The reader sees at once that something comes."""
    add(database, {"name": "Ann"})
    chunks = export_csv(database, select(THINGS.c.name), ["Name"])

    assert next(chunks) == b"Name\n"
    chunks.close()


def test_a_file_that_nobody_reads_on_is_let_go(database: Engine) -> None:
    """Closing the download gives the connection back."""
    add(database, {"name": "Ann"})
    numbers = func.generate_series(1, 10_000_000).column_valued("n")
    rows = select(numbers) if database.dialect.name == "postgresql" else select(THINGS)
    chunks = export_csv(database, rows, ["n"])
    next(chunks)
    next(chunks)
    chunks.close()

    assert exported(database, "name") == "name\nAnn\n"


def test_memory_does_not_grow_with_the_rows(database: Engine) -> None:
    """A hundred thousand rows pass through; a few chunks are held."""
    add(database, {"name": "x"})
    rows: Any
    if database.dialect.name == "postgresql":
        numbers = func.generate_series(1, 100_000).column_valued("n")
        rows = select(numbers, literal("x" * 100).label("x"))
    else:
        steps = select(literal(1).label("n")).cte("steps", recursive=True)
        steps = steps.union_all(select(steps.c.n + 1).where(steps.c.n < 100_000))
        rows = select(steps.c.n, literal("x" * 100).label("x"))
    size = 0
    tracemalloc.start()
    for chunk in export_csv(database, rows, ["n", "x"]):
        size += len(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size > 10_000_000
    assert peak < 3_000_000


def test_a_write_is_refused(empty_database: Any) -> None:
    """An export reads; whatever it is given cannot change a row."""
    engine = make_engine(
        empty_database, DatabaseSettings(pool="null"), application_name="tests"
    )
    METADATA.create_all(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE SEQUENCE numbers"))
    rows = select(func.nextval(literal("numbers", Text)))

    with pytest.raises(DBAPIError, match="read-only"):
        b"".join(export_csv(engine, rows, ["n"]))


def test_an_export_has_its_own_time(empty_database: Any) -> None:
    """What takes longer than its limit is stopped by the database."""
    engine = make_engine(
        empty_database, DatabaseSettings(pool="null"), application_name="tests"
    )
    rows = select(func.pg_sleep(5))

    with pytest.raises(DBAPIError, match="statement timeout"):
        b"".join(export_csv(engine, rows, ["n"], timeout=0.05))
