"""What the database refuses comes out in words, and nothing else comes out."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    URL,
    CheckConstraint,
    Engine,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    String,
    UniqueConstraint,
    create_engine,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from backoffice.database.constraints import explain_refusal
from backoffice.database.engine import make_engine
from backoffice.errors import (
    BackofficeError,
    LockNotAvailable,
    Refused,
    StatementTimedOut,
)
from backoffice.settings import DatabaseSettings


class Base(DeclarativeBase):
    """Tables without a naming convention: the database makes up most names."""


class House(Base):
    """Doors hold it."""

    __tablename__ = "houses"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Door(Base):
    """One rule of each kind."""

    __tablename__ = "doors"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str | None] = mapped_column(String(5), unique=True)
    colour: Mapped[str | None]
    floor: Mapped[int | None] = mapped_column(Integer)
    width: Mapped[int | None] = mapped_column(
        CheckConstraint("width > 0 AND width <= 300")
    )
    height: Mapped[int | None]
    side: Mapped[str | None]
    handle: Mapped[str | None]
    price: Mapped[Any] = mapped_column(Numeric(5, 2), nullable=True)
    needed: Mapped[str]
    house_id: Mapped[int | None] = mapped_column(ForeignKey("houses.id"))
    house: Mapped[House | None] = relationship()

    __table_args__ = (
        UniqueConstraint("house_id", "floor", "colour"),
        CheckConstraint("side IN ('left', 'right')", name="known_side"),
        CheckConstraint("height >= width", name="upright"),
        CheckConstraint("length(handle) <= 3", name="short_handle"),
        CheckConstraint("floor * 2 <> 26", name="odd_rule"),
        CheckConstraint(
            "colour <> 'pink'",
            name="not_pink",
            info={"fields": ["colour"], "message": "Pink is out of fashion."},
        ),
        Index(
            "one_red_door",
            "house_id",
            unique=True,
            postgresql_where=text("colour = 'red'"),
            sqlite_where=text("colour = 'red'"),
        ),
    )


@pytest.fixture(scope="module")
def doors_on_postgresql(server: Engine) -> Iterator[Engine]:
    """The tables in a database that the tests of this file share."""
    name = f"test_doors_{os.getpid()}"
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine = create_engine(server.url.set(database=name))
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(params=["postgresql", "sqlite"])
def hall(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    """A session with one house and one door, rolled back at the end."""
    if request.param == "sqlite":
        url = URL.create("sqlite", database=str(tmp_path / "doors.db"))
        engine = make_engine(url, DatabaseSettings(), application_name="test")
        Base.metadata.create_all(engine)
    else:
        engine = request.getfixturevalue("doors_on_postgresql")
        with engine.begin() as connection:
            connection.execute(text("TRUNCATE houses, doors RESTART IDENTITY"))
    with Session(engine, expire_on_commit=False) as session:
        session.add(House(name="Oak"))
        session.flush()
        session.add(Door(needed="x", code="A", floor=1, colour="blue", house_id=1))
        session.flush()
        yield session
        session.rollback()
    if request.param == "sqlite":
        engine.dispose()


def refusal(
    session: Session, values: dict[str, Any], model: Any = Door, **options: Any
) -> BackofficeError:
    """What is said when a row with these values is inserted."""
    values = {"needed": "x", **values}
    try:
        with session.begin_nested():
            session.add(model(**values))
            session.flush()
    except DBAPIError as error:
        return explain_refusal(
            error, model.__mapper__, session, values=values, **options
        )
    raise AssertionError("The database took it.")


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"code": "A"}, {"code": "A door with the code A already exists."}),
        (
            {"house_id": 1, "floor": 1, "colour": "blue"},
            {"colour": "This combination of house, floor and colour is already taken."},
        ),
        ({"house_id": 7}, {"house": "This house does not exist any more."}),
        (
            {"width": 301},
            {"width": "301 is more than 300, the most that width can be."},
        ),
        (
            {"width": 0},
            {"width": "0 is too little; width has to be more than 0."},
        ),
        ({"side": "up"}, {"side": "up is not one of: left, right."}),
        (
            {"width": 5, "height": 4},
            {"height": "Height cannot be less than the width."},
        ),
        (
            {"handle": "abcd"},
            {"handle": "The text has 4 characters; 3 is the most."},
        ),
        ({"floor": 13}, {"floor": "The database does not accept this floor."}),
        ({"colour": "pink"}, {"colour": "Pink is out of fashion."}),
        ({"needed": None}, {"needed": "A value is required."}),
    ],
    ids=str,
)
def test_constraint_becomes_a_sentence(
    hall: Session, values: dict[str, Any], fields: dict[str, str]
) -> None:
    """Each kind of constraint has its words, on the field that the form shows."""
    answer = refusal(hall, values)

    assert isinstance(answer, Refused)
    assert answer.fields == fields


def test_partial_index_refuses_in_words(hall: Session) -> None:
    """A unique index is a constraint like any other."""
    hall.add(Door(needed="x", house_id=1, colour="red"))
    hall.flush()

    answer = refusal(hall, {"house_id": 1, "colour": "red"})

    assert isinstance(answer, Refused)
    assert answer.fields == {"house": "Another door has this house."}


def test_field_that_is_not_shown_is_the_record(hall: Session) -> None:
    """A sentence about a field that the form lacks stands above it."""
    answer = refusal(hall, {"needed": None}, fields=("code",))

    assert isinstance(answer, Refused)
    assert answer.fields == {"": "Needed is required and is not on this form."}


def test_column_is_named_where_the_form_shows_it(hall: Session) -> None:
    """A form that asks for the key itself gets the sentence there."""
    answer = refusal(hall, {"house_id": 7}, fields=("code", "house_id"))

    assert isinstance(answer, Refused)
    assert answer.fields == {"house_id": "This house does not exist any more."}


def test_unknown_values_are_not_guessed(hall: Session) -> None:
    """Without the values that were sent, the sentence does without them."""
    try:
        with hall.begin_nested():
            hall.add(Door(needed="x", code="A"))
            hall.flush()
    except DBAPIError as error:
        answer = explain_refusal(error, Door.__mapper__, hall)

    assert str(answer) == "Another door has this code."


def test_target_in_use_is_counted(hall: Session) -> None:
    """A deletion that is refused says by how many."""
    hall.add_all([Door(needed="x", house_id=1), Door(needed="x", house_id=1)])
    hall.flush()
    try:
        with hall.begin_nested():
            hall.execute(House.__table__.delete())  # type: ignore[attr-defined]
    except DBAPIError as error:
        answer = explain_refusal(error, House.__mapper__, hall, values={"id": 1})

    assert str(answer) == "Still used by 3 doors."


@pytest.mark.parametrize(
    "values",
    [
        {"code": "A", "colour": "topsecret"},
        {"house_id": 7, "colour": "topsecret"},
        {"floor": 13, "colour": "topsecret"},
        {"needed": None, "colour": "topsecret"},
        {"width": 999, "colour": "topsecret"},
    ],
    ids=str,
)
def test_no_sql_and_no_other_column_leaks(
    hall: Session, values: dict[str, Any]
) -> None:
    """Names of constraints, SQL and other columns' values stay inside."""
    said = str(refusal(hall, values)).lower()

    for word in (
        "topsecret",
        "insert",
        "doors_",
        "_key",
        "constraint",
        "psycopg",
        "id=",
    ):
        assert word not in said


