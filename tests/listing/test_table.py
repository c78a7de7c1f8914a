"""A list as a plain table: what an export writes."""

from sqlalchemy.orm import Session

from backoffice.listing.cursor import CursorCodec
from backoffice.listing.page import read_page
from backoffice.listing.params import parse_list
from backoffice.listing.spec import FilterField, FilterKind, ListSpec, SearchField
from backoffice.listing.table import list_table
from tests.listing.models import Customer, Region

CODEC = CursorCodec("a secret of these tests")

CUSTOMERS = ListSpec(
    Customer,
    "customer",
    columns=("name", "region", "manager.name", "is_rich", "shout", "password", "tags"),
    search=(SearchField("name"),),
    filters=(FilterField("region.name", FilterKind.TEXT),),
    sortable=("name", "region", "manager.name"),
    page_size=1,
    labels={"name": "Called"},
)


def fill(session: Session) -> None:
    """Three customers, of whom the second manages the third."""
    session.add(Region(id=1, name="North"))
    session.flush()
    session.add(Customer(id=1, name="Ann", code="1", region_id=1, balance=500))
    session.add(Customer(id=2, name="Bob", code="2", region_id=1))
    session.flush()
    session.add(Customer(id=3, name="Cid", code="3", manager_id=2))
    session.flush()


def test_columns_are_those_that_the_database_knows(session: Session) -> None:
    """A relation is there by its name; secrets, collections and properties are not."""
    fill(session)
    query = parse_list(CUSTOMERS, [("sortBy", "name")], CODEC)

    table = list_table(CUSTOMERS, query, session.get_bind().dialect.name)

    assert table.heads == ("Called", "Region", "Manager: name", "Is rich")
    assert [tuple(row) for row in session.execute(table.select)] == [
        ("Ann", "North", None, True),
        ("Bob", "North", None, None),
        ("Cid", None, "Bob", None),
    ]


def test_rows_are_those_of_all_pages(session: Session) -> None:
    """Filtered and ordered as the list is, from the first page to the last."""
    fill(session)
    items = [("region.name", "North"), ("sortBy", "region,name"), ("sort", "asc,desc")]
    query = parse_list(CUSTOMERS, [*items, ("page", "2")], CODEC)

    table = list_table(CUSTOMERS, query, session.get_bind().dialect.name)

    assert [row[0] for row in session.execute(table.select)] == ["Bob", "Ann"]
    assert read_page(session, CUSTOMERS, query, CODEC).rows[0].name == "Ann"


def test_a_problem_exports_no_row(session: Session) -> None:
    """A mistyped filter does not export the whole table."""
    fill(session)
    query = parse_list(CUSTOMERS, [("regoin", "1")], CODEC)

    table = list_table(CUSTOMERS, query, session.get_bind().dialect.name)

    assert session.execute(table.select).all() == []


def test_the_scope_holds(session: Session) -> None:
    """Nobody exports what they may not see."""
    fill(session)
    spec = CUSTOMERS.scoped(lambda select: select.where(Customer.id == 1))

    table = list_table(
        spec, parse_list(spec, [], CODEC), session.get_bind().dialect.name
    )

    assert [row[0] for row in session.execute(table.select)] == ["Ann"]
