"""The tables that the tests of the write path edit."""

import enum
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from backoffice.database.base import NAMING_CONVENTION


class Base(DeclarativeBase):
    """The tables of these tests."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class State(enum.Enum):
    """Stored by name."""

    ACTIVE = "a"
    AWAY = "w"


class Branch(Base):
    """Workers hold it."""

    __tablename__ = "branches"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    city: Mapped[str | None] = mapped_column(String(40))
    workers: Mapped[list["Worker"]] = relationship(back_populates="branch")

    def __str__(self) -> str:
        return self.name


class Worker(Base):
    """A column of nearly every kind."""

    __tablename__ = "workers"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(10), unique=True)
    name: Mapped[str] = mapped_column(String(40))
    nickname: Mapped[str | None] = mapped_column(String(40))
    level: Mapped[int] = mapped_column(default=1)
    balance: Mapped[Decimal] = mapped_column(Numeric(10, 2), server_default="0")
    notes: Mapped[str | None] = mapped_column(Text)
    extra: Mapped[Any] = mapped_column(JSON, nullable=True)
    state: Mapped[State] = mapped_column(default=State.ACTIVE)
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    bonus: Mapped[int] = mapped_column(server_default="5")
    double_level: Mapped[int] = mapped_column(Computed("level * 2", persisted=True))
    tally: Mapped[int] = mapped_column(
        server_default="0", info={"read_only": "Counted elsewhere."}
    )
    biography: Mapped[str | None] = mapped_column(Text, deferred=True)
    # A name that form libraries keep for themselves.
    meta: Mapped[str | None] = mapped_column(String(20))
    pin: Mapped[str | None] = mapped_column(String(8), info={"secret": True})
    branch_id: Mapped[int] = mapped_column(ForeignKey("branches.id"))
    manager_id: Mapped[int | None] = mapped_column(
        ForeignKey("workers.id", ondelete="SET NULL")
    )

    branch: Mapped[Branch] = relationship(back_populates="workers")
    manager: Mapped["Worker | None"] = relationship(
        remote_side="Worker.id", back_populates="reports"
    )
    reports: Mapped[list["Worker"]] = relationship(back_populates="manager")
    tasks: Mapped[list["Task"]] = relationship(back_populates="worker")

    __table_args__ = (
        CheckConstraint("level BETWEEN 0 AND 10", name="level_range"),
        CheckConstraint(
            "balance >= 0",
            name="balance_not_negative",
            info={"fields": ["balance"], "message": "A balance is 0 or more."},
        ),
        CheckConstraint("name <> ''", name="name_given"),
        CheckConstraint("nickname <> name", name="nickname_differs"),
        CheckConstraint("upper(code) = code", name="code_is_upper"),
        Index("ux_workers_meta", func.lower(meta), unique=True),
    )

    def __str__(self) -> str:
        return self.name


class Task(Base):
    """Goes with its worker."""

    __tablename__ = "tasks"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(40))
    worker_id: Mapped[int] = mapped_column(ForeignKey("workers.id", ondelete="CASCADE"))
    worker: Mapped[Worker] = relationship(back_populates="tasks")
    steps: Mapped[list["Step"]] = relationship(back_populates="task")

    def __str__(self) -> str:
        return self.title


class Step(Base):
    """Goes with its task."""

    __tablename__ = "steps"
    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    task: Mapped[Task] = relationship(back_populates="steps")


class Shift(Base):
    """One of each worker and day."""

    __tablename__ = "shifts"
    id: Mapped[int] = mapped_column(primary_key=True)
    worker_id: Mapped[int] = mapped_column(ForeignKey("workers.id", ondelete="CASCADE"))
    day: Mapped[date]
    worker: Mapped[Worker] = relationship()

    __table_args__ = (UniqueConstraint("worker_id", "day"),)


class Invoice(Base):
    """Keeps its worker from going."""

    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    worker_id: Mapped[int] = mapped_column(ForeignKey("workers.id"))
    worker: Mapped[Worker] = relationship()


class Seat(Base):
    """Its rules speak at the end of the transaction, if nobody asks before."""

    __tablename__ = "seats"
    id: Mapped[int] = mapped_column(primary_key=True)
    worker_id: Mapped[int] = mapped_column(
        ForeignKey("workers.id", deferrable=True, initially="DEFERRED")
    )
    number: Mapped[int]

    __table_args__ = (
        UniqueConstraint("number", deferrable=True, initially="DEFERRED").ddl_if(
            dialect="postgresql"
        ),
    )


class Ledger(Base):
    """Has a version of its own."""

    __tablename__ = "ledgers"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    title: Mapped[str] = mapped_column(String(40))
    remark: Mapped[str | None] = mapped_column(String(40))
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - as SQLAlchemy has it
