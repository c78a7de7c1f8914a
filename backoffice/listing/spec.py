"""What a list shows, and by what it can be searched, filtered and ordered.

A path is an attribute's key, dotted through to-one relationships: `full_name`,
`student`, `student.full_name`.
"""

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import DeclarativeBase

from backoffice.listing.paths import Paths, Scope, ways


class SearchMode(StrEnum):
    """How a word is looked for in a field.

    CONTAINS anywhere in the text, whatever its case; reads the whole table unless a
    trigram index serves it. WORD_START at the start of a word; one GIN index on
    `search_vector` of all such fields, in their order, serves it. STARTS_WITH at the
    start of the text; an index on `lower(column) text_pattern_ops` serves it. EXACT is
    the whole value as typed, in capitals or in small letters; any index serves it.
    """

    CONTAINS = "contains"
    WORD_START = "word_start"
    STARTS_WITH = "starts_with"
    EXACT = "exact"


class FilterKind(StrEnum):
    """How a filter is asked for."""

    BOOLEAN = "boolean"
    CHOICE = "choice"
    REFERENCE = "reference"
    NUMBER = "number"
    DATE = "date"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class SearchField:
    """A field that the search looks into; to-many relationships may be on the way."""

    path: str
    mode: SearchMode = SearchMode.CONTAINS


@dataclass(frozen=True, slots=True)
class Order:
    """One column of an order. Nulls stand last, and first where it is descending."""

    path: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class FilterField:
    """A filter: its parameter is its path.

    `choices` are (value, label); without them a CHOICE takes those of `Column.info`,
    of the enum, or, where an index leads with the column, of the table. `scope` leaves
    out records that a REFERENCE must not offer.
    """

    path: str
    kind: FilterKind
    label: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    scope: Scope | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ListSpec:
    """One list, declared: made once, used by every request.

    `exported` are the columns of its file, where those are others. `columns` may name
    relationships, columns, hybrids and plain properties. `loads` names what else is
    read with a row: relationships (to-many ones in a statement of their own), and
    columns that are left out unless shown (long text, JSON, bytes).
    Nothing else can be read from a row later. `reference_labels` names the column by
    which a relationship's records are called, by the relationship's path: what it is
    exported and ordered by.
    Without a `default_order` the highest key comes first. `scope` adds the conditions
    of what may be seen; joins in it must not multiply rows. `reference_scopes` does so
    for records that are referred to, by their model: who may not see one is shown none.
    `partly_seen` are all models for which there can be such a scope. Of a list that
    `is_formatted` by functions of its own, long texts are read whole.
    """

    model: type[DeclarativeBase] | type[Any]
    identity: str
    columns: tuple[str, ...]
    search: tuple[SearchField, ...] = ()
    filters: tuple[FilterField, ...] = ()
    sortable: tuple[str, ...] = ()
    default_order: tuple[Order, ...] = ()
    page_size: int = 50
    page_sizes: tuple[int, ...] = (20, 50, 100, 200)
    labels: Mapping[str, str] = field(default_factory=dict)
    scope: Scope | None = None
    loads: tuple[str, ...] = ()
    exported: tuple[str, ...] = ()
    exact_count_limit: int = 10_000
    reference_labels: Mapping[str, str] = field(default_factory=dict)
    partly_seen: frozenset[type[Any]] = frozenset()
    is_formatted: bool = False
    reference_scopes: Mapping[type[Any], Scope] = field(default_factory=dict)
    paths: Paths = field(init=False, repr=False)
    by_path: Mapping[str, FilterField] = field(init=False, repr=False)
    known: frozenset[str] = field(init=False, repr=False)
    is_cut: bool = field(init=False, repr=False, default=False)

    def __post_init__(self) -> None:
        """Keep what is the same for every request."""
        paths = Paths(self.model, self.reference_labels, self.partly_seen)
        object.__setattr__(self, "paths", paths)
        object.__setattr__(self, "by_path", {f.path: f for f in self.filters})
        shown = (*self.columns, *self.exported)
        declared = (*shown, *self.sortable, *self.loads, *self.by_path)
        searched = (f.path for f in self.search)
        object.__setattr__(self, "known", frozenset((*declared, *searched)))

    def scoped(
        self,
        scope: Scope | None,
        references: Mapping[type[Any], Scope] | None = None,
    ) -> "ListSpec":
        """The same list for what one person may see; costs next to nothing."""
        scoped = copy.copy(self)
        object.__setattr__(scoped, "scope", scope)
        object.__setattr__(scoped, "reference_scopes", dict(references or {}))
        return scoped

    def without_filters(self, paths: Collection[str]) -> "ListSpec":
        """The same list for who may not see what these filters offer."""
        cut = copy.copy(self)
        kept = tuple(one for one in self.filters if one.path not in paths)
        object.__setattr__(cut, "filters", kept)
        object.__setattr__(cut, "by_path", {one.path: one for one in kept})
        object.__setattr__(cut, "is_cut", True)
        return cut

    def referred(self) -> frozenset[type[Any]]:
        """The models of the records that its rows, filters and search refer to."""
        found = set()
        for path in self.known:
            for way in ways(path):
                relationship = self.paths.place(way).relationship
                if relationship is not None:
                    found.add(relationship.mapper.class_)
        return frozenset(found)

    @property
    def is_for_everybody(self) -> bool:
        """Whether its statements do not depend on who asks."""
        return self.scope is None and not self.reference_scopes and not self.is_cut

    def label(self, path: str) -> str:
        """The path in words, as heads, filters and messages say it."""
        given = self.labels.get(path)
        if given is None and (declared := self.by_path.get(path)):
            given = declared.label
        if given:
            return given
        return self.paths.label(path) if path in self.known else path
