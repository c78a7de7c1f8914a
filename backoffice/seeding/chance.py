"""Numbers that look random and depend on nothing but a seed and a place.

What two tables must agree about (the price of a product, the lines of an order) is
not drawn but looked up: the same place gives the same number, in any process and
whatever was asked before.
"""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import gcd
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")

_BITS = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


class Chance:
    """A source of numbers for one purpose: `label` keeps purposes apart."""

    def __init__(self, seed: int, label: str) -> None:
        self._salt = Random(f"{seed}/{label}").getrandbits(64)  # noqa: S311 - a demo

    def number(self, place: int, draw: int = 0) -> int:
        """64 bits; `draw` numbers several at one place."""
        # splitmix64: a step of a Weyl sequence, and three rounds of mixing.
        x = (self._salt + place * _GOLDEN + draw * 0xD1B54A32D192ED03) & _BITS
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _BITS
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _BITS
        return x ^ (x >> 31)

    def below(self, limit: int, place: int, draw: int = 0) -> int:
        """A number from 0 to `limit` - 1."""
        return self.number(place, draw) % limit

    def share(self, place: int, draw: int = 0) -> float:
        """A number from 0 up to, not including, 1."""
        return (self.number(place, draw) >> 11) / (1 << 53)

    def pick(self, options: Sequence[T], place: int, draw: int = 0) -> T:
        """One of the options."""
        return options[self.number(place, draw) % len(options)]


class Weighted(Generic[T]):
    """Options of which some come more often than others."""

    def __init__(self, options: dict[T, float]) -> None:
        self._options = list(options)
        self._ends = list(accumulate(options.values()))

    def at(self, share: float) -> T:
        """The option that stands at this share of the total, from 0 up to 1."""
        place = bisect_right(self._ends, share * self._ends[-1])
        return self._options[min(place, len(self._options) - 1)]


class Scattered:
    """Each number below `length` once, in an order that looks like none."""

    def __init__(self, seed: int, label: str, length: int) -> None:
        chance = Chance(seed, label)
        self.length = length
        self._start = chance.below(length, 0)
        # About the golden section of the length: neighbours come to lie far apart.
        step = max(1, int(length * 0.6180339887)) + chance.below(16, 1)
        while gcd(step, length) != 1:
            step += 1
        self._step = step

    def __getitem__(self, place: int) -> int:
        return (self._start + place * self._step) % self.length


def shorts(random: Random, count: int) -> "array[int]":
    """Numbers from 0 to 65,535, many at once: several times faster than one by one."""
    drawn = array("H", random.randbytes(2 * count))
    if sys.byteorder == "big":
        drawn.byteswap()
    return drawn
