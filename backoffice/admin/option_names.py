"""Does what a view's options name exist? A wrong name is told before anybody opens it.

A name that nothing bears would leave a field writable that was to be read only, and
show a column that was to be left out.
"""

import difflib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Mapper

from backoffice.admin.model_view import ModelView
from backoffice.errors import SettingsError
from backoffice.listing.spec import SearchMode

# Columns, references, and what a reference leads to.
SHOWN = (
    "column_list",
    "column_exclude_list",
    "column_details_list",
    "column_details_exclude_list",
    "column_export_list",
    "column_related_list",
    "column_searchable_list",
    "column_search_modes",
    "column_sortable_list",
    "column_labels",
    "column_formatters",
    "column_tones",
    "label_columns",
    "details_related",
    "phone_columns",
    "loads",
)
ASKED = (
    "form_columns",
    "form_excluded_columns",
    "form_readonly_columns",
    "form_widths",
)


EVERYTHING = "__all__"  # SQLAdmin's word


def check_names(view: ModelView) -> None:
    """Nothing where every name is one of the model's.

    Raises:
        SettingsError: an option names something that the model does not have.
    """
    mapper: Mapper[Any] = inspect(view.model)
    for option, key in _named(view):
        if not _is_there(mapper, key):
            raise SettingsError(
                f"{type(view).__name__}.{option} names {key!r}; "
                f"{mapper.class_.__name__} has no such attribute."
                f"{_meant(mapper, key)}"
            )
    for attribute, mode in view.column_search_modes.items():
        if mode not in set(SearchMode):
            raise SettingsError(
                f"{type(view).__name__}.column_search_modes says {mode!r} of "
                f"{_key(attribute)!r}; it takes {', '.join(SearchMode)}."
            )


def _named(view: ModelView) -> Iterator[tuple[str, str]]:
    """Each option with each of the names that it gives."""
    options: tuple[str, ...] = SHOWN
    if type(view).form_fields is ModelView.form_fields:
        # Fields of the view's own may be called as nothing of the model is.
        options = (*SHOWN, *ASKED)
        yield from _grouped(view)
    for option in options:
        given = getattr(view, option, None) or ()
        if given == EVERYTHING:
            continue
        if isinstance(given, str):
            raise SettingsError(
                f"{type(view).__name__}.{option} is {given!r}; it takes several names, "
                f"as in [{given!r}]."
            )
        yield from ((option, _key(one)) for one in given)
    if view.column_default_sort:
        for attribute, _descending in view._get_default_sort():  # noqa: SLF001
            yield "column_default_sort", _key(attribute)


def _grouped(view: ModelView) -> Iterator[tuple[str, str]]:
    for group in view.form_groups:
        try:
            _legend, _hint, attributes = group
        except ValueError:
            raise SettingsError(
                f"{type(view).__name__}.form_groups has {group!r}; each group is a "
                'legend, a hint (or "") and the fields.'
            ) from None
        yield from (("form_groups", _key(one)) for one in attributes)


def _key(attribute: Any) -> str:
    return attribute if isinstance(attribute, str) else str(attribute.key)


def _is_there(mapper: Mapper[Any], path: str) -> bool:
    """Whether a path leads to an attribute, mapped or written by hand."""
    first, _, rest = path.partition(".")
    if rest:
        found = mapper.relationships.get(first)
        return found is not None and _is_there(found.mapper, rest)
    return first in mapper.all_orm_descriptors or hasattr(mapper.class_, first)


def _meant(mapper: Mapper[Any], path: str) -> str:
    """The name that is most like it, as a question; empty where none is."""
    way, _, last = path.rpartition(".")
    for step in filter(None, way.split(".")):
        found = mapper.relationships.get(step)
        if found is None:
            return ""
        mapper = found.mapper
    known = [str(key) for key in mapper.all_orm_descriptors.keys()]  # noqa: SIM118
    close = difflib.get_close_matches(last, known, n=1)
    return f" Is {'.'.join([*filter(None, [way]), close[0]])!r} meant?" if close else ""
