"""What a page of a list costs and holds: few statements, everything loaded."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, Select, insert, text, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session

from backoffice.listing.counting import RowCount
from backoffice.listing.cursor import CursorCodec
from backoffice.listing.page import ListPage, ordered, read_page, select_rows
from backoffice.listing.params import parse_list
from backoffice.listing.spec import (
    FilterField,
    FilterKind,
    ListSpec,
    Order,
    SearchField,
)
from tests.listing.models import Customer, Level, Region

CODEC = CursorCodec("a secret of these tests")

CUSTOMERS = ListSpec(
    Customer,
    "customer",
    columns=(
        "name",
        "region",
        "manager.name",
        "manager.region.name",
        "is_rich",
        "shout",
    ),
    search=(SearchField("name"),),
    filters=(
        FilterField("kind", FilterKind.CHOICE),
        FilterField("level", FilterKind.CHOICE),
        FilterField("region", FilterKind.REFERENCE),
        FilterField("manager", FilterKind.REFERENCE),
    ),
    sortable=("name", "manager.name", "region"),
    page_size=20,
)


def read(
    session: Session, *items: tuple[str, str], spec: ListSpec = CUSTOMERS
) -> ListPage:
    """The page that these items ask for."""
    query = parse_list(spec, items, CODEC)
    assert not query.problems
    return read_page(session, spec, query, CODEC)


@pytest.fixture
def hundred(session: Session) -> None:
    """A hundred customers, half of them in a region, most of them managed."""
    session.add_all([Region(id=1, name="North"), Region(id=2, name="South")])
    session.flush()
    rows: list[dict[str, Any]] = [
        {
            "id": number,
            "name": f"Name {number:03}",
            "code": f"C{number}",
            "kind": "abc"[number % 3],
            "region_id": 1 + number % 2 if number % 4 else None,
            "manager_id": number // 2 or None,
            "notes": "long",
            "password": "secret",
        }
        for number in range(1, 101)
    ]
    for row in rows:
        session.add(Customer(**row))
        session.flush()
    session.expunge_all()


@pytest.mark.usefixtures("hundred")
@pytest.mark.parametrize(
    "items",
    [
        pytest.param([], id="plain"),
        pytest.param([("search", "name 01")], id="search"),
        pytest.param(
            [("kind", "a"), ("region", "1"), ("sortBy", "name")], id="filters"
        ),
        pytest.param([("sortBy", "manager.name"), ("page", "3")], id="by a relation"),
    ],
)
def test_a_page_costs_two_statements(
    session: Session, statements: list[str], items: list[tuple[str, str]]
) -> None:
    """Count and choices, then the rows; reading the cells costs none."""
    statements.clear()

    page = read(session, *items)
    cells = [
        (row.name, row.region, row.manager and row.manager.name, row.is_rich, row.shout)
        for row in page.rows
    ]

    assert cells
    assert len(statements) == 2


@pytest.mark.usefixtures("hundred")
def test_an_estimate_is_the_third_statement(
    session: Session, statements: list[str]
) -> None:
    """Where the count stops at its limit, a filtered list asks the planner."""
    spec = ListSpec(
        Customer,
        "customer",
        columns=("name",),
        filters=(FilterField("kind", FilterKind.CHOICE),),
        exact_count_limit=10,
    )
    statements.clear()

    page = read(session, ("kind", "a"), spec=spec)

    assert len(statements) <= 3
    assert not page.count.is_exact
    assert page.count.value >= 10
    assert page.last_page is None


@pytest.mark.usefixtures("hundred")
def test_an_order_by_a_relation_hides_no_row(session: Session) -> None:
    """Who has no manager, or no region, is there too."""
    for column in ("manager.name", "region"):
        seen: list[int] = []
        for page in range(1, 6):
            rows = read(session, ("sortBy", column), ("page", str(page))).rows
            seen.extend(row.id for row in rows)
        assert sorted(seen) == list(range(1, 101))


@pytest.mark.usefixtures("hundred")
def test_a_relation_is_ordered_by_what_it_is_called(session: Session) -> None:
    """An order by region is one by the region's name."""
    rows = read(session, ("sortBy", "region"), ("sort", "desc"), ("page", "2")).rows

    names = [row.region.name if row.region else "" for row in rows]
    assert names == sorted(names, key=lambda name: (name == "", name), reverse=True)


