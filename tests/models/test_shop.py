"""What the shop promises, above all when an order is placed."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backoffice.errors import Refused
from models.shop import Customer, Order, OrderItem, Product, place_order
from tests.factories import make_customer, make_order_item, make_product


def test_order_takes_its_stock(demo_session: Session) -> None:
    """Each line takes its pieces, at the price of that moment."""
    pen = make_product(demo_session, stock=10, price=Decimal("1.25"))
    book = make_product(demo_session, stock=2, price=Decimal("9.90"))

    order = place_order(
        demo_session, make_customer(demo_session), [(pen, 4), (book, 2)]
    )

    assert (pen.stock, book.stock) == (6, 0)
    assert [(item.quantity, item.price) for item in order.items] == [
        (4, Decimal("1.25")),
        (2, Decimal("9.90")),
    ]
    assert order.total == Decimal("24.80")


def test_price_is_kept(demo_session: Session) -> None:
    """An order keeps its price when the product gets a new one."""
    pen = make_product(demo_session, price=Decimal("1.25"))
    order = place_order(demo_session, make_customer(demo_session), [(pen, 1)])

    pen.price = Decimal("2.00")
    demo_session.flush()
    demo_session.refresh(order)

    assert order.items[0].price == order.total == Decimal("1.25")


@pytest.mark.parametrize(
    ("stock", "sentence"),
    [
        pytest.param(0, "Blue Pen is sold out.", id="none"),
        pytest.param(1, "Only 1 of Blue Pen is left.", id="one"),
        pytest.param(3, "Only 3 of Blue Pen are left.", id="some"),
    ],
)
def test_short_line_takes_nothing(
    demo_session: Session, stock: int, sentence: str
) -> None:
    """One line that cannot be had refuses the whole order, in words, on that line."""
    book = make_product(demo_session, stock=5)
    pen = make_product(demo_session, name="Blue Pen", stock=stock)
    customer = make_customer(demo_session)

    with pytest.raises(Refused) as refused:
        place_order(demo_session, customer, [(book, 1), (pen, 4)])

    assert refused.value.fields == {"items.1": sentence}
    demo_session.commit()
    assert demo_session.scalar(select(func.count(Order.id))) == 0
    assert (book.stock, pen.stock) == (5, stock)


def test_all_lines_are_reported(demo_session: Session) -> None:
    """Every line that is in the way is named at once."""
    pen = make_product(demo_session, name="Blue Pen", stock=0)
    book = make_product(demo_session, stock=5)

    with pytest.raises(Refused) as refused:
        place_order(demo_session, make_customer(demo_session), [(pen, 1), (book, 0)])

    assert refused.value.fields == {
        "items.0": "Blue Pen is sold out.",
        "items.1": "A quantity is 1 or more.",
    }


def test_lines_of_one_product_add_up(demo_session: Session) -> None:
    """Two lines of the same product cannot have the same pieces."""
    pen = make_product(demo_session, name="Blue Pen", stock=5)

    with pytest.raises(Refused) as refused:
        place_order(demo_session, make_customer(demo_session), [(pen, 4), (pen, 2)])

    assert refused.value.fields == {"items.1": "Only 1 of Blue Pen is left."}


def test_vanished_product_is_refused(demo_session: Session) -> None:
    """A product that was deleted meanwhile is no longer sold."""
    pen = make_product(demo_session)
    demo_session.execute(
        delete(Product)
        .where(Product.id == pen.id)
        .execution_options(synchronize_session=False)
    )

    with pytest.raises(Refused) as refused:
        place_order(demo_session, make_customer(demo_session), [(pen, 1)])

    assert refused.value.fields == {"items.0": "This product is no longer sold."}


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        pytest.param(0, "An order has at least one line.", id="none"),
        pytest.param(11, "An order has at most 10 lines.", id="too many"),
    ],
)
def test_number_of_lines(demo_session: Session, lines: int, sentence: str) -> None:
    """An order has one to ten lines."""
    pen = make_product(demo_session, stock=100)

    with pytest.raises(Refused) as refused:
        place_order(demo_session, make_customer(demo_session), [(pen, 1)] * lines)

    assert refused.value.fields == {"": sentence}


def test_stale_stock_is_not_trusted(demo_engine: Engine) -> None:
    """What was sold since the product was loaded is not sold again."""
    with Session(demo_engine) as session:
        key = make_product(session, name="Blue Pen", stock=5).id
        buyer = make_customer(session).id
        session.commit()

    with Session(demo_engine) as slow:
        pen, customer = slow.get_one(Product, key), slow.get_one(Customer, buyer)
        with Session(demo_engine) as quick:
            quick.get_one(Product, key).stock = 1
            quick.commit()
        with pytest.raises(Refused, match=r"Only 1 of Blue Pen is left\."):
            place_order(slow, customer, [(pen, 2)])


def test_crossing_orders_never_oversell(demo_engine: Engine) -> None:
    """Orders of the same goods in opposite orders all end, and none sells too much."""
    with Session(demo_engine) as session:
        keys = [make_product(session, stock=10).id for _ in range(3)]
        buyer = make_customer(session).id
        session.commit()

    def buy(number: int) -> bool:
        order = keys if number % 2 else list(reversed(keys))
        with Session(demo_engine) as session:
            lines = [(session.get_one(Product, key), 1) for key in order]
            try:
                place_order(session, session.get_one(Customer, buyer), lines)
            except Refused:
                return False
            session.commit()
            return True

    with ThreadPoolExecutor(4) as pool:
        sold = list(pool.map(buy, range(14)))

    assert sold.count(True) == 10
    with Session(demo_engine) as session:
        assert set(session.scalars(select(Product.stock))) == {0}


def test_deleted_order_takes_its_lines(demo_session: Session) -> None:
    """The lines go with their order; the product stays."""
    item = make_order_item(demo_session)
    demo_session.commit()

    demo_session.delete(item.order)
    demo_session.commit()

    assert demo_session.scalar(select(func.count(OrderItem.id))) == 0
    assert demo_session.scalar(select(func.count(Product.id))) == 1


def test_ordered_product_stays(demo_session: Session) -> None:
    """A product that was ordered refuses to go."""
    item = make_order_item(demo_session)

    with pytest.raises(IntegrityError, match="fk_order_items_product_id_products"):
        demo_session.execute(delete(Product).where(Product.id == item.product_id))


def test_customer_with_orders_stays(demo_session: Session) -> None:
    """A customer with orders refuses to go."""
    item = make_order_item(demo_session)

    with pytest.raises(IntegrityError, match="fk_orders_customer_id_customers"):
        demo_session.execute(
            delete(Customer).where(Customer.id == item.order.customer_id)
        )
