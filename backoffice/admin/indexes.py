"""Which indexes are worth a look before they cost more, and why?"""

from collections.abc import Callable
from dataclasses import dataclass

from backoffice.admin.panels import precise, unread
from backoffice.admin.presentation import Link
from backoffice.admin.presentation_metrics import IndexesView, IndexRow
from backoffice.admin.words import size
from backoffice.observability.indexes_postgresql import (
    LEAST,
    SHOWN,
    CoveredIndex,
    IndexFacts,
    UnusedIndexes,
)
from backoffice.observability.ops_connection import Reading


@dataclass(slots=True)
class _Found:
    """One index, and all that was found of it."""

    facts: IndexFacts
    whys: list[str]


def indexes_view(
    never: Reading[UnusedIndexes],
    covered: Reading[tuple[CoveredIndex, ...]],
    table_link: Callable[[str], Link],
    url: str,
) -> IndexesView:
    """Those that nobody reads and those that another one covers, each once."""
    found: dict[tuple[str, str], _Found] = {}

    def note(facts: IndexFacts, why: str) -> None:
        known = found.setdefault((facts.schema, facts.name), _Found(facts, []))
        known.whys.append(why)

    idle = never.value.indexes if never.value is not None else ()
    others = covered.value or ()
    for facts in idle[:SHOWN]:
        note(facts, "never read")
    for one in others[:SHOWN]:
        is_same = one.index.columns == one.by_columns
        how = "has the same columns" if is_same else "begins with the same columns"
        note(one.index, f"{one.by_name} ({one.by_columns}) {how}")
    since = never.value.since if never.value is not None else None
    words = f" since {precise(since).text}" if since is not None else ""
    has_more = len(idle) > SHOWN or len(others) > SHOWN
    return IndexesView(
        rows=tuple(
            _row(one, table_link)
            for one in sorted(found.values(), key=lambda one: -(one.facts.size or 0))
        ),
        sub=f"never read{words}, or covered by another",
        unread=tuple(
            one
            for one in (
                unread("Which were never read", never, url),
                unread("Which are covered by another", covered, url),
            )
            if one is not None
        ),
        more=f"There are more; of each kind the largest {SHOWN} are shown."
        if has_more
        else "",
        empty=f"None: each of {size(LEAST)} or more was read{words}, and no other "
        "begins with the same columns."
        if never.value is not None and covered.value is not None
        else "",
    )


def _row(one: _Found, table_link: Callable[[str], Link]) -> IndexRow:
    facts = one.facts
    return IndexRow(
        name=facts.name,
        columns=facts.columns,
        table=table_link(facts.table),
        why="; ".join(one.whys),
        size="locked" if facts.size is None else size(facts.size),
    )
