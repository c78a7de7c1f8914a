"""Whether triggers come and go with their tables, and keep the times."""

from datetime import UTC, datetime

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

import models.tables  # noqa: F401 - makes the metadata whole
from backoffice.auth.models import User
from backoffice.database.base import OWN_PREFIX, Base
from backoffice.database.catalog import read_catalog
from backoffice.database.triggers import (
    TOUCHED,
    Trigger,
    declare,
    refusal_of,
    touch_trigger,
)
from tests.factories import make_report_card, make_school


def _named(name: str, metadata: MetaData) -> Table:
    """A table that wants its `updated_at` kept."""
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True),
        Column("x", Integer),
        Column("updated_at", DateTime(timezone=True), info={TOUCHED: True}),
    )


def _functions(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [name for name in read_catalog(connection) if "function" in name]


def test_updated_at_is_kept_whoever_writes(demo_session: Session) -> None:
    """Plain SQL changes the time as well, and cannot set another."""
    school = make_school(demo_session)
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)

    demo_session.execute(
        text("UPDATE schools SET updated_at = :at, city = 'Malang' WHERE id = :id"),
        {"at": long_ago, "id": school.id},
    )

    demo_session.refresh(school)
    assert school.updated_at == demo_session.scalar(text("SELECT now()"))


def test_table_with_generated_column_is_kept(demo_session: Session) -> None:
    """A stored column does not stand in the way."""
    card = make_report_card(demo_session)
    card.mathematics = 50
    demo_session.flush()
    demo_session.refresh(card)

    assert card.average == 10
    assert card.updated_at == demo_session.scalar(text("SELECT now()"))


def test_every_table_of_the_demo_is_kept(demo_session: Session) -> None:
    """Each of its tables, and the accounts, have both times, and the trigger."""
    connection = demo_session.connection()
    triggers = read_catalog(connection)
    tables = [t for t in Base.metadata.tables if not t.startswith(OWN_PREFIX)]

    assert len(tables) > 12
    for table in (*tables, User.__tablename__):
        columns = {c["name"]: c for c in inspect(connection).get_columns(table)}
        for name in ("created_at", "updated_at"):
            assert not columns[name]["nullable"], table
            assert columns[name]["default"] == "now()", table
        assert f"trigger {table}.{table}_touch" in triggers


def test_function_goes_with_the_last_table(engine: Engine) -> None:
    """Tables share the function; it is dropped when the last of them is."""
    metadata = MetaData()
    first, second = _named("first", metadata), _named("second", metadata)
    metadata.create_all(engine)
    assert _functions(engine) == ["function backoffice_touch_updated_at()"]

    first.drop(engine)
    assert _functions(engine) == ["function backoffice_touch_updated_at()"]

    second.drop(engine)
    assert _functions(engine) == []


def test_names_in_camel_case(engine: Engine) -> None:
    """Names that PostgreSQL would fold are quoted."""
    metadata = MetaData()
    table = _named('Odd"Name', metadata)
    metadata.create_all(engine)

    with engine.begin() as connection:
        connection.execute(table.insert(), {"id": 1})
        connection.execute(table.update(), {"x": 2})
        assert connection.scalar(select(table.c.updated_at))

    metadata.drop_all(engine)
    assert _functions(engine) == []


def test_other_tables_have_no_trigger(engine: Engine) -> None:
    """A project's own `updated_at` is its own affair."""
    metadata = MetaData()
    Table("own", metadata, Column("updated_at", DateTime))
    metadata.create_all(engine)

    assert _functions(engine) == []


def test_copied_table_has_its_triggers(engine: Engine) -> None:
    """A table that is copied to another metadata takes them along."""
    copied = MetaData()
    _named("things", MetaData()).to_metadata(copied)
    copied.create_all(engine)

    assert _functions(engine) == ["function backoffice_touch_updated_at()"]


def test_percent_signs_stay(engine: Engine) -> None:
    """Nothing in a trigger's text is taken for a parameter."""
    metadata = MetaData()
    table = Table("things", metadata, Column("id", Integer))
    body = "BEGIN IF '50%' LIKE '%%' THEN RETURN NEW; END IF; RETURN NULL; END"
    declare(
        table,
        Trigger(
            name="odd",
            dialect="postgresql",
            create=(
                f"CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $${body}$$",
            ),
            drop=("DROP FUNCTION odd()",),
        ),
    )

    metadata.create_all(engine)

    with engine.connect() as connection:
        assert body in read_catalog(connection)["function odd()"]


def test_touch_is_once_per_table(engine: Engine) -> None:
    """Making it again changes nothing."""
    metadata = MetaData()
    _named("things", metadata)
    metadata.create_all(engine)
    with engine.connect() as connection:
        before = read_catalog(connection)
        for statement in touch_trigger("things").create:
            connection.execute(text(statement.replace(":=", r"\:=")))
        assert read_catalog(connection) == before


def _error_of(connection: Connection, statement: str) -> DBAPIError:
    try:
        connection.exec_driver_sql(statement)
    except DBAPIError as error:
        return error
    raise AssertionError(statement)


def test_refusal_is_read_on_postgresql(engine: Engine) -> None:
    """The hint names the field, the message is the sentence."""
    raising = (
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'check_violation',"
        " HINT = 'backoffice:field=course', MESSAGE = 'Algebra is full'; END $$"
    )
    with engine.connect() as connection:
        error = _error_of(connection, raising)

    assert refusal_of(error) == ("course", "Algebra is full")


def test_refusal_is_read_on_sqlite() -> None:
    """The text names the field and holds the sentence."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id INTEGER)")
        connection.exec_driver_sql(
            "CREATE TRIGGER no BEFORE INSERT ON t BEGIN"
            " SELECT RAISE(ABORT, 'backoffice:field=: Nothing goes in.'); END"
        )
        error = _error_of(connection, "INSERT INTO t VALUES (1)")
    engine.dispose()

    assert refusal_of(error) == ("", "Nothing goes in.")


def test_other_errors_are_no_refusal(engine: Engine) -> None:
    """An error that no trigger of ours raised is left to others."""
    with engine.connect() as connection:
        error = _error_of(connection, "SELECT 1 / 0")

    assert refusal_of(error) is None
