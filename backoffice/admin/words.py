"""How are numbers, counts, times and values put in words? Pure functions.

A unit stands behind a no-break space. Thousands are parted by commas. A count that is
not exact says so.
"""

import difflib
import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal

from backoffice.admin.presentation import Count, Moment, Piece

NBSP = "\N{NO-BREAK SPACE}"
MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
MILLISECOND, MINUTE, HOUR, DAY = 0.001, 60, 3600, 86400
# Up to how many seconds a span is told with which unit, and how many decimals.
SPANS = (
    (0.0005, MILLISECOND, "ms", 0),
    (0.00995, MILLISECOND, "ms", 1),
    (0.1995, MILLISECOND, "ms", 0),
    (9.95, 1, "s", 1),
    (59.5, 1, "s", 0),
)
SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (0, "bytes"))
THREE_DIGITS = 99.95
GUESS_DIGITS = 2
WORD = re.compile(r"\w+|\s+|[^\w\s]")
DIFFERENCE_LIMIT = 5_000  # characters; above it a text is new as a whole


def number(value: float | Decimal) -> str:
    """A number with commas, all its digits kept: 1,234.50."""
    return f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"


def about(value: int) -> str:
    """A guess, to two significant digits: "about 1,200,000"."""
    return f"about {round(value, min(0, GUESS_DIGITS - len(str(abs(value))))):,}"


def more_than(value: int) -> str:
    """Where counting stopped: "more than 1,000"."""
    return f"more than {value:,}"


def row_count(value: int | None, *, is_exact: bool = True, limit: int = 0) -> Count:
    """A number of rows and how it came about.

    Without a value, or with a guess below what was counted already, all that is known
    is that there are more than `limit`.
    """
    if is_exact and value is not None:
        return Count(f"{value:,}")
    if value is None or value <= limit:
        return Count(more_than(limit), "no estimate")
    return Count(about(value), "planner’s estimate")  # noqa: RUF001


def plural(value: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 record", "1,284 records"."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def with_noun(noun: str, name: str) -> str:
    """What kind of record it is, said once: "School Oldham", and "Order 7"."""
    says_so = f"{name} ".lower().startswith(f"{noun} ".lower())
    return name if says_so else f"{noun} {name}"


def within_sentence(name: str) -> str:
    """A name as it stands within a sentence: "playlist track", and "UCI file"."""
    return " ".join(
        word if word[1:] != word[1:].lower() else word.lower() for word in name.split()
    )


def series(parts: Sequence[str], last: str = "and") -> str:
    """Words in a row: "a", "a and b", "a, b and c"."""
    *others, end = parts or ("",)
    return f"{', '.join(others)} {last} {end}" if others else end


def moment(
    value: datetime,
    now: datetime | None = None,
    *,
    zone: tzinfo | None = None,
    with_time: bool = False,
) -> Moment:
    """A time as one says it: 14:32 today, 12 Nov this year, 12 Nov 2024 before.

    Times with a zone are told in `zone`, by default the server's; times without one as
    they stand. `with_time` adds the time of day to a date.
    """
    if value.tzinfo is not None:
        value = _in_zone(value, zone)
    today = now if now is not None else datetime.now().astimezone()
    if value.tzinfo is not None:
        today = _in_zone(today, zone)
    # Several times as quick as to format it by "%H:%M".
    clock = f"{value.hour:02}:{value.minute:02}"
    if value.date() == today.date():
        text = clock
    else:
        text = day(value.date(), today.date())
        text = f"{text}, {clock}" if with_time else text
    full = f"{_day_month(value)} {value.year}, {clock}:{value.second:02}"
    if value.tzinfo is not None:
        full = f"{full} {value.tzname()}"
    return Moment(text, value.isoformat(), full)


def _in_zone(value: datetime, zone: tzinfo | None) -> datetime:
    """The same instant elsewhere; at the ends of the calendar as it stands."""
    try:
        return value.astimezone(zone)
    except (OverflowError, OSError, ValueError):
        return value


def day(value: date, today: date | None = None) -> str:
    """A day: 12 Nov this year, else 12 Nov 2024."""
    this_year = (today or datetime.now().astimezone().date()).year
    text = _day_month(value)
    return text if value.year == this_year else f"{text} {value.year}"


def _day_month(value: date) -> str:
    return f"{value.day} {MONTHS[value.month - 1]}"


def duration(value: float | timedelta) -> str:
    """A span of time in one or two units: 21 ms, 0.4 s, 2 min 5 s, 3 days."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    for limit, unit, name, decimals in SPANS:
        if seconds < limit:
            return f"{seconds / unit:.{decimals}f}{NBSP}{name}"
    whole = round(seconds)
    if whole < HOUR:
        return _two(whole, MINUTE, "min", 1, "s")
    if whole < DAY:
        return _two(whole, HOUR, "h", MINUTE, "min")
    days = round(whole / DAY)
    return f"{days:,}{NBSP}day{'' if days == 1 else 's'}"


def _two(value: int, large: int, name: str, small: int, small_name: str) -> str:
    rest = value % large // small
    text = f"{value // large}{NBSP}{name}"
    return f"{text} {rest}{NBSP}{small_name}" if rest else text


def size(value: int) -> str:
    """Bytes in their largest unit: 640 bytes, 18.4 GB."""
    unit, name = next(each for each in SIZES if value >= each[0])
    amount = value / (unit or 1)
    decimals = 1 if unit and amount < THREE_DIGITS else 0
    return f"{amount:,.{decimals}f}{NBSP}{name}"


def share(part: float, whole: float) -> str:
    """A percentage: 13 %; "none" of nothing."""
    return f"{part / whole * 100:.0f}{NBSP}%" if whole else "none"


# Letters that are written from the right, and characters that turn the writing round.
_TURNING = re.compile(
    "[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufeff"
    "\U00010800-\U00010fff\U0001e800-\U0001efff]"
)


_CONTROLS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def apart(text: str) -> str:
    """A name whose direction of writing is its own, not that of what stands beside it.

    Between the signs for it, where the name has letters from the right, or anything
    that would turn the rest of a line round.
    """
    if text.isascii() or not _TURNING.search(text):
        return text
    return f"\u2068{_CONTROLS.sub('', text)}\u2069"


def shortened(value: str, limit: int) -> str:
    """A text of at most `limit` characters, cut at a word where there is one."""
    if len(value) <= limit:
        return value
    cut = value[: limit - 1]
    head, _, _ = cut.rpartition(" ")
    return (head if len(head) > limit // 2 else cut).rstrip(" ,;:") + "…"


def difference(before: str, after: str) -> tuple[Piece, ...]:
    """`after` in pieces, those marked that `before` does not have."""
    if not after:
        return ()
    if not before or len(before) + len(after) > DIFFERENCE_LIMIT:
        return (Piece(after, is_new=before != after),)
    old, new = WORD.findall(before), WORD.findall(after)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    pieces = []
    for tag, _, _, start, end in matcher.get_opcodes():
        if start < end:
            pieces.append(Piece("".join(new[start:end]), is_new=tag != "equal"))
    return tuple(pieces)
