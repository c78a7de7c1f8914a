"""What the database refuses comes out in words, and nothing else comes out."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    URL,
    CheckConstraint,
    Computed,
    Engine,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    String,
    UniqueConstraint,
    create_engine,
    event,
    func,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from backoffice.database.engine import make_engine
from backoffice.database.refusals import explain_refusal
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
    label: Mapped[str | None] = mapped_column()
    area: Mapped[int | None] = mapped_column(Computed("width * height", persisted=True))
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
        Index("one_label", func.lower(label), unique=True),
        Index(
            "one_red_door",
            "house_id",
            unique=True,
            postgresql_where=text("colour = 'red'"),
            sqlite_where=text("colour = 'red'"),
        ),
    )


class Lock(Base):
    """It refers by three columns."""

    __tablename__ = "locks"
    id: Mapped[int] = mapped_column(primary_key=True)
    needed: Mapped[str]
    house_id: Mapped[int]
    floor: Mapped[int]
    colour: Mapped[str]

    __table_args__ = (
        ForeignKeyConstraint(
            ["house_id", "floor", "colour"],
            ["doors.house_id", "doors.floor", "doors.colour"],
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
            connection.execute(text("TRUNCATE houses, doors, locks RESTART IDENTITY"))
    with Session(engine, expire_on_commit=False) as session:
        session.add(House(name="Oak"))
        session.flush()
        first = Door(needed="x", code="A", floor=1, colour="blue", house_id=1)
        first.label = "Entry"
        session.add(first)
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
        (
            {"label": "ENTRY"},
            {
                "label": "A door with the label ENTRY already exists. "
                "Capital and small letters count as the same."
            },
        ),
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
    assert answer.fields == {
        "house": "Another door with the colour red has this house."
    }


def test_a_generated_column_says_that_it_is_one(hall: Session) -> None:
    """Who writes it past the model learns why not."""
    answer = explained(hall, "UPDATE doors SET area = 7")

    assert isinstance(answer, Refused)
    assert answer.fields == {
        "area": "Area is computed by the database and cannot be written."
    }


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


def test_several_columns_that_refer_together_are_named_together(
    hall: Session,
) -> None:
    """None of them is wrong by itself."""
    answer = refusal(hall, {"house_id": 1, "floor": 1, "colour": "red"}, model=Lock)

    assert isinstance(answer, Refused)
    assert answer.fields == {
        "colour": "There is no door with this house, floor and colour."
    }


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


def test_a_trigger_of_sqlite_speaks_for_itself(hall: Session) -> None:
    """What RAISE says is for who typed."""
    if hall.get_bind().dialect.name != "sqlite":
        return
    hall.execute(
        text(
            "CREATE TRIGGER closed BEFORE INSERT ON doors WHEN NEW.floor = 99 "
            "BEGIN SELECT RAISE(ABORT, 'Nobody lives there.'); END"
        )
    )

    assert str(refusal(hall, {"floor": 99})) == "Nobody lives there."


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
def hall_of_postgresql(doors_on_postgresql: Engine) -> Iterator[Session]:
    """A session with one house and its door, on PostgreSQL alone, rolled back."""
    with Session(doors_on_postgresql, expire_on_commit=False) as session:
        session.execute(text("TRUNCATE houses, doors, locks RESTART IDENTITY"))
        session.add(House(name="Oak"))
        session.flush()
        session.add(Door(needed="x", floor=1, house_id=1))
        session.flush()
        yield session
        session.rollback()


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
        (
            "DO $$ BEGIN RAISE 'Closed.' USING ERRCODE = 'check_violation'; END $$",
            "Closed.",
        ),
        ("DO $$ BEGIN RAISE 'Too late.' USING ERRCODE = 'MY001'; END $$", "Too late."),
        (
            "DO $$ BEGIN RAISE SQLSTATE '42501'; END $$",
            (
                "The database does not allow the site to write this. "
                "An operator can grant it the right."
            ),
        ),
        (
            "DO $$ BEGIN RAISE SQLSTATE '54000'; END $$",
            "This text is longer than an index of the database holds.",
        ),
        (
            "DO $$ BEGIN RAISE SQLSTATE '25006'; END $$",
            "The database takes no changes at present.",
        ),
    ],
)
def test_other_refusals_have_words(
    postgresql: Session, statement: str, sentence: str
) -> None:
    """Overflow, length, kind and a trigger's own words."""
    answer = explained(postgresql, statement)

    assert isinstance(answer, Refused)
    assert str(answer) == sentence


