"""A shop: what it sells, to whom, and how an order takes its goods from stock."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Select,
    String,
    UniqueConstraint,
    func,
    inspect,
    select,
)
from sqlalchemy.orm import (
    Mapped,
    Session,
    WriteOnlyMapped,
    mapped_column,
    relationship,
)
from sqlalchemy.types import Numeric

from backoffice.database.base import Base, Timestamps
from backoffice.database.choices import choice_column, one_of
from backoffice.errors import Refused

LINES_OF_AN_ORDER = 10


class OrderStatus(StrEnum):
    """How far an order is."""

    PLACED = "placed"
    PAID = "paid"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


class Product(Timestamps, Base):
    """Something that is sold; it cannot go once it was ordered."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    category: Mapped[str] = mapped_column(String(100))
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    stock: Mapped[int] = mapped_column(default=0, server_default="0")

    __table_args__ = (
        UniqueConstraint(
            "name",
            info={"fields": ["name"], "message": "Another product has this name."},
        ),
        CheckConstraint(
            "name <> ''",
            name="name_given",
            info={"fields": ["name"], "message": "Give the product a name."},
        ),
        CheckConstraint(
            "category <> ''",
            name="category_given",
            info={"fields": ["category"], "message": "Give the product a category."},
        ),
        CheckConstraint(
            "price >= 0",
            name="price_not_negative",
            info={"fields": ["price"], "message": "A price is 0 or more."},
        ),
        CheckConstraint(
            "stock >= 0",
            name="stock_not_negative",
            info={"fields": ["stock"], "message": "The stock is 0 or more."},
        ),
        # The filter on a category, its list by name, and their pages by key.
        Index("ix_products_category_name_id", "category", "name", "id"),
        # The list by price, the filter on a range of prices, and their pages by key.
        Index("ix_products_price_id", "price", "id"),
        # The list by stock: what is sold out, and its pages by key.
        Index("ix_products_stock_id", "stock", "id"),
    )

    def __str__(self) -> str:
        return self.name


class Customer(Timestamps, Base):
    """Somebody who buys; cannot go while there are orders of theirs."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    full_name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(254), info={"label": "E-mail"})
    city: Mapped[str | None] = mapped_column(String(100))

    # A good customer has more orders than a page shows.
    orders: WriteOnlyMapped["Order"] = relationship(
        back_populates="customer", passive_deletes="all"
    )

    __table_args__ = (
        CheckConstraint(
            "full_name <> ''",
            name="full_name_given",
            info={"fields": ["full_name"], "message": "Give the customer a name."},
        ),
        CheckConstraint(
            "email LIKE '%_@_%'",
            name="email_has_at",
            info={
                "fields": ["email"],
                "message": "An e-mail address looks like name@example.org.",
            },
        ),
        # One customer by e-mail, whatever its case.
        Index(
            "uq_customers_lower_email",
            func.lower(email),
            unique=True,
            info={"fields": ["email"], "message": "Another customer has this e-mail."},
        ),
        # The list by name, and its pages by key.
        Index("ix_customers_full_name_id", "full_name", "id"),
    )

    def __str__(self) -> str:
        return self.full_name


class Order(Timestamps, Base):
    """What one customer bought at one time."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(
        ForeignKey("customers.id", ondelete="RESTRICT")
    )
    status: Mapped[str] = choice_column(OrderStatus, default=OrderStatus.PLACED)
    total: Mapped[Decimal] = mapped_column(
        Numeric(14, 2),
        default=Decimal(0),
        server_default="0",
        info={"read_only": "The sum of the order's lines."},
    )

    customer: Mapped[Customer] = relationship(back_populates="orders")
    items: Mapped[list["OrderItem"]] = relationship(
        back_populates="order", passive_deletes="all", order_by="OrderItem.id"
    )

    __table_args__ = (
        CheckConstraint(
            "total >= 0",
            name="total_not_negative",
            info={"fields": ["total"], "message": "A total is 0 or more."},
        ),
        one_of("status", OrderStatus),
        # One customer's orders, newest first, and whether the customer may go.
        Index("ix_orders_customer_id_id", "customer_id", "id"),
        # The orders of one status, oldest first: what is to be done next.
        Index("ix_orders_status_id", "status", "id"),
        # The list by total: the largest orders, and its pages by key.
        Index("ix_orders_total_id", "total", "id"),
        # The list by time of creation, the filter on a span, and their pages by key.
        Index("ix_orders_created_at_id", "created_at", "id"),
    )

    def __str__(self) -> str:
        return f"Order {self.id}"


