"""Which record does a text in a reference's field name, and what is that one called?

Without JavaScript a reference is typed: a key, an exact name, or what the site itself
calls the record, as in "Okafor, Amara (S-099002, 9B)".
"""

import re
from typing import TYPE_CHECKING, NamedTuple

from backoffice.admin.fields import Typed, names_of, reference_label
from backoffice.database.keys import format_key
from backoffice.editing.fields import FormField
from backoffice.editing.references import candidates_for, resolve
from backoffice.errors import RecordNotFound, Refused

if TYPE_CHECKING:
    from backoffice.admin.call import Call


class Named(NamedTuple):
    """A record that was meant: its key, and what it is called."""

    key: str
    label: str


def named(call: "Call", field: FormField, text: str) -> Named | None:
    """The one record that a text means; None where it is none, or several."""
    if field.target is None or not text:
        return None
    names, scopes = names_of(call, (field,))
    try:
        record = resolve(
            call.session,
            field.target,
            text,
            columns=tuple(names.get(field.key, ())),
            scope=scopes.get(field.key),
        )
    except (Refused, RecordNotFound):
        return None
    return Named(
        format_key(field.target.__mapper__, record), reference_label(call, record)
    )


def take_labels(
    call: "Call", fields: tuple[FormField, ...], typed: dict[str, Typed]
) -> None:
    """Take what the site calls a record, typed as it stands, for that record."""
    for field in fields:
        sent = typed.get(field.key)
        if field.target is None or sent is None or sent.is_picked:
            continue
        found = _called(call, field, sent.text.strip())
        if found:
            typed[field.key] = Typed(sent.text, found, sent.text)


def _bare(label: str) -> str:
    """A label without the signs around what is written from the right."""
    return re.sub("[\u2066-\u2069]", "", label)


def _called(call: "Call", field: FormField, text: str) -> str:
    """The key of the one record with this label; "" where there is none such."""
    head, bracket, rest = text.removesuffix(")").rpartition(" (")
    if not bracket or not text.endswith(")") or field.target is None:
        return ""
    names, scopes = names_of(call, (field,))
    mapper = field.target.__mapper__
    # The parts in brackets tell records of one name apart: most often a unique code.
    for part in (*rest.split(", "), head):
        records = candidates_for(
            call.session,
            field.target,
            part,
            columns=tuple(names.get(field.key, ())),
            scope=scopes.get(field.key),
        )
        keys = {
            format_key(mapper, one)
            for one in records
            if _bare(reference_label(call, one)) == _bare(text)
        }
        if len(keys) == 1:
            return keys.pop()
    return ""
