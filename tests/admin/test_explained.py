"""How a report of EXPLAIN is put in words for its page."""

import pytest

from backoffice.admin.explained import touched_of
from backoffice.explain.report import Report, TableReport


@pytest.mark.parametrize(
    ("changed", "words"), [(1, ", 1 change since"), (1200, ", 1,200 changes since")]
)
def test_a_table_says_how_much_has_changed_since(changed: int, words: str) -> None:
    """One row is a change, and more are changes."""
    table = TableReport("students", 2000, 8192, "2026-03-02T15:44:00+00:00", changed)
    report = Report("", "", "postgresql", "18", "", "", 0, (), (table,), {}, "")
    (row,) = touched_of(report)
    assert row.analyzed.endswith(words)
