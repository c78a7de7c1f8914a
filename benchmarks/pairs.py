"""How are two things compared? In turns, and by their medians.

So whatever else the machine does meanwhile hits both alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

# One run, in seconds: whoever is measured says what belongs to it.
Timed = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Pair:
    """Seconds of one and of the other, run by run."""

    one: tuple[float, ...]
    other: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of the one by that of the other."""
        return median(self.one) / median(self.other)

    @property
    def best(self) -> float:
        """The quickest of the one by the quickest of the other."""
        return min(self.one) / min(self.other)

    @property
    def words(self) -> str:
        """Both medians in milliseconds."""
        return f"{median(self.one) * 1e3:.1f} / {median(self.other) * 1e3:.1f} ms"


# A server that has just been woken is slower than one at work: the first requests of a
# turn are not counted.
TURN, WAKING = 10, 2


def in_turns(one: Timed, other: Timed, runs: int) -> Pair:
    """Run both so many times, ten at a turn."""
    pair: tuple[list[float], list[float]] = ([], [])
    for timed in (one, other):
        _turn(timed)  # plans, prepared statements and templates are made now
    while len(pair[1]) < runs:
        for timed, seconds in zip((one, other), pair, strict=True):
            seconds.extend(_turn(timed))
    return Pair(tuple(pair[0]), tuple(pair[1]))


def _turn(timed: Timed) -> list[float]:
    return [timed() for _ in range(TURN + WAKING)][WAKING:]


@dataclass(frozen=True, slots=True)
class Result:
    """One bound: what was measured, what it may be, and the numbers behind it."""

    name: str
    measured: float
    bound: float
    detail: str = ""
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the bound is kept."""
        if self.at_least:
            return self.measured >= self.bound
        return self.measured <= self.bound

    def line(self) -> str:
        """The result as a line of the table."""
        sign = "≥" if self.at_least else "≤"
        verdict = "ok" if self.holds else "MISSED"
        measured = f"{self.measured:.2f}"
        return (
            f"{self.name:44}{measured:>8}  {sign} {self.bound:<6g}{verdict:8}"
            f"{self.detail}"
        )


def compared(name: str, bound: float, pair: Pair) -> Result:
    """The result of a pair that may cost so many times of the other."""
    detail = f"{pair.words}, quickest {pair.best:.2f}"
    return Result(name, pair.ratio, bound, detail)
