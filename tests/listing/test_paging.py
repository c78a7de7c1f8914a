"""Pages by key and by number: every row once, whatever the order."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from backoffice.listing.cursor import CursorCodec
from backoffice.listing.page import ListPage, read_page
from backoffice.listing.params import parse_list
from backoffice.listing.query import ListQuery
from backoffice.listing.spec import (
    FilterField,
    FilterKind,
    ListSpec,
    Order,
    SearchField,
)
from tests.listing.models import Customer, Line, Point
from tests.listing.models import Order as Purchase

CODEC = CursorCodec("a secret of these tests")

POINTS = ListSpec(
    Point,
    "point",
    columns=("a", "b", "up"),
    search=(SearchField("b"),),
    filters=(FilterField("c", FilterKind.NUMBER),),
    sortable=("a", "b", "c", "id", "up.a", "up.b", "is_up"),
    page_size=3,
    page_sizes=(3, 4, 50),
)

small = st.none() | st.integers(-1, 2)
words = st.none() | st.sampled_from(["", "a", "B", "b", "é"])
rows = st.lists(
    st.tuples(small, words, st.integers(0, 2), st.integers(0, 5)), max_size=14
)
orders = st.lists(
    st.tuples(st.sampled_from(POINTS.sortable), st.booleans()),
    max_size=4,
    unique_by=lambda each: each[0],
)


def fill(session: Session, made: list[tuple[Any, ...]]) -> None:
    """Points with keys from 1, some of which refer to another one."""
    for index, (a, b, c, up) in enumerate(made, 1):
        up_id = up if 0 < up < index else None
        session.add(Point(id=index, a=a, b=b, c=c, up_id=up_id))
        session.flush()


def ask(spec: ListSpec, *items: tuple[str, str]) -> ListQuery:
    """A query without problems."""
    query = parse_list(spec, items, CODEC)
    assert not query.problems, query.problems
    return query


def again(spec: ListSpec, query: ListQuery) -> ListQuery:
    """The query after its way through an address."""
    found = parse_list(spec, query.to_items(), CODEC)
    assert not found.problems
    assert not found.notes
    return found


def forward(session: Session, spec: ListSpec, query: ListQuery) -> list[ListPage]:
    """Every page from this one on, each by the link of the one before."""
    pages = []
    following: ListQuery | None = query
    while following is not None:
        current = again(spec, following)
        page = read_page(session, spec, current, CODEC)
        pages.append(page)
        following = page.next_query(current)
        assert len(pages) < 100
    return pages


def keys(pages: list[ListPage]) -> list[Any]:
    """The keys of all rows, in the order in which they were shown."""
    return [row.id for page in pages for row in page.rows]


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
@given(
    made=rows,
    order=orders,
    filtered=st.booleans(),
    searched=st.booleans(),
    size=st.sampled_from([3, 4]),
)
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_every_row_once_forward_and_backward(
    request: pytest.FixtureRequest,
    dialect: str,
    made: list[tuple[Any, ...]],
    order: list[tuple[str, bool]],
    filtered: bool,  # noqa: FBT001 - drawn
    searched: bool,  # noqa: FBT001
    size: int,
) -> None:
    """From link to link each row is met once, both ways, and as by page numbers."""
    engine: Engine = request.getfixturevalue(dialect)
    items = [("pageSize", str(size))]
    if order:
        items.append(("sortBy", ",".join(path for path, _ in order)))
        items.append(("sort", ",".join("desc" if down else "asc" for _, down in order)))
    if filtered:
        items.append(("c__from", "1"))
    if searched:
        items.append(("search", "b"))
    with Session(engine) as session:
        fill(session, made)
        expected = [
            index
            for index, (_, b, c, _) in enumerate(made, 1)
            if (not filtered or c >= 1) and (not searched or b in ("b", "B"))
        ]
        query = ask(POINTS, *items)

        pages = forward(session, POINTS, query)

        assert sorted(keys(pages)) == expected
        assert [page.first for page in pages if page.rows] == [
            1 + size * index for index in range(-(-len(expected) // size))
        ]
        by_number = [
            read_page(session, POINTS, query.with_(page=number), CODEC)
            for number in range(1, len(pages) + 1)
        ]
        assert keys(by_number) == keys(pages)
        back = [pages[-1]]
        current = query.with_(page=len(pages))
        while (previous := back[-1].previous_query(current)) is not None:
            current = again(POINTS, previous)
            back.append(read_page(session, POINTS, current, CODEC))
        assert keys(back[::-1]) == keys(pages)
        assert back[-1].page == 1
        session.rollback()


def test_databases_agree_on_the_order(postgresql: Engine, sqlite: Engine) -> None:
    """Nulls stand last going up and first going down, on both databases."""
    made: list[tuple[Any, ...]] = [
        (a, None, c, 0) for a in (None, 2, 1, None, 1) for c in (0, 1)
    ]
    found = []
    for engine in (postgresql, sqlite):
        with Session(engine) as session:
            fill(session, made)
            up = forward(session, POINTS, ask(POINTS, ("sortBy", "a")))
            down = forward(
                session, POINTS, ask(POINTS, ("sortBy", "a"), ("sort", "desc"))
            )
            found.append((keys(up), keys(down)))
            session.rollback()

    assert found[0] == found[1]
    up_keys, down_keys = found[0]
    assert up_keys == [5, 6, 9, 10, 3, 4, 1, 2, 7, 8]
    assert down_keys == up_keys[::-1]


def test_rows_inserted_meanwhile_move_nothing(session: Session) -> None:
    """A row that comes in before the shown page doubles none on the next."""
    fill(session, [(1, None, 0, 0)] * 7)
    query = ask(POINTS, ("sortBy", "id"))
    first = read_page(session, POINTS, query, CODEC)
    session.add_all([Point(id=-1, a=1), Point(id=0, a=1)])
    session.flush()

    following = first.next_query(query)
    assert following is not None
    second = read_page(session, POINTS, again(POINTS, following), CODEC)

    assert [row.id for row in second.rows] == [4, 5, 6]


def test_rows_deleted_meanwhile_lose_nothing(session: Session) -> None:
    """The next page begins after the last row seen, even when that is gone."""
    fill(session, [(1, None, 0, 0)] * 7)
    query = ask(POINTS, ("sortBy", "id"))
    first = read_page(session, POINTS, query, CODEC)
    session.execute(delete(Point).where(Point.id.in_([2, 3])))

    following = first.next_query(query)
    assert following is not None
    second = read_page(session, POINTS, again(POINTS, following), CODEC)

    assert [row.id for row in second.rows] == [4, 5, 6]


def test_going_back_shows_rows_that_came_in_before(session: Session) -> None:
    """Rows inserted before the first page are reached by going back on."""
    fill(session, [(1, None, 0, 0)] * 6)
    query = ask(POINTS, ("sortBy", "id"))
    first = read_page(session, POINTS, query, CODEC)
    to_second = first.next_query(query)
    assert to_second is not None
    second = read_page(session, POINTS, again(POINTS, to_second), CODEC)
    session.add_all([Point(id=-1, a=1), Point(id=0, a=1)])
    session.flush()

    to_first = second.previous_query(again(POINTS, to_second))
    assert to_first is not None
    earlier = read_page(session, POINTS, again(POINTS, to_first), CODEC)
    assert [row.id for row in earlier.rows] == [1, 2, 3]
    assert earlier.page is None
    assert earlier.first is None
    to_new = earlier.previous_query(again(POINTS, to_first))
    assert to_new is not None
    earliest = read_page(session, POINTS, again(POINTS, to_new), CODEC)

    assert [row.id for row in earliest.rows] == [-1, 0]
    assert earliest.first == 1
    assert not earliest.has_previous


def test_a_page_past_the_end_says_where_the_end_is(session: Session) -> None:
    """It has no rows, tells the last page, and a way back."""
    fill(session, [(1, None, 0, 0)] * 7)

    page = read_page(session, POINTS, ask(POINTS, ("page", "9")), CODEC)

    assert page.rows == ()
    assert page.count.value == 7
    assert page.last_page == 3
    assert page.has_previous
    assert not page.has_next


def test_a_page_past_the_end_costs_no_statement_for_rows(
    session: Session, statements: list[str]
) -> None:
    """The count alone tells that there is nothing to read."""
    fill(session, [(1, None, 0, 0)] * 4)
    statements.clear()

    read_page(session, POINTS, ask(POINTS, ("page", "9")), CODEC)

    assert len(statements) == 1


def test_composite_keys_are_walked(session: Session) -> None:
    """A key of two parts ends the order and finds the records."""
    session.add(Customer(id=1, name="A", code="A"))
    session.flush()
    session.add_all([Purchase(id=i, reference="x", customer_id=1) for i in (1, 2)])
    session.flush()
    for order_id in (1, 2):
        for number in range(1, 5):
            session.add(Line(order_id=order_id, number=number, amount=number % 2))
    session.flush()
    spec = ListSpec(
        Line,
        "line",
        columns=("order.reference", "amount"),
        sortable=("amount", "order.customer.name"),
        page_size=3,
    )

    for items in ([], [("sortBy", "amount")], [("sortBy", "order.customer.name")]):
        pages = forward(session, spec, ask(spec, *items))
        seen = [(row.order_id, row.number) for page in pages for row in page.rows]
        assert len(seen) == len(set(seen)) == 8


def test_the_key_goes_the_way_of_the_order(session: Session) -> None:
    """Ties of a descending order stand in descending order of their keys."""
    fill(session, [(1, None, 0, 0)] * 3)

    page = read_page(
        session, POINTS, ask(POINTS, ("sortBy", "a"), ("sort", "desc")), CODEC
    )

    assert [row.id for row in page.rows] == [3, 2, 1]


def test_without_an_order_the_newest_key_is_first(session: Session) -> None:
    """A list that declares no order begins with the highest key."""
    fill(session, [(1, None, 0, 0)] * 3)

    page = read_page(session, POINTS, ask(POINTS), CODEC)

    assert [row.id for row in page.rows] == [3, 2, 1]


def test_nothing_stands_behind_a_unique_column(
    session: Session, statements: list[str]
) -> None:
    """An order by a unique column is total already, and its index serves it."""
    session.add_all(Customer(id=i, name="N", code=f"C{9 - i}") for i in range(1, 4))
    session.flush()
    spec = ListSpec(
        Customer, "customer", columns=("name",), default_order=(Order("code"),)
    )
    statements.clear()

    page = read_page(session, spec, ask(spec), CODEC)

    assert [row.id for row in page.rows] == [3, 2, 1]
    assert statements[-1].endswith("ORDER BY page.s0 ASC")


def test_a_cursor_of_another_order_is_not_followed(session: Session) -> None:
    """The page number stands, and the page says why."""
    fill(session, [(index, None, 0, 0) for index in range(7)])
    query = ask(POINTS, ("sortBy", "id"))
    token = read_page(session, POINTS, query, CODEC).next

    found = parse_list(
        POINTS, [("sortBy", "a"), ("page", "2"), ("after", str(token))], CODEC
    )
    page = read_page(session, POINTS, found, CODEC)

    assert found.after is None
    assert [note.parameter for note in found.notes] == ["after"]
    assert [row.id for row in page.rows] == [4, 5, 6]


def test_the_page_is_read_by_its_keys(session: Session, statements: list[str]) -> None:
    """A jump to a page number skips keys, never whole records."""
    fill(session, [(1, None, 0, 0)] * 7)
    statements.clear()

    read_page(session, POINTS, ask(POINTS, ("page", "2"), ("sortBy", "id")), CODEC)

    inner = statements[-1].partition("FROM (SELECT ")[2].partition("FROM")[0]
    assert "points.id AS k0" in inner
    assert "points.b" not in inner


def test_rows_of_one_page_are_records(session: Session) -> None:
    """A row is the session's own instance of the model."""
    fill(session, [(1, "x", 0, 0)])

    page = read_page(session, POINTS, ask(POINTS), CODEC)

    assert page.rows == (session.scalar(select(Point)),)
