"""Was the clock set back? Dates from before are then of another time, and say so."""

import time
from collections.abc import Callable
from dataclasses import dataclass

# Less is how clocks are kept right.
NOTICED = 2.0
REMEMBERED = 3600.0


@dataclass(frozen=True, slots=True)
class Step:
    """The clock went back by `seconds`; `at` is the time that it showed then."""

    at: float
    seconds: float


class ClockWatch:
    """Compares the clock with one that never steps, again and again."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._ahead = clock() - monotonic()
        self._step: tuple[Step, float] | None = None

    def look(self) -> Step | None:
        """The last step back within the hour, noticed now at the latest."""
        shown, true = self._clock(), self._monotonic()
        back = self._ahead - (shown - true)
        self._ahead = shown - true
        if back > NOTICED:
            self._step = (Step(shown, back), true)
        if self._step is None or true - self._step[1] > REMEMBERED:
            return None
        return self._step[0]
