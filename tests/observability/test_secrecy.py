"""Which parameters are bound to a secret column, however the statement hides it."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    ColumnElement,
    ForeignKey,
    Insert,
    Integer,
    String,
    Table,
    and_,
    bindparam,
    case,
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    table,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column
from sqlalchemy.sql.elements import ClauseElement

from backoffice.observability.secrecy import EVERYTHING, Secrecy


class Base(DeclarativeBase):
    """Tables of the test's own."""


class User(Base):
    """Somebody."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    hash: Mapped[str] = mapped_column(info={"secret": True})
    token: Mapped[str] = mapped_column(info={"bearer": True})


metadata = Base.metadata
users = metadata.tables["users"]
logins = Table(
    "logins",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String),
    Column("user_token", String, ForeignKey("users.token")),
)
courses = Table(
    "courses",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String),
)
worded = select(
    courses.c.id, case((courses.c.name == "a", "b"), else_="c").label("word")
).subquery()
inner = select(users.c.id, users.c.hash.label("h")).subquery()
lowered = select(users.c.id, func.lower(users.c.hash).label("h")).cte()

other = aliased(User)
PG = postgresql.dialect()  # type: ignore[no-untyped-call]


def withheld(statement: ClauseElement, dialect: Any = PG) -> set[str]:
    """The names of those that must not be kept."""
    found = Secrecy([metadata]).withheld(statement.compile(dialect=dialect))
    return set(found)


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        (select(users).where(users.c.name == "a"), set()),
        (select(users.c.id).where(users.c.name == "a").limit(3).offset(4), set()),
        (select(users).where(users.c.hash == "a", users.c.name == "b"), {"hash_1"}),
        (select(users).where(users.c.token == "a", users.c.id == 1), {"token_1"}),
        (
            select(logins).where(logins.c.user_token == "a", logins.c.id == 1),
            {"user_token_1"},
        ),
        (
            select(User).where(func.lower(User.hash) == "a", User.name == "b"),
            {"lower_1"},
        ),
        (select(other).where(other.hash == "a", other.name == "b"), {"hash_1"}),
        (
            select(users.c.id).where(users.c.hash.in_(["a"]), users.c.id.in_([1])),
            {"hash_1"},
        ),
        (
            select(users.c.id).where(or_(users.c.hash == "a", users.c.name == "b")),
            {"hash_1"},
        ),
        (select(inner.c.id).where(inner.c.h == "a", inner.c.id == 1), {"h_1"}),
        (select(lowered.c.id).where(lowered.c.h == "a", lowered.c.id == 1), {"h_1"}),
        (
            select(users.c.id).join(
                logins, and_(logins.c.name == "a", users.c.hash == "b")
            ),
            {"hash_1"},
        ),
        (
            select(users.c.id)
            .where(users.c.hash == "a")
            .union(select(users.c.id).where(users.c.name == "b")),
            {"hash_1"},
        ),
        (
            select(users.c.id).where(
                exists().where(users.c.hash == logins.c.name, logins.c.name == "a"),
                users.c.name == "b",
            ),
            {"name_1"},
        ),
        (
            select(users.c.id, case((users.c.hash == "a", "b"), else_="c")).where(
                users.c.name == "d"
            ),
            {"hash_1", "param_1", "param_2"},
        ),
        (delete(users).where(users.c.hash == "a", users.c.id == 1), {"hash_1"}),
    ],
)
def test_conditions_on_a_secret_column_are_found(
    statement: ClauseElement, names: set[str]
) -> None:
    """Behind functions, aliases, subqueries, lists, joins and references."""
    assert withheld(statement) == names


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        (insert(users).values(name="a", hash="b"), {"hash"}),
        (
            insert(users).values(
                [{"name": "a", "hash": "b"}, {"name": "c", "hash": "d"}]
            ),
            {"hash_m0", "hash_m1"},
        ),
        (update(users).where(users.c.id == 1).values(name="a", hash="b"), {"hash"}),
        (
            update(User).where(User.id == 1).values(name="a", hash=func.md5("b")),
            {"md5_1"},
        ),
        (
            insert(users).from_select(
                ["name", "hash"], select(logins.c.name, literal("a"))
            ),
            {"*"},
        ),
    ],
)
def test_what_a_secret_column_is_set_to_is_found(
    statement: ClauseElement, names: set[str]
) -> None:
    """One row or several, a value or an expression, or rows of another table."""
    assert withheld(statement) == names


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        (select(courses.c.id, literal("a")).where(courses.c.name == "b"), set()),
        (select(courses.c.id, case((courses.c.id == 1, "a"))), set()),
        (select(worded.c.id).where(worded.c.word == "d"), set()),
        (select(users.c.hash, literal("a")).where(users.c.id == 1), {"param_1"}),
        (select(users.c.id).join(worded, worded.c.word == users.c.hash), {"*"}),
        (select(literal("a")), {"*"}),
    ],
)
def test_a_word_that_is_shown_is_kept_where_no_secret_is_near(
    statement: ClauseElement, names: set[str]
) -> None:
    """It may be compared with one outside of its subquery, and alone it is anything."""
    assert withheld(statement) == names


def conflict() -> Insert:
    """An insert whose other half the statement's parts do not tell."""
    return (
        upsert(users)
        .values(name="a")
        .on_conflict_do_update(index_elements=["id"], set_={"name": "b"})
    )


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (conflict, {"param_1"}),
        (
            lambda: select(users.c.id).where(text("x = :a"), users.c.id == 1),
            {"a"},
        ),
        (lambda: select(func.set_config("a", "b"), courses.c.id + 1), None),
        (
            lambda: select(users.c.id).where(
                literal_column("lower(hash)") == "a", users.c.id == 1
            ),
            {"lower_hash_1"},
        ),
        (
            lambda: select(table("users", column("id"), column("hash"))).where(
                column("hash") == "a", column("id") == 1
            ),
            {"hash_1"},
        ),
    ],
)
def test_in_doubt_nothing_is_kept(
    make: Callable[[], ClauseElement], names: set[str] | None
) -> None:
    """Text that was written by hand, functions of nothing, parts that nobody sees."""
    found = withheld(make())
    if names is None:
        assert len(found) == 2
    else:
        assert found == names


