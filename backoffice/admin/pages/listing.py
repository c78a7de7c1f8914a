"""A list page: what was asked for in words, its rows, and the ways on."""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Column

from backoffice.admin.actions import ActionSpec, Where, offered
from backoffice.admin.call import (
    Call,
    Page,
    Redirect,
    Reply,
    address,
    quoted_part,
)
from backoffice.admin.cells import cell_makers, name_cell, name_column, record_name
from backoffice.admin.description import ListColumn, key_of
from backoffice.admin.frame import frame
from backoffice.admin.model_view import ModelView
from backoffice.admin.presentation import (
    Action,
    Chip,
    Choice,
    Count,
    Empty,
    FilterControl,
    FilterKind,
    HeadCell,
    Link,
    ListView,
    Message,
    Pager,
    Row,
    SearchBox,
    Suggestion,
    hidden_items,
    stacked,
)
from backoffice.admin.presentation_bulk import PickBar
from backoffice.admin.record import records_by_key, word_of
from backoffice.admin.typed_filters import (
    TypedReferences,
    filter_target,
    typed_references,
)
from backoffice.admin.words import within_sentence
from backoffice.auth.permissions import may
from backoffice.database.keys import format_key
from backoffice.editing.fields import is_counted
from backoffice.errors import BackofficeError
from backoffice.listing.counting import RowCount
from backoffice.listing.leaving_out import without_each
from backoffice.listing.page import ListPage, read_page
from backoffice.listing.params import parse_list
from backoffice.listing.query import FilterValue, ListQuery
from backoffice.listing.spec import FilterField, ListSpec, Order

NO_ORDER = "not ordered by this: no index of the list's keeps it in order"
MOVES = frozenset({"page", "after", "before"})


def show(call: Call) -> Reply:
    """The list as the query string describes it."""
    view = call.model_view
    spec = spec_for(call, view)
    url = address(call.site.base_url, view.identity, "list")
    typed = typed_references(call, view, spec)
    if typed.keys:
        return Redirect(f"{url}?{urlencode(typed.with_keys(call.query_items))}")
    query = typed.told(spec, parse_list(spec, call.query_items, call.site.codec))
    page = read_page(call.session, spec, query, call.site.codec)
    shown = Shown(call, view, spec, query, page, url, typed)
    return Page("list", shown.view(), shown.frame(), shown.status())


def spec_for(call: Call, view: ModelView) -> ListSpec:
    """The view's list within what this person may see."""
    spec = view.description.list_spec
    unseen = unseen_filters(call, view)
    if unseen:
        spec = spec.without_filters(unseen)
    scopes = call.site.scopes(call, view)
    own = (lambda select: view.scope(select, call)) if view.is_partly_seen else None
    if own is None and not scopes:
        return spec
    return spec.scoped(own, scopes)


def unseen_filters(call: Call, view: ModelView) -> frozenset[str]:
    """The filters that would tell records of a list that this person may not open."""
    found = set()
    for one in view.description.list_spec.filters:
        target = filter_target(view, one)
        own = call.site.view_of(target.class_) if target is not None else None
        if own is not None and not call.may("list", own):
            found.add(one.path)
    return frozenset(found)


def selection_words(call: Call, view: ModelView, query: ListQuery) -> str:
    """What a query lists, as in: all students with class 9A, found by "ann"."""
    page = ListPage(rows=(), count=RowCount(0))
    shown = Shown(call, view, spec_for(call, view), query, page, "")
    many = within_sentence(view.name_plural)
    parts = [
        f"{shown.spec.label(used.path).lower()} {shown.words_of(used)}"
        for used in query.filters
    ]
    text = f"all {many}"
    if parts:
        text += f" with {', '.join(parts)}"
    if query.search:
        text += f", found by “{query.search}”"
    return text


def button_of(actions: Sequence[ActionSpec]) -> str:
    """What the button beside the actions says, whichever of them is chosen."""
    if len(actions) == 1:
        return actions[0].menu_label
    answers = {one.is_answer for one in actions}
    if answers == {True}:
        return "Show"
    return "Continue" if True in answers else "Show what would change"


