"""How indexes that are worth a look are told of."""

from typing import Any

from backoffice.admin.indexes import indexes_view
from backoffice.admin.presentation import Link
from backoffice.admin.words import size
from backoffice.observability.indexes_postgresql import (
    SHOWN,
    CoveredIndex,
    IndexFacts,
    UnusedIndexes,
)
from backoffice.observability.ops_connection import Reading, State


def index(name: str, octets: int | None = 2_000_000) -> IndexFacts:
    """An index of one table."""
    return IndexFacts("public", "courses", name, "title", octets)


def read(found: Any) -> Reading[Any]:
    """What was read just now."""
    return Reading(State.MEASURED, found, 0.0)


def link(table: str) -> Link:
    """A table that has no list."""
    return Link(table, "")


def test_an_index_stands_there_once_with_every_reason() -> None:
    """The largest first; of what is held nobody knows the size."""
    both = index("both")
    never = UnusedIndexes(None, (index("held", None), both))
    covered = (CoveredIndex(both, "longer", "title, id"),)

    shown = indexes_view(read(never), read(covered), link, "")

    assert [(row.name, row.size, row.why) for row in shown.rows] == [
        (
            "both",
            size(2_000_000),
            "never read; longer (title, id) begins with the same columns",
        ),
        ("held", "locked", "never read"),
    ]
    assert shown.more == ""


def test_more_than_are_shown_are_told_of() -> None:
    """Not how many: that is not counted."""
    many = tuple(index(f"i{number}") for number in range(SHOWN + 1))

    shown = indexes_view(read(UnusedIndexes(None, many)), read(()), link, "")

    assert len(shown.rows) == SHOWN
    assert shown.more == "There are more; of each kind the largest 20 are shown."


def test_what_could_not_be_read_is_not_none() -> None:
    """Neither question is answered by silence."""
    late: Reading[Any] = Reading(State.TIMED_OUT, text="over its time limit")

    shown = indexes_view(late, read(()), link, "/again")

    assert shown.empty == ""
    (unread,) = shown.unread
    assert unread.what == "Which were never read"
    assert unread.retry_url == "/again"
