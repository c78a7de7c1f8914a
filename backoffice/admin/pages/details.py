"""A record whole: its values, what belongs to it, and its history."""

from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select
from sqlalchemy.orm import joinedload, with_parent

from backoffice.admin.actions import Where, offered
from backoffice.admin.call import Call, Page, Reply, address
from backoffice.admin.cells import (
    cell_makers,
    full_cell,
    name_cell,
    name_column,
    record_name,
)
from backoffice.admin.chronicle import entries_of
from backoffice.admin.description import RELATED_LIMIT, ListColumn, column_at
from backoffice.admin.frame import frame
from backoffice.admin.model_view import ModelView
from backoffice.admin.presentation import (
    Action,
    DetailsView,
    Fact,
    FactGroup,
    HeadCell,
    Link,
    RelatedList,
    Row,
    stacked,
)
from backoffice.admin.record import hide_references, load_record
from backoffice.admin.words import row_count, within_sentence
from backoffice.bulk.timeline import record_history
from backoffice.database.keys import format_key
from backoffice.database.values import format_value
from backoffice.listing.counting import count_rows
from backoffice.listing.cutting import RowCut
from backoffice.listing.params import known_parameters

HISTORY = 5
COUNT_LIMIT = 1_000
RELATED_COLUMNS = 6
TIMES = ("created_at", "updated_at")


def show(call: Call) -> Reply:
    """The details page."""
    view = call.model_view
    record = load_record(call, view, call.key)
    own = view.show_record(call, record)
    if own is not None:
        return own
    name = record_name(view, record)
    base = call.site.base_url
    found = record_history(
        call.session, view.description.table_name, call.key, limit=HISTORY + 1
    )
    shown = DetailsView(
        groups=(FactGroup(view.name, facts(call, view, record)),),
        related=tuple(related_lists(call, view, record)),
        aside=times(call, view, record),
        history=entries_of(call, found[:HISTORY], of=view, is_there=True),
        history_url=address(base, view.identity, "history", call.key)
        if len(found) > HISTORY
        else "",
    )
    return Page(
        "details",
        shown,
        frame(
            call,
            title=name,
            sub=sub_unless(name, subtitle(view, call.key)),
            crumbs=crumbs(call, view),
            actions=actions(call, view),
            width="mid",
        ),
    )


def subtitle(view: ModelView, key: str) -> str:
    """As in: Report card 4410882."""
    return f"{view.name} {key}"


def sub_unless(title: str, subtitle: str) -> str:
    """The line under a title, where it says anything more."""
    return "" if title == subtitle else subtitle


def crumbs(call: Call, view: ModelView) -> tuple[Link, ...]:
    """Where the record stands; back to the list as it was, where that is known."""
    base = call.site.base_url
    here = address(base, view.identity, "list")
    query = list_query(call, view)
    links = [Link(view.category or "", ""), Link(view.name_plural, here + query)]
    return tuple(link for link in links if link.label)


def back_query(call: Call) -> str:
    """The list's query string that came along, to go back to just that list."""
    items = [(k, v) for k, v in call.query_items if k != "next"]
    return "?" + urlencode(items) if items else ""


def list_query(call: Call, view: ModelView) -> str:
    """The same, without what only presets a form: the list would not know it."""
    known = known_parameters(view.description.list_spec)
    items = [(k, v) for k, v in call.query_items if k in known]
    return "?" + urlencode(items) if items else ""


def actions(call: Call, view: ModelView) -> list[Action]:
    """What this person may do with this record."""
    base, key = call.site.base_url, call.key
    query = back_query(call)
    found = [Action("History", address(base, view.identity, "history", key), "history")]
    found += own_actions(call, view)
    if call.may("delete"):
        url = address(base, view.identity, "delete", key) + query
        found.append(Action("Delete", url, "trash", is_risk=True))
    if call.may("edit"):
        url = address(base, view.identity, "edit", key) + query
        found.append(Action("Edit", url, is_primary=True, key="e"))
    return found


def own_actions(call: Call, view: ModelView) -> list[Action]:
    """The view's actions that this person may run on this record."""
    found = []
    for spec in offered(call, view, Where.DETAILS):
        asked = urlencode({"action": spec.name, "id": call.key})
        url = address(call.site.base_url, view.identity, "actions") + "?" + asked
        found.append(Action(spec.menu_label, url, method="post"))
    return found


def facts(call: Call, view: ModelView, record: Any) -> tuple[Fact, ...]:
    """Every column but the times, whole."""
    return tuple(
        Fact(
            column.label,
            full_cell(call.site, view, column, call.login.role, record),
        )
        for column in view.description.details
        if column.name not in TIMES
    )


def times(call: Call, view: ModelView, record: Any) -> tuple[FactGroup, ...]:
    """When the record was made and last changed."""
    found = tuple(
        Fact(
            {"created_at": "Created", "updated_at": "Changed"}[column.name],
            full_cell(call.site, view, column, call.login.role, record),
        )
        for column in view.description.details
        if column.name in TIMES
    )
    return (FactGroup("Record", found),) if found else ()


def related_lists(call: Call, view: ModelView, record: Any) -> list[RelatedList]:
    """The first records of each to-many relationship that has a view."""
    lists = []
    for key in view.description.related:
        relationship = view.description.mapper.relationships[key]
        target = call.site.view_of(relationship.mapper.class_)
        if target is not None and call.may("list", target):
            lists.append(related_list(call, view, record, key, target))
    return lists


