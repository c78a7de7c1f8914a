"""Taking a run back where rows are known by moments, amounts, or several values."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from secrets import token_urlsafe
from typing import Any

import pytest
from sqlalchemy import CHAR, DateTime, Engine, Numeric, String, insert, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.bulk.batches import Step, enqueue, step
from backoffice.bulk.change import Change, is_row
from backoffice.bulk.keys_postgresql import (
    has_plain_keys,
    key_text_postgresql,
    keys_postgresql,
)
from backoffice.bulk.models import Run
from backoffice.bulk.run import Order, run_at_once
from backoffice.bulk.target import Target, read_chosen
from backoffice.bulk.undo import undo_of
from backoffice.database.keys import format_key_values
from backoffice.database.session import make_sessions
from tests.bulk.rooms import all_of, session_on, setting


class KeyedBase(DeclarativeBase):
    """Tables of these tests alone, each with a key of another kind."""


class Moment(KeyedBase):
    """A record that is known by a moment."""

    __tablename__ = "moments"

    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    amount: Mapped[int]


class Clock(KeyedBase):
    """A record that is known by a time without a zone."""

    __tablename__ = "clocks"

    at: Mapped[datetime] = mapped_column(DateTime(), primary_key=True)
    amount: Mapped[int]


class Price(KeyedBase):
    """A record that is known by an amount of so many decimals."""

    __tablename__ = "prices"

    price: Mapped[Decimal] = mapped_column(Numeric(12, 3), primary_key=True)
    amount: Mapped[int]


class Measure(KeyedBase):
    """A record that is known by a number as it was written."""

    __tablename__ = "measures"

    value: Mapped[Decimal] = mapped_column(Numeric(), primary_key=True)
    amount: Mapped[int]


class Ratio(KeyedBase):
    """A record whose key the database writes otherwise than we do."""

    __tablename__ = "ratios"

    ratio: Mapped[float] = mapped_column(primary_key=True)
    amount: Mapped[int]


class Padded(KeyedBase):
    """A record whose key is filled with blanks."""

    __tablename__ = "padded"

    code: Mapped[str] = mapped_column(CHAR(5), primary_key=True)
    amount: Mapped[int]


class Reading(KeyedBase):
    """A record that is known by who has measured, when, and what."""

    __tablename__ = "readings"

    device: Mapped[str] = mapped_column(String(20), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    level: Mapped[Decimal] = mapped_column(Numeric(6, 2), primary_key=True)
    amount: Mapped[int]


TIMES = (
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(2024, 3, 31, 1, 30, tzinfo=UTC),
    datetime(2024, 3, 31, 1, 30, 0, 500_000, UTC),
    datetime(2024, 3, 31, 1, 30, 59, 1, UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
)
DECIMALS = ("0", "-7", "1.5", "1.50", "-123456789.125", "0.001")
DEVICES = ("plain", "a;b", "a\\b", "a\\;b", "")
KEYED: list[list[Any]] = [
    [Moment(at=at, amount=1) for at in TIMES],
    [Clock(at=at.replace(tzinfo=None), amount=1) for at in TIMES],
    [Price(price=price, amount=1) for price in sorted({*map(Decimal, DECIMALS)})],
    [Measure(value=value, amount=1) for value in sorted({*map(Decimal, DECIMALS)})],
    [Ratio(ratio=ratio, amount=1) for ratio in (0.1, 1.0, 1e20, 1e-9, -2.5)],
    [Padded(code=code, amount=1) for code in ("a", "abcde", "ab;d")],
    [
        Reading(device=device, at=at, level=Decimal("1.50"), amount=1)
        for device, at in zip(DEVICES, TIMES, strict=True)
    ],
]


def at_once(
    engine: Engine, target: Target, change: Change, since: Target | None = None
) -> Run:
    """A run in one transaction."""
    with session_on(engine) as session:
        rows = read_chosen(session, target)
        order = Order(token_urlsafe(), "keyed", "test", "Test", "all", {})
        made = run_at_once(session, target, change, rows, order, since=since)
        session.commit()
        return made


def in_batches(
    engine: Engine, target: Target, change: Change, since: Target | None = None
) -> Run:
    """The same as a run that a worker does."""
    with session_on(engine) as session:
        order = Order(token_urlsafe(), "keyed", "test", "Test", "all", {})
        number = enqueue(session, target, change, order, expected=None, since=since).id
        session.commit()
    while step(make_sessions(engine), lambda *_: (target, change), number) is Step.ON:
        pass
    with session_on(engine) as session:
        return session.get_one(Run, number)


@pytest.mark.parametrize("do", [at_once, in_batches])
@pytest.mark.parametrize("records", KEYED, ids=lambda found: type(found[0]).__name__)
def test_a_key_of_any_kind_is_found_again(
    either: Engine, records: list[Any], do: Callable[..., Run]
) -> None:
    """Each row gets back what it had, but for one that was changed since."""
    model = type(records[0])
    mapper, table = model.__mapper__, model.__table__
    table.create(either)
    with either.begin() as connection:
        connection.execute(insert(table), [values_of(one) for one in records])
    made = do(either, all_of(model), setting(model, amount=5))
    assert made.changed == len(records)
    with session_on(either) as session:
        chosen = read_chosen(session, all_of(model))[1]
        session.execute(
            update(table).where(is_row(all_of(model).keys, chosen)).values(amount=9)
        )
        session.commit()
        back, since, change = undo_of(session, made, select(model), mapper, "")
        assert [one.key for one in read_chosen(session, since)] == [chosen.key]
        assert len(read_chosen(session, back)) == len(records) - 1
    undone = do(either, back, change, since)
    assert (undone.changed, undone.left) == (len(records) - 1, 1)
    with session_on(either) as session:
        amounts = session.scalars(select(table.c.amount).order_by(table.c.amount))
        assert amounts.all() == [1] * (len(records) - 1) + [9]


def values_of(record: Any) -> dict[str, Any]:
    """What a record was made of."""
    return {column.key: getattr(record, column.key) for column in record.__table__.c}


@pytest.mark.parametrize(
    "records",
    [found for found in KEYED if has_plain_keys(all_of(type(found[0])).keys)],
    ids=lambda found: type(found[0]).__name__,
)
def test_the_database_writes_a_key_as_we_do(either: Engine, records: list[Any]) -> None:
    """And reads it again as the value that it was."""
    model = type(records[0])
    keys = all_of(model).keys
    model.__table__.create(either)
    with session_on(either) as session:
        session.execute(insert(model.__table__), [values_of(one) for one in records])
        text = key_text_postgresql(keys)
        found = session.execute(select(*keys, text, *keys_postgresql(text, keys)))
        for row in found:
            values, again = tuple(row[: len(keys)]), tuple(row[len(keys) + 1 :])
            assert row[len(keys)] == format_key_values(model.__mapper__, values)
            assert again == values
