"""How a form asks for a record's fields, and what came back as raw texts."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sqlalchemy import Select, false, inspect
from sqlalchemy.orm import Mapper

from backoffice.admin.call import address
from backoffice.admin.cells import record_name
from backoffice.admin.description import default_label
from backoffice.admin.own_names import FOR, KEY, MERGE
from backoffice.admin.presentation import (
    Choice,
    Control,
    FieldGroup,
    FieldView,
    Link,
)
from backoffice.admin.words import series, within_sentence
from backoffice.database.keys import format_key
from backoffice.editing.fields import FieldKind, FormField
from backoffice.editing.texts import same_text

if TYPE_CHECKING:
    from backoffice.admin.call import Call
    from backoffice.admin.model_view import ModelView

Scope = Callable[[Select[Any]], Select[Any]]

CONTROLS = {
    FieldKind.TEXT: Control.TEXT,
    FieldKind.LONG_TEXT: Control.TEXTAREA,
    FieldKind.INTEGER: Control.NUMBER,
    FieldKind.DECIMAL: Control.NUMBER,
    FieldKind.FLOAT: Control.NUMBER,
    FieldKind.BOOLEAN: Control.CHECKBOX,
    FieldKind.DATE: Control.DATE,
    FieldKind.TIME: Control.TEXT,
    FieldKind.DATETIME: Control.TEXT,
    FieldKind.CHOICE: Control.SELECT,
    FieldKind.JSON: Control.JSON,
    FieldKind.LIST: Control.JSON,
    FieldKind.REFERENCE: Control.REFERENCE,
}
WIDTHS = {
    Control.NUMBER: "w2",
    Control.DATE: "w2",
    Control.SELECT: "w3",
    Control.CHECKBOX: "w3",
}
SHORT_TEXT = 60
# How what has no control of its own is typed.
FORMS = {
    FieldKind.DATETIME: "Such as 2025-08-31 14:30.",
    FieldKind.TIME: "Such as 14:30 or 14:30:15.",
    FieldKind.INTERVAL: "Such as 3 days 04:30:00.",
}
ZONED = "Such as 2025-08-31 14:30, in UTC; or with an offset, as in 14:30+07:00."


@dataclass(slots=True)
class Typed:
    """What a form said of one field: the text, and the key that was picked."""

    text: str
    key: str = ""
    key_is_for: str = ""

    @property
    def is_picked(self) -> bool:
        """Whether the key belongs to the text as it stands now."""
        return bool(self.key) and self.text == self.key_is_for


def reference_label(call: "Call", record: Any) -> str:
    """What a record is called where it is referred to."""
    view = call.site.view_of(type(record))
    if view is not None:
        return record_name(view, record)
    mapper: Mapper[Any] = inspect(type(record))
    return str(getattr(record, default_label(mapper)[0]))


def reference_key(record: Any) -> str:
    """Its key, as forms and addresses write it."""
    return format_key(inspect(type(record)), record)


def typed_fields(
    call: "Call", fields: Sequence[FormField], shown: Mapping[str, str]
) -> dict[str, Typed]:
    """What the form sent of each writable field; what it did not send is not there.

    A browser sends nothing for a box that is not ticked: of a box that was `shown`,
    nothing means no. Blanks around a line that was changed are left out, as in Django:
    they come with what is pasted, nobody sees them, and no search finds the rest.
    """
    found = {}
    posted = call.posted_all()
    for field in fields:
        if field.read_only:
            continue
        text = posted.get(field.key)
        is_box = field.kind is FieldKind.BOOLEAN and MERGE not in posted
        if text is None and is_box and field.key in shown:
            text = "false"
        if text is None:
            continue
        if is_trimmed(field) and not same_text(text, shown.get(field.key, "")):
            # Blanks alone, where a value has to be, are told as what they are.
            text = text.strip() or (text if field.required else "")
        found[field.key] = Typed(
            text, posted.get(field.key + KEY, ""), posted.get(field.key + FOR, "")
        )
    return found


def is_trimmed(field: FormField) -> bool:
    """Whether blanks around what is typed are none of it: a name, a code, no poem."""
    is_line = field.kind is FieldKind.TEXT and not field.is_long
    return is_line and not field.secret and not field.keeps_blanks


def submitted_texts(typed: Mapping[str, Typed]) -> dict[str, str]:
    """Each field's raw text; of a reference the picked key while its text is untouched.

    What else was typed for a reference is a key or a name, for `editing` to resolve.
    """
    return {
        key: sent.key if sent.is_picked else sent.text for key, sent in typed.items()
    }


def names_of(
    call: "Call", fields: Sequence[FormField]
) -> tuple[dict[str, Collection[str]], dict[str, Scope]]:
    """By which columns, and among which rows, each reference's record is found."""
    names: dict[str, Collection[str]] = {}
    scopes: dict[str, Scope] = {}
    for field in fields:
        if field.target is None:
            continue
        view = call.site.view_of(field.target)
        if view is not None:
            names[field.key] = view.description.label_keys
            scopes[field.key] = functools.partial(_scoped, view, call)
    return names, scopes


def _scoped(view: "ModelView", call: "Call", select: Select[Any]) -> Select[Any]:
    """The rows of a view that this person may see; none of a list they may not open."""
    if not call.may("list", view):
        return select.where(false())
    return view.scope(select, call)