@pytest.mark.usefixtures("hundred")
def test_a_page_without_an_order_of_the_database(session: Session) -> None:
    """Equal values stand in the order of their keys on every page."""
    found = [
        row.id
        for page in range(1, 6)
        for row in read(session, ("sortBy", "region"), ("page", str(page))).rows
    ]

    assert len(set(found)) == 100


@pytest.mark.usefixtures("hundred")
@pytest.mark.parametrize("name", ["notes", "extra", "password", "tags"])
def test_what_is_not_shown_is_never_loaded_later(session: Session, name: str) -> None:
    """Long texts, secrets and collections raise an error, not a statement a row."""
    row = read(session).rows[0]

    with pytest.raises(InvalidRequestError):
        getattr(row, name)


@pytest.mark.usefixtures("hundred")
def test_a_relation_that_is_not_shown_is_not_loaded(session: Session) -> None:
    """A manager's manager is not on this page."""
    row = read(session).rows[0]

    with pytest.raises(InvalidRequestError):
        _ = row.manager.manager


@pytest.mark.usefixtures("hundred")
def test_what_is_declared_is_loaded(session: Session, statements: list[str]) -> None:
    """`loads` names relations and long columns that a formatter reads."""
    spec = ListSpec(
        Customer, "customer", columns=("name",), loads=("notes", "manager.manager")
    )

    row = read(session, spec=spec).rows[0]
    statements.clear()

    assert row.notes == "long"
    assert row.manager.manager.name == "Name 025"
    assert not statements


@pytest.mark.usefixtures("hundred")
def test_a_long_column_that_is_shown_is_loaded(session: Session) -> None:
    """Shown is shown."""
    spec = ListSpec(Customer, "customer", columns=("name", "notes", "extra"))

    assert read(session, spec=spec).rows[0].notes == "long"


@pytest.mark.usefixtures("hundred")
def test_of_a_text_of_megabytes_the_beginning_is_read(
    session: Session, statements: list[str]
) -> None:
    """A row shows no more; who formats it, or has it loaded, gets the whole."""
    long = "é" * 1_500_000
    session.execute(update(Customer).where(Customer.id > 95).values(notes=long))
    session.expunge_all()
    shown = ListSpec(Customer, "customer", columns=("name", "notes"), page_size=3)
    formatted = replace(shown, is_formatted=True)
    loaded = replace(shown, loads=("notes",))

    lengths = [len(row.notes or "") for row in read(session, spec=shown).rows]
    session.expunge_all()
    assert lengths == [1_000] * 3
    assert any("substr" in statement for statement in statements)
    for spec in (formatted, loaded):
        assert len(read(session, spec=spec).rows[0].notes or "") == 1_500_000
        session.expunge_all()


@pytest.mark.usefixtures("hundred")
def test_a_cut_text_does_not_come_between_the_keys_of_a_page(session: Session) -> None:
    """The next page begins behind this one."""
    spec = ListSpec(
        Customer, "customer", ("name", "notes"), sortable=("name",), page_size=3
    )
    query = parse_list(spec, [("sortBy", "name")], CODEC)
    first = read_page(session, spec, query, CODEC)
    following = first.next_query(query)
    assert following is not None
    items = following.to_items()
    second = read_page(session, spec, parse_list(spec, items, CODEC), CODEC)

    names = [row.name for row in (*first.rows, *second.rows)]
    assert names == sorted(names)
    assert len(set(names)) == 6


def own(select: Select[Any]) -> Select[Any]:
    """What one person may see."""
    return select.where(Customer.kind == "a")


@pytest.mark.usefixtures("hundred")
@pytest.mark.parametrize(
    "items",
    [
        [],
        [("search", "name")],
        [("region", "1")],
        [("sortBy", "manager.name")],
        [("page", "2")],
        [("level__empty", "yes"), ("sortBy", "name")],
    ],
    ids=str,
)
def test_the_scope_holds_everywhere(
    session: Session, items: list[tuple[str, str]]
) -> None:
    """Rows, count, pages and choices tell nothing of hidden rows."""
    spec = CUSTOMERS.scoped(own)
    page = read(session, *items, spec=spec)

    assert {row.kind for row in page.rows} == {"a"}
    assert page.count.value <= 33
    assert [choice.value for choice in page.choices["kind"]] == ["a"]


