"""Tables with everything that makes a list hard: nulls, ties, keys of two parts."""

import enum
import uuid
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Index,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    WriteOnlyMapped,
    mapped_column,
    relationship,
)
from sqlalchemy.types import DateTime

from backoffice.database.textsearch import search_vector


class Base(DeclarativeBase):
    """Tables of these tests alone."""

    metadata = MetaData()


class Level(enum.Enum):
    """In an order that is not the alphabet's."""

    LOW = "low"
    HIGH = "high"
    CRITICAL = "critical"


class Region(Base):
    """Where customers are."""

    __tablename__ = "regions"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class Customer(Base):
    """Refers to a region, or to none, and to another customer, or to none."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    code: Mapped[str] = mapped_column(String(20), unique=True)
    kind: Mapped[str | None] = mapped_column(String(20), index=True)
    is_active: Mapped[bool | None]
    level: Mapped[Level | None]
    balance: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    rank: Mapped[int | None]
    born: Mapped[date | None]
    seen_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    local_at: Mapped[datetime | None]
    token: Mapped[uuid.UUID] = mapped_column(default=uuid.uuid4)
    extra: Mapped[dict[str, Any] | None] = mapped_column(
        JSON().with_variant(JSONB(), "postgresql")
    )
    notes: Mapped[str | None] = mapped_column(Text)
    password: Mapped[str | None] = mapped_column(String(50), info={"secret": True})
    region_id: Mapped[int | None] = mapped_column(ForeignKey("regions.id"), index=True)
    manager_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id"))

    region: Mapped[Region | None] = relationship()
    manager: Mapped["Customer | None"] = relationship(remote_side=[id])
    orders: WriteOnlyMapped["Order"] = relationship(back_populates="customer")
    tags: Mapped[list["Tag"]] = relationship(secondary="customer_tags")

    __table_args__ = (
        Index("ix_customers_name_id", name, id),
        Index("ix_customers_rank_id", "rank", "id"),
        Index(
            "ix_customers_search", search_vector(name, notes), postgresql_using="gin"
        ).ddl_if(dialect="postgresql"),
    )

    @hybrid_property
    def is_rich(self) -> bool:
        """Computed, in Python and in SQL."""
        return (self.balance or Decimal()) > 100

    @is_rich.inplace.expression
    @classmethod
    def _is_rich(cls) -> Any:
        return cls.balance > 100

    @property
    def shout(self) -> str:
        """Computed, in Python alone."""
        return self.name.upper()


class Tag(Base):
    """Many customers have many."""

    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    word: Mapped[str] = mapped_column(String(30))


customer_tags = Table(
    "customer_tags",
    Base.metadata,
    Column("customer_id", ForeignKey("customers.id"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id"), primary_key=True),
)


class Order(Base):
    """Always of one customer."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(String(30))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    customer: Mapped[Customer] = relationship(back_populates="orders")


class Line(Base):
    """Has a key of two parts."""

    __tablename__ = "lines"

    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int | None]
    order: Mapped[Order] = relationship()


class Remark(Base):
    """Refers to a row whose key has two parts; its own key is a UUID."""

    __tablename__ = "remarks"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    text: Mapped[str] = mapped_column(String(50))
    customer_code: Mapped[str | None] = mapped_column(ForeignKey("customers.code"))
    customer: Mapped[Customer | None] = relationship()


class Point(Base):
    """Few values in several nullable columns, for orders of every kind."""

    __tablename__ = "points"

    id: Mapped[int] = mapped_column(primary_key=True)
    a: Mapped[int | None] = mapped_column(index=True)
    b: Mapped[str | None] = mapped_column(String(5))
    c: Mapped[int] = mapped_column(default=0)
    up_id: Mapped[int | None] = mapped_column(ForeignKey("points.id"))

    @hybrid_property
    def is_up(self) -> bool | None:
        """Computed; unknown without a value."""
        return None if self.a is None else self.a > 0

    @is_up.inplace.expression
    @classmethod
    def _is_up(cls) -> Any:
        return cls.a > 0

    up: Mapped["Point | None"] = relationship(remote_side=[id])
