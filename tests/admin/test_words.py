"""Are numbers, times and differences said as people say them?"""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backoffice.admin import words
from backoffice.admin.model_view import ModelView
from backoffice.admin.pages.preflight import records
from backoffice.admin.presentation import Count, Piece
from tests.listing.models import Customer

NOW = datetime(2026, 11, 20, 14, 32, 7, tzinfo=UTC)
S = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (-1234, "-1,234"),
        (Decimal("1234.50"), "1,234.50"),
        (Decimal("1E+3"), "1,000"),
        (0.1, "0.1"),
    ],
)
def test_number(value: float | Decimal, text: str) -> None:
    """A number has commas and keeps its digits."""
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "about 0"), (87, "about 87"), (1234567, "about 1,200,000")]
)
def test_about(value: int, text: str) -> None:
    """A guess is told with two digits, so that nobody takes it for a count."""
    assert words.about(value) == text


def test_an_exact_count_says_nothing_more() -> None:
    """An exact count is its number."""
    assert words.row_count(1284) == Count("1,284")


def test_a_guess_names_the_planner() -> None:
    """An estimate says that it is one and whose."""
    count = words.row_count(1_234_567, is_exact=False, limit=10_000)
    assert count.text == "about 1,200,000"
    assert count.how.startswith("planner")


@pytest.mark.parametrize("guess", [None, 800])
def test_a_guess_below_what_was_counted_is_not_told(guess: int | None) -> None:
    """Where more rows were counted than guessed, the page says where counting ended."""
    count = words.row_count(guess, is_exact=False, limit=10_000)
    assert count == Count("more than 10,000", "no estimate")


def test_plural() -> None:
    """One record, two records, two entries."""
    assert words.plural(1, "record") == "1 record"
    assert words.plural(1200, "record") == "1,200 records"
    assert words.plural(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize(
    ("parts", "text"),
    [((), ""), (("a",), "a"), (("a", "b"), "a and b"), (("a", "b", "c"), "a, b and c")],
)
def test_series(parts: tuple[str, ...], text: str) -> None:
    """Words in a row read like a sentence."""
    assert words.series(parts) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2026, 11, 20, 9, 5, tzinfo=UTC), "09:05"),
        (datetime(2026, 11, 12, 9, 5, tzinfo=UTC), "12 Nov"),
        (datetime(2024, 11, 12, 9, 5, tzinfo=UTC), "12 Nov 2024"),
        (datetime(2026, 11, 20, 9, 5), "09:05"),  # noqa: DTZ001
    ],
)
def test_moment(value: datetime, text: str) -> None:
    """Today is told by the clock, this year by the day, the past by the date."""
    assert words.moment(value, NOW, zone=UTC).text == text


def test_moment_with_time() -> None:
    """The history tells the time of day also for other days."""
    value = datetime(2026, 11, 12, 9, 5, tzinfo=UTC)
    assert words.moment(value, NOW, zone=UTC, with_time=True).text == "12 Nov, 09:05"


def test_moment_keeps_the_exact_time() -> None:
    """The exact time is there for machines, and in full for people."""
    value = datetime(2026, 11, 12, 9, 5, 1, 7, tzinfo=UTC)
    told = words.moment(value, NOW, zone=UTC)
    assert datetime.fromisoformat(told.iso) == value
    assert told.full == "12 Nov 2026, 09:05:01 UTC"


def test_moment_in_another_zone() -> None:
    """A time is told where the reader is."""
    value = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    zone = timezone(timedelta(hours=7))
    assert words.moment(value, NOW, zone=zone).text == "21 Nov"


@pytest.mark.parametrize(
    ("value", "hours"),
    [
        (datetime(9999, 12, 31, 23, 59, tzinfo=UTC), 7),
        (datetime(1, 1, 1, tzinfo=UTC), -7),
    ],
)
def test_moment_at_the_ends_of_the_calendar(value: datetime, hours: int) -> None:
    """A time that no other zone can tell is told as it stands."""
    zone = timezone(timedelta(hours=hours))
    assert words.moment(value, NOW, zone=zone).text.endswith(str(value.year))


def test_day() -> None:
    """A day of this year needs no year."""
    assert words.day(date(2026, 3, 1), date(2026, 11, 20)) == "1 Mar"
    assert words.day(date(2025, 3, 1), date(2026, 11, 20)) == "1 Mar 2025"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, f"0{S}ms"),
        (0.0042, f"4.2{S}ms"),
        (0.021, f"21{S}ms"),
        (0.4, f"0.4{S}s"),
        (4, f"4.0{S}s"),
        (42, f"42{S}s"),
        (59.7, f"1{S}min"),
        (125, f"2{S}min 5{S}s"),
        (11520, f"3{S}h 12{S}min"),
        (86400 * 5, f"5{S}days"),
        (timedelta(days=1), f"1{S}day"),
    ],
)
def test_duration(seconds: float | timedelta, text: str) -> None:
    """A span of time is told in the units that one would use."""
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(640, f"640{S}bytes"), (18_400_000_000, f"18.4{S}GB"), (536_098, f"536{S}kB")],
)
def test_size(value: int, text: str) -> None:
    """Bytes are told in their largest unit."""
    assert words.size(value) == text


def test_share_of_nothing() -> None:
    """There is no percentage of nothing."""
    assert words.share(13, 100) == f"13{S}%"
    assert words.share(0, 0) == "none"


def test_shortened() -> None:
    """A long text ends at a word, within its limit."""
    assert words.shortened("short", 10) == "short"
    assert words.shortened("Good progress since the autumn", 20) == "Good progress…"


def test_difference_marks_what_is_new() -> None:
    """Words that were not there before are marked."""
    assert words.difference("Good progress.", "Good progress, mostly.") == (
        Piece("Good progress"),
        Piece(", mostly", is_new=True),
        Piece("."),
    )


@given(st.text(max_size=40), st.text(max_size=40))
def test_difference_loses_nothing(before: str, after: str) -> None:
    """The pieces together are the new text, whatever it was before."""
    assert "".join(piece.text for piece in words.difference(before, after)) == after


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Zoë Ångström", "Zoë Ångström"),
        ("مريم حسن", "\u2068مريم حسن\u2069"),
        ("a\u2069\u202eb", "\u2068ab\u2069"),
    ],
)
def test_a_name_turns_no_other_words_round(name: str, shown: str) -> None:
    """What is written from the right stands apart from the sentence around it."""
    assert words.apart(name) == shown


@pytest.mark.parametrize(
    ("noun", "name", "text"),
    [
        ("School", "Oldham", "School Oldham"),
        ("Order", "Order 7", "Order 7"),
        ("Order line", "order line 7", "order line 7"),
        ("Order", "Orderly Sam", "Order Orderly Sam"),
        ("Order", "Order", "Order"),
    ],
)
def test_what_a_record_is_is_said_once(noun: str, name: str, text: str) -> None:
    """A name that begins with it has it already; a longer word is another."""
    assert words.with_noun(noun, name) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Report card", "report card"),
        ("Playlist Track", "playlist track"),
        ("UCI File", "UCI file"),
    ],
)
def test_name_within_a_sentence(name: str, text: str) -> None:
    """A view's name begins no sentence there; letters that stand for words stay."""
    assert words.within_sentence(name) == text


def test_pages_write_a_views_name_so() -> None:
    """As before an action on two of them; not "2 uci files"."""

    class FileAdmin(ModelView, model=Customer):
        name, name_plural = "UCI file", "UCI files"

    assert records(FileAdmin(), 2) == "2 UCI files"