@pytest.mark.usefixtures("hundred")
def test_the_scope_holds_by_key(session: Session) -> None:
    """The next page, by the cursor of the first, holds it too."""
    spec = CUSTOMERS.scoped(own)
    query = parse_list(spec, [("sortBy", "name")], CODEC)
    following = read_page(session, spec, query, CODEC).next_query(query)
    assert following is not None

    page = read(session, *following.to_items(), spec=spec)

    assert len(page.rows) == 13
    assert {row.kind for row in page.rows} == {"a"}


@pytest.mark.usefixtures("hundred")
def test_the_select_is_shared(session: Session) -> None:
    """Exports and actions get the same rows in the same order as the pages show."""
    query = parse_list(CUSTOMERS, [("kind", "b"), ("sortBy", "region,name")], CODEC)
    dialect = session.get_bind().dialect.name

    rows = select_rows(CUSTOMERS, query, dialect)
    every = session.scalars(ordered(CUSTOMERS, query, rows, dialect)).all()
    page = read_page(session, CUSTOMERS, query, CODEC)

    assert [row.id for row in every[:20]] == [row.id for row in page.rows]
    assert len(every) == page.count.value


def test_an_empty_table_is_an_empty_page(session: Session) -> None:
    """No rows, counted exactly, one page."""
    page = read(session)

    assert page.rows == ()
    assert page.count == RowCount(0)
    assert (page.has_next, page.has_previous, page.last_page) == (False, False, 1)


# Choices


@pytest.mark.usefixtures("hundred")
def test_values_of_an_indexed_column_are_offered(session: Session) -> None:
    """In their order, without null."""
    assert [c.value for c in read(session).choices["kind"]] == ["a", "b", "c"]


def test_members_of_an_enum_are_offered(session: Session) -> None:
    """Whether the table has them or not, in their own order."""
    offered = read(session).choices["level"]

    assert [tuple(choice) for choice in offered] == [
        (level.name, level.name.capitalize()) for level in Level
    ]


@pytest.mark.usefixtures("hundred")
def test_few_references_are_offered_by_name(session: Session) -> None:
    """With their keys as values."""
    page = read(session)

    assert [tuple(c) for c in page.choices["region"]] == [
        ("1", "North"),
        ("2", "South"),
    ]
    assert "region" not in page.typed


@pytest.mark.usefixtures("hundred")
def test_many_references_are_typed(session: Session) -> None:
    """Above fifty only those in use are named."""
    page = read(session, ("manager", "7"))

    assert "manager" in page.typed
    assert [tuple(c) for c in page.choices["manager"]] == [("7", "Name 007")]


def test_more_than_fifty_values_are_typed(session: Session) -> None:
    """A column with many values is not listed value by value."""
    session.execute(
        insert(Customer),
        [{"id": i, "name": "N", "code": str(i), "kind": f"k{i}"} for i in range(1, 61)],
    )

    page = read(session)

    assert "kind" in page.typed
    assert "kind" not in page.choices


def test_a_column_without_an_index_is_typed(session: Session) -> None:
    """To list its values would be to read the table."""
    spec = ListSpec(
        Customer,
        "customer",
        columns=("name",),
        filters=(
            FilterField("name", FilterKind.CHOICE),
            FilterField("notes", FilterKind.CHOICE),
        ),
    )

    assert read(session, spec=spec).typed == {"notes"}


def test_choices_are_read_beside_problems(session: Session) -> None:
    """The filters can still be drawn on a page that says what is wrong."""
    session.add(Region(id=1, name="North"))
    session.flush()
    query = parse_list(CUSTOMERS, [("page", "x")], CODEC)

    page = read_page(session, CUSTOMERS, query, CODEC)

    assert [c.label for c in page.choices["region"]] == ["North"]
    assert page.rows == ()


