"""Every row of a selection, page by page: which are to be taken out of it?"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import tuple_

from backoffice.admin import words
from backoffice.admin.actions import ActionSpec
from backoffice.admin.call import Call, Page, Redirect, Reply, address
from backoffice.admin.frame import frame
from backoffice.admin.model_view import ModelView
from backoffice.admin.naming import names_of
from backoffice.admin.own_names import DO
from backoffice.admin.pages.chosen import task_of
from backoffice.admin.pages.listing import spec_for
from backoffice.admin.presentation import Link, Message, SearchBox
from backoffice.admin.presentation_bulk import ChosenRow, ChosenRowsView
from backoffice.bulk.models import Selection
from backoffice.bulk.target import Chosen, Target, read_chosen
from backoffice.database.keyset import SortColumn, after
from backoffice.listing.params import parse_list
from backoffice.listing.statements import select_rows

PAGE = 50
# So many rows can be taken out by hand; who wants more has another list in mind.
MOST = 2_000
SEARCH, AFTER, BEFORE = "search", "after", "before"
NEXT, DONE = "next", "keep"


def rows_url(call: Call, view: ModelView, token: str) -> str:
    """The address of a selection's rows."""
    return address(call.site.base_url, view.identity, "actions", token, "rows")


def show_rows(
    call: Call,
    view: ModelView,
    selection: Selection,
    spec: ActionSpec | None,
    *,
    back: Link,
    crumbs: Sequence[Link],
) -> Reply:
    """A page of the rows; who was taken out is not ticked."""
    task = task_of(call, view, selection, spec, with_excluded=True)
    given = dict(call.query_items)
    search = given.get(SEARCH, "").strip()
    target, problem = found_in(call, view, task.target, search)
    columns = tuple(SortColumn(key, table="own") for key in target.keys)
    order = f"chosen {selection.token}"

    def place(name: str) -> tuple[Any, ...] | None:
        text = given.get(name, "")
        found = call.site.codec.decode(order, target.keys, text) if text else None
        return None if found is None else tuple(found)

    behind, ahead = place(AFTER), place(BEFORE)
    is_back = ahead is not None
    if is_back:
        columns = tuple(column.reversed() for column in columns)
    values = ahead if is_back else behind
    rest = after(columns, values) if values is not None else None
    if rest is not None:
        target = target.narrowed(rest)
    rows = read_chosen(call.session, target, PAGE, is_backwards=is_back)
    shown, more = rows[:PAGE], len(rows) > PAGE
    if is_back:
        shown = rows[-PAGE:]

    def cursor(row: Chosen) -> str:
        return call.site.codec.encode(order, target.keys, row.values) or ""

    has_next = bool(shown) and (more or is_back)
    has_before = bool(shown) and (more if is_back else values is not None)
    url = rows_url(call, view, selection.token)
    return Page(
        "chosen_rows",
        ChosenRowsView(
            url=url,
            rows=tuple(drawn(call, view, shown, selection.excluded)),
            after=cursor(shown[-1]) if has_next else "",
            first_url=with_query(url, search) if values is not None else "",
            before_url=with_query(url, search, **{BEFORE: cursor(shown[0])})
            if has_before
            else "",
            search=SearchBox(search, view.description.search_label)
            if view.description.search_label
            else None,
            all_url=url if search else "",
            out=words.plural(len(selection.excluded), "row is", "rows are"),
            empty="No row of the selection matches." if search else "No rows.",
            notes=(Message("bad", problem),) if problem else (),
        ),
        frame(
            call,
            title=f"{task.title}: rows",
            sub=selection.words,
            crumbs=[*crumbs, back],
            width="mid",
        ),
        400 if problem else 200,
    )


def found_in(
    call: Call, view: ModelView, target: Target, search: str
) -> tuple[Target, str]:
    """Of the rows those that a search of the list finds; and what is wrong with it."""
    if not search:
        return target, ""
    spec = spec_for(call, view)
    query = parse_list(spec, [(SEARCH, search)], call.site.codec)
    dialect = call.session.get_bind(view.description.mapper).dialect.name
    found = select_rows(spec, query, dialect).with_only_columns(
        *target.keys, maintain_column_froms=True
    )
    keys: Any = target.keys[0] if len(target.keys) == 1 else tuple_(*target.keys)
    problem = query.problems[0].message if query.problems else ""
    return target.narrowed(keys.in_(found)), problem


def drawn(
    call: Call, view: ModelView, rows: Sequence[Chosen], excluded: Sequence[str]
) -> list[ChosenRow]:
    """The rows by name, each with whether it is still in."""
    names = names_of(call, view, [row.key for row in rows])
    out = set(excluded)
    base = call.site.base_url
    return [
        ChosenRow(
            row.key,
            names.get(row.key) or row.label or row.key,
            address(base, view.identity, "details", row.key)
            if call.may("details", view)
            else "",
            row.key not in out,
        )
        for row in rows
    ]


def keep_rows(call: Call, view: ModelView, selection: Selection, *, back: str) -> Reply:
    """Keep which rows of a page are ticked, and go to the next one or back."""
    sent = call.form.getlist("sample") if call.form is not None else []
    ticked = set(call.form.getlist("row")) if call.form is not None else set()
    seen = [one for one in sent if isinstance(one, str)]
    here = set(seen)
    kept = [key for key in selection.excluded if key not in here]
    kept += [key for key in seen if key not in ticked]
    url = rows_url(call, view, selection.token)
    search = call.posted(SEARCH) or ""
    if len(kept) > MOST:
        return Redirect(
            with_query(url, search),
            Message(
                "bad",
                f"At most {MOST:,} rows can be taken out by hand, so the last page was "
                "not kept. Narrow the list down instead.",
            ),
        )
    selection.excluded = list(dict.fromkeys(kept))
    if call.posted(DO) == NEXT:
        return Redirect(with_query(url, search, **{AFTER: call.posted(AFTER) or ""}))
    return Redirect(back)


def with_query(url: str, search: str, **place: str) -> str:
    """The address of a page of the rows; no key of a row stands in it."""
    given = {SEARCH: search, **place}
    query = urlencode({name: text for name, text in given.items() if text})
    return f"{url}?{query}" if query else url