@pytest.mark.parametrize(
    "statement",
    [
        text("SELECT * FROM users WHERE name = :a"),
        text("SELECT * FROM users WHERE hash = 'a'"),
        select(users.c.id).where(
            bindparam("a", "b", literal_execute=True) == users.c.hash,
            users.c.name == "c",
        ),
    ],
)
def test_where_the_text_may_hold_a_value_nothing_is_kept(
    statement: ClauseElement,
) -> None:
    """SQL by hand, and a secret that SQLAlchemy writes into the text itself."""
    assert withheld(statement) == EVERYTHING


def test_rows_by_the_hundred_are_not_looked_at() -> None:
    """Loading data costs no look at each of its values."""
    rows = [{"name": "a"} for _ in range(1_001)]
    assert withheld(insert(courses).values(rows)) == EVERYTHING


class Odd(ColumnElement[int]):
    """A part of a statement that cannot be looked into."""

    inherit_cache = False

    def get_children(self, **_options: Any) -> Any:
        """Fail."""
        raise RuntimeError("not this one")


@compiles(Odd)
def _odd(*_given: Any, **_options: Any) -> str:
    return "1"


def test_what_cannot_be_looked_into_is_not_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And the statement does not fail for our sake."""
    assert withheld(select(Odd()).where(users.c.name == "a")) == EVERYTHING
    assert "are not known, nor kept" in caplog.text


def test_another_dialect_names_the_same(tmp_path: object) -> None:
    """SQLite's statements are looked at in the same way."""
    statement = select(users).where(users.c.hash == "a", users.c.name == "b")
    assert withheld(statement, sqlite.dialect()) == {"hash_1"}


def test_every_secret_of_our_own_tables_is_marked() -> None:
    """Password hashes, the digests of sessions, and the tokens of selections."""
    from backoffice.auth.models import LoginSession
    from backoffice.auth.models import User as Account
    from backoffice.bulk.models import Run, Selection

    own = Secrecy([Account.metadata])
    for marked in (
        Account.password_hash,
        LoginSession.id,
        Selection.token,
        Run.token,
    ):
        statement = select(literal(1)).where(marked == "a")
        compiled = statement.compile(dialect=PG)
        assert own.withheld(compiled) & {f"{marked.key}_1", "*"}