def test_a_reference_may_be_scoped(session: Session) -> None:
    """What somebody may not see is not offered to choose from."""
    session.add_all([Region(id=1, name="North"), Region(id=2, name="South")])
    session.flush()
    field = FilterField(
        "region",
        FilterKind.REFERENCE,
        scope=lambda select: select.where(Region.id == 2),
    )
    spec = ListSpec(Customer, "customer", columns=("name",), filters=(field,))

    page = read(session, ("region", "1"), spec=spec)

    assert [c.label for c in page.choices["region"]] == ["South"]


# What PostgreSQL's planner is asked to do


def _plan(session: Session, statement: str, parameters: Any) -> str:
    connection = session.connection()
    rows = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
    return "\n".join(row[0] for row in rows)


def test_a_page_by_key_is_one_stretch_of_an_index(postgresql: Engine) -> None:
    """Nulls, ties and all: no scan of the table, no sort of more than a page."""
    sent: list[tuple[str, Any]] = []
    spec = ListSpec(
        Customer, "customer", columns=("name", "rank"), sortable=("name", "rank")
    )
    with Session(postgresql) as session:
        session.execute(
            insert(Customer),
            [
                {"id": i, "name": f"N{i % 40}", "code": str(i), "rank": i % 9 or None}
                for i in range(1, 5001)
            ],
        )
        session.execute(text("ANALYZE customers"))
        # Without it, to look up 51 rows costs about as much as to scan all of them.
        session.execute(text("SET LOCAL random_page_cost = 1.1"))
        for column in ("name", "rank"):
            query = parse_list(spec, [("sortBy", column)], CODEC)
            following = read_page(session, spec, query, CODEC).next_query(query)
            assert following is not None
            query = parse_list(spec, following.to_items(), CODEC)
            statement = _page_statement(spec, query, session)
            sent.append(statement)
        plans = [_plan(session, *statement) for statement in sent]
        session.rollback()

    assert "ix_customers_name_id" in plans[0]
    assert "ix_customers_rank_id" in plans[1]
    assert not any("Seq Scan on customers" in plan for plan in plans)


def _page_statement(spec: ListSpec, query: Any, session: Session) -> tuple[str, Any]:
    """The statement of the rows, as it is sent."""
    from sqlalchemy import event

    sent: list[tuple[str, Any]] = []
    connection = session.connection()

    def note(*arguments: Any) -> None:
        sent.append((arguments[2], arguments[3]))

    event.listen(connection, "before_cursor_execute", note)
    read_page(session, spec, query, CODEC)
    event.remove(connection, "before_cursor_execute", note)
    return sent[-1]


def test_an_order_without_an_index_reads_the_table_once(postgresql: Engine) -> None:
    """Stretches of an index that is not there would each read it all."""
    spec = ListSpec(
        Customer,
        "customer",
        columns=("name",),
        sortable=("balance", "born"),
        default_order=(Order("balance"), Order("born", descending=True)),
        page_size=1,
    )
    with Session(postgresql) as session:
        session.execute(
            insert(Customer),
            [
                {"id": i, "name": "N", "code": str(i), "balance": i % 3}
                for i in range(9)
            ],
        )
        query = parse_list(spec, [], CODEC)
        following = read_page(session, spec, query, CODEC).next_query(query)
        assert following is not None
        query = parse_list(spec, following.to_items(), CODEC)
        statement, _ = _page_statement(spec, query, session)
        session.rollback()

    assert "UNION ALL" not in statement


@pytest.mark.usefixtures("hundred")
def test_the_count_does_not_sort(session: Session, statements: list[str]) -> None:
    """The order of a list is no business of its length."""
    statements.clear()

    read(session, ("sortBy", "manager.name"))

    assert "ORDER BY" not in statements[0]
    assert "managers" not in statements[0]


def test_a_page_of_two_lists_in_one_session(session: Session) -> None:
    """What one list left out, the other still loads with its own rows."""
    session.add(Customer(id=1, name="Ann", code="1", notes="long"))
    session.flush()
    session.expunge_all()
    brief = ListSpec(Customer, "customer", columns=("name",))
    full = ListSpec(Customer, "customer", columns=("name", "notes"))

    read(session, spec=brief)

    assert read(session, spec=full).rows[0].notes == "long"
