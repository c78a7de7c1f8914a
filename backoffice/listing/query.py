"""What one list page was asked for, and the query string that asks for it again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from backoffice.listing.spec import FilterKind, Order

# Changing one of these leads back to the first page.
_WHAT_IS_LISTED = frozenset({"search", "terms", "order", "filters", "page_size"})


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a search, or one phrase that stood in quotes."""

    text: str
    is_phrase: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a range: its text, its value, and whether it belongs to the range."""

    text: str
    value: Any
    is_included: bool = True


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of values that one text stands for: a whole day of a timestamp."""

    low: Any
    end: Any


@dataclass(frozen=True, slots=True)
class FilterValue:
    """One filter in use.

    A row fits if it has one of `values`, or lies within `low` and `high`, or is empty
    where `empty` is True; with `empty` False it must not be empty. `texts` are the
    values as a query string has them. A REFERENCE's values are keys (tuples), a
    timestamp's may be a `Span`.
    """

    path: str
    kind: FilterKind
    texts: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()
    low: Bound | None = None
    high: Bound | None = None
    empty: bool | None = None

    def items(self) -> list[tuple[str, str]]:
        """The filter as items of a query string."""
        items = [(self.path, text) for text in self.texts]
        if self.low is not None:
            items.append((f"{self.path}__from", self.low.text))
        if self.high is not None:
            items.append((f"{self.path}__to", self.high.text))
        if self.empty is not None:
            items.append((f"{self.path}__empty", "yes" if self.empty else "no"))
        return items


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a query string: where, what was found, what would be right."""

    parameter: str
    value: str
    message: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """The row that a page begins after, or ends before: its sort values."""

    token: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ListQuery:
    """One validated request for a list page.

    With `problems` it has no rows. `notes` are problems that change nothing but the
    way there. `order` is empty where none was asked for.
    """

    page_size: int
    usual_page_size: int
    search: str = ""
    terms: tuple[Term, ...] = ()
    order: tuple[Order, ...] = ()
    filters: tuple[FilterValue, ...] = ()
    page: int = 1
    after: Cursor | None = None
    before: Cursor | None = None
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()

    @property
    def is_narrowed(self) -> bool:
        """Whether a search or a filter leaves rows out."""
        return bool(self.terms or self.filters)

    def filter(self, path: str) -> FilterValue | None:
        """The filter in use on this path."""
        return next((f for f in self.filters if f.path == path), None)

    def with_(self, **changes: Any) -> "ListQuery":
        """Another query; one that lists other rows, or in another order, starts anew.

        Problems and notes are left behind. A `search` without `terms` has to be "".
        """
        changes = {"problems": (), "notes": (), **changes}
        if changes.get("search") == "":
            changes["terms"] = ()
        moves = {"page", "after", "before"} & changes.keys()
        if moves or _WHAT_IS_LISTED & changes.keys():
            changes = {"page": 1, "after": None, "before": None, **changes}
        return replace(self, **changes)

    def without_filter(self, path: str, text: str | None = None) -> "ListQuery":
        """The query without this filter, or without one of its values."""
        kept: list[FilterValue] = []
        for each in self.filters:
            if each.path != path:
                kept.append(each)
            elif text is not None:
                kept.extend(_without_value(each, text))
        return self.with_(filters=tuple(kept))

    def sorted_by(
        self, path: str, *, descending: bool, also: bool = False
    ) -> "ListQuery":
        """The query ordered by this path; `also` keeps the other columns after it."""
        others = tuple(o for o in self.order if o.path != path) if also else ()
        return self.with_(order=(Order(path, descending), *others))

    def to_items(self) -> list[tuple[str, str]]:
        """The canonical query string: nothing twice, nothing that is usual anyway."""
        items: list[tuple[str, str]] = []
        if self.search:
            items.append(("search", self.search))
        for each in self.filters:
            items.extend(each.items())
        if self.order:
            items.append(("sortBy", ",".join(o.path for o in self.order)))
            words = ("desc" if o.descending else "asc" for o in self.order)
            items.append(("sort", ",".join(words)))
        if self.page_size != self.usual_page_size:
            items.append(("pageSize", str(self.page_size)))
        if self.page > 1:
            items.append(("page", str(self.page)))
        if self.after is not None:
            items.append(("after", self.after.token))
        if self.before is not None:
            items.append(("before", self.before.token))
        return items


def _without_value(each: FilterValue, text: str) -> Iterable[FilterValue]:
    pairs = zip(each.texts, each.values, strict=True)
    kept: Mapping[str, Any] = {t: v for t, v in pairs if t != text}
    left = replace(each, texts=tuple(kept), values=tuple(kept.values()))
    return [left] if left.items() else []
