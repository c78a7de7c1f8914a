"""How durations are distributed: a histogram that adds up across processes.

Log-linear buckets, eight to an octave: a quantile is off by 6.25 % at most, from
nanoseconds to days, and two histograms merge by adding their counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

LINEAR_BITS = 3
LINEAR = 1 << LINEAR_BITS

# OpenTelemetry's advice for db.client.operation.duration, in seconds.
DURATION_BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)


def bucket_of(value: int) -> int:
    """The number of the bucket that a value of zero or more falls into."""
    if value < LINEAR:
        return value
    shift = value.bit_length() - LINEAR_BITS - 1
    return (shift << LINEAR_BITS) + (value >> shift)


def bucket_range(bucket: int) -> tuple[int, int]:
    """The values of a bucket: from, and up to but not including."""
    if bucket < 2 * LINEAR:
        return bucket, bucket + 1
    shift = (bucket >> LINEAR_BITS) - 1
    lower = (LINEAR | (bucket & (LINEAR - 1))) << shift
    return lower, lower + (1 << shift)


class Histogram:
    """Counts per bucket, with the exact count, sum and maximum beside them."""

    __slots__ = ("counts", "maximum", "number", "total")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.number = 0
        self.total = 0
        self.maximum = 0

    def add(self, value: int) -> None:
        """Count one value; below zero (a clock that stepped back) counts as zero."""
        value = max(value, 0)
        if value < LINEAR:
            bucket = value
        else:  # bucket_of(), without the cost of a call in every statement
            shift = value.bit_length() - LINEAR_BITS - 1
            bucket = (shift << LINEAR_BITS) + (value >> shift)
        counts = self.counts
        counts[bucket] = counts.get(bucket, 0) + 1
        self.number += 1
        self.total += value
        self.maximum = max(self.maximum, value)

    def add_to(self, bucket: int, value: int) -> None:
        """Count a value whose bucket is known: several histograms share the search."""
        counts = self.counts
        counts[bucket] = counts.get(bucket, 0) + 1
        self.number += 1
        self.total += value
        self.maximum = max(self.maximum, value)

    def merge(self, other: "Histogram") -> Self:
        """Add everything that another histogram counted."""
        counts = self.counts
        for bucket, number in other.counts.copy().items():
            counts[bucket] = counts.get(bucket, 0) + number
        self.number += other.number
        self.total += other.total
        self.maximum = max(self.maximum, other.maximum)
        return self

    def quantile(self, share: float) -> int | None:
        """The value below which `share` (0 to 1) of all values lie; None of none."""
        return self.quantiles((share,))[0]

    def quantiles(self, shares: Sequence[float]) -> tuple[int | None, ...]:
        """Several quantiles, with the buckets sorted once; `shares` ascending."""
        if not self.number:
            return tuple(None for _ in shares)
        found: list[int | None] = []
        seen = 0
        buckets = iter(sorted(self.counts.items()))
        value = 0
        for share in shares:
            wanted = max(1.0, share * self.number)
            while seen < wanted:
                bucket, number = next(buckets, (None, 0))
                if bucket is None:
                    break
                seen += number
                lower, upper = bucket_range(bucket)
                value = min((lower + upper) // 2, self.maximum)
            found.append(value)
        return tuple(found)

    def cumulative(self, bounds: Iterable[float], unit: float) -> list[int]:
        """How many values lie at or below each bound; `unit` is values in one of it."""
        edges = [bound * unit for bound in bounds]
        below = [0] * len(edges)
        for bucket, number in self.counts.items():
            _, upper = bucket_range(bucket)
            for index, edge in enumerate(edges):
                if upper - 1 <= edge:
                    below[index] += number
        return below

    def to_json(self) -> dict[str, Any]:
        """Plain data for a file or a column: each bucket followed by its count."""
        counts = self.counts.copy()  # another thread may count meanwhile
        return {
            "n": self.number,
            "t": self.total,
            "m": self.maximum,
            "c": [value for pair in counts.items() for value in pair],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Histogram":
        """The histogram that `to_json` wrote."""
        return ReadHistogram(data["n"], data["t"], data["m"], data["c"])

    def copy(self) -> "Histogram":
        """The same as it is now, whatever is counted later."""
        return ReadHistogram(self.number, self.total, self.maximum, self.counts.copy())


# The counts of a histogram: by bucket, or each bucket followed by its count.
Counts = Mapping[Any, int] | Sequence[int]


class ReadHistogram(Histogram):
    """A histogram that was read: its buckets are added up when somebody asks for them.

    A page adds up thousands of them, and shows a quantile of a few.
    """

    __slots__ = ("_counts", "_parts")

    def __init__(self, number: int, total: int, maximum: int, part: Counts) -> None:
        self._counts: dict[int, int] = {}
        self._parts: list[Counts] = [part]
        self.number = number
        self.total = total
        self.maximum = maximum

    @property
    def counts(self) -> dict[int, int]:  # type: ignore[override]
        """Counts by bucket."""
        counts, parts = self._counts, self._parts
        while parts:
            part = parts.pop()
            pairs: Iterable[tuple[Any, int]]
            if isinstance(part, Mapping):
                pairs = part.items()
            else:
                pairs = zip(part[::2], part[1::2], strict=True)
            for bucket, number in pairs:
                key = int(bucket)
                counts[key] = counts.get(key, 0) + number
        return counts

    def parts(self) -> list[Counts]:
        """What it is made of, as far as it was added up."""
        added = [self._counts.copy()] if self._counts else []
        return [*self._parts, *added]

    def merge(self, other: Histogram) -> Self:
        """Add everything that another histogram counted, its buckets later."""
        if isinstance(other, ReadHistogram):
            self._parts.extend(other.parts())
        else:
            self._parts.append(other.counts.copy())
        self.number += other.number
        self.total += other.total
        self.maximum = max(self.maximum, other.maximum)
        return self
