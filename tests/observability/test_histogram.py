import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backoffice.observability.histogram import Histogram, bucket_of, bucket_range

values = st.integers(min_value=0, max_value=10**15)


@given(values)
def test_a_value_lies_in_its_bucket(value: int) -> None:
    """Every value is within the range that its bucket stands for."""
    lower, upper = bucket_range(bucket_of(value))
    assert lower <= value < upper


@given(st.lists(values, min_size=1), st.sampled_from([0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_quantile_is_off_by_a_sixteenth_at_most(
    data: list[int], share: float
) -> None:
    """A quantile is within 6.25 % of the value that really stands there."""
    histogram = Histogram()
    for value in data:
        histogram.add(value)
    rank = max(1, -(-int(share * 1000) * len(data) // 1000))
    exact = sorted(data)[rank - 1]
    found = histogram.quantile(share)
    assert found is not None
    assert abs(found - exact) <= exact * 0.0625 + 1


@given(st.lists(values), st.lists(values))
def test_merging_is_adding(first: list[int], second: list[int]) -> None:
    """Two merged histograms are the one that had seen all values."""
    one, two, both = Histogram(), Histogram(), Histogram()
    for value in first:
        one.add(value)
        both.add(value)
    for value in second:
        two.add(value)
        both.add(value)
    assert one.merge(two).to_json() == both.to_json()


def test_it_survives_json() -> None:
    """What is written is read again, count by count."""
    histogram = Histogram()
    for value in (0, 7, 8, 123, 10**9):
        histogram.add(value)
    assert Histogram.from_json(histogram.to_json()).to_json() == histogram.to_json()


def test_nothing_counted_has_no_quantile() -> None:
    """An empty histogram says None, not zero."""
    assert Histogram().quantile(0.5) is None


def test_a_clock_that_stepped_back_counts_as_zero() -> None:
    """A negative duration is counted and breaks nothing."""
    histogram = Histogram()
    histogram.add(-5)
    assert (histogram.number, histogram.total, histogram.quantile(0.5)) == (1, 0, 0)


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_cumulative_counts_agree_with_the_values(share: float) -> None:
    """The share of values below a bound is what the bound's count says."""
    numbers = random.Random(7)  # noqa: S311 - a seeded sample, no secret
    data = [int(numbers.lognormvariate(15, 1.3)) for _ in range(5_000)]
    histogram = Histogram()
    for value in data:
        histogram.add(value)
    bound = sorted(data)[int(share * len(data))]
    (below,) = histogram.cumulative([bound / 1e9], 1e9)
    assert below <= share * len(data) + 1
    assert below >= sum(value <= bound * 0.875 for value in data)


def test_what_was_read_adds_up_when_it_is_asked() -> None:
    """Histograms that were read and that still count merge either way, and again."""
    one, other = Histogram(), Histogram()
    for value in (5, 900, 900, 70_000):
        one.add(value)
        other.add(value * 3)
    read, copied = Histogram.from_json(one.to_json()), other.copy()
    other.add(1)
    read.merge(copied).merge(one)
    whole = Histogram().merge(one).merge(one).merge(copied)
    assert read.quantiles((0.5, 0.99)) == whole.quantiles((0.5, 0.99))
    assert read.to_json() == {**whole.to_json(), "c": read.to_json()["c"]}
    assert read.counts == whole.counts
    read.merge(Histogram.from_json(one.to_json()))
    assert read.counts == Histogram().merge(whole).merge(one).counts
    assert copied.number == 4


def test_what_an_earlier_version_wrote_is_read() -> None:
    """Counts by bucket, as rows of the history have them."""
    found = Histogram.from_json({"n": 3, "t": 30, "m": 10, "c": {"10": 2, "3": 1}})
    assert found.counts == {10: 2, 3: 1}
    assert found.quantile(0.9) == 10