@pytest.mark.parametrize(
    ("ddl", "values", "fields"),
    [
        (
            "CREATE UNIQUE INDEX secret_rule ON doors (lower(needed), floor)",
            {"needed": "X", "floor": 1},
            {"floor": "This combination of needed and floor is already taken."},
        ),
        (
            "CREATE UNIQUE INDEX secret_rule ON doors (upper(needed))",
            {"needed": "x"},
            {"needed": "Another door has this needed."},
        ),
        (
            (
                "ALTER TABLE doors ADD CONSTRAINT secret_rule FOREIGN KEY (floor) "
                "REFERENCES houses"
            ),
            {"floor": 99},
            {"floor": "This floor does not exist any more."},
        ),
        (
            (
                "ALTER TABLE doors ADD CONSTRAINT secret_rule EXCLUDE USING gist "
                "(int4range(floor, 100) WITH &&)"
            ),
            {"floor": 5},
            {"floor": "Floor: this overlaps with another door."},
        ),
        (
            "ALTER TABLE doors ADD CONSTRAINT secret_rule CHECK (floor < 50)",
            {"floor": 99},
            {"floor": "99 is too much; floor has to be less than 50."},
        ),
        (
            (
                "ALTER TABLE doors ADD CONSTRAINT secret_rule "
                "CHECK (colour = ANY (ARRAY['red', 'blue']))"
            ),
            {"colour": "teal"},
            {"colour": "teal is not one of: red, blue."},
        ),
        (
            "ALTER TABLE doors ADD CONSTRAINT secret_rule CHECK (needed ~ '^[x:%]')",
            {"needed": "7"},
            {"needed": "The database does not accept this needed."},
        ),
        (
            (
                "ALTER TABLE doors ADD CONSTRAINT secret_rule "
                "CHECK (floor IS NULL OR colour IS NOT NULL) NOT VALID"
            ),
            {"floor": 7},
            {"floor": "Colour and floor do not fit together."},
        ),
        (
            (
                "ALTER TABLE doors ADD CONSTRAINT secret_rule "
                "CHECK (num_nulls(doors.*) > 90) NOT VALID"
            ),
            {"floor": 7},
            {"": "The database does not accept this."},
        ),
        (
            "CREATE INDEX secret_rule ON doors (needed)",
            {"needed": "".join(map(str, range(20_000)))},
            {"needed": "This text is longer than an index of the database holds."},
        ),
    ],
    ids=lambda given: str(given)[:60],
)
def test_a_rule_that_nobody_declared_is_on_its_field(
    hall_of_postgresql: Session,
    ddl: str,
    values: dict[str, Any],
    fields: dict[str, str],
) -> None:
    """By the names of columns that the database tells, and by nothing else of it."""
    hall_of_postgresql.execute(text(ddl))

    answer = refusal(hall_of_postgresql, values)

    assert isinstance(answer, Refused)
    assert answer.fields == fields
    assert "secret" not in str(answer)


