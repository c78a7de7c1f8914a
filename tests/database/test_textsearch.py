"""Whether a search by the start of words finds what people mean."""

from collections.abc import Iterator

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    insert,
    select,
    text,
)
from sqlalchemy.engine import Engine

from backoffice.database.textsearch import (
    search_text,
    search_vector,
    search_words,
    starts_words,
)

PEOPLE = Table(
    "people",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String(200)),
    Column("email", String(200)),
)
Index(
    "ix_people_search",
    search_vector(PEOPLE.c.name, PEOPLE.c.email),
    postgresql_using="gin",
)

ROWS = [
    ("Ann Lee", "ann.lee@example.org"),
    ("Joanna Leeds", None),
    ("Seán O'Brien-Smith", "sob@school.example"),
    ("Ångström, Élodie", "e+tag@x.example"),
    ("李小龍", "bruce_lee@kung-fu.example"),
    ("Dr. 3.5 Watts", "w-5@10.example"),
    (None, "none@example.org"),
    ("R2D2 1e5 007", "a/b\\c"),
]

FOUND = [
    pytest.param("ann", [0], id="start of a word, not its middle"),
    pytest.param("lee", [0, 1, 4], id="start of name and e-mail"),
    pytest.param("ann lee", [0], id="every word"),
    pytest.param("lee ann", [0], id="any order"),
    pytest.param("ANN", [0], id="any case"),
    pytest.param("ann.lee@exam", [0], id="an address, begun"),
    pytest.param("example.org", [0, 6], id="a host"),
    pytest.param("exam", [0, 2, 3, 4, 5, 6], id="the start of a host"),
    pytest.param("o'brien", [2], id="apostrophe"),
    pytest.param("brien", [2], id="after an apostrophe"),
    pytest.param("smi", [2], id="after a hyphen"),
    pytest.param("o'brien-smi", [2], id="with a hyphen"),
    pytest.param("seá", [2], id="accent"),
    pytest.param("élo", [3], id="accent, other case"),
    pytest.param("ång", [3], id="accent, before a comma"),
    pytest.param("tag", [3], id="after a plus"),
    pytest.param("小", [], id="inside a word of another script"),
    pytest.param("李小", [4], id="another script"),
    pytest.param("bruce", [4], id="before an underscore"),
    pytest.param("3.5", [5], id="a number with a point"),
    pytest.param("-5", [5], id="a sign is punctuation"),
    pytest.param("10.exa", [5], id="a host that starts with a number"),
    pytest.param("r2", [7], id="letters and digits"),
    pytest.param("1e5", [7], id="what looks like a number"),
    pytest.param("1e", [7], id="the start of what looks like a number"),
    pytest.param("00", [7], id="leading zeros"),
    pytest.param("a/b\\c", [7], id="slashes"),
    pytest.param("zzz", [], id="nothing"),
    pytest.param("ann & ! | ( ) : * ' \\ % lee", [0], id="the language of tsquery"),
    pytest.param("ann:*", [0], id="a prefix mark"),
    pytest.param("ann\0lee", [0], id="NUL"),
]


@pytest.fixture(scope="module")
def people(server: Engine) -> Iterator[Connection]:
    """The rows above, in a transaction that is rolled back."""
    engine = create_engine(server.url)
    with engine.connect() as connection:
        PEOPLE.metadata.create_all(connection)
        connection.execute(
            insert(PEOPLE),
            [{"id": n, "name": r[0], "email": r[1]} for n, r in enumerate(ROWS)],
        )
        yield connection
        connection.rollback()
    engine.dispose()


@pytest.mark.parametrize(("words", "expected"), FOUND)
def test_words_are_found(people: Connection, words: str, expected: list[int]) -> None:
    """A row is found when each word starts one of its words."""
    condition = starts_words([PEOPLE.c.name, PEOPLE.c.email], words)
    assert condition is not None

    found = select(PEOPLE.c.id).where(condition).order_by(PEOPLE.c.id)

    assert people.scalars(found).all() == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param("ann lee", [0], id="in order"),
        pytest.param("ann le", [0], id="last one begun"),
        pytest.param("lee ann", [], id="wrong order"),
        pytest.param("an lee", [], id="first one begun"),
    ],
)
def test_phrase(people: Connection, words: str, expected: list[int]) -> None:
    """In a phrase words stand side by side, and only the last may go on."""
    condition = starts_words([PEOPLE.c.name], words, phrase=True)
    assert condition is not None

    found = select(PEOPLE.c.id).where(condition).order_by(PEOPLE.c.id)

    assert people.scalars(found).all() == expected


@pytest.mark.parametrize("words", ["", "  ", "& | ! ( )", "'", "-", "\0", "…", "🙂"])
def test_no_words_are_no_search(words: str) -> None:
    """Where nothing is asked the caller is told so, and not every row or none."""
    assert starts_words([PEOPLE.c.name], words) is None


def test_long_word_is_no_error(people: Connection) -> None:
    """A word that is longer than PostgreSQL looks for is looked for by its start."""
    condition = starts_words([PEOPLE.c.name], "x" * 10_000)
    assert condition is not None

    assert people.scalars(select(PEOPLE.c.id).where(condition)).all() == []


def test_index_is_used(people: Connection) -> None:
    """The planner finds the index behind the condition."""
    condition = starts_words([PEOPLE.c.name, PEOPLE.c.email], "ann lee")
    assert condition is not None
    people.execute(text("SET LOCAL enable_seqscan = off"))
    query = select(PEOPLE.c.id).where(condition)

    plan = people.execute(
        text(f"EXPLAIN {query.compile(people, compile_kwargs={'literal_binds': True})}")
    )

    assert "ix_people_search" in str(plan.all())


def test_index_serves_bound_words(people: Connection) -> None:
    """The words are bound, and the index serves a plan made without knowing them."""
    condition = starts_words([PEOPLE.c.name, PEOPLE.c.email], "ann lee")
    assert condition is not None
    compiled = select(PEOPLE.c.id).where(condition).compile(people)
    assert list(compiled.params.values()) == [search_text("ann lee")]

    people.execute(text("SET LOCAL enable_seqscan = off"))
    people.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
    statement = str(compiled).replace("%%", "%")
    (name,) = compiled.params
    statement = statement.replace(f"%({name})s::VARCHAR", "$1").replace(
        f"%({name})s", "$1"
    )
    people.exec_driver_sql(f"PREPARE search (text) AS {statement}".replace("%", "%%"))
    plan = people.exec_driver_sql("EXPLAIN EXECUTE search ('''ann'':*')").all()
    people.exec_driver_sql("DEALLOCATE search")

    assert "ix_people_search" in str(plan)


def test_words_are_parted_as_rows_are() -> None:
    """The words of a search are those that a row of the same text would have."""
    assert search_words("Ann.Lee@example.org, O'Neil") == [
        "Ann",
        "Lee",
        "example",
        "org",
        "O",
        "Neil",
    ]