def test_fault_is_no_refusal(hall: Session) -> None:
    """A statement that is wrong stays an error for the log."""
    try:
        with hall.begin_nested():
            hall.execute(text("SELECT nonsense FROM doors"))
    except DBAPIError as error:
        fault = error

    with pytest.raises(DBAPIError) as raised:
        explain_refusal(fault, Door.__mapper__, hall)
    assert raised.value is fault


# What only PostgreSQL does


@pytest.fixture
def postgresql(doors_on_postgresql: Engine) -> Iterator[Session]:
    """A session on PostgreSQL, rolled back at the end."""
    with Session(doors_on_postgresql) as session:
        yield session


def explained(session: Session, statement: str) -> BackofficeError:
    """What is said about a statement that fails."""
    try:
        with session.begin_nested():
            session.execute(text(statement))
    except DBAPIError as error:
        return explain_refusal(error, Door.__mapper__, session)
    raise AssertionError("The database did it.")


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (
            "INSERT INTO doors (id, needed, price) VALUES (9, 'x', 12345)",
            "A number is larger than its field holds.",
        ),
        (
            "INSERT INTO doors (id, needed, code) VALUES (9, 'x', 'abcdefg')",
            "A text is longer than its field holds.",
        ),
        (
            "INSERT INTO doors (id, needed, floor) VALUES (9, 'x', 'y'::text::int)",
            "A value is not of the kind that its field holds.",
        ),
        ("DO $$ BEGIN RAISE 'Closed on Sundays.'; END $$", "Closed on Sundays."),
    ],
)
def test_other_refusals_have_words(
    postgresql: Session, statement: str, sentence: str
) -> None:
    """Overflow, length, kind and a trigger's own words."""
    answer = explained(postgresql, statement)

    assert isinstance(answer, Refused)
    assert str(answer) == sentence


def test_trigger_names_its_field(postgresql: Session) -> None:
    """A trigger that says which field gets it."""
    answer = explained(
        postgresql,
        "DO $$ BEGIN RAISE 'Full.' USING ERRCODE = 'check_violation',"
        " HINT = 'backoffice:field=house'; END $$",
    )

    assert isinstance(answer, Refused)
    assert answer.fields == {"house": "Full."}


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("40001", LockNotAvailable),
        ("40P01", LockNotAvailable),
        ("55P03", LockNotAvailable),
        ("57014", StatementTimedOut),
    ],
)
def test_waiting_too_long_is_its_own_error(
    postgresql: Session, state: str, kind: type[BackofficeError]
) -> None:
    """Deadlocks, lock timeouts and statement timeouts are no refusals."""
    answer = explained(postgresql, f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$")

    assert type(answer) is kind


def test_exclusion_is_an_overlap(postgresql: Session) -> None:
    """What may not overlap says so."""
    answer = explained(postgresql, "DO $$ BEGIN RAISE SQLSTATE '23P01'; END $$")

    assert str(answer) == "This overlaps with another door."
