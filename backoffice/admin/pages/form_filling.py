"""What stands in a form before anything is typed: its fields, and their values."""

from dataclasses import replace
from typing import Any

from backoffice.admin.call import Call
from backoffice.admin.cells import HIDDEN, record_name
from backoffice.admin.filled import Filled
from backoffice.admin.model_view import ModelView
from backoffice.audit.recorder import label_of
from backoffice.database.keys import format_key
from backoffice.editing.fields import FieldKind, FormField, form_fields
from backoffice.editing.references import resolve
from backoffice.editing.texts import shown_texts
from backoffice.errors import RecordNotFound, Refused
from backoffice.listing.params import WORDS

LIST_WORDS = {*WORDS, "next"}


def fields_of(
    call: Call, view: ModelView, *, is_created: bool
) -> tuple[FormField, ...]:
    """The view's own fields, else what its columns ask for."""
    own = view.form_fields(call, is_created=is_created)
    if own is not None:
        return own
    dialect = call.session.get_bind().dialect.name
    description = view.description
    found = form_fields(
        description.mapper, description.form_keys, dialect, description.labels
    )
    readonly = description.readonly
    shown = []
    for one in found:
        if one.read_only and is_created:
            continue
        if one.key in readonly and not is_created:
            shown.append(_read_only(one))
            continue
        shown.append(one)
    return tuple(shown)


def _read_only(one: FormField) -> FormField:
    return replace(one, read_only=one.read_only or "Cannot be changed here.")


def blank(call: Call, view: ModelView, fields: tuple[FormField, ...]) -> Filled:
    """A form without values but those that the address presets, and defaults."""
    # What the list is asked by comes along, and is no value of a column called so.
    asked = {k: v for k, v in call.query_items if k not in LIST_WORDS}
    texts = {one.key: asked.get(one.key, default_of(view, one)) for one in fields}
    filled = Filled(fields, texts, shown={one.key: "" for one in fields})
    for one in fields:
        text = texts[one.key]
        if one.kind is FieldKind.REFERENCE and one.target is not None and text:
            try:
                record = resolve(call.session, one.target, text, field=one.key)
            except (Refused, RecordNotFound):
                filled.texts[one.key] = ""
                continue
            filled.keys[one.key] = format_key(one.target.__mapper__, record)
            filled.labels[one.key] = label_of_target(call, one.target, record)
    return filled


def default_of(view: ModelView, one: FormField) -> str:
    """What the column has when nothing is said, where that can be told beforehand."""
    prop = view.description.mapper.attrs.get(one.key)
    column = getattr(prop, "columns", [None])[0]
    default = getattr(column, "default", None)
    if default is not None and getattr(default, "is_scalar", False):
        from backoffice.database.values import format_value

        return format_value(column, default.arg)
    return "true" if one.key == "is_active" and column is not None else ""


def present(call: Call, view: ModelView, record: Any) -> Filled:
    """A form with the record's values."""
    fields = fields_of(call, view, is_created=False)
    own = {c.key for c in view.description.mapper.attrs}
    texts = shown_texts(call.session, record, [f.key for f in fields if f.key in own])
    texts = {one.key: texts.get(one.key, "") for one in fields}
    filled = Filled(fields, dict(texts), shown=dict(texts))
    for one in fields:
        if one.kind is FieldKind.REFERENCE and one.target is not None:
            target = getattr(record, one.key)
            label = label_of_target(call, one.target, target) if target else ""
            if not target and texts[one.key]:
                label = f"{HIDDEN.text} ({texts[one.key]})"
            filled.labels[one.key] = filled.shown_labels[one.key] = label
            filled.keys[one.key] = texts[one.key]
    return filled


def label_of_target(call: Call, target: type[Any], record: Any) -> str:
    """What a record is called in a field that refers to it."""
    view = call.site.view_of(target)
    if view is not None:
        return record_name(view, record)
    mapper = target.__mapper__
    return label_of(mapper, record, format_key(mapper, record))