def related_list(
    call: Call, view: ModelView, record: Any, key: str, target: ModelView
) -> RelatedList:
    """Up to ten of them, newest key first, with a count that stops at a limit."""
    relationship = view.description.mapper.relationships[key]
    back = _back(view, key, target)
    columns = [
        column
        for column in target.description.related_columns
        if column.reference.partition(".")[0] not in back
    ]
    if not target.column_related_list:
        columns = columns[:RELATED_COLUMNS]
    attribute = getattr(view.model, key)
    belonging = target.scope(
        select(target.model).where(with_parent(record, attribute)), call
    )
    mapper = target.description.mapper
    keys = [
        getattr(target.model, mapper.get_property_by_column(c).key)
        for c in mapper.primary_key
    ]
    options = [
        joinedload(getattr(target.model, reference))
        for reference in sorted({c.reference for c in columns if c.reference})
        if "." not in reference
    ]
    rows = belonging.order_by(*(k.desc() for k in keys)).limit(RELATED_LIMIT)
    has_more = any(
        column_at(mapper, c.path) is None for c in columns if not c.reference
    )
    if target.column_formatters or has_more:
        records = list(call.session.scalars(rows.options(*options)).unique())
    else:
        cut = RowCut(mapper, (column.path for column in columns))
        rows = rows.add_columns(*cut.columns).options(*options, *cut.options)
        found = call.session.execute(rows).unique()
        records = [cut.put(record, values) for record, *values in found]
    hide_references(call, target, records)
    total = len(records)
    count = row_count(total)
    if total == RELATED_LIMIT:
        counted = count_rows(call.session, belonging, limit=COUNT_LIMIT)
        count = row_count(
            counted.value if counted.is_exact else None,
            is_exact=counted.is_exact,
            limit=COUNT_LIMIT,
        )
    base = call.site.base_url
    label = view.column_labels.get(key) or target.name_plural
    named = name_column(target, columns)
    kinds = tuple("link" if at == named else c.kind for at, c in enumerate(columns))
    return RelatedList(
        label=label,
        columns=tuple(
            HeadCell(c.label, is_num=c.is_num, stack=stack)
            for c, stack in zip(
                columns, stacked(kinds, at_most=len(columns)), strict=True
            )
        ),
        rows=tuple(related_rows(call, target, columns, records)),
        count=count,
        url=_list_of(call, view, record, target, back),
        create=(
            Link(
                f"New {within_sentence(target.name)}",
                address(base, target.identity, "create")
                + _preset(view, record, key, target),
            )
            if call.may("create", target) and relationship.secondary is None
            else None  # made there it would stand in no pair with this one
        ),
    )


def related_rows(
    call: Call, target: ModelView, columns: list[ListColumn], records: list[Any]
) -> list[Row]:
    """Rows whose name leads to the record, as in its list."""
    makers = cell_makers(call.site, target, columns, call.login.role)
    mapper = target.description.mapper
    may_open = call.may("details", target)
    named = name_column(target, columns)
    rows = []
    for record in records:
        key = format_key(mapper, record)
        cells = [make(record) for make in makers]
        label = cells[named].text if cells else key
        if may_open and cells:
            url = address(call.site.base_url, target.identity, "details", key)
            cells[named] = name_cell(cells[named], key, url)
        rows.append(Row(key, label, tuple(cells)))
    return rows


def _list_of(
    call: Call, view: ModelView, record: Any, target: ModelView, back: set[str]
) -> str:
    """The target's list, filtered to this record, where it has such a filter."""
    filters = {field.path for field in target.description.list_spec.filters}
    mapper = target.description.mapper
    names = set(back)
    for name in back:
        for column in mapper.relationships[name].local_columns:
            names.add(mapper.get_property_by_column(column).key)
    usable = sorted(names & filters)
    if not usable:
        return ""
    key = format_key(view.description.mapper, record)
    url = address(call.site.base_url, target.identity, "list")
    return f"{url}?" + urlencode({usable[0]: key})


def _preset(view: ModelView, record: Any, key: str, target: ModelView) -> str:
    """The query string by which a new record starts out belonging to this one."""
    relationship = view.description.mapper.relationships[key]
    asked = target.description.form_keys
    for name in sorted(_back(view, key, target)):
        if name in asked:
            whole = format_key(view.description.mapper, record)
            return "?" + urlencode({name: whole})
    # Where no single field stands for it, the columns do.
    mapper, own = target.description.mapper, view.description.mapper
    found = {}
    for here, there in relationship.local_remote_pairs or ():
        if here not in own.columns.values() or there not in mapper.columns.values():
            continue  # a join of the project's own words, by what is no attribute
        name = mapper.get_property_by_column(there).key
        value = getattr(record, own.get_property_by_column(here).key)
        if name in asked and value is not None:
            found[name] = format_value(here, value)
    return "?" + urlencode(found) if found else ""


def _back(view: ModelView, key: str, target: ModelView) -> set[str]:
    """The relationships of the other model that lead back by the same columns."""
    remote = view.description.mapper.relationships[key].remote_side
    return {
        name
        for name, other in target.description.mapper.relationships.items()
        if other.mapper is view.description.mapper and other.local_columns == remote
    }
