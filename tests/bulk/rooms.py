"""A table of every kind of column, on each database and each way of updating it."""

import enum
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    Engine,
    Enum,
    LargeBinary,
    Numeric,
    Select,
    String,
    Text,
    UniqueConstraint,
    select,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from backoffice.audit.models import AuditEntry
from backoffice.bulk.change import Change, SetValues
from backoffice.bulk.models import Run, RunRow, Selection
from backoffice.bulk.run import Order, run_at_once
from backoffice.bulk.target import Target, read_chosen
from backoffice.database.session import ACTOR, Actor


class KindsBase(DeclarativeBase):
    """Tables of these tests alone."""


class Shade(enum.Enum):
    """A choice."""

    LIGHT = "light"
    DARK = "dark"


class Kind(KindsBase):
    """One column of each kind."""

    __tablename__ = "kinds"
    __table_args__ = (
        UniqueConstraint("code"),
        CheckConstraint("number < 1000", name="number_small"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str | None] = mapped_column(String(20))
    number: Mapped[int | None]
    amount: Mapped[Decimal | None] = mapped_column(Numeric(12, 3))
    ratio: Mapped[float | None]
    name: Mapped[str | None] = mapped_column(Text)
    is_on: Mapped[bool | None]
    day: Mapped[date | None]
    moment: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    span: Mapped[timedelta | None]
    shade: Mapped[Shade | None] = mapped_column(Enum(Shade))
    mark: Mapped[uuid.UUID | None]
    blob: Mapped[bytes | None] = mapped_column(LargeBinary)
    document: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))


class Pair(KindsBase):
    """A record whose key has two parts."""

    __tablename__ = "pairs"

    left: Mapped[str] = mapped_column(String(20), primary_key=True)
    right: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]


OWN = [m.__table__ for m in (AuditEntry, Selection, Run, RunRow)]


def prepare(engine: Engine) -> None:
    """Make the tables of these tests."""
    KindsBase.metadata.create_all(engine)


@contextmanager
def on_sqlite(path: Path) -> Iterator[Engine]:
    """A SQLite database with our tables and these."""
    from pydantic import SecretStr

    from backoffice.database.engine import database_url, make_engine
    from backoffice.settings import DatabaseSettings

    url = f"sqlite:///{path / 'kinds.db'}"
    settings = DatabaseSettings(url=SecretStr(url))
    engine = make_engine(database_url(url), settings, application_name="tests")
    AuditEntry.metadata.create_all(engine, tables=OWN)  # type: ignore[arg-type]
    prepare(engine)
    yield engine
    engine.dispose()


def session_on(engine: Engine) -> Session:
    """A session in which somebody acts."""
    session = Session(engine, expire_on_commit=False)
    session.info[ACTOR] = Actor("7", "Tess Tester")
    return session


def all_of(model: type[Any]) -> Target:
    """Every row of a model."""
    rows: Select[Any] = select(model)
    return Target(model.__mapper__, rows)


def run(
    session: Session,
    target: Target,
    change: Change,
    *,
    token: str,
    undone: int | None = None,
) -> Run:
    """Run an action on all rows of a target, and commit."""
    order = Order(token, "kind", "test", "Test", "all", {}, undone_run_id=undone)
    rows = read_chosen(session, target)
    made = run_at_once(session, target, change, rows, order)
    session.commit()
    return made


def setting(model: type[Any], **values: Any) -> SetValues:
    """A change that sets columns."""
    return SetValues(model.__mapper__, values)


def whole(session: Session, model: type[Any]) -> list[tuple[Any, ...]]:
    """Every row with every value."""
    table = model.__table__
    return [
        tuple(row)
        for row in session.execute(select(table).order_by(*table.primary_key.columns))
    ]
