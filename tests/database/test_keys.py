"""Keys in addresses come back as they were, and nonsense is no record."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.database.keys import format_key, format_key_values, parse_key
from backoffice.errors import RecordNotFound


class Base(DeclarativeBase):
    """The tables of this file."""


class Parcel(Base):
    """A key of one number."""

    __tablename__ = "parcels"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)


class Page(Base):
    """A key of one text."""

    __tablename__ = "pages"
    slug: Mapped[str] = mapped_column(String(40), primary_key=True)


class TimetableSlot(Base):
    """A key of three columns of three types, one renamed."""

    __tablename__ = "slots"
    room: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column("on_day", primary_key=True)
    hour: Mapped[int] = mapped_column(Integer, primary_key=True)


@given(st.text(st.characters(exclude_characters="\r\x00", exclude_categories=["Cs"])))
def test_composite_key_survives_its_text(room: str) -> None:
    """Semicolons and backslashes in a part do not end it."""
    values = (room, date(2025, 1, 2), 8)
    mapper = TimetableSlot.__mapper__

    assert parse_key(mapper, format_key_values(mapper, values)) == values


@pytest.mark.parametrize("slug", ["a/b", "a,b", "100%", "what?", "a b", ";", "\\", "ü"])
def test_text_key_survives_its_text(slug: str) -> None:
    """A single key is its text, with nothing escaped."""
    page = Page(slug=slug)

    assert format_key(Page.__mapper__, page) == slug
    assert parse_key(Page.__mapper__, slug) == (slug,)


def test_key_is_written_as_sqladmin_writes_it() -> None:
    """Addresses made by SQLAdmin lead to the same record."""
    slot = TimetableSlot(room="A;1\\", day=date(2025, 1, 2), hour=8)

    assert format_key(TimetableSlot.__mapper__, slot) == "A\\;1\\\\;2025-01-02;8"


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (Parcel, "abc"),
        (Parcel, ""),
        (Parcel, "9223372036854775808"),
        (Parcel, "1;2"),
        (Parcel, "1\x00"),
        (Parcel, "9" * 10_000),
        (Parcel, "1.0"),
        (Parcel, "None"),
        (Page, "x" * 41),
        (Page, "\ud800"),
        (TimetableSlot, "a;2025-01-02"),
        (TimetableSlot, "a;2025-01-02;8;9"),
        (TimetableSlot, "a;2025-13-02;8"),
        (TimetableSlot, "\\"),
    ],
)
def test_nonsense_is_no_record(model: Any, text: str) -> None:
    """A key that no record can have is a record that is not there."""
    with pytest.raises(RecordNotFound):
        parse_key(model.__mapper__, text)


def test_refusal_names_the_record_and_the_key() -> None:
    """The sentence says what was looked for, in words."""
    with pytest.raises(RecordNotFound) as refusal:
        parse_key(TimetableSlot.__mapper__, "x\x00y")

    assert str(refusal.value) == "There is no timetable slot with the key x y."