class OrderItem(Timestamps, Base):
    """One line of an order, at the price of that day; it goes with the order."""

    __tablename__ = "order_items"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    product_id: Mapped[int] = mapped_column(
        ForeignKey("products.id", ondelete="RESTRICT")
    )
    quantity: Mapped[int]
    price: Mapped[Decimal] = mapped_column(
        Numeric(10, 2), info={"hint": "Of one piece, on the day of the order."}
    )

    order: Mapped[Order] = relationship(back_populates="items")
    product: Mapped[Product] = relationship()

    __table_args__ = (
        CheckConstraint(
            "quantity > 0",
            name="quantity_positive",
            info={"fields": ["quantity"], "message": "A quantity is 1 or more."},
        ),
        CheckConstraint(
            "price >= 0",
            name="price_not_negative",
            info={"fields": ["price"], "message": "A price is 0 or more."},
        ),
        # The lines of one order.
        Index("ix_order_items_order_id_id", "order_id", "id"),
        # Who ordered one product, and whether the product may go.
        Index("ix_order_items_product_id_id", "product_id", "id"),
    )

    def __str__(self) -> str:
        return f"Order line {self.id}"


def place_order(
    session: Session, customer: Customer, items: Sequence[tuple[Product, int]]
) -> Order:
    """A new order that has taken the stock of all `items`; flushed, not committed.

    Raises:
        Refused: a line cannot be had; nothing was taken. Its field is `items.0` for
            the first line, and so on; the empty name where it is about all of them.
    """
    if not items:
        raise Refused({"": "An order has at least one line."})
    if len(items) > LINES_OF_AN_ORDER:
        raise Refused({"": f"An order has at most {LINES_OF_AN_ORDER} lines."})
    stock = _lock_products(session, items)
    problems = _problems(items, stock)
    if problems:
        raise Refused(problems)
    return _take(session, customer, items, stock)


def problems_of_lines(
    session: Session, items: Sequence[tuple[Product, int]]
) -> dict[str, str]:
    """What `place_order` would refuse of these lines; they are locked for it."""
    return _problems(items, _lock_products(session, items))


def _problems(
    items: Sequence[tuple[Product, int]], stock: Mapping[int, Product]
) -> dict[str, str]:
    """Each line that cannot be had beside those before it, and why."""
    problems: dict[str, str] = {}
    left = {key: product.stock for key, product in stock.items()}
    for line, (key, quantity) in enumerate(_keys(items)):
        problem = _problem(stock.get(key), quantity, left.get(key, 0))
        if problem:
            problems[f"items.{line}"] = problem
        else:
            left[key] -= quantity
    return problems


def cancel_order(session: Session, order: Order) -> bool:
    """Cancel an order and give the stock of its lines back; flushed, not committed.

    False where it was cancelled already.

    Raises:
        Refused: it was shipped.
    """
    if order.status == OrderStatus.CANCELLED:
        return False
    if order.status == OrderStatus.SHIPPED:
        raise Refused({"status": "It was shipped; it can only be sent back."})
    lines = select(OrderItem).where(OrderItem.order_id == order.id)
    quantities: dict[int, int] = {}
    for line in session.scalars(lines):
        known = quantities.get(line.product_id, 0)
        quantities[line.product_id] = known + line.quantity
    for product in session.scalars(_locked(list(quantities))):
        product.stock += quantities[product.id]
    order.status = OrderStatus.CANCELLED
    session.flush()
    return True


def _take(
    session: Session,
    customer: Customer,
    items: Sequence[tuple[Product, int]],
    stock: dict[int, Product],
) -> Order:
    """Write the order; everything was found to be there, under lock."""
    order = Order(customer=customer, total=Decimal(0))
    session.add(order)
    for key, quantity in _keys(items):
        product = stock[key]
        product.stock -= quantity
        order.items.append(
            OrderItem(product=product, quantity=quantity, price=product.price)
        )
        order.total += product.price * quantity
    session.flush()
    return order


def _keys(items: Sequence[tuple[Product, int]]) -> list[tuple[int, int]]:
    """The lines by their product's key, which a deleted product keeps as well."""
    return [(_key(product), quantity) for product, quantity in items]


def _key(product: Product) -> int:
    """The key of a product, without asking the database whether it is still there."""
    (key,) = inspect(product).identity or (product.id,)
    return int(key)


def _lock_products(
    session: Session, items: Sequence[tuple[Product, int]]
) -> dict[int, Product]:
    """The products as they are now, and as they stay until the transaction ends.

    In key order, so that two orders of the same goods never wait for each other.
    """
    locked = _locked({key for key, _ in _keys(items)})
    return {product.id: product for product in session.scalars(locked)}


def _locked(keys: Collection[int]) -> Select[Product]:
    """Products, locked in the order of their keys."""
    return (
        select(Product)
        .where(Product.id.in_(sorted(keys)))
        .order_by(Product.id)
        # Their keys stay as they are: lines of other orders may still point at them.
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )


def _problem(product: Product | None, quantity: int, left: int) -> str:
    """What is in the way of one line, or nothing."""
    if product is None:
        return "This product is no longer sold."
    if quantity < 1:
        return "A quantity is 1 or more."
    if quantity <= left:
        return ""
    if left == 0:
        return f"{product.name} is sold out."
    return f"Only {left} of {product.name} {'is' if left == 1 else 'are'} left."
