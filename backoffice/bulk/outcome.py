"""What became of the rows of a batch, told row by row where one was not changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from backoffice.bulk.states import RowState
from backoffice.bulk.target import Chosen

WORDS = {
    RowState.SAME: "It was so already.",
    RowState.EXCLUDED: "Left out by hand.",
    RowState.DRIFTED: "Somebody changed it meanwhile.",
    RowState.GONE: "It is not there any more.",
    RowState.LOCKED: "Somebody else is changing it.",
}


@dataclass(frozen=True, slots=True)
class Left:
    """A row that was not changed, and why."""

    row: Chosen
    state: RowState
    reason: str = ""

    @property
    def words(self) -> str:
        """The reason as a sentence."""
        return self.reason or WORDS.get(self.state, "")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Keys that were changed, how many were so already, and the rows left alone."""

    changed: frozenset[str]
    same: int = 0
    left: tuple[Left, ...] = ()


def outcome_of(
    rows: Sequence[Chosen], changed: frozenset[str], now: dict[str, str]
) -> Outcome:
    """The outcome of a batch, by the versions that the other rows have `now`."""
    same, left = 0, []
    for row in rows:
        if row.key in changed:
            continue
        version = now.get(row.key)
        if version is None:
            left.append(Left(row, RowState.GONE))
        elif version != row.version:
            left.append(Left(row, RowState.DRIFTED))
        else:
            same += 1
    return Outcome(changed, same, tuple(left))
