"""Which rows would an action leave out, each by its name, and why?"""

from collections.abc import Iterator, Mapping

from backoffice.admin import words
from backoffice.admin.call import Call, address
from backoffice.admin.model_view import ModelView
from backoffice.admin.pages.confirming import LISTED
from backoffice.admin.presentation_bulk import LeftGroup, LeftRow
from backoffice.bulk.trial import Preflight, Since


def left_out_keys(found: Preflight, since: Since) -> list[str]:
    """The keys of all rows that are named."""
    left = [*found.refused[:LISTED], *found.locked[:LISTED]]
    return [*(one.row.key for one in left), *(one.key for one in since.rows[:LISTED])]


def left_out(
    call: Call,
    view: ModelView,
    found: Preflight,
    since: Since,
    names: Mapping[str, str],
) -> Iterator[LeftGroup]:
    """The rows that are refused, that somebody holds, and that were changed since."""

    def row(key: str, label: str, reason: str, *, is_bad: bool = False) -> LeftRow:
        url = ""
        if call.may("details", view):
            url = address(call.site.base_url, view.identity, "details", key)
        return LeftRow(names.get(key) or label or key, url, reason, is_bad)

    def group(title: str, rows: list[LeftRow], count: int) -> LeftGroup:
        more = count - len(rows)
        return LeftGroup(title, tuple(rows), f"{more:,} more" if more > 0 else "")

    if found.refused:
        count = len(found.refused)
        least = "At least " if found.is_refused_capped else ""
        yield group(
            f"{least}{words.plural(count, 'row is', 'rows are')} refused",
            [
                row(one.row.key, one.row.label, one.words, is_bad=True)
                for one in found.refused[:LISTED]
            ],
            count,
        )
    if found.locked:
        held = found.locked[:LISTED]
        count = len(found.locked)
        yield group(
            f"{words.plural(count, 'row is', 'rows are')} held by somebody else",
            [row(one.row.key, one.row.label, one.words) for one in held],
            count,
        )
    if since.rows:
        count = since.count or len(since.rows)
        yield group(
            f"{words.plural(count, 'row was', 'rows were')} changed since",
            [row(one.key, one.label, "") for one in since.rows[:LISTED]],
            count,
        )
