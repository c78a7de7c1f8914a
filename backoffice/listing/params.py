"""What a query string asks of a list, and what in it is wrong.

Nothing wrong is passed over: it becomes a `Problem`, and a query with problems has no
rows. So a mistake never shows, changes or exports more than was asked for.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from backoffice.database.values import SURROGATES, shown
from backoffice.listing.cursor import CursorCodec
from backoffice.listing.filters import read_filter
from backoffice.listing.query import Cursor, ListQuery, Problem, Term
from backoffice.listing.sorting import effective_order, order_name, sort_columns
from backoffice.listing.spec import FilterKind, ListSpec, Order

WORDS = ("search", "sortBy", "sort", "page", "pageSize", "after", "before")
SUFFIXES = ("from", "to", "empty")
LONGEST_SEARCH = 300
MOST_TERMS = 10
MOST_COLUMNS = 6
LAST_PAGE = 10_000_000

_TERMS = re.compile(r'"([^"]*)"?|([^\s"]+)')


def parse_list(
    spec: ListSpec, items: Iterable[tuple[str, str]], codec: CursorCodec
) -> ListQuery:
    """The query that the items of a query string describe; it reads nothing."""
    asked = _Asked(spec)
    asked.gather(items)
    search, terms = _search(spec, asked)
    order = _order(spec, asked)
    page = _page(asked)
    page_size = _page_size(spec, asked)
    filters = tuple(
        found
        for declared in spec.filters
        if (found := read_filter(spec, declared, asked.values, asked.refuse))
    )
    query = ListQuery(
        page_size=page_size,
        usual_page_size=spec.page_size,
        search=search,
        terms=terms,
        order=order,
        filters=filters,
        page=page,
    )
    after, before = _cursors(spec, query, asked, codec)
    return query.with_(
        page=page,
        after=after,
        before=before,
        problems=tuple(asked.problems),
        notes=tuple(asked.notes),
    )


@dataclass(slots=True)
class _Asked:
    """The items by parameter, and what has been found wrong so far."""

    spec: ListSpec
    values: dict[str, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    def refuse(self, parameter: str, value: str, message: str) -> None:
        self.problems.append(Problem(parameter, value, message))

    def gather(self, items: Iterable[tuple[str, str]]) -> None:
        """Sort the items by parameter; blank ones mean nothing."""
        known = known_parameters(self.spec)
        for name, value in items:
            if name not in known:
                self._refuse_unknown(name, value, known)
            elif broken := _broken(value):
                self.refuse(name, value, f"{self._called(name)} {broken}")
            elif value.strip() and value not in self.values.setdefault(name, []):
                self.values[name].append(value)

    def one(self, name: str) -> str:
        """The value of a parameter that may be given once; "" where it is not."""
        values = self.values.get(name, [])
        if len(values) > 1:
            self.refuse(name, values[1], f"{self._called(name)} is given twice.")
            return ""
        return values[0] if values else ""

    def _called(self, name: str) -> str:
        if name in WORDS:
            return {"search": "The search"}.get(name, name)
        return self.spec.label(name.partition("__")[0])

    def _refuse_unknown(self, name: str, value: str, known: Mapping[str, bool]) -> None:
        # Of a name that nobody has written by hand only the beginning is repeated.
        safe = shown("".join(c if c.isprintable() else "�" for c in name))
        near = get_close_matches(name[:100], known, n=1)
        hint = f"; {near[0]} is" if near else ""
        self.refuse(safe, value, f"{safe} is not a filter of this list{hint}.")


def known_parameters(spec: ListSpec) -> Mapping[str, bool]:
    """Every parameter that a list understands; True for those that may be repeated."""
    known = dict.fromkeys(WORDS, False)
    for each in spec.filters:
        known[each.path] = True
        if each.kind in (FilterKind.NUMBER, FilterKind.DATE):
            known[f"{each.path}__from"] = known[f"{each.path}__to"] = False
        if spec.paths.place(each.path).is_nullable:
            known[f"{each.path}__empty"] = False
    return known


def split_terms(text: str) -> tuple[Term, ...]:
    """Words, and phrases in quotes; a quote that is not closed goes on to the end."""
    terms: dict[Term, None] = {}
    for phrase, word in _TERMS.findall(text):
        term = Term(" ".join(phrase.split()), is_phrase=True) if phrase else Term(word)
        if term.text:
            terms[term] = None
    return tuple(terms)


def _broken(value: str) -> str:
    """What no value may have in it, as the end of a sentence."""
    if "\0" in value:
        return "has a NUL character; nothing that is stored has one."
    if "\ufffd" in value or SURROGATES.search(value):
        return "has bytes that are not UTF-8 text."
    return ""


def _search(spec: ListSpec, asked: _Asked) -> tuple[str, tuple[Term, ...]]:
    text = asked.one("search").strip()
    if not text:
        return "", ()
    if not spec.search:
        asked.refuse("search", text, "This list cannot be searched.")
    elif len(text) > LONGEST_SEARCH:
        asked.refuse(
            "search",
            text,
            f"The search has {len(text):,} characters; {LONGEST_SEARCH} are the most.",
        )
    else:
        terms = split_terms(text)
        if len(terms) > MOST_TERMS:
            asked.refuse(
                "search",
                text,
                f"The search has {len(terms)} words; {MOST_TERMS} are the most.",
            )
        elif terms:
            return text, terms
        else:
            asked.refuse("search", text, "The search has no word in it.")
    return "", ()


def _order(spec: ListSpec, asked: _Asked) -> tuple[Order, ...]:
    by, ways = asked.one("sortBy"), asked.one("sort")
    paths = [path.strip() for path in by.split(",")] if by else []
    directions = [word.strip().lower() for word in ways.split(",")] if ways else []
    problem = _order_problem(spec, paths, directions)
    if problem is not None:
        name = "sort" if problem.startswith("sort ") else "sortBy"
        asked.refuse(name, ways if name == "sort" else by, problem)
        return ()
    directions += ["asc"] * (len(paths) - len(directions))
    order: dict[str, Order] = {}
    for path, direction in zip(paths, directions, strict=True):
        order.setdefault(path, Order(path, direction == "desc"))
    return tuple(order.values())


def _order_problem(
    spec: ListSpec, paths: Sequence[str], directions: Sequence[str]
) -> str | None:
    for path in paths:
        if not path:
            return "sortBy has nothing between two of its commas."
        if path not in spec.sortable:
            listed = ", ".join(spec.label(one) for one in spec.sortable)
            return (
                f"This list cannot be ordered by {shown(path)}; "
                f"it can by {listed or 'nothing'}."
            )
    if len(paths) > MOST_COLUMNS:
        return f"A list is ordered by {MOST_COLUMNS} columns at most, not {len(paths)}."
    for word in directions:
        if word not in ("asc", "desc"):
            return f"sort is {shown(word)!r}; asc and desc are the directions."
    if len(directions) > len(paths):
        return (
            f"sort has {len(directions)} directions for the {len(paths)} columns of "
            "sortBy."
        )
    return None


def _page(asked: _Asked) -> int:
    text = asked.one("page").strip()
    if not text:
        return 1
    number = _whole(text)
    if number is None or number < 1:
        message = (
            f"There is no page “{shown(text)}”: pages are numbered 1, 2, 3 and so on."
        )
    elif number > LAST_PAGE:
        message = (
            f"There is no page {shown(text)}: no list has more than "
            f"{LAST_PAGE:,} pages."
        )
    else:
        return number
    asked.refuse("page", text, message)
    return 1


def _page_size(spec: ListSpec, asked: _Asked) -> int:
    text = asked.one("pageSize").strip()
    if not text:
        return spec.page_size
    most = max((*spec.page_sizes, spec.page_size))
    number = _whole(text)
    if number is not None and 1 <= number <= most:
        return number
    asked.refuse(
        "pageSize", text, f"A page has 1 to {most:,} rows, not “{shown(text)}”."
    )
    return spec.page_size


def _whole(text: str) -> int | None:
    """A whole number in plain digits; None for anything else, however long."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    return int(digits[:20])


def _cursors(
    spec: ListSpec, query: ListQuery, asked: _Asked, codec: CursorCodec
) -> tuple[Cursor | None, Cursor | None]:
    """The rows that the page begins after or ends before.

    A cursor that cannot be read is of an older address: the page number stands.
    """
    after, before = asked.one("after"), asked.one("before")
    if after and before:
        asked.notes.append(
            Problem("after", after, "after and before do not go together; page stands.")
        )
        return None, None
    read = _reader(spec, query, codec)
    found = []
    for name, token in (("after", after), ("before", before)):
        cursor = read(token) if token else None
        if token and cursor is None:
            asked.notes.append(
                Problem(
                    name,
                    token,
                    f"The place named by {name} is not one of this list in this order; "
                    f"page {query.page:,} is shown by its number.",
                )
            )
        found.append(cursor)
    return found[0], found[1]


def _reader(
    spec: ListSpec, query: ListQuery, codec: CursorCodec
) -> Callable[[str], Cursor | None]:
    def read(token: str) -> Cursor | None:
        order = effective_order(spec, query)
        columns = [column.expression for column in sort_columns(spec, order)]
        values = codec.decode(order_name(spec, order), columns, token)
        return None if values is None else Cursor(token, values)

    return read
