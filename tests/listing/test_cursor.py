"""Cursors: sealed, the same for the same row, of every type that orders a list."""

import base64
import math
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Column, Integer, Interval, String
from sqlalchemy.types import Date, DateTime, Enum, Float, Numeric, TypeEngine, Uuid

from backoffice.listing.cursor import CursorCodec
from tests.listing.models import Level

CODEC = CursorCodec("a secret of these tests")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Integer(), 2**31 - 1),
        (Integer(), None),
        (String(), "é\n\"'\\"),
        (String(), ""),
        (Float(), 0.1),
        (Float(), math.inf),
        (Numeric(10, 2), Decimal("1.50")),
        (Numeric(), Decimal("1E-20")),
        (Date(), date(2026, 2, 28)),
        (DateTime(timezone=True), datetime(2026, 1, 1, 1, 2, 3, 4, tzinfo=UTC)),
        (DateTime(), datetime(2026, 1, 1, 1, 2, 3, 4)),  # noqa: DTZ001 - has none
        (Interval(), timedelta(days=-1, microseconds=1)),
        (Uuid(), uuid.UUID(int=7)),
        (Enum(Level), Level.HIGH),
    ],
    ids=repr,
)
def test_a_value_comes_back(kind: TypeEngine[Any], value: Any) -> None:
    """Bit by bit, with its type."""
    column = Column("x", kind)
    token = CODEC.encode("list", [column], [value])

    assert token is not None
    assert CODEC.decode("list", [column], token) == (value,)


def test_nan_comes_back() -> None:
    """It equals nothing, but it stands somewhere in an order."""
    column = Column("x", Float())
    token = CODEC.encode("list", [column], [math.nan])

    assert token is not None
    found = CODEC.decode("list", [column], token)
    assert found is not None
    assert math.isnan(found[0])


def test_the_same_row_has_the_same_cursor() -> None:
    """So an address is the same address."""
    column = Column("x", Integer())

    assert CODEC.encode("list", [column], [1]) == CODEC.encode("list", [column], [1])


def test_a_cursor_tells_nothing() -> None:
    """Sort values may be of columns that the reader does not see."""
    token = CODEC.encode("list", [Column("x", String())], ["salary 1234567"])

    assert token is not None
    assert b"1234567" not in base64.urlsafe_b64decode(token + "==")


def test_a_changed_cursor_is_none() -> None:
    """Every bit of it is signed."""
    column = Column("x", Integer())
    token = CODEC.encode("list", [column], [1])
    assert token is not None
    changed = ("A" if token[0] != "A" else "B") + token[1:]

    assert CODEC.decode("list", [column], changed) is None


@pytest.mark.parametrize(
    ("secret", "order"),
    [("another secret", "list"), ("a secret of these tests", "other")],
)
def test_a_cursor_is_bound_to_secret_and_order(secret: str, order: str) -> None:
    """One list's places are of no use to another, nor one project's."""
    column = Column("x", Integer())
    token = CODEC.encode("list", [column], [1])
    assert token is not None

    assert CursorCodec(secret).decode(order, [column], token) is None


def test_values_too_long_for_an_address_have_no_cursor() -> None:
    """The page goes by its number then."""
    assert CODEC.encode("list", [Column("x", String())], ["x" * 5000]) is None
