"""References by typing: the records that a few letters may mean, as data."""

import functools
from typing import Any

from sqlalchemy import ColumnElement

from backoffice.admin.call import Call, Data, Reply
from backoffice.admin.cells import record_name
from backoffice.admin.failures import NotFound
from backoffice.admin.model_view import ModelView
from backoffice.admin.pages.form_filling import fields_of
from backoffice.admin.record import single_references
from backoffice.admin.typed_filters import filter_target
from backoffice.editing.references import lookup
from backoffice.errors import NotPermitted
from backoffice.listing.params import split_terms
from backoffice.listing.search import search_condition
from backoffice.listing.spec import SearchMode

LIMIT = 20
LONGEST = 100
INDEXED = frozenset({SearchMode.WORD_START, SearchMode.EXACT, SearchMode.STARTS_WITH})


def find(call: Call) -> Reply:
    """Up to twenty records for `?term=`, of a form's `field` or a list's `filter`.

    The records are those that the person may see in the target's own list.
    """
    view, params = call.model_view, call.request.query_params
    name = params.get("field", "")
    if name:
        target = target_of_field(call, view, name)
    else:
        target = target_of_filter(view, params.get("filter", ""))
    if target is None:
        raise NotFound("This field has no records to choose from.")
    term = params.get("term", "").replace("\0", "").strip()[:LONGEST]
    own = call.site.view_of(target)
    if own is not None and not call.may("list", own):
        raise NotPermitted("You may not see these records.")
    found = lookup(
        call.session,
        target,
        term,
        columns=own.description.label_keys if own is not None else (),
        limit=LIMIT + 1,
        scope=(lambda select: own.scope(select, call)) if own is not None else None,
        condition=indexed_condition(call, own, term) if own is not None else None,
        options=single_references(own) if own is not None else (),
        label=functools.partial(record_name, own) if own is not None else None,
    )
    return Data(
        {
            "choices": [
                {"key": one.key, "label": one.label, "hint": ""}
                for one in found[:LIMIT]
            ],
            "more": len(found) > LIMIT,
        }
    )


def target_of_field(call: Call, view: ModelView, name: str) -> type[Any] | None:
    """The class that a form's field refers to; forms are for who may write."""
    if not (call.may("edit") or call.may("create")):
        raise NotPermitted("You may read this list and not write it.")
    for is_created in (True, False):
        for field in fields_of(call, view, is_created=is_created):
            if field.key == name:
                return field.target
    return None


def target_of_filter(view: ModelView, path: str) -> type[Any] | None:
    """The class that a filter's values are records of."""
    field = view.description.list_spec.by_path.get(path)
    mapper = filter_target(view, field) if field is not None else None
    return mapper.class_ if mapper is not None else None


def indexed_condition(
    call: Call, view: ModelView, term: str
) -> ColumnElement[bool] | None:
    """The list's own search, where an index serves it: among millions as among ten."""
    spec = view.description.list_spec
    own = [field for field in spec.search if "." not in field.path]
    terms = split_terms(term)
    if not terms or not any(field.mode is SearchMode.WORD_START for field in own):
        return None
    if not all(field.mode in INDEXED for field in own):
        return None
    dialect = call.session.get_bind().dialect.name
    return search_condition(spec.paths, own, terms, dialect)