def test_a_secret_that_is_refused_is_not_repeated(
    hall_of_postgresql: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule is told, not what was typed."""
    monkeypatch.setitem(Door.__table__.c.side.info, "secret", value=True)

    answer = refusal(hall_of_postgresql, {"side": "topsecret"})

    assert isinstance(answer, Refused)
    assert answer.fields == {"side": "This value is not one of: left, right."}


def test_a_rule_that_nobody_declared_is_looked_up_once(
    hall_of_postgresql: Session,
) -> None:
    """However many records it refuses: a run may have a thousand of them."""
    hall_of_postgresql.execute(
        text("ALTER TABLE doors ADD CONSTRAINT secret_rule CHECK (floor < 50)")
    )
    asked: list[str] = []
    engine = hall_of_postgresql.get_bind()

    def note(*given: Any) -> None:
        asked.append(given[2])

    event.listen(engine, "before_cursor_execute", note)
    try:
        for floor in (98, 99):
            answer = refusal(hall_of_postgresql, {"floor": floor})
            assert isinstance(answer, Refused)
            assert str(floor) in answer.fields["floor"]
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len([one for one in asked if "pg_constraint" in one]) == 1


@pytest.mark.parametrize(
    ("rule", "values", "fields"),
    [
        (
            "CONSTRAINT secret_rule CHECK (floor < 50)",
            {"floor": 99},
            {"floor": "99 is too much; floor has to be less than 50."},
        ),
        (
            "CHECK (needed NOT GLOB '*[0-9]*')",
            {"needed": "7"},
            {"needed": "The database does not accept this needed."},
        ),
    ],
)
def test_a_rule_that_nobody_declared_is_on_its_field_on_sqlite(
    tmp_path: Path, rule: str, values: dict[str, Any], fields: dict[str, str]
) -> None:
    """Its table was made by somebody else."""
    url = URL.create("sqlite", database=str(tmp_path / "others.db"))
    engine = make_engine(url, DatabaseSettings(), application_name="test")
    columns = ", ".join(c.name for c in Door.__table__.columns if c.name != "id")
    with engine.begin() as connection:
        connection.execute(
            text(f"CREATE TABLE doors (id INTEGER PRIMARY KEY, {columns}, {rule})")
        )
    with Session(engine) as session:
        answer = refusal(session, values)

        assert isinstance(answer, Refused)
        assert answer.fields == fields
    engine.dispose()


def test_a_number_that_does_not_fit_is_on_its_field(
    hall_of_postgresql: Session,
) -> None:
    """With the largest that does."""
    for values, fields in [
        ({"price": 12345}, {"price": "12345 is too large; price can be up to 999.99."}),
        (
            {"floor": 2**40},
            {"floor": "1099511627776 is too large; floor can be up to 2,147,483,647."},
        ),
    ]:
        answer = refusal(hall_of_postgresql, values)
        assert isinstance(answer, Refused)
        assert answer.fields == fields


def test_a_row_policy_refuses_in_words(postgresql: Session) -> None:
    """Row security speaks of policies, a missing right of what an operator can do."""
    answer = None
    for statement in (
        "CREATE ROLE guest_of_doors",
        "GRANT INSERT ON doors TO guest_of_doors",
        "ALTER TABLE doors ENABLE ROW LEVEL SECURITY",
        "SET LOCAL ROLE guest_of_doors",
    ):
        postgresql.execute(text(statement))
    answer = explained(postgresql, "INSERT INTO doors (id, needed) VALUES (9, 'x')")
    assert str(answer) == "A policy of the database does not allow such a row."
    answer = explained(postgresql, "INSERT INTO houses (id, name) VALUES (9, 'x')")
    assert "An operator can grant it the right." in str(answer)
    postgresql.rollback()


def test_a_reference_that_restricts_is_counted(hall_of_postgresql: Session) -> None:
    """PostgreSQL 18 has a state of its own for RESTRICT."""
    session = hall_of_postgresql
    session.execute(text("ALTER TABLE doors DROP CONSTRAINT doors_house_id_fkey"))
    session.execute(
        text(
            "ALTER TABLE doors ADD CONSTRAINT doors_house_id_fkey "
            "FOREIGN KEY (house_id) REFERENCES houses ON DELETE RESTRICT"
        )
    )
    try:
        with session.begin_nested():
            session.execute(House.__table__.delete())  # type: ignore[attr-defined]
    except DBAPIError as error:
        answer = explain_refusal(error, House.__mapper__, session, values={"id": 1})

    assert str(answer) == "Still used by 1 door."


def test_a_choice_that_the_database_lacks_is_on_its_field(
    hall_of_postgresql: Session,
) -> None:
    """The model is ahead of the database."""
    session = hall_of_postgresql
    session.execute(text("CREATE TYPE finish AS ENUM ('matt')"))
    session.execute(text("ALTER TABLE doors ADD COLUMN finish finish"))

    answer = explained(session, "UPDATE doors SET finish = 'gloss'::text::finish")

    assert str(answer) == "A value is not of the kind that its field holds."


def test_a_trigger_may_name_a_column(postgresql: Session) -> None:
    """`RAISE … USING COLUMN` puts the words on its field."""
    answer = explained(
        postgresql,
        "DO $$ BEGIN RAISE 'No such colour.' USING COLUMN = 'colour'; END $$",
    )

    assert isinstance(answer, Refused)
    assert answer.fields == {"colour": "No such colour."}


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
