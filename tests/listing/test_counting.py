"""How many rows a list has: exact while that is cheap, honest after."""

import pytest
from sqlalchemy import Engine, insert, select, text, update
from sqlalchemy.orm import Session

from backoffice.listing.counting import RowCount, count_rows, rounded
from backoffice.listing.cursor import CursorCodec
from backoffice.listing.page import read_page
from backoffice.listing.params import parse_list
from backoffice.listing.spec import ListSpec
from tests.listing.models import Point


def points(session: Session, number: int) -> None:
    """So many points, every other one with a 1."""
    session.execute(
        insert(Point), [{"id": i, "a": i % 2, "c": 0} for i in range(1, number + 1)]
    )


def test_up_to_the_limit_rows_are_counted(session: Session) -> None:
    """Ten of ten are ten."""
    points(session, 10)

    assert count_rows(session, select(Point), 10) == RowCount(10)


def test_beyond_the_limit_a_count_is_no_less_than_was_seen(session: Session) -> None:
    """Whatever the planner thinks, more than ten were counted."""
    points(session, 11)

    count = count_rows(session, select(Point), 10)

    assert not count.is_exact
    assert count.value >= 10


def test_an_estimate_below_what_was_counted_is_none(postgresql: Engine) -> None:
    """Where the planner knows of fewer rows, only "more than" is true."""
    with Session(postgresql) as session:
        points(session, 2000)
        session.execute(text("ANALYZE points"))
        # What no row was when it was analyzed; the planner takes it for one row.
        session.execute(update(Point).values(a=5))
        count = count_rows(session, select(Point).where(Point.a == 5), 100)
        session.rollback()

    assert count.words() == "more than 100"


def test_the_planner_is_asked_on_postgresql(postgresql: Engine) -> None:
    """Its estimate is near, and of the filtered rows; twice the same."""
    with Session(postgresql) as session:
        points(session, 2000)
        session.execute(text("ANALYZE points"))
        counts = [
            count_rows(session, select(Point).where(Point.a == one), 100)
            for one in (1, 1, 0)
        ]
        session.rollback()

    assert all(count.is_estimate for count in counts)
    assert all(800 < count.value < 1200 for count in counts)


def test_a_whole_table_is_estimated_without_a_statement_more(
    postgresql: Engine,
) -> None:
    """Its statistics are read beside the count."""
    codec = CursorCodec("a secret of these tests")
    spec = ListSpec(Point, "point", columns=("a",), exact_count_limit=100)
    with Session(postgresql) as session:
        points(session, 3000)
        session.execute(text("ANALYZE points"))
        page = read_page(session, spec, parse_list(spec, [], codec), codec)
        session.rollback()

    assert page.count.is_estimate
    assert 2900 < page.count.value < 3100


def test_without_a_planner_it_is_more_than(sqlite: Engine) -> None:
    """SQLite counts to the limit, and says that there are more."""
    with Session(sqlite) as session:
        points(session, 11)
        count = count_rows(session, select(Point), 10)
        session.rollback()

    assert count == RowCount(10, is_exact=False)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (RowCount(0), "0"),
        (RowCount(1284), "1,284"),
        (RowCount(1_234_567, is_exact=False, is_estimate=True), "about 1,200,000"),
        (RowCount(10_001, is_exact=False, is_estimate=True), "about 10,000"),
        (RowCount(10_000, is_exact=False), "more than 10,000"),
    ],
)
def test_a_count_in_words(count: RowCount, words: str) -> None:
    """What was counted is said to the digit, what was estimated is not."""
    assert count.words() == words


@pytest.mark.parametrize(
    ("number", "expected"),
    [(7, 7), (99, 99), (101, 100), (9_960, 10_000), (10**12 + 1, 10**12)],
)
def test_two_digits_are_kept(number: int, expected: int) -> None:
    """No estimate knows more."""
    assert rounded(number) == expected
