"""What is said before a run: are its numbers those of all rows, or of some?"""

from pathlib import Path
from typing import Any, cast

from sqlalchemy import inspect

from backoffice.admin import words
from backoffice.admin.accounts import AccountAdmin
from backoffice.admin.actions import DELETE_SELECTED
from backoffice.admin.pages.chosen import Task, change_of
from backoffice.admin.pages.preflight import tiles, tried_words
from backoffice.bulk.change import EachRecord
from backoffice.bulk.trial import Preflight
from backoffice.cli.site import application_without_database
from models.admin.publishing import CommentAdmin
from models.school import Student

ROOT = Path(__file__).parent.parent.parent
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


def test_a_view_that_deletes_in_its_own_way_is_asked_for_each_record() -> None:
    """The last administrator is not deleted because many are."""
    with application_without_database(ROOT) as app:
        views = {type(one): one for one in app.state.site.views}
    found = {}
    for kind in (CommentAdmin, AccountAdmin):
        change = change_of(cast("Any", None), views[kind], DELETE_SELECTED, {})
        assert isinstance(change, EachRecord)
        assert change.is_deletion
        found[kind] = change.is_of_many

    assert found == {CommentAdmin: True, AccountAdmin: False}
