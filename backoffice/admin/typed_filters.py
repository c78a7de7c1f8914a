"""Which records do the names mean that were typed into a list's filters?

Without JavaScript a reference is filtered by a key or an exact name. One that several
records have, or none, is said on the page, with those to choose from.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Mapper

from backoffice.admin.call import Call
from backoffice.admin.cells import record_name
from backoffice.admin.model_view import ModelView
from backoffice.admin.presentation import Choice
from backoffice.admin.record import records_by_key
from backoffice.database.keys import format_key, parse_key
from backoffice.editing.references import Ambiguous, resolve
from backoffice.errors import RecordNotFound
from backoffice.listing.query import ListQuery
from backoffice.listing.spec import FilterField, ListSpec

Typed = tuple[str, str]


@dataclass(frozen=True, slots=True)
class TypedReferences:
    """What became of the names: keys, or sentences with candidates.

    `keys` and `sentences` are by parameter and text, `candidates` by parameter.
    """

    keys: Mapping[Typed, str] = field(default_factory=dict)
    sentences: Mapping[Typed, str] = field(default_factory=dict)
    candidates: Mapping[str, tuple[Choice, ...]] = field(default_factory=dict)

    def with_keys(self, items: Iterable[Typed]) -> list[Typed]:
        """The query string with the names that were understood as keys."""
        return [(name, self.keys.get((name, text), text)) for name, text in items]

    def not_understood(self, parameter: str) -> set[str]:
        """The texts of a filter that name no record, or several."""
        return {text for name, text in self.sentences if name == parameter}

    def told(self, spec: ListSpec, query: ListQuery) -> ListQuery:
        """The query, its problems in the words of somebody who typed a name."""
        problems = tuple(
            replace(one, message=f"{spec.label(one.parameter)}: {sentence}")
            if (sentence := self.sentences.get((one.parameter, one.value)))
            else one
            for one in query.problems
        )
        return replace(query, problems=problems)


def typed_references(call: Call, view: ModelView, spec: ListSpec) -> TypedReferences:
    """Look for the records whose names stand where the list expects keys."""
    keys: dict[Typed, str] = {}
    sentences: dict[Typed, str] = {}
    candidates: dict[str, tuple[Choice, ...]] = {}
    for name, text in call.query_items:
        declared = spec.by_path.get(name)
        target = filter_target(view, declared) if declared is not None else None
        if target is None or not text.strip() or _is_key(target, text):
            continue
        own = call.site.view_of(target.class_)
        try:
            record = resolve(
                call.session,
                target.class_,
                text,
                columns=own.description.label_keys if own is not None else (),
                scope=partial(_scoped, own, call) if own is not None else None,
            )
            keys[name, text] = format_key(target, record)
        except Ambiguous as open_:
            sentences[name, text] = str(open_)
            found = [one.key for one in open_.candidates.get("", ())]
            if own is not None:
                candidates[name] = candidates.get(name, ()) + _named(call, own, found)
    return TypedReferences(keys, sentences, candidates)


def filter_target(view: ModelView, field: FilterField) -> Mapper[Any] | None:
    """The model whose records a reference filter chooses; None for other filters."""
    if str(field.kind) != "reference":
        return None
    place = view.description.list_spec.paths.place(field.path)
    if place.relationship is not None:
        return place.relationship.mapper
    for relationship in view.description.mapper.relationships:
        if place.column is not None and place.column in relationship.local_columns:
            return relationship.mapper
    return None


def _scoped(view: ModelView, call: Call, select: Select[Any]) -> Select[Any]:
    return view.scope(select, call)


def _is_key(target: Mapper[Any], text: str) -> bool:
    try:
        parse_key(target, text)
    except RecordNotFound:
        return False
    return True


def _named(call: Call, view: ModelView, keys: list[str]) -> tuple[Choice, ...]:
    """The candidates as their own list calls them: two may share a name."""
    records = records_by_key(call, view, keys)
    return tuple(
        Choice(key, record_name(view, records[key])) for key in keys if key in records
    )
