"""Which rows each kind of filter leaves, on both databases."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from backoffice.listing.cursor import CursorCodec
from backoffice.listing.page import read_page
from backoffice.listing.params import parse_list
from backoffice.listing.spec import FilterField, FilterKind, ListSpec
from tests.listing.models import Customer, Level, Line, Order, Region, Remark

CODEC = CursorCodec("a secret of these tests")

CUSTOMERS = ListSpec(
    Customer,
    "customer",
    columns=("name",),
    filters=(
        FilterField("kind", FilterKind.TEXT),
        FilterField("level", FilterKind.CHOICE),
        FilterField("is_active", FilterKind.BOOLEAN),
        FilterField("is_rich", FilterKind.BOOLEAN),
        FilterField("rank", FilterKind.NUMBER),
        FilterField("balance", FilterKind.NUMBER),
        FilterField("born", FilterKind.DATE),
        FilterField("seen_at", FilterKind.DATE),
        FilterField("local_at", FilterKind.DATE),
        FilterField("token", FilterKind.TEXT),
        FilterField("region", FilterKind.REFERENCE),
        FilterField("region.name", FilterKind.TEXT),
        FilterField("manager", FilterKind.REFERENCE),
        FilterField("manager.rank", FilterKind.NUMBER),
    ),
)


def left(session: Session, *items: tuple[str, str], spec: ListSpec = CUSTOMERS) -> Any:
    """The keys of the rows that the filters leave, in order."""
    query = parse_list(spec, items, CODEC)
    assert not query.problems, query.problems
    page = read_page(session, spec, query, CODEC)
    assert page.count.value == len(page.rows)
    return sorted(row.id for row in page.rows)


@pytest.fixture
def three(session: Session) -> None:
    """Three customers; the third has nothing but its name and code."""
    session.add_all([Region(id=1, name="North"), Region(id=2, name="")])
    session.flush()
    session.add(
        Customer(
            id=1,
            name="Ann",
            code="1",
            kind="a",
            level=Level.LOW,
            is_active=True,
            rank=1,
            balance=Decimal("100.10"),
            born=date(2020, 1, 31),
            seen_at=datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC),
            local_at=datetime(2026, 1, 31, 23, 59, 59),  # noqa: DTZ001 - has none
            token=UUID(int=1),
            region_id=1,
        )
    )
    session.add(
        Customer(
            id=2,
            name="Bob",
            code="2",
            kind="",
            level=Level.HIGH,
            is_active=False,
            rank=2,
            balance=Decimal(-5),
            born=date(2020, 2, 1),
            seen_at=datetime(2026, 2, 1, tzinfo=UTC),
            local_at=datetime(2026, 2, 1),  # noqa: DTZ001 - has none
            token=UUID(int=2),
            region_id=2,
        )
    )
    session.flush()
    session.add(Customer(id=3, name="Cid", code="3", token=UUID(int=3), manager_id=1))
    session.flush()


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("items", "keys"),
    [
        pytest.param("kind=a", [1], id="text"),
        pytest.param("kind=A", [], id="text is exact"),
        pytest.param("kind__empty=yes", [2, 3], id="an empty text is empty"),
        pytest.param("kind__empty=no", [1], id="not empty"),
        pytest.param("level=LOW", [1], id="enum"),
        pytest.param("level=LOW&level=HIGH", [1, 2], id="two values"),
        pytest.param("level=LOW&level__empty=yes", [1, 3], id="a value, or empty"),
        pytest.param("is_active=true", [1], id="true"),
        pytest.param("is_active=no", [2], id="false"),
        pytest.param("is_active=yes&is_active=no", [1, 2], id="true or false"),
        pytest.param("is_active__empty=yes", [3], id="unknown"),
        pytest.param("is_rich=yes", [1], id="hybrid"),
        pytest.param("rank=2", [2], id="number"),
        pytest.param("rank=1&rank=2", [1, 2], id="two numbers"),
        pytest.param("rank__from=2", [2], id="from a number"),
        pytest.param("rank__to=1", [1], id="up to a number"),
        pytest.param("rank__from=1&rank__to=2", [1, 2], id="both ends belong"),
        pytest.param("rank__from=2&rank__empty=yes", [2, 3], id="a range, or empty"),
        pytest.param("balance=100.1", [1], id="decimal"),
        pytest.param("balance__to=0", [2], id="negative decimal"),
        pytest.param("born=2020-01-31", [1], id="day"),
        pytest.param("born__from=2020-01-31&born__to=2020-02-01", [1, 2], id="days"),
        pytest.param("seen_at=2026-01-31", [1], id="day of a timestamp"),
        pytest.param("seen_at__to=2026-01-31", [1], id="to the end of the day"),
        pytest.param("seen_at__from=2026-02-01", [2], id="from midnight"),
        pytest.param("seen_at__from=2026-02-01T00:00:00Z", [2], id="from an instant"),
        pytest.param(
            "seen_at__to=2026-02-01T01:00:00%2B01:00", [1, 2], id="to an instant"
        ),
        pytest.param("local_at=2026-01-31", [1], id="day without a zone"),
        pytest.param("local_at__from=2026-02-01", [2], id="midnight without a zone"),
        pytest.param("token=00000000-0000-0000-0000-000000000002", [2], id="uuid"),
        pytest.param("region=1", [1], id="reference"),
        pytest.param("region=1&region=2", [1, 2], id="two references"),
        pytest.param("region=99", [], id="reference to nothing"),
        pytest.param("region__empty=yes", [3], id="without a reference"),
        pytest.param("region__empty=no", [1, 2], id="with a reference"),
        pytest.param("region.name=North", [1], id="related text"),
        pytest.param("region.name__empty=yes", [2, 3], id="no related text"),
        pytest.param("manager=1", [3], id="reference to the same table"),
        pytest.param("manager.rank=1", [3], id="related number of the same table"),
        pytest.param("manager.rank__empty=yes", [1, 2], id="no related number"),
        pytest.param("rank__from=1&level=HIGH", [2], id="two filters"),
    ],
)
def test_what_a_filter_leaves(session: Session, items: str, keys: list[int]) -> None:
    """Exactly the rows that fit, and as many as are counted."""
    pairs = [tuple(item.split("=", 1)) for item in items.split("&")]

    assert left(session, *[(a, b.replace("%2B", "+")) for a, b in pairs]) == keys


def test_a_reference_by_another_key(session: Session) -> None:
    """A foreign key that names a code is filtered by the record's own key."""
    session.add(Customer(id=7, name="Ann", code="seven"))
    session.flush()
    wanted = Remark(id=UUID(int=1), text="x", customer_code="seven")
    session.add_all([wanted, Remark(id=UUID(int=2), text="y")])
    session.flush()
    spec = ListSpec(
        Remark,
        "remark",
        columns=("text",),
        filters=(FilterField("customer", FilterKind.REFERENCE),),
    )

    assert left(session, ("customer", "7"), spec=spec) == [wanted.id]
    assert left(session, ("customer__empty", "yes"), spec=spec) == [UUID(int=2)]


def test_a_filter_over_two_relations(session: Session) -> None:
    """Order lines are filtered by whose order they are of."""
    session.add(Customer(id=1, name="Ann", code="1"))
    session.flush()
    session.add(Order(id=1, reference="r", customer_id=1))
    session.flush()
    session.add(Line(order_id=1, number=1))
    session.flush()
    spec = ListSpec(
        Line,
        "line",
        columns=("amount",),
        filters=(
            FilterField("order.customer", FilterKind.REFERENCE),
            FilterField("order.customer.name", FilterKind.TEXT),
        ),
    )
    query = parse_list(
        spec, [("order.customer", "1"), ("order.customer.name", "Ann")], CODEC
    )

    assert len(read_page(session, spec, query, CODEC).rows) == 1
