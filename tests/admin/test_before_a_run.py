"""What is said before a run: are its numbers those of all rows, or of some?"""

from typing import Any, cast

from sqlalchemy import inspect

from backoffice.admin import words
from backoffice.admin.pages.chosen import Task
from backoffice.admin.pages.preflight import tiles, tried_words
from backoffice.bulk.change import EachRecord
from backoffice.bulk.trial import Preflight
from models.school import Student

DELETE = EachRecord(inspect(Student), cast("Any", None))
TASK = Task(cast("Any", None), DELETE, "Delete students", "Delete")
OTHERS = (("report_cards", "delete", 380), ("enrollments", "delete", 102))


def other_tables(found: Preflight) -> tuple[str, str]:
    """The number of other tables' rows, and what stands below it."""
    (tile,) = (
        t for t in tiles(found, TASK, is_large=True) if t.label == "Other tables"
    )
    return tile.big, tile.line


def test_rows_of_other_tables_are_said_to_be_those_of_the_tried() -> None:
    """Seventy-six of two thousand were tried: the others have more."""
    some = Preflight(2000, None, tried=76, changed=76, elsewhere=OTHERS)
    every = Preflight(76, None, tried=76, changed=76, elsewhere=OTHERS)

    assert other_tables(some) == ("482", "for the 76 that were tried")
    assert other_tables(every) == ("482", "")


def test_nothing_takes_no_time_at_all() -> None:
    """A quick change takes less than 1 ms, and not 0 ms."""
    quick = Preflight(3, None, tried=3, changed=3, spent=0.0002, seconds=0.0002)
    least = f"< 1{words.NBSP}ms"

    assert f"in {least} and rolled back" in tried_words(quick)
    assert next(tiles(quick, TASK, is_large=False)).big == least
