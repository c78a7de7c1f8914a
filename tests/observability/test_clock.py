import pytest

from backoffice.observability.clock import ClockWatch, Step


class Clocks:
    """A clock that can be set, beside one that cannot."""

    def __init__(self) -> None:
        self.shown = 1_000_000.0
        self.true = 50.0

    def go_on(self, seconds: float, *, step: float = 0.0) -> None:
        """Let time pass; the clock is set by `step` meanwhile."""
        self.true += seconds
        self.shown += seconds + step


@pytest.fixture
def clocks() -> Clocks:
    """Both of them."""
    return Clocks()


@pytest.fixture
def watch(clocks: Clocks) -> ClockWatch:
    """A watch over them."""
    return ClockWatch(clock=lambda: clocks.shown, monotonic=lambda: clocks.true)


def test_a_step_back_is_remembered_for_an_hour(
    clocks: Clocks, watch: ClockWatch
) -> None:
    """With the time that it showed then, and by how much; then it is forgotten."""
    clocks.go_on(10, step=-600)
    assert watch.look() == Step(at=clocks.shown, seconds=600.0)
    clocks.go_on(3_600)
    assert watch.look() is not None
    clocks.go_on(1)
    assert watch.look() is None


@pytest.mark.parametrize("step", [-2.0, 0.0, 5_000.0])
def test_what_keeps_a_clock_right_is_no_step_back(
    clocks: Clocks, watch: ClockWatch, step: float
) -> None:
    """A second or two, and any step forward."""
    clocks.go_on(10, step=step)
    assert watch.look() is None
