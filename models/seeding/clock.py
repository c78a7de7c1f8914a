"""What day it is in the demo, and when things happened before it.

The demo's clock stands still, so that the same seed gives the same times on any day.
"""

from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate

NOW = datetime(2026, 6, 30, 17, 0, tzinfo=UTC)
SCHOOL_YEAR = 2025  # the one that began in July 2025 and is over now
SECOND = timedelta(seconds=1)


class Timeline:
    """Events in their order over some years, denser where more happens.

    `weight` says how much happens on a day, in relation to others.
    """

    def __init__(self, start: date, weight: Callable[[date], float]) -> None:
        days = (NOW.date() - start).days
        self._days = [start + timedelta(days=n) for n in range(days)]
        self._ends = list(accumulate(weight(day) for day in self._days))

    def at(self, share: float) -> datetime:
        """When `share` of all events had happened, between 7:00 and 22:00."""
        place = share * self._ends[-1]
        number = min(bisect_right(self._ends, place), len(self._days) - 1)
        begin = self._ends[number - 1] if number else 0.0
        part = min((place - begin) / (self._ends[number] - begin), 0.999999)
        day = self._days[number]
        opening = datetime(day.year, day.month, day.day, 7, tzinfo=UTC)
        return opening + timedelta(milliseconds=round(part * 15 * 3_600_000))
