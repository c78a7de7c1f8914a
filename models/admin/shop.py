"""How staff see the shop, and how they place an order."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Session

from backoffice.admin.actions import Parameter, Values, action
from backoffice.admin.call import Call
from backoffice.admin.model_view import ModelView
from backoffice.editing.fields import FieldKind, FormField
from backoffice.errors import Refused
from models.shop import (
    LINES_OF_AN_ORDER,
    Customer,
    Order,
    OrderItem,
    OrderStatus,
    Product,
    cancel_order,
    place_order,
    problems_of_lines,
)

CATEGORY = "Shop"
# What a quantity can be at most: the column's type.
MOST = 2**31 - 1


class ProductAdmin(ModelView, model=Product):
    """What is sold."""

    category = CATEGORY
    column_list = [
        Product.name,
        Product.category,
        Product.price,
        Product.stock,
        Product.updated_at,
    ]
    column_searchable_list = [Product.name]
    column_filters = [Product.category, Product.price, Product.stock]
    column_sortable_list = [
        Product.name,
        Product.category,
        Product.price,
        Product.stock,
    ]

    @action(
        "Raise prices",
        title="Raise prices by {percent} %",
        description="A negative number lowers them. Prices are rounded to cents; "
        "orders keep the price they were placed at.",
        parameters=[
            Parameter(
                "percent",
                "Per cent",
                FieldKind.DECIMAL,
                minimum="-90",
                maximum="900",
                hint="-90 to 900, for example 3 or 2.5.",
            )
        ],
    )
    def raise_prices(self, percent: Decimal) -> Values:
        """Every price times a factor."""
        return {Product.price: func.round(Product.price * (1 + percent / 100), 2)}


class CustomerAdmin(ModelView, model=Customer):
    """Who buys."""

    category = CATEGORY
    column_list = [
        Customer.full_name,
        Customer.email,
        Customer.city,
        Customer.created_at,
    ]
    column_searchable_list = [Customer.full_name, Customer.email, Customer.city]
    column_filters = [Customer.created_at]
    column_sortable_list = [Customer.full_name]
    label_columns = [Customer.full_name, Customer.email]


class OrderAdmin(ModelView, model=Order):
    """Orders; a new one takes the stock of all its lines or of none."""

    category = CATEGORY
    column_list = [
        Order.id,
        Order.customer,
        Order.status,
        Order.total,
        Order.created_at,
    ]
    column_searchable_list = ["customer.full_name", "customer.email"]
    column_filters = [Order.status, Order.customer, Order.total, Order.created_at]
    column_sortable_list = [Order.id, Order.total, Order.created_at]
    column_tones = {Order.status: {"placed": "none", "cancelled": "none"}}
    # Who ordered stays: the lines hang on it.
    form_readonly_columns = [Order.customer]
    form_groups = [
        ("Order", "", ["customer", "status", "total"]),
        (
            "Lines",
            "Up to ten; leave the rest empty. Each is taken from the product's stock.",
            [
                f"items.{line}.{part}"
                for line in range(LINES_OF_AN_ORDER)
                for part in ("product", "quantity")
            ],
        ),
    ]

    @action(
        "Cancel and give the stock back",
        description="Orders that were shipped are refused.",
        where="both",
        each=True,
        verb="Cancel",
        touched=["status"],
    )
    def cancel(self, session: Session, order: Order) -> bool:
        """Cancel one order."""
        return cancel_order(session, order)

    def update_record(
        self, session: Session, record: Any, changed: Mapping[str, str], call: Call
    ) -> bool:
        """A status that stands for stock is not written by hand."""
        del session, call
        before, after = record.status, changed.get("status", record.status)
        if before != after and OrderStatus.CANCELLED in (before, after):
            raise Refused(
                {
                    "status": 'Use the action "Cancel and give the stock back".'
                    if after == OrderStatus.CANCELLED
                    else "Its stock was given back; place a new order."
                }
            )
        return False

    form_widths = {
        f"items.{line}.{part}": width
        for line in range(LINES_OF_AN_ORDER)
        for part, width in (("product", "w4"), ("quantity", "w2"))
    }

    def form_fields(
        self, call: Call, *, is_created: bool
    ) -> tuple[FormField, ...] | None:
        """Of a new order: who buys, and ten lines of product and quantity."""
        del call
        if not is_created:
            return None
        customer = FormField(
            "customer", "Customer", FieldKind.REFERENCE, required=True, target=Customer
        )
        return (customer, *_line_fields())

    def create_record(
        self, session: Session, values: Mapping[str, str], call: Call
    ) -> Any | None:
        """Place the order; a line that cannot be had is said on its field."""
        del call
        customer = session.get(Customer, int(values.get("customer") or 0))
        problems: dict[str, str] = {}
        if customer is None:
            problems["customer"] = "Choose who buys."
        lines, items = _lines(session, values, problems)
        if not items and not any(key.startswith("items.") for key in problems):
            problems["items.0.product"] = "An order has at least one line."
        if problems or customer is None:
            short = problems_of_lines(session, items) if items else {}
            raise Refused({**_on_fields(short, lines), **problems})
        try:
            return place_order(session, customer, items)
        except Refused as refused:
            raise Refused(_on_fields(refused.fields, lines)) from refused


class OrderItemAdmin(ModelView, model=OrderItem):
    """The lines of orders, for reading."""

    category = CATEGORY
    name = "Order line"
    name_plural = "Order lines"
    can_create = False
    can_edit = False
    can_delete = False
    column_list = [
        OrderItem.id,
        OrderItem.order,
        OrderItem.product,
        OrderItem.quantity,
        OrderItem.price,
    ]
    column_searchable_list = ["product.name"]
    column_filters = [OrderItem.order, OrderItem.product]
    column_sortable_list = [OrderItem.id]


def _line_fields() -> list[FormField]:
    """Product and quantity of each line."""
    fields = []
    for line in range(LINES_OF_AN_ORDER):
        fields += [
            FormField(
                f"items.{line}.product",
                f"Product {line + 1}",
                FieldKind.REFERENCE,
                target=Product,
                nullable=True,
            ),
            FormField(
                f"items.{line}.quantity",
                f"Quantity {line + 1}",
                FieldKind.INTEGER,
                minimum="1",
                nullable=True,
            ),
        ]
    return fields


def _lines(
    session: Session, values: Mapping[str, str], problems: dict[str, str]
) -> tuple[list[int], list[tuple[Product, int]]]:
    """The lines that are filled: their numbers, and product with quantity."""
    lines: list[int] = []
    items: list[tuple[Product, int]] = []
    for line in range(LINES_OF_AN_ORDER):
        key = values.get(f"items.{line}.product", "")
        text = values.get(f"items.{line}.quantity", "").strip()
        if not key and not text:
            continue
        product = session.get(Product, int(key)) if key else None
        if product is None:
            problems[f"items.{line}.product"] = "Choose a product."
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MOST))
        if not is_number or not 1 <= int(text) <= MOST:
            problems[f"items.{line}.quantity"] = (
                "Say how many." if not text else "A quantity is a whole number from 1."
            )
        elif product is not None:
            lines.append(line)
            items.append((product, int(text)))
    return lines, items


def _on_fields(refused: Mapping[str, str], lines: list[int]) -> dict[str, str]:
    """`items.0` of the order's filled lines as the field of the form's line."""
    fields = {}
    for key, sentence in refused.items():
        number = key.removeprefix("items.")
        if key.startswith("items.") and number.isdigit():
            fields[f"items.{lines[int(number)]}.quantity"] = sentence
        else:
            fields[key] = sentence
    return fields