class Shown:
    """One list page on its way from rows to words."""

    def __init__(
        self,
        call: Call,
        view: ModelView,
        spec: ListSpec,
        query: ListQuery,
        page: ListPage,
        url: str,
        typed: TypedReferences | None = None,
    ) -> None:
        self.call, self.model_view, self.spec = call, view, spec
        self.query, self.page, self.url = query, page, url
        self.typed = typed or TypedReferences()

    def to(self, query: ListQuery) -> str:
        """The address of another query of this list."""
        items = query.to_items()
        return f"{self.url}?{urlencode(items)}" if items else self.url

    def status(self) -> int:
        """400 for what is wrong, 404 for a page past the end, else 200."""
        if self.query.problems:
            return 400
        return 404 if self.query.page > 1 and not self.page.rows else 200

    def view(self) -> ListView:
        """What the template draws."""
        view, query = self.model_view, self.query
        plain = [i for i in query.to_items() if i[0] not in MOVES | {"pageSize"}]
        others = [
            item
            for item in query.to_items()
            if item[0] in {"sortBy", "sort", "pageSize"}
        ]
        rows = self.rows()
        return ListView(
            identity=view.identity,
            name=view.name,
            name_plural=view.name_plural,
            url=self.url,
            columns=self.heads(),
            rows=rows,
            pager=self.pager(plain) if rows else None,
            search=(
                SearchBox(query.search, view.description.search_label)
                if self.spec.search
                else None
            ),
            filters=tuple(self.control(field) for field in self.spec.filters),
            chips=tuple(self.chips()),
            clear_url=self.url if query.is_narrowed or query.problems else "",
            hidden=hidden_items(tuple(others)),
            empty=None if rows else self.empty(),
            notes=tuple(Message("warn", note.message) for note in query.notes),
            caption=view.name_plural,
            pick=self.pick(plain) if rows else None,
        )

    def pick(self, plain: list[tuple[str, str]]) -> PickBar | None:
        """What can be done with rows of this list, by this person."""
        actions = offered(self.call, self.model_view, Where.LIST)
        if not actions:
            return None
        base = self.call.site.base_url
        return PickBar(
            url=address(base, self.model_view.identity, "actions"),
            query=urlencode(plain),
            total=self.page.count.words(),
            actions=tuple(Choice(one.name, one.menu_label) for one in actions),
            rows=len(self.page.rows),
            button=button_of(actions),
        )

    def frame(self) -> Any:
        """Title, size of the whole, and what can be done with the list."""
        view, call = self.model_view, self.call
        base = call.site.base_url
        actions = []
        if call.may("export") and not self.query.problems:
            items = [i for i in self.query.to_items() if i[0] not in MOVES]
            for kind in view.export_formats:
                url = address(base, view.identity, "export", kind)
                if items:
                    url += "?" + urlencode(items)
                actions.append(Action(f"Export {kind.upper()}", url, "down"))
        if may(call.login.role, "ops:explain") and not self.query.problems:
            asked = (
                ("view", view.identity),
                ("query", urlencode(self.query.to_items())),
            )
            url = address(base, "explain")
            actions.append(
                Action("Explain this list", url, method="post", fields=asked)
            )
        if call.may("create"):
            url = address(base, view.identity, "create")
            label = f"New {word_of(view)}"
            actions.append(Action(label, url, "plus", is_primary=True, key="c"))
        title = view.name_plural
        if self.query.problems:
            title = f"Error: {title}"
        return frame(
            call,
            title=title,
            heading=view.name_plural,
            crumbs=[Link(view.category, "")] if view.category else [],
            actions=actions,
        )

    # Rows

    def heads(self) -> tuple[HeadCell, ...]:
        """Every column's head, with the order that a click asks for."""
        columns = self.model_view.description.columns
        stacks = stacked(tuple(self.kinds()))
        kept = [key_of(one) for one in self.model_view.phone_columns]
        if kept:
            words = {name: "full" if name == kept[-1] else "" for name in kept}
            stacks = tuple(
                stack if stack == "first" else words.get(column.name, "gone")
                for column, stack in zip(columns, stacks, strict=True)
            )
        order = self.query.order or self.spec.default_order
        in_use = {o.path: (at, o) for at, o in enumerate(order, 1)}
        return tuple(
            self.head(column, stack, in_use)
            for column, stack in zip(columns, stacks, strict=True)
        )

    def head(
        self,
        column: ListColumn,
        stack: str,
        in_use: dict[str, tuple[int, Order]],
    ) -> HeadCell:
        """One head: a click orders by it, another one turns it round."""
        if column.name not in self.spec.sortable:
            return HeadCell(
                column.label,
                is_num=column.is_num,
                stack=stack,
                key=column.name,
                next_order=NO_ORDER,
            )
        rank, order = in_use.get(column.name, (0, None))
        descending = order is not None and not order.descending
        url = self.to(self.query.sorted_by(column.name, descending=descending))
        sort = ""
        if order is not None:
            sort = "descending" if order.descending else "ascending"
        return HeadCell(
            column.label,
            url,
            sort,
            rank if len(in_use) > 1 else 0,
            column.is_num,
            stack,
            column.name,
            f"order by {column.label.lower()}, "
            + self.first_words(column.name, descending=descending),
        )

    def first_words(self, path: str, *, descending: bool) -> str:
        """What an order begins with, as in: highest first."""
        columns = self.model_view.description.columns
        column = next((one for one in columns if one.name == path), None)
        up, down = "first first", "last first"
        if column is not None and column.is_num:
            up, down = "lowest first", "highest first"
        elif column is not None and column.kind == "date":
            up, down = "oldest first", "newest first"
        return down if descending else up

    def order_words(self, order: Iterable[Order]) -> str:
        """Columns of an order, as in: category, then price, highest first."""
        return ", then ".join(
            self.spec.label(one.path).lower()
            + (
                f", {self.first_words(one.path, descending=True)}"
                if one.descending
                else ""
            )
            for one in order
        )

    def kinds(self) -> Iterable[str]:
        """The kind of each column; the record's own name is a link."""
        columns = self.model_view.description.columns
        name = name_column(self.model_view, self.model_view.description.columns)
        for at, column in enumerate(columns):
            yield "link" if at == name else column.kind

    def rows(self) -> tuple[Row, ...]:
        """The records as rows of cells."""
        view, call = self.model_view, self.call
        columns = view.description.columns
        makers = cell_makers(call.site, view, columns, call.login.role)
        at = name_column(view, columns)
        mapper = view.description.mapper
        verb = "details" if call.may("details") else ""
        prefix = f"{address(call.site.base_url, view.identity, verb)}/" if verb else ""
        query = self.query.to_items()
        suffix = "?" + urlencode(query) if query else ""
        rows = []
        for record in self.page.rows:
            key = format_key(mapper, record)
            cells = [make(record) for make in makers]
            own = cells[at]
            if prefix:
                url = f"{prefix}{quoted_part(key)}{suffix}"
                cells[at] = name_cell(own, key, url)
            rows.append(Row(key, own.text, tuple(cells)))
        return tuple(rows)

    def pager(self, plain: list[tuple[str, str]]) -> Pager:
        """Where we are, of how many, and the ways on."""
        page, query = self.page, self.query
        first = page.first or 1
        is_known = page.first is not None
        count = page.count
        how = ""
        if not count.is_exact:
            how = "planner’s estimate" if count.is_estimate else "no estimate"  # noqa: RUF001
        later, earlier = page.next_query(query), page.previous_query(query)
        return Pager(
            first=f"{first:,}" if is_known else "?",
            last=f"{first + len(page.rows) - 1:,}" if is_known else "?",
            count=Count(count.words(), how),
            page=page.page,
            page_size=query.page_size,
            page_sizes=self.spec.page_sizes,
            previous_url=self.to(earlier) if earlier is not None else "",
            next_url=self.to(later) if later is not None else "",
            hidden=hidden_items(tuple(plain)),
            order="" if query.order else self.own_order(),
        )

    def own_order(self) -> str:
        """The order of a list that was asked for none, as in: newest first."""
        mapper = self.model_view.description.mapper
        if not self.spec.default_order:
            own = [c for c in mapper.primary_key if isinstance(c, Column)]
            if own and all(map(is_counted, own)):
                return "newest first"
            keys = [mapper.get_property_by_column(c).key for c in mapper.primary_key]
            names = ", ".join(self.spec.paths.label(key).lower() for key in keys)
            return f"by {names}, last first"
        return f"by {self.order_words(self.spec.default_order)}"

    # Filters

    def control(self, field: FilterField) -> FilterControl:
        """One filter as the drawer asks for it."""
        used = self.query.filter(field.path)
        errors = [
            p.message
            for p in self.query.problems
            if p.parameter.partition("__")[0] == field.path
        ]
        raw = [v for k, v in self.call.query_items if k == field.path and v]
        chosen = set(used.texts) if used is not None else set(raw)
        wrong = self.typed.not_understood(field.path)
        choices = tuple(
            Choice(value, label, value in chosen)
            for value, label in self.choices_of(field)
        )
        offered = {choice.value for choice in choices}
        lookup = ""
        kind = FilterKind(str(field.kind))
        if kind == FilterKind.REFERENCE and field.path in self.page.typed:
            lookup = (
                address(self.call.site.base_url, self.model_view.identity)
                + "/ajax/lookup?"
                + urlencode({"filter": field.path})
            )
            choices = (
                *choices,
                *(
                    Choice(text, self.name_of(field, text), is_checked=True)
                    for text in sorted(chosen - offered - wrong)
                ),
            )
        elif kind == FilterKind.CHOICE and not choices:
            kind = FilterKind.TEXT
        choices += tuple(
            one
            for one in self.typed.candidates.get(field.path, ())
            if one.value not in offered
        )
        if kind == FilterKind.BOOLEAN:
            choices = (
                Choice("", "any", not chosen),
                Choice("true", "yes", bool(chosen & {"true", "yes", "1"})),
                Choice("false", "no", bool(chosen & {"false", "no", "0"})),
            )
        place = self.spec.paths.place(field.path)
        return FilterControl(
            name=field.path,
            label=field.label,
            kind=kind,
            choices=choices,
            value=raw[0] if kind == FilterKind.TEXT and raw else "",
            low=used.low.text if used and used.low else self.raw(field.path, "from"),
            high=used.high.text if used and used.high else self.raw(field.path, "to"),
            is_nullable=place.is_nullable,
            empty=""
            if used is None or used.empty is None
            else ("yes" if used.empty else "no"),
            lookup_url=lookup,
            error=errors[0] if errors else "",
        )

    def raw(self, path: str, end: str) -> str:
        """What stands in the address for one end of a range."""
        name = f"{path}__{end}"
        return next((v for k, v in self.call.query_items if k == name), "")

    def choices_of(self, field: FilterField) -> list[tuple[str, str]]:
        """Declared values, else those that the page has read.

        Without those that an address cannot carry: a blank one there is no filter,
        so that ticking it would show every row.
        """
        if field.choices:
            return list(field.choices)
        return [
            (c.value, c.label if c.label.strip() else c.value)
            for c in self.page.choices.get(field.path, ())
            if c.value.strip()
        ]

    def name_of(self, field: FilterField, text: str) -> str:
        """What a chosen value is called: by its choice, or by asking for the record."""
        for value, label in self.choices_of(field):
            if value == text:
                return label
        place = self.spec.paths.place(field.path)
        if place.relationship is None:
            return text
        target = self.call.site.view_of(place.relationship.mapper.class_)
        if target is None:
            return text
        try:
            record = records_by_key(self.call, target, [text]).get(text)
        except BackofficeError:
            return text
        return record_name(target, record) if record is not None else text

    def chips(self) -> Iterable[Chip]:
        """Each filter in use, the order, and each mistake, with the way out of it."""
        query = self.query
        bad = {p.parameter for p in query.problems}
        for problem in query.problems:
            items = [
                item for item in self.call.query_items if item[0] != problem.parameter
            ]
            url = self.url + ("?" + urlencode(items) if items else "")
            name = problem.parameter.partition("__")[0]
            label = self.spec.label(name)
            message = problem.message
            if message.startswith(f"{label} "):
                # Of a name that the list does not know the sentence says it already.
                label = "Filter"
            elif message.startswith(f"{label}: "):
                message = message.removeprefix(f"{label}: ")
            if problem.parameter in {"search", "sortBy", "sort", "page", "pageSize"}:
                label = {"search": "Search", "page": "Page", "pageSize": "Page"}.get(
                    problem.parameter, "Order"
                )
            yield Chip(label, message, url, "error")
        for used in query.filters:
            if used.path not in bad:
                text = self.words_of(used)
                label = self.spec.label(used.path)
                yield Chip(label, text, self.to(query.without_filter(used.path)))
        if query.order:
            words = self.order_words(query.order)
            yield Chip("Order", words, self.to(query.with_(order=())), "sort")

    def words_of(self, used: FilterValue) -> str:
        """A filter in words: "active or on leave", "from 2007-01-01"."""
        field = self.spec.by_path[used.path]
        parts = []
        if used.texts:
            names = [self.name_of(field, text) for text in used.texts]
            if str(used.kind) == "boolean":
                names = ["yes" if v else "no" for v in used.values]
            parts.append(" or ".join(names))
        if used.low and used.high:
            parts.append(f"{used.low.text} to {used.high.text}")
        elif used.low:
            parts.append(f"from {used.low.text}")
        elif used.high:
            parts.append(f"up to {used.high.text}")
        if used.empty is not None:
            parts.append("empty" if used.empty else "filled")
        return ", ".join(parts)

    # Nothing there

    def suggestions(self) -> Iterable[Suggestion]:
        """What to leave out, with what would be found then."""
        for one in without_each(self.call.session, self.spec, self.query):
            used = self.query.filter(one.path)
            what = f"“{self.query.search}”"
            if used is not None:
                what = f"{self.spec.label(used.path).lower()} {self.words_of(used)}"
            is_none = one.count is not None and not one.count.value
            yield Suggestion(
                what,
                one.count.words() if one.count is not None else "",
                "" if is_none else self.to(one.query),
            )

    def empty(self) -> Empty:
        """Why there are no rows, and what to do."""
        view, query = self.model_view, self.query
        one, many = within_sentence(view.name), within_sentence(view.name_plural)
        base = self.call.site.base_url
        clear = Action("Clear all", self.url)
        if query.problems:
            return Empty(
                "This list was asked for in a way that it does not understand",
                "No rows are shown, so that nothing is taken for what it is not.",
                actions=(clear,),
            )
        if query.page > 1:
            ways = [Action("First page", self.to(query.with_(page=1)))]
            count, last = self.page.count, self.page.last_page
            if last is not None and last > 1:
                ways.append(Action("Last page", self.to(query.with_(page=last))))
            return Empty(
                "The list is not that long",
                f"It has {count.words()} {'row' if count.value == 1 else 'rows'}.",
                actions=tuple(ways),
            )
        if query.is_narrowed:
            return Empty(
                f"No {one} matches all of this",
                suggestions=tuple(self.suggestions()),
                actions=(clear,),
            )
        actions: tuple[Action, ...] = ()
        if self.call.may("create"):
            url = address(base, view.identity, "create")
            # The head has the same button, filled: there is one of these on a page.
            actions = (Action(f"New {one}", url, "plus"),)
        heading = view.empty_list or f"No {many} yet"
        return Empty(heading, "They will be listed here.", actions=actions)