def groups_of(view: "ModelView", fields: Sequence[FieldView]) -> tuple[FieldGroup, ...]:
    """The fields under the view's legends; what no legend names comes last."""
    from backoffice.admin.description import key_of

    by_name = {field.name: field for field in fields}
    groups = []
    for legend, hint, attributes in view.form_groups:
        chosen = [
            by_name.pop(key_of(one)) for one in attributes if key_of(one) in by_name
        ]
        if chosen:
            is_marks = sum(field.is_num for field in chosen) > 2  # noqa: PLR2004
            groups.append(FieldGroup(legend, tuple(chosen), hint, is_marks=is_marks))
    if by_name:
        legend = "More" if groups else view.name
        groups.append(
            FieldGroup(legend, tuple(by_name.values()), is_legend_hidden=not groups)
        )
    return tuple(groups)


def field_view(  # noqa: PLR0913 - one field has that many sides
    call: "Call",
    view: "ModelView",
    field: FormField,
    text: str,
    *,
    label: str = "",
    key: str = "",
    error: str = "",
    error_link: Link | None = None,
    was: str = "",
    is_changed: bool = False,
    candidates: tuple[Choice, ...] = (),
    has_focus: bool = False,
    width: str | None = None,
) -> FieldView:
    """One field as the template draws it; `label` is a reference's text."""
    control = CONTROLS.get(field.kind, Control.TEXT)
    if field.read_only:
        control = Control.READONLY
    elif field.secret:
        control = Control.PASSWORD
    elif field.key == "email":
        control = Control.EMAIL
    if control in {Control.TEXT, Control.EMAIL} and ("\n" in text or "\r" in text):
        control = Control.TEXTAREA  # a field of one line would lose the others
    is_reference = field.kind is FieldKind.REFERENCE
    is_num = field.kind in {FieldKind.INTEGER, FieldKind.DECIMAL, FieldKind.FLOAT}
    choices = tuple(Choice(v, w, v == text) for v, w in field.choices)
    if field.choices and text and text not in {v for v, _ in field.choices}:
        # A value that is no choice any more stays until somebody chooses.
        choices = (Choice(text, text, is_checked=True), *choices)
    empty_label = ""
    if field.choices and (field.nullable or not text):
        empty_label = "none" if field.nullable else "Choose"
    if width is None:
        width = usual_width(field, control, is_num=is_num)
    return FieldView(
        name=field.key,
        label=field.label,
        control=control,
        value=label if is_reference else text,
        choices=choices,
        is_required=field.required and not field.read_only,
        hint=field.read_only or field.hint or form_of(field),
        error=error,
        error_link=error_link,
        was=was,
        is_changed=is_changed,
        is_num=is_num,
        is_mono=control is Control.JSON,
        width=width,
        rows=8 if field.is_long else 3,
        lookup_url=_lookup(call, view, field) if is_reference else "",
        reference_key=key if is_reference else "",
        reference=_open_link(call, field, key) if is_reference and key else None,
        candidates=candidates,
        inputmode="decimal" if is_num else "",
        max_length=str(field.max_length) if field.max_length else "",
        autocomplete="new-password" if field.secret else "off",
        has_focus=has_focus,
        empty_label=empty_label,
        placeholder=_asked_by(call, field) if is_reference else "",
    )


def _asked_by(call: "Call", field: FormField) -> str:
    """What to type into a reference: "Type a full name, code or class"."""
    target = call.site.view_of(field.target) if field.target else None
    if target is None:
        return ""
    labels = target.description.labels
    names = [
        within_sentence(labels[key])
        for key in target.description.label_keys
        if key in labels
    ]
    if not names:
        return ""
    article = "an" if names[0][:1].lower() in "aeio" else "a"
    return f"Type {article} {series(names, 'or')}"


def form_of(field: FormField) -> str:
    """How a value is typed, where nothing else says it."""
    if field.kind is FieldKind.DATETIME and field.has_zone:
        return ZONED
    return FORMS.get(field.kind, "")


def usual_width(field: FormField, control: Control, *, is_num: bool) -> str:
    """How much of a line a field takes, where its view does not say."""
    if field.read_only and is_num:
        return "w2"
    is_short = (field.max_length or SHORT_TEXT + 1) <= SHORT_TEXT
    if control in {Control.TEXT, Control.EMAIL} and is_short:
        return "w3"
    return WIDTHS.get(control, "")


def _lookup(call: "Call", view: "ModelView", field: FormField) -> str:
    """Where the field asks while one types; "" where this person would be refused."""
    target = call.site.view_of(field.target) if field.target else None
    if target is not None and not call.may("list", target):
        return ""
    url = address(call.site.base_url, view.identity) + "/ajax/lookup?"
    return url + urlencode({"field": field.key})


def _open_link(call: "Call", field: FormField, key: str) -> Link | None:
    """The way to the record that is referred to."""
    target = call.site.view_of(field.target) if field.target else None
    if target is None or not call.may("details", target):
        return None
    url = address(call.site.base_url, target.identity, "details", key)
    return Link(f"Open this {within_sentence(target.name)}", url)
