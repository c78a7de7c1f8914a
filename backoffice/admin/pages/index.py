"""The start page: what is here, how much of it, and what was changed last."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select

from backoffice.admin.call import Call, Page, Reply, address
from backoffice.admin.chronicle import events_of
from backoffice.admin.frame import frame
from backoffice.admin.model_view import ModelView
from backoffice.admin.presentation import (
    Count,
    IndexEntry,
    IndexGroup,
    IndexView,
    Link,
)
from backoffice.admin.words import row_count, within_sentence
from backoffice.bulk.timeline import Event, timeline
from backoffice.database.estimates import estimated_row_counts
from backoffice.listing.counting import count_each

RECENT = 8
# Among so many events changes are looked for: who logs in has changed nothing.
LOOKED_AT = 50
NO_CHANGES = frozenset({"login", "logout"})
# Up to here a table is counted, which takes less than a millisecond.
FEW = 1_000


def show(call: Call) -> Reply:
    """Every list that this person may see, and the last changes where they may."""
    site = call.site
    views = [
        view
        for view in site.views
        if isinstance(view, ModelView) and call.may("list", view)
    ]
    counts = counts_of(call, views)
    groups: dict[str, list[IndexEntry]] = {}
    for view in views:
        entry = IndexEntry(
            label=view.name_plural,
            url=address(site.base_url, view.identity, "list"),
            count=counts[view.identity],
            create=(
                Link(
                    f"New {within_sentence(view.name)}",
                    address(site.base_url, view.identity, "create"),
                )
                if call.may("create", view)
                else None
            ),
        )
        groups.setdefault(view.category or "", []).append(entry)
    may_see_history = call.login.role in {"admin", "ops"}
    latest: list[Event] = []
    if may_see_history:
        events = timeline(call.session, LOOKED_AT)
        latest = [one for one in events if one.action not in NO_CHANGES][:RECENT]
    shown = IndexView(
        groups=tuple(IndexGroup(k, tuple(entries)) for k, entries in groups.items()),
        recent=events_of(call, latest, is_brief=True),
        recent_url=address(site.base_url, "history") if may_see_history else "",
        has_recent=may_see_history,
    )
    return Page("index", shown, frame(call, title="Start", heading=site.title))


def counts_of(call: Call, views: Sequence[ModelView]) -> dict[str, Count]:
    """How many records each list has: counted where they are few, else estimated."""
    tables = [view.description.table_name for view in views]
    estimates = estimated_row_counts(call.session, tables)
    found: dict[str, Count] = {}
    few: dict[str, Select[Any]] = {}
    for view in views:
        estimate = estimates.get(view.description.table_name)
        if estimate is None or estimate <= FEW or view.is_partly_seen:
            few[view.identity] = view.scope(select(view.model), call)
        else:
            found[view.identity] = row_count(estimate, is_exact=False)
    for identity, count in count_each(call.session, few, FEW).items():
        found[identity] = Count(count.words())
    return found
